"""`rebuild` on each database: the tables come out as they were, or, where something does not fit, stay untouched."""

import os
from dataclasses import replace

import pytest

from gateway.adapters.sql import rebuild_reading
from gateway.adapters.sql.commands import SqlStreamCommands
from gateway.adapters.sql.rebuild import rebuild
from gateway.adapters.sql.sealed import SubscriptionVault
from gateway.adapters.vault import Keyring, VaultError
from gateway.domain.breaker import StreamNote
from gateway.domain.delivery import Decision
from gateway.domain.erasure import Scope, Target
from gateway.domain.pending import PendingDelivery
from gateway.domain.subscription import Config, Ordering, StartAt, SubscriptionSpec
from gateway.errors import DatabaseUnusable
from gateway.ports import (
    AttemptRecord,
    CursorUpdate,
    JournalBatch,
    NewEntry,
    ReplayRange,
    ReplayState,
    SubscriptionState,
)
from schemas import build

SECRET = "whsec_" + "A" * 40
NOW_US = 1_900_000_000_000_000
KEYS = (bytes(range(32)),)
TABLES = ("subscription", "subscription_revision", "delivery_cursor", "pending", "replay", "stream_note")


@pytest.fixture
def stores(sql_stores):
    return sql_stores


@pytest.fixture
def again(stores):
    """Rebuild, and say how many there are of each."""

    def run(keys=KEYS):
        vault = SubscriptionVault(Keyring(keys))
        return stores.run(rebuild(stores.database, vault, now_us=NOW_US))

    return run


def tables(stores):
    """Every row of every projection, in order; a replay's cursor is a note."""
    found = {table: sorted(map(repr, stores.sql(f"SELECT * FROM {table}"))) for table in TABLES}  # noqa: S608
    found["shard"] = stores.sql("SELECT DISTINCT routed FROM shard")
    return found


def create(stores, organization="*", **members):
    spec = SubscriptionSpec(sink="https://example.com/", **members)
    return stores.run(
        stores.subscriptions.create(spec, organization=organization, privileged=True, secret=SECRET)
    )


def publish(stores, *types: str, key: str | None = None) -> list[int]:
    head = stores.run(stores.log.head()).position
    entries = []
    for index, type_ in enumerate(types):
        attributes = {"specversion": "1.0", "id": f"{head}-{index}", "source": "/s", "type": type_}
        attributes |= {} if key is None else {"partitionkey": key}
        envelope = build(attributes, {}).raw
        entries.append(NewEntry(type=type_, source="/s", id=attributes["id"], envelope=envelope))
    return [item.position for item in stores.run(stores.log.append(entries))]


def attempt(number: int, position: int, n: int = 1, decision: Decision = Decision.DELIVERED, **members):
    failed = decision is Decision.FAILED
    found = AttemptRecord(
        id=f"att_{number}_{position}_{n}",
        number=number,
        position=position,
        hash6=b"abcdef",
        attempt=n,
        round=0,
        cause="first",
        decision=decision,
        counts=failed,
        started_at_us=100 + n,
        duration_us=2,
        revision=1,
        trace_id="t" * 32,
        span_id=f"{position:08d}{n:08d}",
        status=200,
        next_at_us=5_000 if failed else None,
    )
    return replace(found, **members)


def waits(number: int, position: int, attempts: int = 1, **members) -> PendingDelivery:
    """The row that the engine keeps after a failure."""
    found = PendingDelivery(
        number,
        position,
        attempts=attempts,
        failures=attempts,
        first_at_us=101,
        next_at_us=5_000,
        last_span_id=f"{position:08d}{attempts:08d}",
    )
    return replace(found, **members)


def commit(stores, attempts=(), pending=(), cursors=(), routed=0, **members) -> None:
    batch = JournalBatch(attempts, pending, (), cursors, routed, **members)
    stores.run(stores.deliveries.commit(batch))


def commands(stores) -> SqlStreamCommands:
    return SqlStreamCommands(stores.database, fact_source="/gateway", now=stores.clock, random=os.urandom)


