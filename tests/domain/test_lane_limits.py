"""A rate and the breaker in one lane: what may not start yet, and what is the probe."""

from dataclasses import replace

from made_lanes import NOW, again, batched, lane, opened, ordered, replay_of, started, waiting

from gateway.domain.breaker import Change
from gateway.domain.due import INCOMPLETE_US
from gateway.domain.rate import Rate


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
