"""Attempts, cursors and pending deliveries, and the commands on subscriptions, on every backend (S1d, S2, S3)."""

from dataclasses import replace

import pytest

from gateway.domain.delivery import Decision
from gateway.domain.filters import filters_from
from gateway.domain.pending import PendingDelivery
from gateway.domain.rotation import Secret
from gateway.domain.subscription import Config, StartAt, SubscriptionSpec
from gateway.errors import InvalidRequest, NotFound, PreconditionFailed
from gateway.ports import AttemptRecord, CursorUpdate, EventQuery, JournalBatch, NewEntry, SubscriptionState

SECRET = "whsec_" + "A" * 40


def spec(**members) -> SubscriptionSpec:
    return SubscriptionSpec(sink="https://example.com/secret-path", **members)


def create(stores, asked: SubscriptionSpec | None = None, organization: str = "*"):
    return stores.run(
        stores.subscriptions.create(
            asked or spec(), organization=organization, privileged=True, secret=SECRET
        )
    )


def append(stores, count: int) -> None:
    head = stores.run(stores.log.head()).position
    stores.run(
        stores.log.append(
            [NewEntry(type="t", source="/s", id=f"{head}-{n}", envelope=b"{}") for n in range(count)]
        )
    )


def attempt(number: int, position: int, **members) -> AttemptRecord:
    found = AttemptRecord(
        id=f"att_{number}_{position}",
        number=number,
        position=position,
        hash6=b"abcdef",
        attempt=1,
        round=0,
        cause="first",
        decision=Decision.DELIVERED,
        counts=False,
        started_at_us=1,
        duration_us=2,
        revision=1,
        trace_id="t" * 32,
        span_id="s" * 16,
        status=200,
        response_headers=(("A", "b"),),
        response_body=b"\xff",
    )
    return replace(found, **members)


def batch(**members) -> JournalBatch:
    return replace(JournalBatch((), (), (), (), 0), **members)


def facts(stores) -> list[str]:
    names = ("created", "updated", "paused", "resumed", "disabled", "deleted")
    types = tuple(f"com.letta.gateway.subscription.{name}" for name in names)
    found = stores.run(stores.log.search(EventQuery(types=types, ascending=True, limit=100)))
    return [entry.type.rpartition(".")[2] for entry in found]


def test_s1d_a_subscription_is_a_fact_and_starts_there(stores):
    append(stores, 2)
    record = create(stores)
    assert (record.number, record.created_position, record.start_position, record.cursor) == (1, 3, 3, 3)
    assert record.live
    assert record.secrets == (Secret(SECRET),)
    assert facts(stores) == ["created"]
    fact = stores.run(stores.log.get(3))
    assert b"https://example.com" in fact.envelope
    for hidden in (b"secret-path", SECRET.encode()):
        assert hidden not in fact.envelope
    assert stores.run(stores.subscriptions.get(record.id)) == record
    assert stores.run(stores.subscriptions.by_number(1)) == record


@pytest.mark.parametrize(("start", "expected"), [(StartAt.BEGINNING, 0), (2, 2), (0, 0), (3, 3)])
def test_a_start_before_now_has_to_catch_up(stores, start, expected):
    append(stores, 3)
    record = create(stores, spec(config=Config(start=start)))
    assert (record.start_position, record.cursor, record.live) == (expected, expected, False)


def test_a_start_ahead_of_the_log_is_refused_and_leaves_nothing(stores):
    append(stores, 3)
    with pytest.raises(InvalidRequest):
        create(stores, spec(config=Config(start=4)))
    assert stores.run(stores.log.head()).position == 3
    assert stores.run(stores.subscriptions.page(organization=None, after=0, limit=9)) == []


def test_s3d_the_selection_in_force_at_a_position(stores):
    record = create(stores, spec(filters=filters_from([{"exact": {"type": "a"}}])))
    append(stores, 2)
    record = stores.run(
        stores.subscriptions.update(record.number, spec(filters=filters_from([{"exact": {"type": "b"}}])))
    )
    assert (record.revision, stores.run(stores.log.head()).position) == (2, 4)

    def selected(position: int) -> list[str]:
        selector = record.selector_at(position)
        return [kind for kind in "ab" if selector.matches({"type": kind, "source": "/s"}, None)]

    # Before the first revision, the first; behind the fact of the second, the second.
    assert [selected(position) for position in (1, 2, 4, 5)] == [["a"], ["a"], ["a"], ["b"]]


def test_two_editors(stores):
    record = create(stores)
    later = stores.run(
        stores.subscriptions.update(1, spec(name="a"), unchanged_since_us=record.updated_at_us)
    )
    with pytest.raises(PreconditionFailed):
        stores.run(stores.subscriptions.update(1, spec(name="b"), unchanged_since_us=record.updated_at_us))
    with pytest.raises(PreconditionFailed):
        stores.run(stores.subscriptions.delete(1, unchanged_since_us=record.updated_at_us))
    with pytest.raises(PreconditionFailed):
        stores.run(stores.subscriptions.set_state(1, SubscriptionState.DISABLED, cause="410", revision=1))
    assert stores.run(stores.subscriptions.by_number(1)).updated_at_us == later.updated_at_us


