"""What a batch has posted is found by the trace of its POST, on every backend: a receiver logs nothing else of it."""

from dataclasses import replace

import pytest
from sqlalchemy.dialects import sqlite as sqlite_dialect

from gateway.adapters.sql import posted
from gateway.domain.delivery import Decision
from gateway.domain.erasure import NO_TRACE, Scope, Target
from gateway.domain.subscription import SubscriptionSpec
from gateway.ports import AttemptRecord, DeliveryQuery, EventQuery, JournalBatch, NewEntry
from otel.origin import batch_trace

SECRET = "whsec_" + "A" * 40
BATCH, OTHER = "bat_one", "bat_two"
TRACE, OTHER_TRACE = batch_trace(BATCH).trace_id, batch_trace(OTHER).trace_id
ORGANIZATIONS = ("org-1", "org-2", "org-1", "org-2", "org-1", "org-1")


def attempt(number: int, position: int, n: int = 1, **members: object) -> AttemptRecord:
    found = AttemptRecord(
        id=f"att_{number}_{position}_{n}",
        number=number,
        position=position,
        hash6=b"abcdef",
        attempt=n,
        round=0,
        cause="first",
        decision=Decision.DELIVERED,
        counts=False,
        started_at_us=1,
        duration_us=2,
        revision=1,
        trace_id=TRACE,
        span_id="5" * 16,
        status=204,
        batch=BATCH,
    )
    return replace(found, **members)


@pytest.fixture
def world(stores):
    """Subscriptions of everybody (1), of org-1 (2) and of org-2 (3); six events, each in a trace of its own.

    Everybody's subscription had the first five in one batch, tried twice; org-1's had its first two in another.
    """
    for organization in ("*", "org-1", "org-2"):
        spec = SubscriptionSpec(sink="https://example.com/")
        stores.run(
            stores.subscriptions.create(spec, organization=organization, privileged=False, secret=SECRET)
        )
    entries = [
        NewEntry(
            type="t.odd" if n % 2 else "t.even",
            source="/s",
            id=f"e{n}",
            envelope=b"{}",
            organization=organization,
            agent_id=f"agent-{n}",
            trace_id=f"{n + 1:032x}",
        )
        for n, organization in enumerate(ORGANIZATIONS)
    ]
    places = [item.position for item in stores.run(stores.log.append(entries))]
    tried = [
        *(attempt(1, place, decision=Decision.FAILED, status=503, next_at_us=9) for place in places[:5]),
        *(attempt(1, place, 2) for place in places[:5]),
        *(attempt(2, place, batch=OTHER, trace_id=OTHER_TRACE) for place in (places[0], places[2])),
        # In no batch: the trace of its event, which is found by the log.
        attempt(2, places[4], batch=None, trace_id=f"{5:032x}"),
    ]
    stores.run(stores.deliveries.commit(JournalBatch(tried, (), (), (), places[-1])))
    stores.places = places
    return stores


def events(world, trace_id: str, **members: object) -> list[int]:
    """Which of the six, by the order in which they were appended."""
    found = world.run(world.log.search(EventQuery(trace_id=trace_id, **members)))
    return [world.places.index(entry.position) for entry in found]


def deliveries(world, trace_id: str, **members: object) -> list[tuple[int, int]]:
    page = world.run(world.deliveries.page(DeliveryQuery(trace_id=trace_id, **members)))
    return [(world.places.index(item.position), item.number) for item in page.items]


def test_the_events_of_a_batch_each_once(world):
    assert events(world, TRACE) == [4, 3, 2, 1, 0]
    assert events(world, TRACE, ascending=True) == [0, 1, 2, 3, 4]
    assert events(world, OTHER_TRACE) == [2, 0]
    assert events(world, f"{5:032x}") == [4]
    assert events(world, TRACE, types=("t.odd",)) == [3, 1]
    assert events(world, TRACE, agent_id="agent-3") == [3]
    assert events(world, TRACE, organization_id="org-2") == [3, 1]


def test_pages_of_them(world):
    assert events(world, TRACE, limit=2) == [4, 3]
    assert events(world, TRACE, limit=2, after=world.places[3]) == [2, 1]
    assert events(world, TRACE, limit=2, after=world.places[3], ascending=True) == [4]


