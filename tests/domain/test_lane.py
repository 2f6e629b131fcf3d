"""S2 in one lane: what is queued is above the cursor, what is below it is started, and nothing is both."""

from dataclasses import replace

import pytest

from gateway.domain.batching import Batching
from gateway.domain.breaker import CONSECUTIVE_MAX, Change
from gateway.domain.due import INCOMPLETE_US
from gateway.domain.feed import Feed, IllegalTransition, Queued
from gateway.domain.lane import Lane
from gateway.domain.pending import PendingDelivery
from gateway.domain.rate import Rate
from gateway.domain.replay import ReplayFeed

NOW = 1_000


def lane(**options: int) -> Lane:
    given = {"seen": 0, "concurrency": 4, **options}
    return Lane(1, live=True, **given)


def waiting(position: int) -> PendingDelivery:
    return PendingDelivery(1, position, attempts=1, failures=1, next_at_us=NOW)


def started(one: Lane, now_us: int = NOW) -> tuple[int, ...]:
    """The positions of what it starts now."""
    return tuple(delivery.position for delivery in one.start(now_us) or ())


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


def ordered(*positions: tuple[int, str], **options: int) -> Lane:
    one = lane(**options)
    one.ordered = True
    for position, key in positions:
        assert one.offer(position, key)
    return one


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


# S5, replays.


def replay_of(one: Lane, number: int = 50, *, until: int = 20, queue_max: int = 100) -> ReplayFeed:
    replay = ReplayFeed(number, until, Feed(seen=0, queue_max=queue_max, covers=False))
    one.add_replay(replay)
    return replay


def again(position: int, number: int = 50, key: str | None = None) -> Queued:
    """A delivery as a replay gives it: at the beginning of its next round."""
    delivery = PendingDelivery(1, position, round=1, attempts=1, partition_key=key, replay=number)
    return Queued(position, key, delivery=delivery)


def test_s5_a_replay_starts_what_it_was_offered_and_counts_it_until_it_has_ended() -> None:
    one = lane(seen=20)
    replay = replay_of(one, until=3)
    for position in (1, 3):
        assert one.offer_replay(replay, again(position))
    assert (one.holds(1), one.is_under_way(1), one.pending, one.idle) == (True, True, 0, False)
    assert one.start(NOW) == (PendingDelivery(1, 1, round=1, attempts=1, first_at_us=NOW, replay=50),)
    assert (replay.open, one.pending, replay.finished) == (1, 1, False)
    one.settle(1, again=True)
    assert (replay.open, one.pending, one.holds(1)) == (1, 1, False)
    assert started(one) == (3,)
    one.due(replace(waiting(1), replay=50))
    assert started(one) == (1,)
    for position in (1, 3):
        one.settle(position, again=False)
    assert (replay.open, replay.finished, one.pending) == (0, True, 0)
    one.end_replay(50)
    assert one.idle


def test_s5a_a_replay_has_at_most_half_of_a_lane_and_takes_turns_with_the_live_stream() -> None:
    one = lane(seen=20, concurrency=4)
    replay = replay_of(one)
    for position in range(1, 9):
        one.offer_replay(replay, again(position))
    assert [started(one) for _ in range(5)] == [(1,), (2,), (), (), ()]
    for position in range(21, 29):
        one.offer(position)
    assert [started(one) for _ in range(3)] == [(21,), (22,), ()]
    for position in (1, 2, 21, 22):
        one.settle(position, again=False)
    # Whoever was last is not next.
    assert [started(one) for _ in range(4)] == [(3,), (23,), (4,), (24,)]


def test_s5a_in_a_lane_of_one_retries_replays_and_the_live_stream_take_turns() -> None:
    one = lane(seen=20, concurrency=1)
    replay = replay_of(one)
    for position in range(1, 5):
        one.offer_replay(replay, again(position))
        one.due(waiting(10 + position), counted=False)
        one.offer(20 + position)
    order = []
    for _ in range(8):
        (position,) = started(one)
        order.append("retry" if 10 < position <= 20 else "replay" if position <= 10 else "first")
        one.settle(position, again=False)
    assert order == ["retry", "replay", "retry", "first"] * 2


