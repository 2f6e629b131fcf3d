"""S2 in one lane: what is queued is above the cursor, what is below it is started, and nothing is both. S4: keys."""

from dataclasses import replace

import pytest
from made_lanes import NOW, lane, ordered, started, waiting

from gateway.domain.breaker import CONSECUTIVE_MAX, Change
from gateway.domain.feed import IllegalTransition
from gateway.domain.lane import Lane
from gateway.domain.pending import PendingDelivery


def test_s2a_the_cursor_stands_before_the_first_that_is_queued() -> None:
    one = lane(concurrency=2)
    for position in (3, 5, 8, 9):
        assert one.offer(position)
    assert (one.cursor, one.first_queued, one.queued) == (2, 3, 4)
    assert [one.start(NOW), one.start(NOW)] == [
        (PendingDelivery(1, 3, first_at_us=NOW),),
        (PendingDelivery(1, 5, first_at_us=NOW),),
    ]
    assert (one.cursor, one.first_queued, one.pending) == (7, 8, 2)
    assert one.start(NOW) is None
    one.settle(5, again=False)
    assert one.start(NOW) == (PendingDelivery(1, 8, first_at_us=NOW),)


def test_positions_come_in_order() -> None:
    one = lane(seen=10)
    with pytest.raises(IllegalTransition):
        one.offer(10)
    assert one.offer(11)
    one.pass_over(20)
    one.pass_over(5)
    with pytest.raises(IllegalTransition):
        one.offer(20)
    assert one.seen == 20


def test_a_full_queue_takes_nothing_and_keeps_its_place() -> None:
    one = lane(queue_max=2)
    assert one.offer(1)
    assert one.offer(2)
    assert not one.offer(3)
    assert (one.seen, one.queued, one.room) == (2, 2, 0)


def test_s2b_a_demoted_lane_goes_back_to_its_cursor() -> None:
    one = lane(concurrency=1)
    for position in (2, 4, 6):
        one.offer(position)
    one.start(NOW)
    one.demote(routed=9)
    assert (one.live, one.seen, one.cursor, one.queued, one.pending) == (False, 3, 3, 0, 1)


def test_s2b_a_live_lane_with_nothing_queued_is_demoted_where_the_router_is() -> None:
    one = lane()
    one.offer(2)
    one.start(NOW)
    one.demote(routed=9)
    assert one.seen == 9
    # One that scans is not where the router is.
    one.demote(routed=20)
    assert one.seen == 9


def test_s2f_a_lane_joins_where_its_cursor_is_the_routers() -> None:
    one = lane()
    one.demote(routed=0)
    one.offer(3)
    one.pass_over(5)
    assert not one.join(5)
    one.start(NOW)
    assert not one.join(4)
    assert one.join(5)
    assert one.live


def was_old(one: Lane, position: int, now_us: int = NOW) -> bool:
    (delivery,) = one.start(now_us) or ()
    assert delivery.position == position
    return delivery.caught_up


def test_old_is_what_lay_there_when_the_stream_began_to_move_however_it_comes() -> None:
    one = lane(seen=2)
    one.set_out(NOW)
    one.offer(3, now_us=NOW)
    one.offer(4, now_us=NOW + 1)
    assert was_old(one, 3)
    assert not was_old(one, 4)
    # One that cannot keep up reads the log by a scan: what came in meanwhile is late for being slow.
    one.offer(5, now_us=NOW + 2)
    one.demote(6)
    one.offer(5, now_us=NOW + 2)
    assert not was_old(one, 5)
    one.pass_over(6)
    assert one.join(6)
    one.halt(6)
    one.offer(8, now_us=NOW + 3)
    one.halted = False
    one.trust(NOW + 4)
    assert was_old(one, 8), "it was stopped when this came"
    assert {item.position: item.caught_up for item in one.in_flight} == {3: True, 4: False, 5: False, 8: True}
    # Its next attempt may be another process's.
    another = lane(seen=8)
    another.due(replace(next(iter(one.in_flight)), next_at_us=NOW), counted=False)
    assert was_old(another, 3)


def test_what_waits_for_a_sink_that_asked_for_a_pause_or_fails_is_old() -> None:
    one = lane(seen=0)
    one.wait(NOW + 10)
    one.set_out(NOW)
    one.offer(1, now_us=NOW + 10)
    one.offer(2, now_us=NOW + 11)
    assert was_old(one, 1, NOW + 20)
    assert not was_old(one, 2, NOW + 20)
    for _ in range(CONSECUTIVE_MAX):
        one.record(success=False, at_us=NOW + 30, jitter=0.5, routed=2)
    for position in (1, 2):
        one.settle(position, again=False)
    one.offer(3, now_us=NOW + 31)
    one.offer(4, now_us=NOW + 32)
    probed_us = one.breaker.probe_at_us or 0
    assert was_old(one, 3, probed_us)
    one.offer(5, now_us=probed_us + 2)
    assert one.record(success=True, at_us=probed_us + 1, jitter=0.5, routed=5) is Change.CLOSED
    assert was_old(one, 4, probed_us + 3), "it came while nothing was to be sent"
    assert not was_old(one, 5, probed_us + 3)


def test_a_halted_lane_starts_nothing_and_does_not_join() -> None:
    one = lane()
    one.offer(3)
    one.due(waiting(1), counted=False)
    one.halt(routed=5)
    assert (one.cursor, one.live, one.start(NOW), one.join(2)) == (2, False, None, False)
    one.halted = False
    assert one.start(NOW) is not None


