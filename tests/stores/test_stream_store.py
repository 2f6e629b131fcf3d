"""What streams keep beside their cursor, and the commands on them, on every backend (S3g, S3h, S4, S5, S10a)."""

from dataclasses import replace

import pytest

from gateway.domain import facts
from gateway.domain.breaker import StreamNote
from gateway.domain.delivery import Decision
from gateway.domain.pending import PendingDelivery
from gateway.domain.subscription import SubscriptionSpec
from gateway.errors import Conflict, Gone, NotFound
from gateway.ports import (
    AttemptRecord,
    EventQuery,
    JournalBatch,
    NewEntry,
    ReplayRange,
    ReplayState,
    ReplayUpdate,
    SubscriptionState,
)
from schemas import GATEWAY_TYPE_PREFIX

SECRET = "whsec_" + "A" * 40


@pytest.fixture
def two(stores):
    """Two subscriptions, and ten events behind them: positions 3 to 12."""
    for _ in range(2):
        spec = SubscriptionSpec(sink="https://example.com/")
        stores.run(stores.subscriptions.create(spec, organization="*", privileged=True, secret=SECRET))
    entries = [
        NewEntry(type="t", source="/s", id=str(n), envelope=b"{}", partition_key=f"key-{n % 2}")
        for n in range(10)
    ]
    stores.run(stores.log.append(entries))
    return stores


def attempt(
    position: int,
    number_: int = 1,
    decision: Decision = Decision.DELIVERED,
    *,
    number: int = 1,
    **members,
) -> AttemptRecord:
    found = AttemptRecord(
        id=f"att_{number}_{position}_{number_}",
        number=number,
        position=position,
        hash6=b"abcdef",
        attempt=number_,
        round=0,
        cause="first",
        decision=decision,
        counts=decision is not Decision.DELIVERED,
        next_at_us=10 if decision is Decision.FAILED else None,
        started_at_us=1,
        duration_us=2,
        revision=1,
        trace_id="t" * 32,
        span_id=f"{position:08d}{number_:08d}",
    )
    return replace(found, **members)


def commit(stores, *, attempts=(), pending=(), settled=(), replays=(), notes=(), routed=0) -> None:
    batch = JournalBatch(attempts, pending, settled, (), routed, replays=replays, notes=notes)
    stores.run(stores.deliveries.commit(batch))


def told(stores, kind: str) -> list[int]:
    query = EventQuery(types=(GATEWAY_TYPE_PREFIX + kind,), ascending=True, limit=100)
    return [entry.position for entry in stores.run(stores.log.search(query))]


def test_pending_deliveries_are_kept_with_all_that_they_carry(two):
    item = PendingDelivery(
        1,
        5,
        round=2,
        attempts=3,
        failures=1,
        first_at_us=7,
        next_at_us=9,
        crashes=1,
        partition_key="key-1",
        blocked_from=5,
        last_span_id="s" * 16,
        replay=4,
        batch="bat_1",
        batch_size=2,
        asked=True,
        request=3,
    )
    commit(two, pending=[item, PendingDelivery(1, 4, batch="bat_1"), PendingDelivery(2, 3, batch="bat_1")])
    deliveries = two.deliveries
    assert two.run(deliveries.pending_at(5)) == [item]
    assert two.run(deliveries.oldest(1)).position == 4
    assert two.run(deliveries.oldest(3)) is None
    assert [found.position for found in two.run(deliveries.batch(1, "bat_1"))] == [4, 5]
    assert two.run(deliveries.heads()) == [item]
    assert two.run(deliveries.blocking(1, "key-1")) == item
    assert two.run(deliveries.blocking(2, "key-1")) is None


def test_s4b_the_successors_of_a_key_are_read_in_log_order(two):
    def positions(key: str, after: int, until: int, limit: int = 10) -> list[int]:
        return [entry.position for entry in two.run(two.log.read_key(key, after, until, limit))]

    assert positions("key-0", 0, 12) == [3, 5, 7, 9, 11]
    assert positions("key-1", 4, 10) == [6, 8, 10]
    assert positions("key-0", 0, 12, 2) == [3, 5]
    assert positions("key-\0", 0, 12) == []


