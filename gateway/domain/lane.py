"""The lane: the in-memory end of one delivery stream (SEMANTICS S2 to S5, S10a), pure.

A lane is offered the positions that match its subscription, in log order, by the router or by a catch-up
scan; it says what may be started, and is told how each start was settled. What it has only queued is nowhere
stored: its durable part is one number, ``cursor``, and the deliveries at or below it that are not terminal.

Everything that bounds a stream is asked in one place, ``start``: concurrency, rate, breaker, waits, order, and the
shares of retries and replays.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from gateway.domain.breaker import Breaker, Change
from gateway.domain.due import Due, Started
from gateway.domain.feed import Feed, IllegalTransition, Queued
from gateway.domain.pending import PendingDelivery
from gateway.domain.rate import Rate
from gateway.domain.replay import ReplayFeed

QUEUE_MAX: Final = 1_000
PENDING_MAX: Final = 10_000


@dataclass(frozen=True, slots=True)
class Batching:
    """When a batch is full: whichever comes first. Bytes are those of the envelopes."""

    events_max: int
    bytes_max: int
    age_us: int


class Lane:
    """One subscription's stream: what is queued, in flight, and due again.

    A live lane is fed by the router and follows it; one that is not live is fed by a scan of the log from its own
    cursor.
    """

    __slots__ = (
        "_busy",
        "_due",
        "_groups",
        "_in_flight",
        "_replayed_last",
        "_replaying",
        "_retried_last",
        "_retrying",
        "_waiting",
        "batching",
        "breaker",
        "concurrency",
        "feed",
        "halted",
        "live",
        "number",
        "ordered",
        "pending_max",
        "rate",
        "replays",
        "waits_until_us",
    )

    def __init__(
        self,
        number: int,
        *,
        seen: int,
        live: bool,
        concurrency: int,
        waiting: int = 0,
        queue_max: int = QUEUE_MAX,
        pending_max: int = PENDING_MAX,
        ordered: bool = False,
        rate: Rate | None = None,
        batching: Batching | None = None,
        breaker: Breaker | None = None,
    ) -> None:
        self.number = number
        self.live = live
        self.concurrency = concurrency
        self.pending_max = pending_max
        self.ordered = ordered
        self.rate = rate
        self.batching = batching
        self.breaker = Breaker() if breaker is None else breaker
        self.halted = False
        self.waits_until_us = 0
        self.feed = Feed(seen=seen, queue_max=queue_max)
        self.replays: dict[int, ReplayFeed] = {}
        self._busy = 0
        self._due = Due()
        self._in_flight: dict[int, PendingDelivery] = {}
        self._groups: dict[int, list[int]] = {}
        self._retrying: set[int] = set()
        self._replaying: set[int] = set()
        self._retried_last = False
        self._replayed_last = False
        self._waiting = waiting

    # What it is like now.

    @property
    def seen(self) -> int:
        """The highest position that was offered or passed over."""
        return self.feed.seen

    @property
    def cursor(self) -> int:
        """Everything that matches at or below it has been dispatched (S2a)."""
        return self.feed.cursor

    @property
    def first_queued(self) -> int | None:
        """The oldest position that was offered and not started: what holds the router's restart back (S2b)."""
        return self.feed.first_queued

    @property
    def queued(self) -> int:
        """How many positions wait to be started for the first time."""
        return len(self.feed.queue)

    @property
    def queue_max(self) -> int:
        """How many positions may wait to be started."""
        return self.feed.queue_max

    @property
    def pending(self) -> int:
        """How many deliveries are dispatched and not terminal."""
        taken = sum(len(replay.taken) for replay in self.replays.values()) if self.replays else 0
        here = len(self._in_flight) + len(self._due.deliveries) + len(self.feed.next_up)
        return here + self._waiting + taken

    @property
    def in_flight(self) -> tuple[PendingDelivery, ...]:
        """What has been started and not settled."""
        return tuple(self._in_flight.values())

    @property
    def backlogged(self) -> bool:
        """Whether so much is pending that the cursor halts (S2e); retries go on."""
        return self.pending >= self.pending_max

    @property
    def idle(self) -> bool:
        """Whether nothing is here that another lane object would have to know (S2g)."""
        return not (
            self.feed.queue
            or self._due
            or self._in_flight
            or self.replays
            or self.feed.blocked_keys
            or not self.breaker.quiet
        )

    @property
    def has_room(self) -> bool:
        """Whether another start fits beside those in flight."""
        return self._busy < self._concurrency

    @property
    def room(self) -> int:
        """How many more positions can be offered."""
        return self.feed.room

    def wants_rows(self, now_us: int) -> bool:
        """Whether a scan of the log for the live stream would serve it now."""
        if self.halted or self.room < self.queue_max // 2:
            return False
        # While the breaker is open the cursor stands: only a probe with nothing else to try wants an event.
        return not self.breaker.open or (
            self.breaker.probe_due(now_us) and not (self.pending or self.feed.queue)
        )

    def wants_probe(self, now_us: int) -> bool:
        """Whether a probe is due and the oldest pending delivery is to be brought for it."""
        return not self.halted and not self._busy and self._waiting > 0 and self.breaker.probe_due(now_us)

    def holds(self, position: int) -> bool:
        """Whether this delivery is in memory here, so that no second copy of it may be taken in."""
        return (
            position in self._in_flight
            or position in self._due
            or any(position in replay.claimed for replay in self.replays.values())
            or any(item.position == position for item in self.feed.next_up)
        )

    def is_under_way(self, position: int) -> bool:
        """Whether an attempt of this delivery is in flight, or is made next, or by another replay."""
        return self.holds(position) and position not in self._due

    # Being fed.

    def offer(self, position: int, key: str | None = None, *, size_bytes: int = 0, now_us: int = 0) -> bool:
        """Queue a matching position; False, and nothing changed, where the queue is full."""
        # Batches are ordered by going one at a time, not key by key (S10a).
        by_key = self.ordered and self.batching is None
        return self.feed.offer(Queued(position, key if by_key else None, size_bytes, now_us))

    def pass_over(self, position: int) -> None:
        """Note that nothing else up to this position matches."""
        self.feed.pass_over(position)

    def demote(self, routed: int) -> None:
        """Stop listening to the router: forget what is queued, and go on from the cursor by scanning (S2b).

        A live lane has been offered everything that matches up to ``routed``; where none of that is queued, the
        scan need not begin any earlier.
        """
        if self.feed.queue:
            self.feed.rewind()
        elif self.live:
            self.feed.pass_over(routed)
        self.live = False

    def halt(self, routed: int) -> None:
        """Start nothing more (paused, disabled). It stops listening as well, or it would miss what comes."""
        self.demote(routed)
        self.halted = True

    def join(self, routed: int) -> bool:
        """Become live, if everything up to the router's position is dispatched (S2f)."""
        if not self.live and not self.halted and not self.breaker.open and self.cursor == routed:
            self.live = True
        return self.live

    def skip_to(self, position: int) -> None:
        """Leave out what lies before: a resume from now (S3h). What came behind it stays."""
        self.feed.skip_to(position)

    def wait(self, until_us: int) -> None:
        """The sink asked for a pause (429, Retry-After): nothing starts before then (S3e)."""
        self.waits_until_us = max(self.waits_until_us, until_us)

    def due(self, delivery: PendingDelivery, *, counted: bool = True, now_us: int = 0) -> None:
        """A waiting delivery may be started again. ``counted``: it is among those that wait already."""
        if self.holds(delivery.position):
            raise IllegalTransition(f"{delivery.position} of subscription {self.number} is already here")
        self._due.add(delivery, now_us)
        if counted:
            self._waiting = max(0, self._waiting - 1)

    def nothing_waits(self) -> None:
        """The database has nothing pending that is not here: what was counted beyond that is gone."""
        self._waiting = 0

    # Replays.

    def add_replay(self, replay: ReplayFeed) -> None:
        """Feed a replay from now on."""
        self.replays[replay.replay] = replay

    def offer_replay(
        self, replay: ReplayFeed, item: Queued, *, waiting: bool, taken_from: int | None = None
    ) -> bool:
        """Queue a delivery of a replay's range.

        ``waiting``: it is pending by now, and taken over (S5b); ``taken_from``: it was another replay's.
        """
        if item.position in self._in_flight or any(
            item.position in other.claimed for other in self.replays.values()
        ):
            raise IllegalTransition(f"{item.position} of subscription {self.number} is under way")
        if not replay.feed.offer(item):
            return False
        replay.claimed.add(item.position)
        if item.position in self._due:
            self._due.forget(item.position)
            replay.taken.add(item.position)
        elif waiting:
            self._waiting = max(0, self._waiting - 1)
            replay.taken.add(item.position)
        if taken_from in self.replays:
            self.replays[taken_from].open -= 1
        return True

    def end_replay(self, replay: int) -> None:
        """Feed it no more; what it has started goes on."""
        ended = self.replays.pop(replay, None)
        if ended is not None:
            self._waiting += len(ended.taken)  # they wait as before, in the database

    # Starting.

    def start(self, now_us: int) -> Started | None:
        """What may be started now, marked as in flight; None while there is nothing or no room.

        Due retries go first, but never take more than half of the lane (S2g), so that a stream with many
        failures still moves; a lane of one takes turns. Replays take at most half as well (S5a). While too much is
        pending, only retries go on (S2e).
        """
        if self.halted or now_us < self.waits_until_us or self._busy >= self._concurrency:
            return None
        if self.rate is not None and not self.rate.allows(now_us):
            return None
        if self.breaker.opened_at_us is not None:
            started = self._probe(now_us)
        elif not (self._due.deliveries or self.replays):  # as nearly always: nothing to be weighed
            started = self._first(now_us) if self._may_queue(now_us) else None
        elif self._may_retry(now_us):
            started = self._retry(self._due.oldest() if self.one_at_a_time else self._due.first())
        elif self._may_replay() and not (self._replayed_last and self._may_queue(now_us)):
            started = self._replay(now_us)
        elif self._may_queue(now_us):
            started = self._first(now_us)
        else:
            return None
        if started is not None:
            self._launch(started, now_us)
        return started

    def wakes_at_us(self, now_us: int) -> int | None:
        """When ``start`` may say something else than now without anything being told; None: it will not."""
        if self.halted or self._busy >= self._concurrency:
            return None
        if self.breaker.open:
            probe_at = None if self._busy else self.breaker.probe_at_us
            latest = 0 if probe_at is None else max(probe_at, self.waits_until_us)
            return latest if latest > now_us else None
        if not (self._due.deliveries or self.feed.queue or self.feed.next_up or self.replays):
            return None
        held_to = self.waits_until_us
        if self.rate is not None:
            held_to = max(held_to, self.rate.next_us())
        if held_to > now_us:
            return held_to
        moments = [] if self._due.wakes_at_us is None else [self._due.wakes_at_us]
        if self.batching is not None and self.feed.queue:
            moments.append(self.feed.queue[0].since_us + self.batching.age_us)
        return min((moment for moment in moments if moment > now_us), default=None)

    def settle(self, position: int, *, again: bool) -> list[PendingDelivery]:
        """A start has ended: terminal, or to be tried ``again`` later.

        Returns the successor that its end releases (S4b), if there is one: it is dispatched by that, and to be
        journaled as pending in the same transaction.
        """
        delivery = self._in_flight.get(position)
        if delivery is None:
            raise IllegalTransition(f"{position} of subscription {self.number} is not in flight")
        released = [] if again else self._release(delivery)
        del self._in_flight[position]
        self._leave(position)
        if again:
            self._waiting += 1
        elif delivery.replay in self.replays:
            self.replays[delivery.replay].open -= 1
        return released

    def wants_successors(self, position: int) -> str | None:
        """The key whose successors must be looked up in the log before this delivery may end (S4b)."""
        return self.feed.wants_successors(position)

    def assign(self, members: Started, batch: str) -> Started:
        """The batch that these in-flight deliveries are sent in, from now until they are terminal (S10a)."""
        assigned = tuple(replace(item, batch=batch, batch_size=len(members)) for item in members)
        self._in_flight.update((item.position, item) for item in assigned)
        return assigned

    def record(self, *, success: bool, at_us: int, jitter: float, routed: int) -> Change:
        """Note how an attempt that was sent ended; a breaker that opens makes the lane stop listening."""
        change = self.breaker.record(success=success, at_us=at_us, jitter=jitter)
        if change is Change.OPENED:
            self.demote(routed)
        return change

    # How it chooses.

    @property
    def _concurrency(self) -> int:
        return 1 if self.batching is not None and self.ordered else self.concurrency

    @property
    def one_at_a_time(self) -> bool:
        """Whether a batch must have ended before the next one is made (S10a)."""
        return self.ordered and self.batching is not None

    def _may_retry(self, now_us: int) -> bool:
        self._due.ripen(now_us)
        if not self._due.ready:
            return False
        if self.one_at_a_time:
            # In order: what lies before it may still wait for its own time.
            return not (self._waiting or self._due.incomplete)
        share = (
            not self._retried_last if self._concurrency == 1 else len(self._retrying) < self._concurrency // 2
        )
        return share or not (self._may_queue(now_us) or self._may_replay())

    def _may_queue(self, now_us: int) -> bool:
        if self.feed.next_up:
            return True
        if not self.feed.queue or self.backlogged or not self.feed.has_next():
            return False
        if self.one_at_a_time and self.pending:
            return False
        return self.batching is None or self._full(self.feed, self.batching, now_us)

    def _may_replay(self) -> bool:
        if len(self._replaying) >= max(1, self._concurrency // 2) or self.backlogged:
            return False
        if self.one_at_a_time and self.pending:
            return False
        return any(self._may_feed(replay) for replay in self.replays.values())

    def _may_feed(self, replay: ReplayFeed) -> bool:
        if not replay.feed.has_next():
            return False
        full = self.batching is None or len(replay.feed.queue) >= self.batching.events_max
        # It is fed again below half of its room: what is more than that is all that comes until it has moved.
        return full or replay.feed.room < replay.feed.queue_max // 2 or replay.feed.seen >= replay.until

    @staticmethod
    def _full(feed: Feed, batching: Batching, now_us: int) -> bool:
        """Whether what is queued fills a batch, or has waited long enough to go as it is."""
        if len(feed.queue) >= batching.events_max or now_us - feed.queue[0].since_us >= batching.age_us:
            return True
        size_bytes = 0
        for item in feed.queue:
            size_bytes += item.size_bytes
            if size_bytes >= batching.bytes_max:
                return True
        return False

    def _retry(self, started: Started) -> Started:
        self._retried_last = True
        self._retrying.add(started[0].position)
        return tuple(replace(item, next_at_us=None) for item in started)

    def _probe(self, now_us: int) -> Started | None:
        """While the breaker is open, one at a time, and the oldest that there is (S3g)."""
        if self._busy or not self.breaker.probe_due(now_us):
            return None
        if self._due.ready:
            return self._retry(self._due.oldest())
        if self._waiting or self._due.incomplete:
            return None  # the oldest one is on its way from the database
        if self.feed.has_next():
            return self._first(now_us)
        if any(replay.feed.has_next() for replay in self.replays.values()):
            return self._replay(now_us)
        return None

    def _first(self, now_us: int) -> Started:
        self._retried_last = self._replayed_last = False
        if self.batching is None or self.feed.next_up:
            return (self._new(self.feed.take(), now_us),)
        taken = _taken(self.feed, self.batching, self.pending_max - self.pending)
        return tuple(self._new(item, now_us) for item in taken)

    def _new(self, item: Queued, now_us: int) -> PendingDelivery:
        if item.key is None:
            return PendingDelivery(self.number, item.position, first_at_us=now_us)
        return PendingDelivery(
            self.number,
            item.position,
            first_at_us=now_us,
            partition_key=item.key,
            blocked_from=item.position,
        )

    def _replay(self, now_us: int) -> Started:
        self._replayed_last, self._retried_last = True, False
        replay = next(replay for replay in self.replays.values() if replay.feed.has_next())
        # The next one in turn is another replay.
        self.replays[replay.replay] = self.replays.pop(replay.replay)
        started = []
        for item in _taken(replay.feed, self.batching, self.pending_max - self.pending):
            if item.delivery is None:
                raise IllegalTransition(f"{item.position} is replayed from no state")
            replay.claimed.discard(item.position)
            replay.taken.discard(item.position)
            started.append(replace(item.delivery, first_at_us=now_us, next_at_us=None))
        replay.open += len(started)
        self._replaying.add(started[0].position)
        return tuple(started)

    def _launch(self, started: Started, now_us: int) -> None:
        self._busy += 1
        for delivery in started:
            self._in_flight[delivery.position] = delivery
        if len(started) > 1:
            group = [len(started)]
            self._groups.update((delivery.position, group) for delivery in started)
        if self.rate is not None:
            self.rate.take(now_us)

    def _leave(self, position: int) -> None:
        """One member of a start has ended; the last one of them makes room."""
        self._retrying.discard(position)
        self._replaying.discard(position)
        group = self._groups.pop(position, None) if self._groups else None
        if group is not None:
            group[0] -= 1
            if group[0]:
                return
        self._busy -= 1

    def _release(self, delivery: PendingDelivery) -> list[PendingDelivery]:
        if delivery.replay in self.replays:
            self.replays[delivery.replay].feed.release(delivery.position)
        following = self.feed.release(delivery.position)
        if following is None:
            return []
        position = following.position
        return [PendingDelivery(self.number, position, partition_key=following.key, blocked_from=position)]


def _taken(feed: Feed, batching: Batching | None, most: int) -> Iterator[Queued]:
    """One, or as many as a batch takes, and as may be pending."""
    first = feed.take()
    yield first
    if batching is None:
        return
    count, size_bytes = 1, first.size_bytes
    while count < min(batching.events_max, most) and feed.queue and feed.has_next():
        size_bytes += feed.queue[0].size_bytes
        if size_bytes > batching.bytes_max:
            return
        count += 1
        yield feed.take()
