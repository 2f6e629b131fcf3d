"""What delivering counts: attempts by how they ended, what was delivered, and how long after which moment."""

from typing import Final, Protocol

from gateway.deliver.envelopes import Event
from gateway.domain.breaker import Change
from gateway.domain.delivery import Decision
from gateway.domain.emitted import emitted_at_us
from gateway.domain.pending import PendingDelivery
from gateway.domain.retry import CRASH, REFUSED, NotSent, Outcome, Parked, Settlement
from gateway.domain.sending import SendErrorKind
from otel.metrics import Counter, Durations, Family, Numbers, histogram
from otel.traceparent import TraceParent

NONE: Final = "none"
UNKNOWN: Final = "unknown"
"""A status that HTTP does not have: whatever a sink makes up."""
_TAKEN: Final = (Decision.DELIVERED.value, "2xx")
_STATUS_CLASSES: Final = {hundreds: f"{hundreds}xx" for hundreds in "345"}
_STATUS_DIGITS: Final = 3
_ERRORS: Final = (
    *("3xx", "4xx", "5xx"),
    *(kind.value for kind in SendErrorKind if kind not in {SendErrorKind.REFUSED, SendErrorKind.DNS}),
    REFUSED,
)
_KNOWN: Final = (
    _TAKEN,
    *((decision.value, error) for decision in (Decision.FAILED, Decision.EXHAUSTED) for error in _ERRORS),
    (Decision.EXHAUSTED.value, UNKNOWN),
    (Decision.EXHAUSTED.value, CRASH),
    (Decision.REFUSED.value, REFUSED),
    *((decision.value, NONE) for decision in (Decision.EXPIRED, Decision.ERASED, Decision.CANCELLED)),
)
_NAMES: Final = frozenset({*_ERRORS, CRASH})
_FIRST: Final = ("first",)
_RETRY: Final = ("retry",)
_REPLAY: Final = ("replay",)


class Try(Protocol):
    """How an attempt ended, as far as it is counted: ``gateway.deliver.posting.Ended``."""

    @property
    def outcome(self) -> Outcome:
        """What came of it."""
        ...

    @property
    def trace(self) -> TraceParent:
        """Its span."""
        ...

    @property
    def started_at_us(self) -> int:
        """When it began."""
        ...

    @property
    def ended_at_us(self) -> int:
        """When it ended."""
        ...


class _Way:
    """Durations of events that came in while their stream moved, or of those that lay there when it began to."""

    __slots__ = ("delivered", "emitted", "first")

    def __init__(self, feed: str) -> None:
        labels = (("feed", feed),)
        self.first = Durations(labels)
        self.delivered = Durations(labels)
        self.emitted = Durations(labels)


class DeliveryMeters:
    """The instruments of one process."""

    def __init__(self) -> None:
        self._attempts = Counter(
            "letta_gateway_attempts",
            "Attempts, by what they settled and by class of answer or error.",
            ("outcome", "class"),
            known=_KNOWN,
        )
        self._delivered = Counter(
            "letta_gateway_deliveries_delivered",
            "Deliveries that a sink took: at the first attempt, at a later one, or in a replay.",
            ("by",),
            known=(_FIRST, _RETRY, _REPLAY),
        )
        self._breakers = Counter(
            "letta_gateway_breaker_changes",
            "Breakers that opened or closed.",
            ("to",),
            known=(("open",), ("closed",)),
        )
        self._live, self._behind = _Way("live"), _Way("catch_up")
        self._at_first = 0
        """Of the figure below that nearly all of them are: apart, since an attribute is quicker than a key."""
        self._batches = Numbers()
        self._commits = Durations()

    def attempt(
        self,
        event: Event | None,
        delivery: PendingDelivery,
        ended: Try,
        settlement: Settlement,
    ) -> None:
        """One attempt has ended.

        This is on the path of each delivery, and held below a microsecond (``tests/bench/meters.py``).
        """
        delivered = settlement.decision is Decision.DELIVERED
        if delivered:
            if delivery.attempts or delivery.replay is not None:
                self._delivered.add("retry" if delivery.replay is None else "replay")
            else:
                self._at_first += 1
        else:
            self._attempts.add(settlement.decision.value, outcome_class(settlement.error_class))
            if isinstance(ended.outcome, NotSent | Parked):
                return
        if delivery.round or event is None:
            return  # a replay or a retry by hand says nothing of how late its event was
        trace, at_us = ended.trace, ended.ended_at_us
        # Where spans are made, of an event that some are made of; else its trace may be another's, who has sampled it.
        sampled = trace.sampled if event.sampled is None else event.sampled
        trace_id = trace.trace_id if sampled else None
        # By whether the event was old when its stream set out, not by how the stream is fed: a slow one is no excuse.
        way = self._behind if delivery.caught_up else self._live
        appended_us = event.entry.appended_at_us
        if not delivery.attempts:
            way.first.observe(ended.started_at_us - appended_us, trace_id, at_us, trace.span_id)
        if delivered:
            way.delivered.observe(at_us - appended_us, trace_id, at_us, trace.span_id)
            emitted_us = event.emitted_at_us
            if emitted_us is None:
                emitted_us = 0 if event.envelope is None else emitted_at_us(event.envelope.time) or 0
                event.emitted_at_us = emitted_us
            if emitted_us:
                way.emitted.observe(at_us - emitted_us, trace_id, at_us, trace.span_id)

    def breaker(self, change: Change) -> None:
        """An outcome did this to a breaker."""
        if change is not Change.NONE:
            self._breakers.add("open" if change is Change.OPENED else "closed")

    def committed(self, attempts: int, duration_us: int) -> None:
        """The journal has written so many attempts in this time."""
        self._batches.observe(attempts)
        self._commits.observe(duration_us)

    def families(self) -> list[Family]:
        """What they have come to."""
        ways = (self._live, self._behind)
        self._delivered.values[_FIRST] = self._at_first
        self._attempts.values[_TAKEN] = sum(self._delivered.values.values())
        return [
            self._attempts.family(),
            self._delivered.family(),
            self._breakers.family(),
            histogram(
                "letta_gateway_append_to_first_attempt_seconds",
                "From an event's append to the start of its first attempt. No replays, no retries by hand.",
                *(way.first for way in ways),
            ),
            histogram(
                "letta_gateway_append_to_delivered_seconds",
                "From an event's append to the end of the attempt that delivered it. No replays, no retries by hand.",
                *(way.delivered for way in ways),
            ),
            histogram(
                "letta_gateway_emit_to_delivered_seconds",
                "From an event's own time to the end of the attempt that delivered it. No replays, no retries by hand.",
                *(way.emitted for way in ways),
            ),
            histogram(
                "letta_gateway_journal_batch_attempts", "Attempts in one journal transaction.", self._batches
            ),
            histogram(
                "letta_gateway_journal_commit_seconds", "How long a journal transaction took.", self._commits
            ),
        ]


def outcome_class(error_class: str | None) -> str:
    """The class of what went wrong, of a closed set: a sink chooses its status, and must not make up a label."""
    if error_class is None:
        return NONE
    if error_class in _NAMES:
        return error_class
    is_status = len(error_class) == _STATUS_DIGITS and error_class.isascii() and error_class.isdigit()
    return _STATUS_CLASSES.get(error_class[0], UNKNOWN) if is_status else UNKNOWN
