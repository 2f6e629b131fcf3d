"""A delivery that was dispatched and is not terminal (S2a): what one process hands to the next."""

from dataclasses import dataclass, field, replace


@dataclass(slots=True)
class PendingDelivery:
    """A delivery that was dispatched and is not terminal: a value, changed by ``replace`` and in ``span_id`` alone.

    (Not frozen: that would make each one cost three times as much, and there is one for every delivery.)

    Attributes:
        number: The subscription.
        position: The event.
        round: 0 for the first schedule; each replay and retry by hand adds one (S5b).
        attempts: Attempts journaled so far, over all rounds.
        failures: Attempts of this round that count against the retry schedule (S3e).
        first_at_us: When the first attempt of this round began.
        next_at_us: When the next one is due; None: in flight.
        crashes: How many processes ended while it was in flight (S3c).
        partition_key: The key that it blocks while it is pending, in an ordered stream (S4b).
        blocked_from: The position behind which that key's successors are to be looked up.
        last_span_id: The span of the attempt before, which the next one links to.
        last_trace_id: The trace of that span, where it was a batch's; None: it is in the event's own.
        replay: The replay that it belongs to, until it is terminal (S5).
        batch: The batch that it is sent in, frozen since before its first POST (S10a).
        batch_size: How many deliveries that batch has.
        asked: A command put it here, and no lane counts it yet (S3h).
        caught_up: It lay in the log when its stream began to move: it is late for being old, not for being slow.
        request: The position of the last fact that asked for it by hand, as far as the owner knows of it; 0: none.
        span_id: The span of the attempt under way, in the event's own trace, from the moment when its POST begins: what
            is journaled of a delivery in flight, for whoever repeats it after a crash. No part of what it is.
        stored: Whether there may be a row of it; what was never put off has none, but for a checkpoint of what is in
            flight. No part of what it is.
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
    last_trace_id: str | None = None
    replay: int | None = None
    batch: str | None = None
    batch_size: int | None = None
    asked: bool = False
    caught_up: bool = False
    request: int = 0
    span_id: str | None = field(default=None, compare=False)
    stored: bool = field(default=True, compare=False)

    def blocking(self, key: str, blocked_from: int | None) -> "PendingDelivery":
        """The same, ordered by this key; with ``blocked_from``, as its head."""
        return replace(self, partition_key=key, blocked_from=blocked_from)

    @property
    def to_link(self) -> tuple[str | None, str | None]:
        """The span that an attempt behind this one links to, and its trace where that is not the event's own."""
        if self.next_at_us is None and self.span_id is not None:
            return self.span_id, None
        return self.last_span_id, self.last_trace_id

    @property
    def key(self) -> tuple[int, int]:
        """Subscription and position: there is one pending delivery of both at most."""
        return self.number, self.position
