"""The lane: the in-memory end of one delivery stream (SEMANTICS S2 to S5, S10a), pure.

A lane is offered the positions that match its subscription, in log order, by the router or by a catch-up
scan; it says what may be started, and is told how each start was settled. What it has only queued is nowhere
stored: its durable part is one number, ``cursor``, and the deliveries at or below it that are not terminal.

Everything that bounds a stream is asked in one place, ``start``: concurrency, rate, breaker, waits, order, and the
shares of retries and replays.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from gateway.domain.batching import Batching
from gateway.domain.breaker import Breaker, Change, StreamNote
from gateway.domain.due import Started
from gateway.domain.feed import Feed, Queued
from gateway.domain.rate import Rate
from gateway.domain.skips import Skip
from gateway.domain.stock import NO_END, Stock

QUEUE_MAX: Final = 1_000
PENDING_MAX: Final = 10_000


class Lane(Stock):
    """One subscription's stream: what it has at hand, and whether anything of it may go.

    A live lane is fed by the router and follows it; one that is not live is fed by a scan of the log from its own
    cursor.
    """

    __slots__ = (
        "breaker",
        "halted",
        "live",
        "rate",
        "skipped_to",
        "stopping_at",
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
        super().__init__(
            number,
            Feed(seen=seen, queue_max=queue_max),
            concurrency=concurrency,
            waiting=waiting,
            pending_max=pending_max,
            ordered=ordered,
            batching=batching,
        )
        self.live = live
        self.rate = rate
        self.breaker = Breaker() if breaker is None else breaker
        self.halted = False
        self.stopping_at: int | None = None
        """The revision that its sink has ended, until that is written."""
        self.skipped_to = 0
        self.waits_until_us = 0

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
    def room(self) -> int:
        """How many more positions can be offered."""
        return self.feed.room

    @property
    def has_room_to_scan(self) -> bool:
        """Whether it has room for so much that a look at the log is worth it."""
        return self.feed.room >= self.feed.queue_max // 2

    def wants_rows(self, now_us: int) -> bool:
        """Whether a scan of the log for the live stream would serve it now."""
        if self.halted or not self.has_room_to_scan:
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

    def skip(self, ranges: Sequence[Skip], position: int) -> bool:
        """Leave out what lies in these ranges, and go on behind ``position``: a resume from now (S3h).

        Says whether one of them is news.
        """
        for after, until in ranges:
            self.feed.leave_out(after, until)
        self.feed.skip_to(position)
        before, self.skipped_to = self.skipped_to, max([self.skipped_to, *(until for _, until in ranges)])
        return self.skipped_to > before

    def wait(self, until_us: int) -> None:
        """The sink asked for a pause (429, Retry-After): nothing starts before then (S3e)."""
        self.waits_until_us = max(self.waits_until_us, until_us)
        self.old_until_us = max(self.old_until_us, until_us)
        self.breaker.changed = True  # the next process is to wait as well

    def set_out(self, at_us: int) -> None:
        """It begins to move at this moment: what the log has by then is old for it, whatever it takes to catch up."""
        self.old_until_us = NO_END if self.breaker.open else max(at_us, self.waits_until_us)

    def trust(self, at_us: int) -> None:
        """Somebody resumed it and wants it tried: it sets out anew, whatever its sink did before."""
        self.breaker.reset()
        self.set_out(at_us)

    def note(self, now_us: int) -> StreamNote:
        """What another process, or another lane of this stream, is to know."""
        waits = self.waits_until_us if self.waits_until_us > now_us else None
        return replace(self.breaker.note(self.number), waits_until_us=waits)

    # Starting.

    def start(self, now_us: int) -> Started | None:
        """What may be started now, marked as in flight; None while there is nothing or no room."""
        places = self.concurrency if self.batching is None else self.places
        if self.halted or now_us < self.waits_until_us or self._flight.posts >= places:
            return None
        if self.rate is not None and not self.rate.allows(now_us):
            return None
        if self.breaker.opened_at_us is None:
            started = self.choose(now_us)
        else:
            # While it is open, one at a time (S3g).
            may_probe = not self._flight.posts and self.breaker.probe_due(now_us)
            started = self.choose_oldest(now_us) if may_probe else None
        if started is not None and self.rate is not None:
            self.rate.take(now_us)
        return started

    def wakes_at_us(self, now_us: int) -> int | None:
        """When ``start`` may say something else than now without anything being told; None: it will not."""
        if self.halted or self._flight.posts >= self.places:
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
        return self.ripens_at_us(now_us)

    def record(self, *, success: bool, at_us: int, jitter: float, routed: int) -> Change:
        """Note how an attempt that was sent ended; a breaker that opens makes the lane stop listening."""
        change = self.breaker.record(success=success, at_us=at_us, jitter=jitter)
        if change is Change.OPENED:
            self.demote(routed)
            self.old_until_us = NO_END  # what comes until it closes waits for the sink
        elif change is Change.CLOSED:
            self.set_out(at_us)
        return change

    def _probe_wakes_at_us(self, held_to: int, now_us: int) -> int | None:
        if self._flight.posts or self.breaker.probe_at_us is None:
            return None
        latest = max(held_to, self.breaker.probe_at_us)
        return latest if latest > now_us else self._due.wakes_at_us