def test_s5a_replays_take_turns_with_each_other() -> None:
    one = lane(seen=20, concurrency=8)
    for number in (50, 60):
        replay = replay_of(one, number)
        for position in (number - 49, number - 48):
            one.offer_replay(replay, again(position, number))
    assert [started(one) for _ in range(4)] == [(1,), (11,), (2,), (12,)]


def test_s5b_what_is_pending_is_taken_over() -> None:
    one = lane(seen=20, waiting=2)
    replay = replay_of(one)
    one.due(waiting(3))
    assert one.pending == 2
    assert one.offer_replay(replay, again(3), pending=waiting(3))  # it is due here
    assert one.offer_replay(replay, again(4), pending=waiting(4))  # it waits in the database
    assert one.pending == 2
    assert [started(one), started(one), started(one)] == [(3,), (4,), ()]
    assert (one.pending, replay.open) == (2, 2)


def test_s5b_what_was_taken_over_waits_as_before_when_its_replay_is_cancelled() -> None:
    one = lane(seen=20, waiting=1)
    replay = replay_of(one)
    one.offer_replay(replay, again(3))
    one.offer_replay(replay, again(4), pending=waiting(4))
    one.end_replay(50)
    assert (one.pending, one.holds(3), one.holds(4), started(one)) == (1, False, False, ())
    one.due(waiting(4))
    assert one.pending == 1
    one.end_replay(50)  # once is enough


def test_s3h_a_retry_by_hand_that_is_taken_over_is_counted_once() -> None:
    one = lane(seen=20)
    replay = replay_of(one)
    asked = replace(waiting(4), asked=True)
    one.due(asked, counted=False)
    one.offer_replay(replay, again(4), pending=asked)
    one.end_replay(50)
    # It is read from the database again, as one that no lane counts.
    one.due(asked, counted=False)
    assert one.pending == 1
    assert started(one) == (4,)
    one.settle(4, again=False)
    assert one.pending == 0


def test_s5b_one_replay_takes_over_what_another_one_has_open() -> None:
    one = lane(seen=20)
    first, second = replay_of(one, 50, until=3), replay_of(one, 60, until=3)
    one.offer_replay(first, again(3))
    first.feed.pass_over(3)
    assert started(one) == (3,)
    one.settle(3, again=True)
    one.due(replace(waiting(3), replay=50))
    one.offer_replay(second, again(3, 60), pending=replace(waiting(3), replay=50))
    assert not first.finished, "until the other one has started it, it is this one's"
    assert started(one) == (3,)
    assert (first.open, first.finished, second.open) == (0, True, 1)
    one.settle(3, again=False)
    assert (first.open, second.open) == (0, 0)


def test_s5b_what_a_cancelled_replay_gives_back_is_its_owners_again() -> None:
    one = lane(seen=20)
    first, second = replay_of(one, 50, until=3), replay_of(one, 60, until=3)
    one.offer_replay(first, again(3))
    assert started(one) == (3,)
    one.settle(3, again=True)
    one.offer_replay(second, again(3, 60), pending=replace(waiting(3), replay=50))
    one.end_replay(60)
    one.due(replace(waiting(3), replay=50))
    assert (first.open, started(one)) == (1, (3,))
    one.settle(3, again=False)
    assert (first.open, first.finished) == (0, True)


def test_s4a_a_key_is_free_in_a_replay_whoever_ends_its_head() -> None:
    one = ordered(seen=20)
    first, second = replay_of(one, 50, until=4), replay_of(one, 60, until=4)
    for position in (3, 4):
        one.offer_replay(first, again(position, 50, "a"))
    assert [started(one), started(one)] == [(3,), ()]
    one.settle(3, again=True)
    one.offer_replay(second, again(3, 60, "a"), pending=replace(waiting(3), replay=50))
    assert [started(one), started(one)] == [(3,), ()]
    one.settle(3, again=False)
    assert started(one) == (4,), "what stood behind it in the first one goes on"
    one.settle(4, again=False)
    assert (first.feed.blocked_keys, second.feed.blocked_keys) == (0, 0)


