"""A span that has ended, as plain values, and what takes it: nothing here knows the SDK."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final, Protocol, TypeAlias

from otel.traceparent import TraceParent

LINKS_MAX: Final = 128
"""Links of one span, as in the SDK's own default: those of a batch with more members lead to its first ones."""

Value: TypeAlias = str | int | bool | float


class Kind(Enum):
    """The part that a span plays between two services."""

    INTERNAL = auto()
    CLIENT = auto()
    PRODUCER = auto()
    CONSUMER = auto()


@dataclass(slots=True)
class SpanLink:
    """Another span that this one has to do with, without being below it."""

    to: TraceParent
    attributes: Mapping[str, Value] = field(default_factory=dict)


@dataclass(slots=True)
class EndedSpan:
    """One span, told when it is over. A value, not frozen for the cost of it.

    Attributes:
        name: Of few different ones.
        kind: The part that it plays.
        trace: Where it stands: trace id and its own span id.
        parent: The span id above it, in the same trace; None: it is the root.
        started_us: Microseconds since the Unix epoch.
        ended_us: Likewise; never before ``started_us``.
        attributes: Bounded values without secrets (``otel.attributes``).
        links: At most ``LINKS_MAX`` count.
        error: What went wrong, in a word of a small set; None: nothing did.
        is_remote_parent: Whether another process told the span above.
        is_answer: Whether the error is an HTTP status, which an attribute says already.
        tracestate: What the trace's systems say of it, as the event has it and valid; empty: nothing.
    """

    name: str
    kind: Kind
    trace: TraceParent
    parent: str | None
    started_us: int
    ended_us: int
    attributes: Mapping[str, Value]
    links: Sequence[SpanLink] = ()
    error: str | None = None
    is_remote_parent: bool = True
    is_answer: bool = False
    tracestate: str = ""


class Tracing(Protocol):
    """Where spans go. Whoever has none (``None`` in its place) traces nothing and pays nothing."""

    def samples(self, trace: TraceParent, *, is_root: bool) -> bool:
        """Whether the spans of a trace are wanted that its producer wants: the sampler's word, the same for all of it.

        ``is_root``: the trace begins here, and no other process tells a span above.
        """
        ...

    def shown(self, text: str) -> str:
        """A text that somebody else chose as it may leave: without known secrets, and bounded."""
        ...

    def record(self, span: EndedSpan) -> None:
        """Take a span; never raises, never waits: what does not fit is dropped."""
        ...

    def close(self, timeout_s: float) -> None:
        """Send what is left, for at most so long. Blocks: not to be called in an event loop."""
        ...