def test_s4b_a_key_is_also_the_agent_s(stores):
    long = "agent-" + "é" * 2_000
    entries = [
        NewEntry(type="t", source="/s", id="1", envelope=b"{}", agent_id=long),
        NewEntry(type="t", source="/s", id="2", envelope=b"{}", agent_id=long, partition_key=long),
        NewEntry(type="t", source="/s", id="3", envelope=b"{}", partition_key=long),
        NewEntry(type="t", source="/s", id="4", envelope=b"{}", partition_key=long + "-2"),
    ]
    stores.run(stores.log.append(entries))
    assert [entry.position for entry in stores.run(stores.log.read_key(long, 0, 9, 9))] == [1, 2, 3]


def test_s3g_notes_are_replaced_whole_and_go_with_what_went_well(two):
    failing = StreamNote(1, failing_since_us=5, opened_at_us=6, probe_at_us=7, probes=2)
    commit(two, notes=[failing, StreamNote(2, failing_since_us=9)])
    assert two.run(two.deliveries.notes()) == [failing, StreamNote(2, failing_since_us=9)]
    later = replace(failing, probes=3, probe_at_us=8)
    commit(two, notes=[later, StreamNote(2)])
    assert two.run(two.deliveries.notes()) == [later]
    assert (two.run(two.deliveries.note(1)), two.run(two.deliveries.note(2))) == (later, None)
    two.run(two.subscriptions.delete(1))
    commit(two, notes=[later])  # made before it was deleted
    assert two.run(two.deliveries.notes()) == []


def test_notes_of_more_streams_than_a_statement_has_parameters(two):
    numbers = range(3, 40_003)
    commit(
        two, notes=[StreamNote(1, failing_since_us=5), *(StreamNote(n, failing_since_us=5) for n in numbers)]
    )
    assert [note.number for note in two.run(two.deliveries.notes())] == [1]


def test_s5_a_replay_from_its_command_to_its_end(two):
    commit(two, attempts=[attempt(3), attempt(4, decision=Decision.EXHAUSTED)])
    found = two.run(two.commands.request_replay(1, ReplayRange(3, 99, only_failed=True)))
    assert (found.number, found.revision, found.range) == (1, 1, ReplayRange(3, 12, only_failed=True))
    assert (found.replay, found.cursor, found.state, found.open) == (13, 2, ReplayState.RUNNING, 0)
    assert told(two, facts.REPLAY_REQUESTED) == [13]
    other = two.run(two.commands.request_replay(2, ReplayRange(1, 5)))
    commit(
        two,
        pending=[PendingDelivery(1, 4, replay=found.replay)],
        replays=[ReplayUpdate(found.replay, 7), ReplayUpdate(other.replay, 3)],
    )
    commit(two, replays=[ReplayUpdate(found.replay, 5)])  # it never goes back
    (running,) = two.run(two.deliveries.replays([1]))
    assert (running.cursor, running.open) == (7, 1)
    assert [item.replay for item in two.run(two.deliveries.replays())] == [13, 14]
    assert [item.replay for item in two.run(two.deliveries.replays([2, 1, 99]))] == [13, 14]
    assert [item.replay for item in two.run(two.deliveries.replays([2, 99]))] == [14]
    for _ in range(2):
        two.run(two.commands.end_replay(found.replay, ReplayState.FINISHED))
    assert told(two, facts.REPLAY_FINISHED) == [15]
    assert [item.replay for item in two.run(two.deliveries.replays())] == [14]
    ended = two.run(two.deliveries.replay(13))
    assert (ended.state, ended.cursor, ended.open) == (ReplayState.FINISHED, 7, 1)
    assert two.run(two.deliveries.replay(99)) is None
    two.run(two.subscriptions.delete(2))
    assert two.run(two.deliveries.replays()) == []