def test_s5b_what_is_under_way_cannot_be_replayed_beside_that() -> None:
    one = ordered((21, "a"), (22, "a"), seen=20)
    replay, other = replay_of(one, 50, until=40), replay_of(one, 60, until=40)
    assert [started(one), started(one)] == [(21,), ()]
    with pytest.raises(IllegalTransition, match="under way"):
        one.offer_replay(replay, again(21), pending=waiting(21))
    one.settle(21, again=False)
    with pytest.raises(IllegalTransition, match="under way"):
        one.offer_replay(replay, again(22), pending=waiting(22))
    one.offer_replay(other, again(23, 60))
    with pytest.raises(IllegalTransition, match="under way"):
        one.offer_replay(replay, again(23))


def test_s5a_a_replay_without_room_keeps_its_place() -> None:
    one = lane(seen=20)
    replay = replay_of(one, queue_max=1)
    assert one.offer_replay(replay, again(1))
    assert not one.offer_replay(replay, again(2), pending=waiting(2))
    assert (replay.feed.seen, one.holds(2)) == (1, False)


# S10a, batches.


def batched(*positions: int, events_max: int = 3, age_us: int = 500, **options: int) -> Lane:
    one = lane(**options)
    one.batching = Batching(events_max, 1_000, age_us)
    for position in positions:
        assert one.offer(position, "a", size_bytes=300, now_us=NOW)
    return one


def test_s10a_a_batch_goes_when_it_is_full() -> None:
    one = batched(1, 2)
    assert started(one) == ()
    one.offer(4, size_bytes=300, now_us=NOW)
    assert started(one) == (1, 2, 4)
    assert (one.pending, one.cursor, len(one.in_flight)) == (3, 4, 3)


def test_s10a_a_batch_goes_when_its_first_member_has_waited_long_enough() -> None:
    one = batched(1, 2)
    assert one.wakes_at_us(NOW) == NOW + 500
    assert started(one, NOW + 499) == ()
    assert started(one, NOW + 500) == (1, 2)


def test_s10a_a_batch_has_its_bytes() -> None:
    one = batched(1, 2, 3, 4, events_max=10)
    assert started(one) == (1, 2, 3), "a fourth would be more than its bytes"
    large = batched(events_max=10)
    large.offer(1, size_bytes=5_000, now_us=NOW)
    large.offer(2, size_bytes=1, now_us=NOW)
    assert started(large) == (1,), "what is larger than a batch goes alone"


def test_s2e_a_batch_is_no_larger_than_what_may_be_pending() -> None:
    one = batched(1, 2, 3, 4, 5, 6, pending_max=4)
    assert [started(one) for _ in range(3)] == [(1, 2, 3), (4,), ()]


def test_s10a_a_batch_takes_one_place_until_the_last_of_it_has_ended() -> None:
    one = batched(1, 2, 3, 4, 5, 6, concurrency=1)
    assert started(one) == (1, 2, 3)
    for position in (1, 3):
        one.settle(position, again=False)
        assert started(one) == ()
    one.settle(2, again=True)
    assert started(one) == (4, 5, 6)


def test_s10a_a_batch_keeps_its_name_until_it_has_ended() -> None:
    one = batched(1, 2, 3)
    members = one.start(NOW)
    assert members is not None
    assigned = one.assign(members, "bat_1")
    assert [(item.position, item.batch, item.batch_size) for item in assigned] == [
        (position, "bat_1", 3) for position in (1, 2, 3)
    ]
    assert one.in_flight == assigned


def test_s10a_a_batch_is_retried_whole() -> None:
    one = batched(1, 2, 3)
    members = one.start(NOW)
    assert members is not None
    for item in one.assign(members, "bat_1"):
        one.settle(item.position, again=True)
    for position in (3, 1):
        one.due(replace(waiting(position), batch="bat_1", batch_size=3), now_us=NOW)
        assert started(one) == ()
    one.due(replace(waiting(2), batch="bat_1", batch_size=3), now_us=NOW)
    assert started(one) == (1, 2, 3)


