"""The lane: the in-memory end of one delivery stream (SEMANTICS S2 to S5, S10a), pure.

A lane is offered the positions that match its subscription, in log order, by the router or by a catch-up
scan; it says what may be started, and is told how each start was settled. What it has only queued is nowhere
stored: its durable part is one number, ``cursor``, and the deliveries at or below it that are not terminal.

Everything that bounds a stream is asked in one place, ``start``: concurrency, rate, breaker, waits, order, and the
shares of retries and replays.
"""

from dataclasses import replace
from typing import Final

from gateway.domain.batching import Batching
from gateway.domain.breaker import Breaker, Change
from gateway.domain.due import Due, Started
from gateway.domain.feed import Feed, IllegalTransition, Queued
from gateway.domain.flight import Flight, Kind
from gateway.domain.pending import PendingDelivery
from gateway.domain.rate import Rate
from gateway.domain.replay import ReplayFeed, ReplayFeeds

QUEUE_MAX: Final = 1_000
PENDING_MAX: Final = 10_000


class Lane:
    """One subscription's stream: what is queued, in flight, and due again.

    A live lane is fed by the router and follows it; one that is not live is fed by a scan of the log from its own
    cursor.
    """

    __slots__ = (
        "_due",
        "_flight",
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
        self.replays = ReplayFeeds()
        self._due = Due()
        self._flight = Flight()
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
        here = len(self._flight.deliveries) + len(self._due.deliveries) + len(self.feed.next_up)
        return here + self._waiting + self.replays.taken

    @property
    def in_flight(self) -> tuple[PendingDelivery, ...]:
        """What has been started and not settled."""
        return tuple(self._flight.deliveries.values())

    @property
    def backlogged(self) -> bool:
        """Whether so much is pending that the cursor halts (S2e); retries go on."""
        return self.pending >= self.pending_max

    @property
    def idle(self) -> bool:
        """Whether nothing is here that another lane object would have to know (S2g)."""
        return not (
            self.feed.queue
            or self._due.deliveries
            or self._flight.deliveries
            or self.replays.feeds
            or self.feed.blocked_keys
            or not self.breaker.quiet
        )

    @property
    def has_room(self) -> bool:
        """Whether another start fits beside those in flight."""
        return self._flight.posts < self._places

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
        return (
            not self.halted
            and not self._flight.posts
            and self._waiting > 0
            and self.breaker.probe_due(now_us)
        )

    def holds(self, position: int) -> bool:
        """Whether this delivery is in memory here, so that no second copy of it may be taken in."""
        return (
            position in self._flight
            or position in self._due
            or self.replays.claims(position)
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
        self.replays.add(replay)

    def offer_replay(
        self, replay: ReplayFeed, item: Queued, *, pending: PendingDelivery | None = None
    ) -> bool:
        """Queue a delivery of a replay's range; False, and nothing changed, where there is no room.

        ``pending``: what is pending of it by now, which is taken over (S5b).
        """
        position = item.position
        if self.is_under_way(position):
            raise IllegalTransition(f"{position} of subscription {self.number} is under way")
        if not self.replays.claim(replay, item, pending):
            return False
        if position in self._due:
            self._due.forget(position)
        elif pending is not None and not pending.asked:
            self._waiting = max(0, self._waiting - 1)
        return True

    def end_replay(self, replay: int) -> None:
        """Feed it no more; what it has started goes on."""
        self._waiting += self.replays.end(replay)

    # Starting.

    def start(self, now_us: int) -> Started | None:
        """What may be started now, marked as in flight; None while there is nothing or no room.

        Due retries go first, but never take more than half of the lane (S2g), so that a stream with many
        failures still moves; a lane of one takes turns. Replays take at most half as well (S5a). While too much is
        pending, only retries go on (S2e).
        """
        if self.halted or now_us < self.waits_until_us or self._flight.posts >= self._places:
            return None
        if self.rate is not None and not self.rate.allows(now_us):
            return None
        if self.breaker.opened_at_us is None:
            started = self._choose(now_us)
        else:
            # While it is open, one at a time (S3g).
            may_probe = not self._flight.posts and self.breaker.probe_due(now_us)
            started = self._oldest(now_us) if may_probe else None
        if started is not None and self.rate is not None:
            self.rate.take(now_us)
        return started

    def wakes_at_us(self, now_us: int) -> int | None:
        """When ``start`` may say something else than now without anything being told; None: it will not."""
        if self.halted or self._flight.posts >= self._places:
            return None
        held_to = self.waits_until_us
        if self.rate is not None:
            held_to = max(held_to, self.rate.next_us())
        if self.breaker.open:
            return self._probe_wakes_at_us(held_to, now_us)
        if not (self._due.deliveries or self.feed.queue or self.feed.next_up or self.replays.feeds):
            return None
        if held_to > now_us:
            return held_to
        moments = [] if self._due.wakes_at_us is None else [self._due.wakes_at_us]
        if self.batching is not None and self.feed.queue:
            moments.append(self.batching.ripe_at_us(self.feed.queue))
        return min((moment for moment in moments if moment > now_us), default=None)

    def settle(self, position: int, *, again: bool) -> list[PendingDelivery]:
        """A start has ended: terminal, or to be tried ``again`` later.

        Returns the successor that its end releases (S4b), if there is one: it is dispatched by that, and to be
        journaled as pending in the same transaction.
        """
        delivery = self._flight.deliveries.get(position)
        if delivery is None:
            raise IllegalTransition(f"{position} of subscription {self.number} is not in flight")
        released = [] if again else self._release(delivery)
        self._flight.land(position)
        if again:
            self._waiting += 1
        return released

    def wants_successors(self, position: int) -> str | None:
        """The key whose successors must be looked up in the log before this delivery may end (S4b)."""
        return self.feed.wants_successors(position)

    def assign(self, members: Started, batch: str) -> Started:
        """The batch that these in-flight deliveries are sent in, from now until they are terminal (S10a)."""
        return self._flight.assign(members, batch)

    def record(self, *, success: bool, at_us: int, jitter: float, routed: int) -> Change:
        """Note how an attempt that was sent ended; a breaker that opens makes the lane stop listening."""
        change = self.breaker.record(success=success, at_us=at_us, jitter=jitter)
        if change is Change.OPENED:
            self.demote(routed)
        return change

    # How it chooses.

    @property
    def one_at_a_time(self) -> bool:
        """Whether a batch must have ended before the next one is made (S10a)."""
        return self.ordered and self.batching is not None

    @property
    def _places(self) -> int:
        return 1 if self.batching is not None and self.ordered else self.concurrency

    def _choose(self, now_us: int) -> Started | None:
        if not (self._due.deliveries or self.replays.feeds):  # as nearly always: nothing to be weighed
            return self._first(now_us) if self._may_queue(now_us) else None
        if self._may_retry(now_us):
            return self._retry(self._due.oldest() if self.one_at_a_time else self._due.first())
        replay = self._next_replay()
        if replay is not None and not (self._flight.replayed_last and self._may_queue(now_us)):
            return self._replay(replay, now_us)
        return self._first(now_us) if self._may_queue(now_us) else None

    def _may_retry(self, now_us: int) -> bool:
        self._due.ripen(now_us)
        if not self._due.ready:
            return False
        if self.one_at_a_time:
            # In order: what lies before it may still wait for its own time.
            return not (self._waiting or self._due.incomplete)
        return self._flight.retries_have_share(self.concurrency) or not (
            self._may_queue(now_us) or self._next_replay() is not None
        )

    def _may_queue(self, now_us: int) -> bool:
        if self.feed.next_up:
            return True
        if not self.feed.queue or self.backlogged or not self.feed.has_next():
            return False
        if self.one_at_a_time and self.pending:
            return False
        return self.batching is None or self.batching.is_full(self.feed.queue, now_us)

    def _next_replay(self) -> ReplayFeed | None:
        if not self._flight.replays_have_share(self._places):
            return None
        # What only waits for a replay to start it again must not keep that replay from starting.
        if (self.one_at_a_time or self.backlogged) and self.pending > self.replays.taken:
            return None
        return next((replay for replay in self.replays if self._may_feed(replay)), None)

    def _may_feed(self, replay: ReplayFeed) -> bool:
        if not replay.feed.has_next():
            return False
        full = self.batching is None or len(replay.feed.queue) >= self.batching.events_max
        # It is fed again below half of its room: what is more than that is all that comes until it has moved.
        return full or replay.feed.room < replay.feed.queue_max // 2 or replay.feed.seen >= replay.until

    def _oldest(self, now_us: int) -> Started | None:
        """A probe: the oldest pending one, and where nothing is pending, what comes next (S3g)."""
        self._due.ripen(now_us)
        if self._due.ready:
            return self._retry(self._due.oldest())
        if self.feed.next_up:
            return self._first(now_us)
        # What is taken over is pending, and is not brought from the database beside that.
        replays = [replay for replay in self.replays if replay.feed.has_next()]
        replay = next((replay for replay in replays if replay.taken), None)
        if replay is not None:
            return self._replay(replay, now_us)
        if self._waiting or self._due.deliveries:
            return None  # the oldest one is on its way from the database
        if self.feed.has_next():
            return self._first(now_us)
        return self._replay(replays[0], now_us) if replays else None

    def _probe_wakes_at_us(self, held_to: int, now_us: int) -> int | None:
        if self._flight.posts or self.breaker.probe_at_us is None:
            return None
        latest = max(held_to, self.breaker.probe_at_us)
        return latest if latest > now_us else self._due.wakes_at_us

    def _retry(self, due: Started) -> Started:
        started = tuple([replace(item, next_at_us=None) for item in due])
        self._flight.launch(Kind.RETRY, started)
        return started

    def _first(self, now_us: int) -> Started:
        if self.batching is None or self.feed.next_up:
            started: Started = (self._new(self.feed.take(), now_us),)
        else:
            items = self.batching.take(self.feed, self.pending_max - self.pending)
            started = tuple([self._new(item, now_us) for item in items])
        self._flight.launch(Kind.FIRST, started)
        return started

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

    def _replay(self, replay: ReplayFeed, now_us: int) -> Started:
        self.replays.had_its_turn(replay)
        if self.batching is None:
            items = [replay.feed.take()]
        else:
            items = self.batching.take(replay.feed, self.pending_max - self.pending)
        for item in items:
            self.replays.started(replay, item.position)
        started = tuple(
            [
                replace(item.delivery, first_at_us=now_us, next_at_us=None)
                for item in items
                if item.delivery is not None
            ]
        )
        self._flight.launch(Kind.REPLAY, started)
        return started

    def _release(self, delivery: PendingDelivery) -> list[PendingDelivery]:
        following = self.feed.release(delivery.position)
        if self.replays.feeds:
            self.replays.ended(delivery.position, delivery.replay)
        if following is None:
            return []
        position = following.position
        return [PendingDelivery(self.number, position, partition_key=following.key, blocked_from=position)]