def settle(stores, again) -> dict:
    """Bring the notes into the form that a rebuild gives them, and return the tables."""
    again()
    return tables(stores)


def test_everything_a_subscription_can_go_through(stores, again):
    for index in range(5):
        create(stores, organization="org-1" if index == 2 else "*", types=("a",))
    publish(stores, "a", "b")
    update = SubscriptionSpec(sink="https://example.com/2", name="x", types=("b",))
    stores.run(stores.subscriptions.update(1, update))
    stores.run(stores.subscriptions.set_state(2, SubscriptionState.PAUSED, cause="test"))
    stores.run(stores.subscriptions.set_state(3, SubscriptionState.DISABLED, cause="test"))
    stores.run(stores.subscriptions.set_state(3, SubscriptionState.ACTIVE, cause="test", skip=True))
    stores.run(stores.subscriptions.rotate_secret(4, "whsec_" + "B" * 40))
    stores.run(stores.subscriptions.delete(5))
    head = stores.run(stores.log.head()).position
    # As an engine leaves them that has come to the head: 2 stands still, before the event that it did not send.
    cursors = [CursorUpdate(n, head, live=True) for n in (1, 3, 4)] + [CursorUpdate(2, 5, live=False)]
    commit(stores, [attempt(1, 6), attempt(4, 6)], (), cursors, routed=head)
    before = tables(stores)
    result = again()
    assert tables(stores) == before
    assert (result.positions, result.subscriptions, result.deleted, result.pending) == (head, 5, 1, 0)


def test_what_waits_waits_as_before(stores, again, monkeypatch):
    monkeypatch.setattr(rebuild_reading, "_PAGE", 2)
    create(stores)
    create(stores, types=("b",))
    publish(stores, *"abababab")
    head = stores.run(stores.log.head()).position
    commit(
        stores,
        [
            *(attempt(1, position) for position in (3, 5, 7)),
            attempt(1, 4, 1, Decision.FAILED),
            attempt(1, 4, 2, Decision.FAILED, next_at_us=9_000),
            attempt(1, 6, 1, Decision.EXHAUSTED),
            attempt(1, 8, 1, Decision.FAILED),
            *(attempt(1, position) for position in (9, 10)),
            *(attempt(2, position) for position in (4, 6, 8, 10)),
        ],
        [waits(1, 4, 2, next_at_us=9_000), waits(1, 8)],
        [CursorUpdate(1, head, live=True), CursorUpdate(2, head, live=True)],
        routed=head,
    )
    before = tables(stores)
    assert again().pending == 2
    assert tables(stores) == before


def test_s3h_a_retry_that_was_asked_for_is_still_asked_for(stores, again):
    create(stores)
    publish(stores, "a", "a", "a")
    ended = attempt(1, 2, 1, Decision.EXHAUSTED)
    late = attempt(1, 3, 1, Decision.FAILED, next_at_us=NOW_US)
    commit(stores, [ended, late, attempt(1, 4)], [waits(1, 3, next_at_us=NOW_US)], routed=4)
    for position in (2, 3):
        stores.run(commands(stores).retry(1, position))
    asked = {row.position: row for row in stores.sql("SELECT * FROM pending")}
    again()
    found = {row.position: row for row in stores.sql("SELECT * FROM pending")}
    # By which request is of use only to a process that had begun something before it.
    assert {at: {**row._mapping, "request": 0} for at, row in found.items()} == {
        at: {**row._mapping, "request": 0} for at, row in asked.items()
    }
    assert (found[2].round, found[2].asked, found[3].round) == (1, True, 0)
    # Once it was made, it is no longer asked for.
    made = [attempt(1, 2, 2, round=1), attempt(1, 3, 2)]
    commit(stores, [replace(item, started_at_us=2 * NOW_US) for item in made])
    assert again().pending == 0