def test_s10a_a_batch_without_some_of_its_members_goes_in_the_end() -> None:
    one = batched(seen=20)
    one.due(replace(waiting(3), batch="bat_1", batch_size=2), counted=False, now_us=NOW)
    assert (one.start(NOW), one.wakes_at_us(NOW)) == (None, NOW + INCOMPLETE_US)
    assert started(one, NOW + INCOMPLETE_US) == (3,)


def test_s2g_a_retried_batch_counts_as_a_retry_until_it_has_ended() -> None:
    one = batched(*range(21, 30), seen=20, concurrency=2)
    for position in (1, 2, 3, 4):
        one.due(replace(waiting(position), batch=f"bat_{position % 2}", batch_size=2), counted=False)
    assert started(one) == (1, 3)
    one.settle(1, again=False)
    assert started(one) == (21, 22, 23), "the other half is not for retries"


def test_s10a_batches_in_order_go_one_at_a_time() -> None:
    one = batched(*range(1, 10))
    one.ordered = True
    assert [started(one), started(one)] == [(1, 2, 3), ()]
    for position in (1, 2, 3):
        assert one.settle(position, again=True) == []
    assert started(one) == (), "what lies before must have ended"
    for position in (1, 2, 3):
        one.due(replace(waiting(position), batch="bat_1", batch_size=3))
    assert [started(one), started(one)] == [(1, 2, 3), ()]
    for position in (1, 2, 3):
        one.settle(position, again=False)
    assert started(one) == (4, 5, 6)


def test_s10a_halves_in_order_go_one_behind_the_other() -> None:
    one = batched(seen=20, waiting=4, events_max=2)
    one.ordered = True
    for position in (3, 4):
        one.due(replace(waiting(position), batch="bat_2", batch_size=2))
    assert started(one) == (), "the first half is still to come"
    for position in (1, 2):
        one.due(replace(waiting(position), batch="bat_1", batch_size=2))
    assert [started(one), started(one)] == [(1, 2), ()]
    for position in (1, 2):
        one.settle(position, again=True)
    assert started(one) == (), "and it waits again"


def test_s5a_a_replay_sends_a_batch_when_it_is_full_or_when_nothing_more_can_come() -> None:
    one = batched(seen=20)
    slow, full = replay_of(one, 50, until=9), replay_of(one, 60, until=19)
    one.offer_replay(slow, again(1, 50))
    for position in (11, 12, 13):
        one.offer_replay(full, again(position, 60))
    assert [started(one), started(one)] == [(11, 12, 13), ()]
    slow.feed.pass_over(9)
    assert started(one) == (1,)


def test_s5b_what_was_taken_over_goes_on_when_the_subscription_begins_to_want_batches_in_order() -> None:
    one = lane(seen=20, waiting=1)
    replay = replay_of(one, until=3)
    one.offer_replay(replay, again(3), pending=waiting(3))
    one.batching, one.ordered = Batching(3, 1_000, 500), True
    replay.feed.pass_over(3)
    assert started(one) == (3,)


# A rate, and the breaker.


def test_a_rate_holds_starts_back_and_says_until_when() -> None:
    one = lane()
    one.rate = Rate(2)
    for position in (1, 2, 3):
        one.offer(position)
    assert [started(one), started(one)] == [(1,), ()]
    assert one.wakes_at_us(NOW) == NOW + 500_000
    assert [started(one, NOW + 499_999), started(one, NOW + 500_000)] == [(), (2,)]


def test_a_batch_is_one_start_of_the_rate() -> None:
    one = batched(*range(1, 7))
    one.rate = Rate(2)
    assert [started(one), started(one), started(one, NOW + 500_000)] == [(1, 2, 3), (), (4, 5, 6)]


def opened(one: Lane, routed: int = 20) -> int:
    """Let its breaker open; says when the first probe is due."""
    for _ in range(CONSECUTIVE_MAX):
        change = one.record(success=False, at_us=NOW, jitter=0.5, routed=routed)
    assert change is Change.OPENED
    assert one.breaker.probe_at_us is not None
    return one.breaker.probe_at_us