def test_s5b_where_deliveries_stand_for_a_replay(two):
    waiting = PendingDelivery(1, 6, attempts=1, failures=1, next_at_us=10)
    commit(
        two,
        attempts=[
            attempt(3),
            attempt(4, decision=Decision.FAILED),
            attempt(4, 2, decision=Decision.EXHAUSTED),
            attempt(5, decision=Decision.REFUSED),
            attempt(6, decision=Decision.FAILED),
            attempt(3, number=2, decision=Decision.EXHAUSTED),
        ],
        pending=[waiting],
    )
    asked = two.run(two.commands.request_replay(1, ReplayRange(3, 12)))
    commit(
        two,
        attempts=[
            attempt(5, 2, round=1, replay=asked.replay, started_at_us=asked.requested_at_us + 1),
            attempt(5, 3, round=2, replay=asked.replay + 5, started_at_us=asked.requested_at_us + 2),
            attempt(7, decision=Decision.EXHAUSTED, started_at_us=asked.requested_at_us + 1),
        ],
    )
    standings = two.run(two.deliveries.standings(1, 3, 9, asked=asked.asked))
    assert sorted(standings) == [3, 4, 5, 6, 7]
    assert [position for position, standing in standings.items() if standing.failed] == [4, 5]
    assert [position for position, standing in standings.items() if standing.late] == [7]
    assert (standings[5].round, standings[5].attempts) == (2, 3)
    assert standings[5].replays == {asked.replay, asked.replay + 5}
    assert standings[4].replays == frozenset()
    assert standings[4].last_span_id == attempt(4, 2).span_id
    assert standings[6].pending == waiting


def test_s5b_what_was_not_journaled_yet_when_a_replay_was_asked_for(two):
    asked = two.run(two.commands.request_replay(1, ReplayRange(3, 12)))
    at_us = asked.requested_at_us
    behind = {"started_at_us": at_us + 1, "duration_us": 5}
    commit(
        two,
        attempts=[
            attempt(3, started_at_us=at_us - 9, duration_us=5),
            attempt(4, started_at_us=at_us - 9, duration_us=9, decision=Decision.EXHAUSTED),
            attempt(5, started_at_us=at_us - 9, duration_us=10, decision=Decision.EXHAUSTED),
            attempt(6, **behind),
            attempt(7, **behind, decision=Decision.REFUSED),
        ],
    )
    standings = two.run(two.deliveries.standings(1, 3, 9, asked=asked.asked))
    assert [position for position, standing in standings.items() if standing.late] == [6, 7]
    assert [position for position, standing in standings.items() if standing.failed] == [4]


def test_s3h_one_more_attempt_of_what_has_ended_and_of_what_waits(two):
    commit(
        two,
        attempts=[attempt(3), attempt(4, decision=Decision.FAILED)],
        pending=[PendingDelivery(1, 4, attempts=1, failures=1, next_at_us=10**17), PendingDelivery(1, 5)],
    )
    two.run(two.commands.retry(1, 3))
    (again,) = two.run(two.deliveries.pending_at(3))
    assert (again.round, again.attempts, again.failures, again.asked) == (1, 1, 0, True)
    assert again.last_span_id == attempt(3).span_id
    two.run(two.commands.retry(1, 4))
    (sooner,) = two.run(two.deliveries.pending_at(4))
    assert (sooner.round, sooner.failures, sooner.asked) == (0, 1, False)
    assert sooner.next_at_us <= two.clock()
    assert len(told(two, facts.RETRY_REQUESTED)) == 2
    with pytest.raises(Conflict):
        two.run(two.commands.retry(1, 5))  # in flight
    with pytest.raises(NotFound):
        two.run(two.commands.retry(1, 9))  # never tried
    two.run(two.subscriptions.set_state(1, SubscriptionState.DISABLED, cause="a test"))
    with pytest.raises(Conflict):
        two.run(two.commands.retry(1, 3))
    two.run(two.subscriptions.delete(1))
    with pytest.raises(Gone):
        two.run(two.commands.retry(1, 3))
    assert len(told(two, facts.RETRY_REQUESTED)) == 2


def test_a_test_is_addressed_and_a_notice_is_told(two):
    first, second = (two.run(two.commands.test(2)) for _ in range(2))
    assert (first, second) == (13, 14)
    assert [two.run(two.log.get(position)).addressee for position in (12, 13, 14)] == [None, 2, 2]
    two.run(two.commands.notice(1, facts.BREAKER_OPENED, {"failures": 20}))
    assert told(two, facts.BREAKER_OPENED) == [15]
    two.run(two.subscriptions.delete(1))
    two.run(two.commands.notice(1, facts.BREAKER_OPENED, {}))
    assert told(two, facts.BREAKER_OPENED) == [15]
    with pytest.raises(NotFound):
        two.run(two.commands.test(1))
