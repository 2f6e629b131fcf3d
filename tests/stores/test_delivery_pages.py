"""Lists of deliveries by state, status and range, on every backend; and by which index they are found."""

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.dialects import sqlite as sqlite_dialect

from gateway.adapters.sql import delivery_candidates, delivery_pages
from gateway.domain.delivery import Decision, State, fold
from gateway.domain.pending import PendingDelivery
from gateway.domain.subscription import SubscriptionSpec
from gateway.ports import AttemptRecord, DeliveryPlace, DeliveryQuery, JournalBatch

SECRET = "whsec_" + "A" * 40
WAITS_US = 1_000


@pytest.fixture
def two(stores):
    """Two subscriptions: the second has deliveries of the same events, which must not show."""
    for _ in range(2):
        spec = SubscriptionSpec(sink="https://example.com/")
        stores.run(stores.subscriptions.create(spec, organization="*", privileged=True, secret=SECRET))
    return stores


def attempt(number: int, position: int, n: int, decision: Decision, **members) -> AttemptRecord:
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
        started_at_us=1,
        duration_us=2,
        revision=1,
        trace_id="t" * 32,
        span_id="s" * 16,
        status={Decision.DELIVERED: 204, Decision.EXHAUSTED: 422, Decision.FAILED: 503}.get(decision),
        next_at_us=WAITS_US if failed else None,
    )
    return replace(found, **members)


def journal(stores, attempts=(), pending=()) -> None:
    stores.run(stores.deliveries.commit(JournalBatch(attempts, pending, (), (), 0)))


def page(stores, state=None, **members):
    states = frozenset() if state is None else frozenset({state})
    return stores.run(stores.deliveries.page(DeliveryQuery(number=1, states=states, **members)))


def positions(stores, **members) -> list[int]:
    """Every page of a list, one after the other."""
    found, before = [], None
    while True:
        answer = page(stores, before=before, **members)
        found += [item.position for item in answer.items]
        before = answer.before
        if before is None:
            return found


@pytest.fixture
def mixed(two):
    """One delivery in each state, of subscription 1; others of subscription 2."""
    ended = [
        Decision.DELIVERED,
        *(item for item in Decision if item not in {Decision.DELIVERED, Decision.FAILED}),
    ]
    for index, decision in enumerate(ended):
        for number in (1, 2):
            journal(two, [attempt(number, 10 + index, 1, decision)])
    # Waiting after a failure, in flight for the first time, asked for after it was exhausted, delivered at last.
    waits = PendingDelivery(1, 20, attempts=1, failures=1, next_at_us=WAITS_US)
    journal(two, [attempt(1, 20, 1, Decision.FAILED)], [waits, PendingDelivery(1, 21)])
    asked = PendingDelivery(1, 22, round=1, attempts=1, next_at_us=WAITS_US, asked=True)
    journal(two, [attempt(1, 22, 1, Decision.EXHAUSTED)], [asked])
    journal(two, [attempt(1, 23, 1, Decision.EXHAUSTED), attempt(1, 23, 2, Decision.DELIVERED, round=1)])
    return two


def test_by_state(mixed):
    by_state = {state: positions(mixed, state=state) for state in State}
    assert by_state == {
        State.DELIVERED: [23, 10],
        State.EXHAUSTED: [11],
        State.EXPIRED: [12],
        State.REFUSED: [13],
        State.ERASED: [14],
        State.CANCELLED: [15],
        State.PENDING: [22, 21, 20],
    }
    assert positions(mixed) == [23, 22, 21, 20, 15, 14, 13, 12, 11, 10]


def test_by_the_status_of_the_last_attempt(mixed):
    assert positions(mixed, status=204) == [23, 10]
    assert positions(mixed, status=422) == [22, 11]
    assert positions(mixed, status=422, state=State.EXHAUSTED) == [11]
    assert positions(mixed, status=503) == [20]
    assert positions(mixed, status=418) == []


@pytest.mark.parametrize("state", [None, State.DELIVERED, State.EXHAUSTED, State.PENDING])
def test_by_range(mixed, state):
    everything = positions(mixed, state=state)
    assert positions(mixed, state=state, after=11) == [at for at in everything if at > 11]
    assert positions(mixed, state=state, until=11) == [at for at in everything if at <= 11]
    assert positions(mixed, state=state, until=0) == []


def everyones(stores, **members) -> list[tuple[int, int]]:
    found, before = [], None
    while True:
        answer = stores.run(stores.deliveries.page(DeliveryQuery(before=before, **members)))
        found += [(item.position, item.number) for item in answer.items]
        before = answer.before
        if before is None:
            return found


@pytest.mark.parametrize("few", [64, 0])
@pytest.mark.parametrize("limit", [1, 3, 100])
def test_what_waited_for_a_subscription_that_was_deleted_ended_cancelled(mixed, monkeypatch, few, limit):
    monkeypatch.setattr(delivery_candidates, "_FEW", few)
    journal(mixed, [attempt(2, 20, 1, Decision.FAILED)], [PendingDelivery(2, 20, attempts=1, next_at_us=1)])
    journal(mixed, [attempt(1, 24, 1, Decision.EXHAUSTED), attempt(1, 24, 2, Decision.FAILED, round=1)])
    mixed.run(mixed.subscriptions.delete(1))
    by_state = {state: positions(mixed, state=state, limit=limit) for state in State}
    assert by_state[State.CANCELLED] == [24, 20, 15]
    assert by_state[State.PENDING] == []
    assert by_state[State.EXHAUSTED] == [22, 11]
    assert positions(mixed, limit=limit) == [24, 23, 22, 20, 15, 14, 13, 12, 11, 10]
    cancelled, pending = frozenset({State.CANCELLED}), frozenset({State.PENDING})
    assert everyones(mixed, states=cancelled, limit=limit) == [(24, 1), (20, 1), (15, 2), (15, 1)]
    assert everyones(mixed, states=pending, limit=limit) == [(20, 2)]
    whose = "*" if few else None  # an organization of many is read by its events, and here are none
    assert everyones(mixed, states=pending | cancelled, organization=whose, limit=limit) == [
        (24, 1),
        (20, 2),
        (20, 1),
        (15, 2),
        (15, 1),
    ]
    with_more = everyones(mixed, states=cancelled | {State.DELIVERED}, limit=limit)
    assert with_more == [(24, 1), (23, 1), (20, 1), (15, 2), (15, 1), (10, 2), (10, 1)]


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
def test_pages_follow_each_other(mixed, limit):
    assert positions(mixed, limit=limit) == positions(mixed)
    assert positions(mixed, limit=limit, state=State.PENDING) == [22, 21, 20]
    assert len(page(mixed, limit=limit).items) == min(limit, 10)