def test_s5_a_replay_that_runs_goes_over_its_range_again(stores, again):
    publish(stores, "a", "a", "a")
    create(stores)
    run = stores.run(commands(stores).request_replay(1, ReplayRange(1, 3)))
    failed = attempt(1, 2, 1, Decision.FAILED, round=1, replay=run.replay)
    row = waits(1, 2, round=1, replay=run.replay)
    commit(stores, [attempt(1, 1, round=1, replay=run.replay), failed], [row], routed=5)
    before = stores.run(stores.deliveries.replays([1]))
    again()
    (found,) = stores.run(stores.deliveries.replays([1]))
    assert found == replace(before[0], cursor=0)
    assert found.open == 1
    assert stores.run(stores.deliveries.pending_at(2)) == [row]
    stores.run(commands(stores).end_replay(run.replay, ReplayState.CANCELLED))
    ended = stores.sql("SELECT * FROM replay")
    again()
    assert stores.sql("SELECT * FROM replay") == ended


def test_what_was_in_flight_is_due_and_what_was_not_reached_lies_ahead(stores, again):
    create(stores, config=Config(start=StartAt.BEGINNING))
    publish(stores, *"aaaaa")
    # 2 is in flight; 3 was delivered meanwhile; 4 was in flight, and nothing behind it was tried.
    in_flight = [PendingDelivery(1, 2, first_at_us=9), PendingDelivery(1, 4, first_at_us=9)]
    commit(stores, [attempt(1, 3)], in_flight, [CursorUpdate(1, 4, live=False)], routed=6)
    again()
    (item,) = stores.run(stores.deliveries.due(NOW_US, 10))
    assert (item.position, item.attempts, item.next_at_us) == (2, 0, NOW_US)
    record = stores.run(stores.subscriptions.by_number(1))
    assert (record.cursor, record.live, record.pending) == (3, False, 1)


def test_s4b_the_first_of_a_key_blocks_what_stands_behind_it(stores, again):
    create(stores, config=Config(ordering=Ordering.PARTITIONKEY))
    first, second = publish(stores, "a", key="k"), publish(stores, "a", "a", key="k")
    other = publish(stores, "a", key="other")
    last = publish(stores, "a")
    head = [waits(1, first[0], partition_key="k", blocked_from=first[0])]
    attempts = [attempt(1, first[0], 1, Decision.FAILED), attempt(1, other[0]), attempt(1, last[0])]
    commit(stores, attempts, head, [CursorUpdate(1, last[0], live=True)], routed=last[0])
    before = tables(stores)
    again()
    assert tables(stores) == before
    assert stores.run(stores.deliveries.blocking(1, "k")).position == first[0]
    assert stores.run(stores.deliveries.pending_at(second[0])) == []


def test_s3h_what_a_resume_from_now_left_out_stays_left_out(stores, again):
    create(stores, config=Config(start=StartAt.BEGINNING))
    publish(stores, "a", "a")
    stores.run(stores.subscriptions.set_state(1, SubscriptionState.ACTIVE, cause="test", skip=True))
    after = publish(stores, "a", "a")
    commit(stores, [attempt(1, after[0])], (), [CursorUpdate(1, after[0], live=False)], routed=after[1])
    again()
    record = stores.run(stores.subscriptions.by_number(1))
    assert (record.cursor, record.pending) == (after[0], 0)


def test_a_test_event_is_its_addressees(stores, again):
    create(stores, types=("none",))
    create(stores)
    position = stores.run(commands(stores).test(1))
    again()
    cursors = {row.number: row.cursor for row in stores.sql("SELECT number, cursor FROM delivery_cursor")}
    assert cursors == {1: position - 1, 2: position}


def test_notes_on_failing_streams_stay_where_there_is_a_stream(stores, again):
    create(stores)
    create(stores)
    commit(stores, notes=[StreamNote(1, 1, 2, 3, 4)])
    stores.sql(
        "INSERT INTO stream_note (number, failing_since, opened_at, probe_at, probes) VALUES (7, 1, 2, 3, 4)"
    )
    again()
    assert stores.run(stores.deliveries.notes()) == [StreamNote(1, 1, 2, 3, 4)]