def test_s3g_an_open_breaker_stops_the_lane_until_a_probe_is_due() -> None:
    one = lane(seen=10, concurrency=4)
    one.due(waiting(5), counted=False)
    one.due(waiting(2), counted=False)
    one.offer(11)
    probe_at_us = opened(one)
    assert (one.live, one.queued, one.cursor, one.idle) == (False, 0, 10, False)
    assert (started(one), one.wakes_at_us(NOW)) == ((), probe_at_us)
    assert started(one, probe_at_us) == (2,), "the oldest"
    assert (started(one, probe_at_us), one.wakes_at_us(probe_at_us)) == ((), None), "and one at a time"
    assert one.record(success=False, at_us=probe_at_us, jitter=0.5, routed=20) is Change.NONE
    one.settle(2, again=True)
    assert (started(one, probe_at_us), one.wakes_at_us(probe_at_us)) == ((), probe_at_us + 10_000_000)
    assert not one.join(10)
    assert started(one, probe_at_us + 10_000_000) == (5,)
    assert one.record(success=True, at_us=probe_at_us + 1, jitter=0.5, routed=20) is Change.CLOSED
    one.settle(5, again=False)
    assert one.join(10)


def test_s3g_a_probe_waits_for_the_rate_and_for_the_receivers_pause() -> None:
    one = lane(seen=10)
    one.rate = Rate(0.1)
    one.rate.take(NOW)
    one.due(waiting(5), counted=False)
    probe_at_us = opened(one)
    assert started(one, probe_at_us) == ()
    assert one.wakes_at_us(probe_at_us) == NOW + 10_000_000
    one.wait(NOW + 11_000_000)
    assert one.wakes_at_us(probe_at_us) == NOW + 11_000_000
    assert started(one, NOW + 11_000_000) == (5,)


def test_s3g_the_oldest_pending_is_brought_for_a_probe() -> None:
    one = lane(seen=10, waiting=1)
    probe_at_us = opened(one)
    assert not one.wants_probe(probe_at_us - 1)
    assert (started(one, probe_at_us), one.wants_probe(probe_at_us)) == ((), True)
    one.due(waiting(5))
    assert (one.wants_probe(probe_at_us), started(one, probe_at_us)) == (False, (5,))


def test_s3g_with_nothing_pending_an_event_is_the_probe() -> None:
    one = lane(seen=10)
    probe_at_us = opened(one, routed=10)
    assert (one.wants_rows(NOW), one.wants_rows(probe_at_us)) == (False, True)
    one.offer(11)
    one.offer(12)
    assert (one.wants_rows(probe_at_us), started(one, probe_at_us)) == (False, (11,))
    assert (one.cursor, started(one, probe_at_us)) == (11, ())


def test_s3g_a_successor_is_a_probe_that_need_not_be_brought() -> None:
    # Its row says that it is pending: brought from the database it would be what is here already.
    one = ordered((11, "a"), (12, "a"), seen=10, waiting=1)
    assert [started(one), started(one)] == [(11,), ()]
    probe_at_us = opened(one)
    assert [item.position for item in one.settle(11, again=False)] == [12]
    assert started(one, probe_at_us) == (12,)


def test_s3g_what_a_replay_has_taken_over_is_a_probe_that_need_not_be_brought() -> None:
    one = lane(seen=10, waiting=2)
    replay = replay_of(one)
    one.offer_replay(replay, again(3), pending=waiting(3))
    probe_at_us = opened(one)
    assert started(one, probe_at_us) == (3,)


def test_s3g_a_replay_is_a_probe_where_there_is_nothing_else() -> None:
    one = lane(seen=10)
    replay = replay_of(one)
    one.offer_replay(replay, again(3))
    probe_at_us = opened(one, routed=10)
    assert started(one, probe_at_us) == (3,)


def test_s3g_a_batch_without_some_of_its_members_is_a_probe_in_the_end() -> None:
    one = lane(seen=10)
    probe_at_us = opened(one)
    one.due(replace(waiting(5), batch="bat_1", batch_size=2), counted=False, now_us=probe_at_us)
    assert started(one, probe_at_us) == ()
    ripe_at_us = probe_at_us + INCOMPLETE_US
    assert one.wakes_at_us(probe_at_us) == ripe_at_us
    assert started(one, ripe_at_us) == (5,)
