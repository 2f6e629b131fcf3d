"""Lanes as the tests of one lane want them, by hand: no clock, no database, no loop."""

from gateway.domain.batching import Batching
from gateway.domain.breaker import CONSECUTIVE_MAX, Change
from gateway.domain.feed import Feed, Queued
from gateway.domain.lane import Lane
from gateway.domain.pending import PendingDelivery
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


def ordered(*positions: tuple[int, str], **options: int) -> Lane:
    one = lane(**options)
    one.ordered = True
    for position, key in positions:
        assert one.offer(position, key)
    return one


def replay_of(one: Lane, number: int = 50, *, until: int = 20, queue_max: int = 100) -> ReplayFeed:
    replay = ReplayFeed(number, until, Feed(seen=0, queue_max=queue_max, covers=False))
    one.add_replay(replay)
    return replay


def again(position: int, number: int = 50, key: str | None = None) -> Queued:
    """A delivery as a replay gives it: at the beginning of its next round."""
    delivery = PendingDelivery(1, position, round=1, attempts=1, partition_key=key, replay=number)
    return Queued(position, key, delivery=delivery)


def batched(*positions: int, events_max: int = 3, age_us: int = 500, **options: int) -> Lane:
    one = lane(**options)
    one.batching = Batching(events_max, 1_000, age_us)
    for position in positions:
        assert one.offer(position, "a", size_bytes=300, now_us=NOW)
    return one


def opened(one: Lane, routed: int = 20) -> int:
    """Let its breaker open; says when the first probe is due."""
    for _ in range(CONSECUTIVE_MAX):
        change = one.record(success=False, at_us=NOW, jitter=0.5, routed=routed)
    assert change is Change.OPENED
    assert one.breaker.probe_at_us is not None
    return one.breaker.probe_at_us