def test_an_event_in_the_very_trace_stands_among_them(world):
    """A producer may name any trace, a batch's too."""
    entry = NewEntry(type="t.odd", source="/s", id="e6", envelope=b"{}", trace_id=TRACE)
    [appended] = world.run(world.log.append([entry]))
    world.places.append(appended.position)
    both = attempt(1, appended.position)
    world.run(world.deliveries.commit(JournalBatch([both], (), (), (), appended.position)))
    assert events(world, TRACE) == [6, 4, 3, 2, 1, 0]
    assert events(world, TRACE, ascending=True, limit=6) == [0, 1, 2, 3, 4, 6]
    assert deliveries(world, TRACE) == [(6, 1), (4, 1), (3, 1), (2, 1), (1, 1), (0, 1)]


def test_its_deliveries_and_no_other_subscriptions(world):
    assert deliveries(world, TRACE) == [(4, 1), (3, 1), (2, 1), (1, 1), (0, 1)]
    assert deliveries(world, OTHER_TRACE) == [(2, 2), (0, 2)]
    assert deliveries(world, TRACE, number=2) == []
    assert deliveries(world, TRACE, types=("t.odd",), status=204) == [(3, 1), (1, 1)]
    assert deliveries(world, TRACE, agent_id="agent-0") == [(0, 1)]
    assert deliveries(world, TRACE, after=world.places[0], until=world.places[2]) == [(2, 1), (1, 1)]


def test_another_organizations_batch_is_not_there(world):
    """Everybody's subscription is none of theirs, though their own events were in its batch (S11a)."""
    for organization in ("org-1", "org-2"):
        assert events(world, TRACE, organization=organization) == []
        assert deliveries(world, TRACE, organization=organization) == []
    assert events(world, OTHER_TRACE, organization="org-1") == [2, 0]
    assert deliveries(world, OTHER_TRACE, organization="org-1") == [(2, 2), (0, 2)]
    assert events(world, OTHER_TRACE, organization="org-2") == []
    assert deliveries(world, OTHER_TRACE, organization="org-2") == []


def test_a_deleted_subscriptions_batches_are_still_found(world):
    world.run(world.subscriptions.delete(2))
    assert events(world, OTHER_TRACE, organization="org-1") == [2, 0]
    assert deliveries(world, OTHER_TRACE, organization="org-1") == [(2, 2), (0, 2)]


def test_what_was_erased_is_in_no_batch(world):
    record = world.run(world.erasures.request(Target(Scope.AGENT, "agent-1")))
    while not world.run(world.erasures.step(record.id)).finished:
        pass
    assert events(world, TRACE) == [4, 3, 2, 0]
    assert deliveries(world, TRACE) == [(4, 1), (3, 1), (2, 1), (0, 1)]
    assert events(world, NO_TRACE) == []
    assert deliveries(world, NO_TRACE) == []


@pytest.mark.parametrize("value", ["", "nothing", "a\0b", "x" * 3_000])
def test_what_no_batch_has(world, value):
    assert events(world, value) == []
    assert deliveries(world, value) == []


def test_only_the_attempts_of_batches_are_in_the_index_and_it_is_all_that_is_read(sqlite_stores):
    statements = (
        posted._statement((posted._ATTEMPT.c.position,), TRACE, [posted._ATTEMPT.c.position.between(1, 9)]),
        posted._statement((posted._ATTEMPT.c.position, posted._ATTEMPT.c.number), TRACE, ()),
    )
    for statement in statements:
        ordered = statement.order_by(posted._ATTEMPT.c.position)
        compiled = ordered.compile(dialect=sqlite_dialect.dialect(), compile_kwargs={"literal_binds": True})
        plan = [row.detail for row in sqlite_stores.sql(f"EXPLAIN QUERY PLAN {compiled}")]
        assert len(plan) == 1, plan
        assert "USING INDEX ix_attempt_posted (trace_id=?" in plan[0], plan
    [made] = sqlite_stores.sql("SELECT sql FROM sqlite_master WHERE name = 'ix_attempt_posted'")
    assert made.sql.endswith("WHERE batch IS NOT NULL")
