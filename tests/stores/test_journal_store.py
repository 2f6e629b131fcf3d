"""The journal and what it is read back by, on every backend: whole, repeatable, and in pages (S2)."""

import pytest

from gateway.domain.delivery import Decision
from gateway.domain.pending import PendingDelivery
from gateway.domain.subscription import SubscriptionSpec
from gateway.ports import AttemptRecord, CursorUpdate, DueKey, JournalBatch, NewEntry, SubscriptionState

SECRET = "whsec_" + "A" * 40


@pytest.fixture
def two(stores):
    """Two subscriptions, and ten events behind them."""
    for _ in range(2):
        spec = SubscriptionSpec(sink="https://example.com/")
        stores.run(stores.subscriptions.create(spec, organization="*", privileged=True, secret=SECRET))
    entries = [NewEntry(type="t", source="/s", id=str(n), envelope=b"{}") for n in range(10)]
    stores.run(stores.log.append(entries))
    return stores


def attempt(number: int, position: int, attempt_number: int = 1) -> AttemptRecord:
    return AttemptRecord(
        id=f"att_{number}_{position}_{attempt_number}",
        number=number,
        position=position,
        hash6=b"abcdef",
        attempt=attempt_number,
        round=0,
        cause="first",
        decision=Decision.FAILED,
        counts=True,
        started_at_us=1,
        duration_us=2,
        revision=1,
        trace_id="t" * 32,
        span_id="s" * 16,
        next_at_us=10,
    )


def waiting(number: int, position: int, next_at_us: int | None) -> PendingDelivery:
    return PendingDelivery(number, position, attempts=1, failures=1, first_at_us=1, next_at_us=next_at_us)


def commit(stores, *, attempts=(), pending=(), settled=(), cursors=(), routed=0) -> None:
    stores.run(stores.deliveries.commit(JournalBatch(attempts, pending, settled, cursors, routed)))


def due(stores, until_us: int, limit: int = 100, **options) -> list[tuple[int, int]]:
    found = stores.run(stores.deliveries.due(until_us, limit, **options))
    return [(item.number, item.position) for item in found]


def test_a_batch_whose_answer_was_lost_changes_nothing_when_it_comes_again(two):
    batch = JournalBatch([attempt(1, 3)], [waiting(1, 3, 10)], [], [CursorUpdate(1, 3, live=True)], 3)
    two.run(two.deliveries.commit(batch))
    two.run(two.deliveries.commit(batch))
    assert two.run(two.deliveries.attempts(1, 3)) == [attempt(1, 3)]
    assert due(two, 10) == [(1, 3)]


def test_a_cursor_never_goes_back(two):
    commit(two, cursors=[CursorUpdate(1, 9, live=True)], routed=9)
    commit(two, cursors=[CursorUpdate(1, 5, live=False)], routed=5)
    record = two.run(two.subscriptions.by_number(1))
    assert (record.cursor, record.live) == (9, False)
    # The router does: it restarts before the first that a live lane has queued (S2b).
    assert two.run(two.deliveries.routed()) == 5


def test_s3h_a_skip_is_not_undone_by_a_batch_that_was_made_before_it(two):
    two.run(two.subscriptions.set_state(1, SubscriptionState.PAUSED, cause="a test"))
    skipped = two.run(two.subscriptions.set_state(1, SubscriptionState.ACTIVE, cause="a test", skip=True))
    commit(two, cursors=[CursorUpdate(1, 4, live=False)])
    assert (
        two.run(two.subscriptions.by_number(1)).cursor == skipped.cursor == two.run(two.log.head()).position
    )


def test_due_deliveries_are_read_in_pages_in_the_order_of_their_time(two):
    rows = [waiting(1, 3, 50), waiting(2, 3, 20), waiting(1, 4, 20), waiting(1, 5, 20), waiting(2, 6, 90)]
    commit(two, pending=[*rows, waiting(1, 7, None)])
    order = [(1, 4), (1, 5), (2, 3), (1, 3), (2, 6)]
    assert due(two, 90) == order
    assert due(two, 50) == order[:4]
    assert due(two, 90, 2) == order[:2]
    assert due(two, 90, 2, after=DueKey(20, 1, 5)) == order[2:4]
    assert due(two, 90, after=DueKey(50, 1, 3)) == order[4:]
    assert due(two, 90, numbers=[1]) == [(1, 4), (1, 5), (1, 3)]
    assert due(two, 90, numbers=[1], after=DueKey(20, 1, 4)) == [(1, 5), (1, 3)]


def test_what_is_in_flight_has_no_time(two):
    commit(two, pending=[waiting(1, 3, None), waiting(1, 4, 5)])
    assert [item.position for item in two.run(two.deliveries.in_flight())] == [3]
    commit(two, pending=[waiting(1, 3, 7)])
    assert not two.run(two.deliveries.in_flight())
    assert two.run(two.subscriptions.by_number(1)).pending == 2


def test_one_that_settled_and_was_started_again_in_the_same_batch_is_in_flight(two):
    commit(two, pending=[waiting(1, 3, 5)])
    commit(two, attempts=[attempt(1, 3)], settled=[(1, 3)], pending=[waiting(1, 3, None)])
    assert [item.position for item in two.run(two.deliveries.in_flight())] == [3]


def test_s3h_of_a_deleted_stream_a_late_batch_leaves_its_attempts_and_nothing_else(two):
    two.run(two.subscriptions.delete(1))
    commit(
        two,
        attempts=[attempt(1, 3), attempt(2, 3)],
        pending=[waiting(1, 3, 5), waiting(2, 3, 5)],
        cursors=[CursorUpdate(1, 9, live=True), CursorUpdate(2, 9, live=True)],
        routed=9,
    )
    assert [found.number for found in two.run(two.deliveries.attempts_at(3))] == [1, 2]
    assert [found.number for found in two.run(two.deliveries.pending_at(3))] == [2]
    assert two.run(two.subscriptions.by_number(1)) is None
    assert two.run(two.subscriptions.by_number(2)).cursor == 9


def test_attempts_are_read_in_their_order(two):
    commit(two, attempts=[attempt(2, 3), attempt(1, 3), attempt(1, 3, 2), attempt(1, 4)])
    found = [(one.number, one.attempt) for one in two.run(two.deliveries.attempts_at(3))]
    assert found == [(1, 1), (1, 2), (2, 1)]


def test_s2g_what_is_due_of_many_streams_is_read_together(two):
    commit(two, pending=[waiting(1, 3, 10), waiting(1, 4, 30), waiting(2, 3, 20), waiting(2, 5, 40)])
    assert due(two, 30, numbers=[2]) == [(2, 3)]
    assert due(two, 40, numbers=[2, 1, 99]) == [(1, 3), (2, 3), (1, 4), (2, 5)]
    assert due(two, 40, 2, numbers=[1, 2]) == [(1, 3), (2, 3)]
    assert due(two, 40, numbers=[1, 2], after=DueKey(20, 2, 3)) == [(1, 4), (2, 5)]
    assert due(two, 40, numbers=[3]) == []
