"""S5 in one lane: a replay takes turns with the live stream, and takes over what is pending."""

from dataclasses import replace

import pytest
from made_lanes import NOW, again, lane, ordered, replay_of, started, waiting

from gateway.domain.feed import IllegalTransition
from gateway.domain.pending import PendingDelivery


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
