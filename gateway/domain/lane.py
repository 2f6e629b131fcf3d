"""The lane: the in-memory end of one delivery stream (SEMANTICS S2), pure.

A lane is offered the positions that match its subscription, in log order, by the router or by a catch-up
scan; it says what may be started, and is told how each start was settled. What it has only queued is nowhere
stored: its durable part is one number, ``cursor``, and the deliveries at or below it that are not terminal.
"""

from collections import deque
from dataclasses import dataclass, replace
from typing import Final

QUEUE_MAX: Final = 1_000
PENDING_MAX: Final = 10_000


@dataclass(frozen=True, slots=True)
class PendingDelivery:
    """A delivery that was dispatched and is not terminal (S2a).

    Attributes:
        number: The subscription.
        position: The event.
        round: 0 for the first schedule; each replay adds one (S5b).
        attempts: Attempts journaled so far, over all rounds.
        failures: Attempts of this round that count against the retry schedule (S3e).
        first_at_us: When the first attempt of this round began.
        next_at_us: When the next one is due; None: in flight.
        crashes: How many processes ended while it was in flight (S3c).
        last_span_id: The span of the attempt before, which the next one links to.
    """

    number: int
    position: int
    round: int = 0
    attempts: int = 0
    failures: int = 0
    first_at_us: int = 0
    next_at_us: int | None = None
    crashes: int = 0
    partition_key: str | None = None
    blocked_from: int | None = None
    last_span_id: str | None = None


class IllegalTransition(Exception):
    """A lane was told something that cannot be; its state is as before."""


class Lane:
    """One subscription's stream: what is queued, in flight, and due again.

    ``seen`` is the highest position that was offered or passed over. A live lane is fed by the router and
    follows it; one that is not live is fed by a scan of the log from its own cursor.
    """

    __slots__ = (
        "_in_flight",
        "_queue",
        "_ready",
        "_retried_last",
        "_retrying",
        "_waiting",
        "concurrency",
        "halted",
        "live",
        "number",
        "pending_max",
        "queue_max",
        "seen",
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
    ) -> None:
        self.number = number
        self.seen = seen
        self.live = live
        self.concurrency = concurrency
        self.queue_max = queue_max
        self.pending_max = pending_max
        self.halted = False
        self.waits_until_us = 0
        self._queue: deque[int] = deque()
        self._ready: dict[int, PendingDelivery] = {}
        self._in_flight: dict[int, PendingDelivery] = {}
        self._retrying: set[int] = set()
        self._retried_last = False
        self._waiting = waiting

    @property
    def cursor(self) -> int:
        """Everything that matches at or below it has been dispatched (S2a)."""
        return self._queue[0] - 1 if self._queue else self.seen

    @property
    def first_queued(self) -> int | None:
        """The oldest position that was offered and not started: what holds the router's restart back (S2b)."""
        return self._queue[0] if self._queue else None

    @property
    def queued(self) -> int:
        """How many positions wait to be started for the first time."""
        return len(self._queue)

    @property
    def pending(self) -> int:
        """How many deliveries are dispatched and not terminal."""
        return len(self._in_flight) + len(self._ready) + self._waiting

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
        """Whether nothing is queued, ready or in flight: such a live lane needs no object (S2g)."""
        return not (self._queue or self._ready or self._in_flight)

    @property
    def room(self) -> int:
        """How many more positions can be offered."""
        return self.queue_max - len(self._queue)

    def holds(self, position: int) -> bool:
        """Whether this pending delivery is in memory here, so that no second copy of it may be taken in."""
        return position in self._in_flight or position in self._ready

    def offer(self, position: int) -> bool:
        """Queue a matching position; False, and nothing changed, where the queue is full."""
        self._advance(position)
        if len(self._queue) >= self.queue_max:
            return False
        self.seen = position
        self._queue.append(position)
        return True

    def pass_over(self, position: int) -> None:
        """Note that nothing else up to this position matches."""
        self.seen = max(self.seen, position)

    def demote(self, routed: int) -> None:
        """Stop listening to the router: forget what is queued, and go on from the cursor by scanning (S2b).

        A live lane has been offered everything that matches up to ``routed``; where none of that is queued, the
        scan need not begin any earlier.
        """
        if self._queue:
            self.seen = self._queue[0] - 1
        elif self.live:
            self.seen = max(self.seen, routed)
        self._queue.clear()
        self.live = False

    def halt(self, routed: int) -> None:
        """Start nothing more (paused, disabled). It stops listening as well, or it would miss what comes."""
        self.demote(routed)
        self.halted = True

    def join(self, routed: int) -> bool:
        """Become live, if everything up to the router's position is dispatched (S2f)."""
        if not self.live and not self.halted and self.cursor == routed:
            self.live = True
        return self.live

    def skip_to(self, position: int) -> None:
        """Leave out what lies before: a resume from now (S3h). What came behind it stays."""
        while self._queue and self._queue[0] <= position:
            self._queue.popleft()
        self.seen = max(self.seen, position)

    def wait(self, until_us: int) -> None:
        """The sink asked for a pause (429, Retry-After): nothing starts before then (S3e)."""
        self.waits_until_us = max(self.waits_until_us, until_us)

    def due(self, delivery: PendingDelivery, *, counted: bool = True) -> None:
        """A waiting delivery may be started again. ``counted``: it is among those that wait already."""
        if self.holds(delivery.position):
            raise IllegalTransition(f"{delivery.position} of subscription {self.number} is already here")
        self._ready[delivery.position] = delivery
        if counted:
            self._waiting -= 1

    def start(self, now_us: int) -> PendingDelivery | None:
        """What may be started now, marked as in flight; None while there is nothing or no room.

        Due retries go first, but never take more than half of the lane (S2g), so that a stream with many
        failures still moves; a lane of one takes turns. While too much is pending, only retries go on (S2e).
        """
        if self.halted or now_us < self.waits_until_us or len(self._in_flight) >= self.concurrency:
            return None
        if self._ready and (not self._may_queue() or self._may_retry()):
            position = next(iter(self._ready))
            delivery = replace(self._ready.pop(position), next_at_us=None)
            self._retrying.add(position)
            self._retried_last = True
        elif self._may_queue():
            position = self._queue.popleft()
            delivery = PendingDelivery(self.number, position, first_at_us=now_us)
            self._retried_last = False
        else:
            return None
        self._in_flight[position] = delivery
        return delivery

    def settle(self, position: int, *, again: bool) -> PendingDelivery:
        """A start has ended: terminal, or to be tried ``again`` later. Returns what was in flight."""
        delivery = self._in_flight.pop(position, None)
        if delivery is None:
            raise IllegalTransition(f"{position} of subscription {self.number} is not in flight")
        self._retrying.discard(position)
        if again:
            self._waiting += 1
        return delivery

    def _may_retry(self) -> bool:
        if self.concurrency == 1:
            return not self._retried_last
        return len(self._retrying) < self.concurrency // 2

    def _may_queue(self) -> bool:
        return bool(self._queue) and not self.backlogged

    def _advance(self, position: int) -> None:
        if position <= self.seen:
            raise IllegalTransition(f"{position} is not behind {self.seen} in subscription {self.number}")