def test_states_are_facts_and_the_same_state_again_is_none(stores):
    record = create(stores)
    for state in (SubscriptionState.PAUSED, SubscriptionState.PAUSED, SubscriptionState.ACTIVE):
        record = stores.run(stores.subscriptions.set_state(record.number, state, cause="test"))
        assert record.state is state
    assert facts(stores) == ["created", "paused", "resumed"]
    append(stores, 3)
    stores.run(stores.subscriptions.set_state(1, SubscriptionState.PAUSED, cause="test"))
    resumed = stores.run(stores.subscriptions.set_state(1, SubscriptionState.ACTIVE, cause="test", skip=True))
    assert resumed.cursor == stores.run(stores.log.head()).position
    assert resumed.skips == ((record.cursor, resumed.cursor),)
    assert resumed.skipped(record.cursor + 1)
    assert not resumed.skipped(resumed.cursor + 1)
    again = stores.run(stores.subscriptions.set_state(1, SubscriptionState.ACTIVE, cause="test", skip=True))
    assert again.skips == ((record.cursor, again.cursor),), "one that touches the last one is one with it"


def test_s3h_delete_drops_all_but_the_attempts(stores):
    record = create(stores)
    stores.run(
        stores.deliveries.commit(batch(attempts=[attempt(1, 1)], pending=[PendingDelivery(1, 2)], routed=1))
    )
    stores.run(stores.subscriptions.delete(1))
    assert stores.run(stores.subscriptions.get(record.id)) is None
    assert stores.run(stores.deliveries.pending_at(2)) == []
    assert len(stores.run(stores.deliveries.attempts(1, 1))) == 1
    assert stores.run(stores.subscriptions.ids([1])) == {1: (record.id, "*", True)}
    with pytest.raises(NotFound):
        stores.run(stores.subscriptions.delete(1))
    # What was in flight and is journaled late brings nothing back; the number is never used again.
    stores.run(stores.deliveries.commit(batch(attempts=[attempt(1, 2)], pending=[PendingDelivery(1, 3)])))
    assert stores.run(stores.deliveries.pending_at(3)) == []
    assert create(stores).number == 2
    if stores.database is not None:
        assert stores.sql("SELECT count(*) FROM vault WHERE owner = :owner", owner=record.id) == [(0,)]


def test_pages_and_organizations(stores):
    for number in range(5):
        create(stores, organization="org-1" if number % 2 else "*")
    page = stores.run(stores.subscriptions.page(organization=None, after=1, limit=2))
    assert [record.number for record in page] == [2, 3]
    mine = stores.run(stores.subscriptions.page(organization="org-1", after=0, limit=9))
    assert [record.number for record in mine] == [2, 4]


def test_s2c_a_journal_is_written_whole(stores):
    create(stores)
    waiting = PendingDelivery(
        1, 5, attempts=1, failures=1, first_at_us=9, next_at_us=100, last_span_id="s" * 16
    )
    stores.run(
        stores.deliveries.commit(
            batch(
                attempts=[attempt(1, 4), attempt(1, 5, decision=Decision.FAILED, next_at_us=100, status=500)],
                pending=[waiting, PendingDelivery(1, 6)],
                cursors=[CursorUpdate(1, 6, live=False)],
                routed=6,
            )
        )
    )
    assert stores.run(stores.deliveries.routed()) == 6
    record = stores.run(stores.subscriptions.by_number(1))
    assert (record.cursor, record.live, record.pending) == (6, False, 2)
    assert stores.run(stores.deliveries.pending_at(5)) == [waiting]
    assert [item.position for item in stores.run(stores.deliveries.in_flight())] == [6]
    assert stores.run(stores.deliveries.attempts(1, 4)) == [attempt(1, 4)]
    assert [item.status for item in stores.run(stores.deliveries.attempts_at(5))] == [500]
    stores.run(
        stores.deliveries.commit(
            batch(pending=[replace(waiting, next_at_us=200, attempts=2)], settled=[(1, 6)], routed=7)
        )
    )
    assert stores.run(stores.deliveries.pending_at(5))[0].next_at_us == 200
    assert stores.run(stores.deliveries.in_flight()) == []


def test_an_empty_store(stores):
    assert stores.run(stores.log.head()).position == 0
    assert stores.run(stores.deliveries.routed()) == 0
    assert stores.run(stores.deliveries.in_flight()) == []
    assert stores.run(stores.subscriptions.get("sub_none")) is None


def test_many_are_read_together_by_their_numbers(stores):
    made = [create(stores, spec(types=(f"t.{index}",))) for index in range(3)]
    stores.run(stores.subscriptions.delete(2))
    assert stores.run(stores.subscriptions.by_numbers([])) == []
    assert stores.run(stores.subscriptions.by_numbers([2, 99])) == []
    found = stores.run(stores.subscriptions.by_numbers([3, 99, 1, 2, 3]))
    assert [record.number for record in found] == [1, 3]
    assert found == [stores.run(stores.subscriptions.by_number(number)) for number in (1, 3)]
    # More than one statement has parameters for.
    assert [record.id for record in stores.run(stores.subscriptions.by_numbers(range(40_000)))] == [
        made[0].id,
        made[2].id,
    ]