def test_a_page_stays_where_it_is_while_deliveries_go_on(mixed):
    first = page(mixed, limit=5)
    journal(mixed, [attempt(1, 15, 2, Decision.DELIVERED, round=1), attempt(1, 24, 1, Decision.DELIVERED)])
    second = page(mixed, limit=9, before=first.before)
    assert [item.position for item in first.items] == [23, 22, 21, 20, 15]
    assert [item.position for item in second.items] == [14, 13, 12, 11, 10]


def test_an_item_has_its_attempts_in_order_and_its_row(mixed):
    (item,) = page(mixed, state=State.DELIVERED, after=20).items
    assert [one.attempt for one in item.attempts] == [1, 2]
    assert fold(item.attempts).state is State.DELIVERED
    assert item.pending is None
    (asked,) = page(mixed, state=State.PENDING, after=21).items
    assert asked.pending is not None
    assert asked.pending.round == 1


def test_what_one_page_looks_at_has_a_bound(sql_stores, monkeypatch):
    monkeypatch.setattr(delivery_pages, "SCAN_MAX", 40)
    monkeypatch.setattr(delivery_candidates, "_PART", 10)
    spec = SubscriptionSpec(sink="https://example.com/")
    sql_stores.run(sql_stores.subscriptions.create(spec, organization="*", privileged=True, secret=SECRET))
    journal(sql_stores, [attempt(1, position, 1, Decision.DELIVERED) for position in range(2, 102)])
    journal(sql_stores, [attempt(1, 2, 2, Decision.EXHAUSTED, round=1, status=410)])
    first = page(sql_stores, status=410, limit=5)
    assert (first.items, first.before) == ([], DeliveryPlace(56, 1))
    assert positions(sql_stores, status=410, limit=5) == [2]
    # By its state it is found at once.
    assert [item.position for item in page(sql_stores, state=State.EXHAUSTED, limit=5).items] == [2]


PLANS = {
    None: {"pending": "sqlite_autoindex_pending_1", "attempt": "ix_attempt_delivery"},
    State.PENDING: {"pending": "sqlite_autoindex_pending_1"},
    State.DELIVERED: {"attempt": "ix_attempt_delivery"},
    State.EXHAUSTED: {"attempt": "ix_attempt_trouble"},
    State.CANCELLED: {"attempt": "ix_attempt_trouble"},
}


@pytest.mark.parametrize("state", PLANS)
def test_every_list_is_read_in_the_order_of_an_index(sqlite_stores, state):
    states = frozenset() if state is None else frozenset({state})
    query = DeliveryQuery(number=1, states=states, after=3, until=900, before=DeliveryPlace(500, 0))
    compiled = (
        delivery_candidates._statement(query, delivery_candidates._of(1))
        .limit(50)
        .compile(dialect=sqlite_dialect.dialect(), compile_kwargs={"literal_binds": True})
    )
    plan = [row.detail for row in sqlite_stores.sql(f"EXPLAIN QUERY PLAN {compiled}")]
    searched = [line for line in plan if line.startswith("SEARCH")]
    for table, index in PLANS[state].items():
        assert any(f"SEARCH {table}" in line and index in line for line in searched), plan
    assert not any(line.startswith(("SCAN attempt", "SCAN pending")) for line in plan), plan
    # What is sorted, if anything, is the little that two limited parts make together.
    assert state is None or not any("TEMP B-TREE" in line for line in plan), plan


steps = st.lists(
    st.tuples(st.integers(2, 6), st.sampled_from([item for item in Decision if item is not Decision.ERASED])),
    max_size=25,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps, st.sampled_from([None, *State]), st.integers(1, 4))
def test_whatever_happened_the_pages_hold_what_folds_to_that_state(two, history, state, limit):
    two_positions: dict[int, list[AttemptRecord]] = {}
    offset = 10 * (1 + max((item.position for item in page(two, limit=500).items), default=0) // 10)
    for position, decision in history:
        done = two_positions.setdefault(position + offset, [])
        before = fold(done)
        round_ = before.round + int(before.state.terminal)
        done.append(attempt(1, position + offset, len(done) + 1, decision, round=round_))
        waits = PendingDelivery(1, position + offset, round=round_, attempts=len(done), next_at_us=WAITS_US)
        settled = () if decision is Decision.FAILED else [(1, position + offset)]
        pending = [waits] if decision is Decision.FAILED else ()
        two.run(two.deliveries.commit(JournalBatch([done[-1]], pending, settled, (), 0)))
    expected = [
        position
        for position, attempts in sorted(two_positions.items(), reverse=True)
        if state in {None, fold(attempts).state}
    ]
    assert positions(two, state=state, limit=limit, after=offset) == expected
