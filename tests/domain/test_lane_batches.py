"""S10a in one lane: when a batch goes, what it holds, and that it stays one until it has ended."""

from dataclasses import replace

from made_lanes import NOW, again, batched, lane, replay_of, started, waiting

from gateway.domain.batching import Batching
from gateway.domain.due import INCOMPLETE_US


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