def test_s2g_another_lane_counts_what_a_stopped_one_had_at_hand() -> None:
    one = Lane(1, seen=10, live=True, concurrency=4, waiting=3, ordered=True)
    one.due(waiting(1))
    one.due(
        replace(waiting(2), asked=True), counted=False
    )  # a command's: no lane counts it before it is here
    for position in (11, 12):
        one.offer(position, "a")
    assert [started(one) for _ in range(3)] == [(1,), (2,), (11,)]
    assert started(one) == ()  # 12 stands behind its head
    one.settle(1, again=True)
    one.settle(2, again=True)
    one.settle(11, again=False)
    assert (one.pending, one.in_flight, one.waits_elsewhere) == (5, (), 5)
    assert list(one.feed.heads) == [(12, "a")]
    one.due(waiting(1))
    one.due(replace(waiting(3), asked=True), counted=False)
    one.halt(routed=20)
    assert (one.cursor, one.pending, one.waits_elsewhere) == (20, 6, 5)


def test_s3h_a_skip_leaves_out_what_lies_before_and_keeps_what_lies_behind() -> None:
    one = lane()
    for position in (3, 5, 7):
        one.offer(position)
    one.skip((), 5)
    assert (one.queued, one.cursor, one.seen) == (1, 6, 7)
    one.skip((), 20)
    assert (one.queued, one.cursor) == (0, 20)
    one.skip((), 4)
    assert one.cursor == 20


def test_s2g_retries_take_at_most_half_of_a_lane() -> None:
    one = lane(seen=10, concurrency=4)
    for position in range(1, 7):
        one.due(waiting(position), counted=False)
    for position in range(11, 17):
        one.offer(position)
    assert [started(one) for _ in range(4)] == [(1,), (2,), (11,), (12,)]


def test_s2g_where_nothing_is_new_retries_have_the_whole_lane() -> None:
    one = lane(seen=10, concurrency=4)
    for position in range(1, 7):
        one.due(waiting(position), counted=False)
    assert [one.start(NOW) is not None for _ in range(5)] == [True] * 4 + [False]


def test_s2g_a_lane_of_one_takes_turns() -> None:
    one = lane(seen=10, concurrency=1)
    for position in range(1, 4):
        one.due(waiting(position), counted=False)
    for position in range(11, 14):
        one.offer(position)
    order = []
    for _ in range(6):
        (position,) = started(one)
        order.append(position)
        one.settle(position, again=False)
    assert order == [1, 11, 2, 12, 3, 13]


def test_s2e_a_backlogged_lane_starts_retries_only() -> None:
    one = lane(seen=10, concurrency=4, pending_max=2, waiting=1)
    one.due(waiting(1), counted=False)
    one.offer(11)
    assert one.backlogged
    assert [started(one), started(one)] == [(1,), ()]
    one.settle(1, again=False)
    assert started(one) == (11,)


def test_s3e_nothing_starts_before_the_wait_is_over_and_the_longest_wait_holds() -> None:
    one = lane()
    one.offer(1)
    one.wait(NOW + 10)
    one.wait(NOW + 5)
    assert one.start(NOW + 9) is None
    assert one.start(NOW + 10) is not None


def test_s3c_one_attempt_at_a_time() -> None:
    one = lane()
    one.offer(1)
    one.start(NOW)
    with pytest.raises(IllegalTransition):
        one.due(waiting(1))
    one.settle(1, again=True)
    assert one.pending == 1
    one.due(waiting(1))
    assert (one.pending, one.holds(1)) == (1, True)
    with pytest.raises(IllegalTransition):
        one.due(waiting(1))
    with pytest.raises(IllegalTransition):
        one.settle(1, again=False)


def test_s2g_a_lane_that_has_nothing_to_do_is_idle() -> None:
    one, idle = lane(), []
    for step in (lambda: one.offer(1), lambda: one.start(NOW), lambda: one.settle(1, again=True)):
        idle.append(one.idle)
        step()
    assert [*idle, one.idle] == [True, False, False, True]
    assert one.pending == 1


# S4, order per key.


def test_s4b_the_end_of_a_head_releases_its_successor_which_is_pending_from_then_on() -> None:
    one = ordered((1, "a"), (2, "a"), (3, "b"))
    assert one.start(NOW) == (PendingDelivery(1, 1, first_at_us=NOW, partition_key="a", blocked_from=1),)
    assert [started(one), started(one)] == [(3,), ()]
    assert (one.cursor, one.pending) == (3, 2)
    assert one.settle(1, again=True) == []
    assert started(one) == (), "a head that waits blocks its key as well"
    one.due(replace(waiting(1), partition_key="a", blocked_from=1))
    assert started(one) == (1,)
    assert one.settle(1, again=False) == [PendingDelivery(1, 2, partition_key="a", blocked_from=2)]
    assert (one.pending, one.holds(2), one.is_under_way(2)) == (2, True, True)
    assert one.start(NOW) == (PendingDelivery(1, 2, first_at_us=NOW, partition_key="a", blocked_from=2),)


def test_s4b_a_successor_is_started_where_the_cursor_halts() -> None:
    one = ordered((1, "a"), (2, "a"), (3, "b"), (4, "c"), pending_max=2)
    assert [started(one) for _ in range(3)] == [(1,), (3,), ()]
    one.settle(1, again=False)
    assert one.backlogged
    assert [started(one), started(one)] == [(2,), ()]


def test_s4_without_an_order_keys_say_nothing() -> None:
    one = lane()
    for position in (1, 2):
        one.offer(position, "a")
    assert [started(one), started(one)] == [(1,), (2,)]