def test_projections_that_were_lost_or_spoilt_come_back(stores, again):
    create(stores, types=("a",))
    create(stores)
    publish(stores, "a", "b", "a")
    commit(stores, [attempt(1, 3, 1, Decision.FAILED), attempt(2, 3), attempt(2, 4)], [waits(1, 3)], routed=4)
    whole = settle(stores, again)
    for table in ("subscription", "subscription_revision", "delivery_cursor", "pending"):
        stores.sql(f"DELETE FROM {table}")  # noqa: S608
    stores.sql("UPDATE shard SET routed = 999")
    again()
    assert tables(stores) == whole
    stores.sql("UPDATE subscription SET state = 'paused', revision = 7")
    stores.sql("UPDATE delivery_cursor SET cursor = 999, live = true")
    stores.sql("UPDATE pending SET next_at = NULL, attempts = 9, crashes = 2")
    again()
    assert tables(stores) == whole


def test_an_empty_log(again):
    result = again()
    assert (result.positions, result.subscriptions, result.pending) == (0, 0, 0)


@pytest.mark.parametrize(
    ("damage", "what"),
    [
        ("UPDATE attempt SET attempt = 5 WHERE position = 3", "position 3 for subscription 1"),
        ("UPDATE attempt SET round = 3 WHERE position = 3", "position 3 for subscription 1"),
        ("DELETE FROM vault", "subscription sub_"),
    ],
)
def test_where_something_does_not_fit_nothing_is_changed(stores, again, damage, what):
    create(stores)
    publish(stores, "a", "a")
    commit(stores, [attempt(1, 3, 1, Decision.FAILED)], [waits(1, 3)], routed=3)
    stores.sql(damage)
    before = tables(stores)
    with pytest.raises(DatabaseUnusable, match=what):
        again()
    assert tables(stores) == before


def test_a_fact_that_cannot_be_followed_is_named(stores, again):
    create(stores)
    envelope = build(
        {
            "specversion": "1.0",
            "id": "f",
            "source": "/gateway",
            "type": "com.letta.gateway.subscription.created",
            "subject": "sub_x",
            "time": "2026-01-01T00:00:00Z",
        },
        {"number": "seven"},
    ).raw
    publish(stores, "a")
    stores.sql(
        "UPDATE log_entry SET kind = 'fact', envelope = :envelope WHERE position = 2", envelope=envelope
    )
    stores.sql("UPDATE log_entry SET type = 'com.letta.gateway.subscription.created' WHERE position = 2")
    with pytest.raises(DatabaseUnusable, match="position 2"):
        again()


def test_without_the_key_it_says_so(stores, again):
    create(stores)
    before = tables(stores)
    with pytest.raises(VaultError):
        again((bytes(32),))
    assert tables(stores) == before


def test_s8b_what_waits_of_an_erased_event_is_due_since_it_was_erased(stores, again):
    number = create(stores).number
    [mine, theirs] = publish(stores, "a", key="agent-1") + publish(stores, "a", key="agent-2")
    tried = [attempt(number, at, decision=Decision.FAILED, next_at_us=NOW_US) for at in (mine, theirs)]
    pending = [waits(number, at, next_at_us=NOW_US) for at in (mine, theirs)]
    stores.sql("UPDATE log_entry SET partition_key = 'agent-1' WHERE position = :at", at=mine)
    stores.run(
        stores.deliveries.commit(
            JournalBatch(tried, pending, (), (CursorUpdate(number, theirs, live=True),), theirs)
        )
    )
    record = stores.run(stores.erasures.request(Target(Scope.AGENT, "agent-1")))
    while not stores.run(stores.erasures.step(record.id)).finished:
        pass
    before = tables(stores)["pending"]
    again()
    assert tables(stores)["pending"] == before
    due = {item.position: item.next_at_us for item in stores.run(stores.deliveries.due(NOW_US, 10))}
    assert due[mine] < due[theirs] == NOW_US
