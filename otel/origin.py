"""Where the trace of an event begins: the span that the event names, or one derived from the event.

CONFORMANCE rows 33 and 47. Everything that the gateway tells of an event stands directly below that one span, so that
the tree holds together whatever a crash took from it.
"""

import hashlib
from dataclasses import dataclass
from typing import Final

from otel.traceparent import SPAN_ID_BYTES, TraceParent, derive, trace_of, valid_tracestate
from schemas import Envelope

_VERSION_00_CHARS: Final = 55
_EMITTED: Final = b"letta-emitter span\0"
_PUBLISHED: Final = b"letta-emitter publish\0"
_INGESTED: Final = b"letta-gateway ingest\0"


@dataclass(slots=True)
class Origin:
    """The creation of an event as a point in a trace.

    Attributes:
        trace: The point.
        is_given: Whether the event names it; if not, it is derived from ``(source, id)``.
        is_root: Whether no process has told a span there: the gateway tells the first one.
    """

    trace: TraceParent
    is_given: bool
    is_root: bool


def given_trace(envelope: Envelope) -> TraceParent | None:
    """The point that the event names, if it names a valid one."""
    return None if envelope.trace is None else trace_of(envelope.trace)


def origin_trace(envelope: Envelope) -> TraceParent:
    """The trace of the event's creation; for an event without a valid one, a trace derived from ``(source, id)``."""
    given = given_trace(envelope)
    return derive(envelope.source, envelope.id) if given is None else given


def given_state(envelope: Envelope) -> str:
    """The `tracestate` of the event; empty where it has no valid one, or no trace that it would belong to."""
    state = envelope.attributes.get("tracestate")
    valid = isinstance(state, str) and valid_tracestate(state) and given_trace(envelope) is not None
    return str(state) if valid else ""


def is_unsampled(envelope: Envelope) -> bool:
    """Whether its producer has said that nobody wants spans of it: at a look, for that is what most events say."""
    text = envelope.attributes.get("traceparent")
    return isinstance(text, str) and len(text) == _VERSION_00_CHARS and text.endswith("-00")


def origin_of(envelope: Envelope) -> Origin:
    """The same, with what is known of the span there."""
    given = given_trace(envelope)
    if given is None:
        return Origin(derive(envelope.source, envelope.id), is_given=False, is_root=True)
    return Origin(given, is_given=True, is_root=given.span_id == emitted_span_id(envelope.id))


def emitted_span_id(event_id: str) -> str:
    """The span that an event names which was emitted where nothing traces.

    Derived from the id, so that it is the same after a second emission, and so that the gateway knows that the process
    which made it tells no span.
    """
    return _span_id(_EMITTED, event_id)


def batch_trace(batch: str) -> TraceParent:
    """The trace of the POSTs of a batch, by the batch's id: it is of many traces, and so has one of its own.

    Whoever has the id, which is the `webhook-id`, finds by it what is stored of those POSTs.
    """
    return derive("batch", batch)


def begins_with_ingest(origin: Origin, *, from_stream: bool) -> bool:
    """Whether the ingest span is the root of the trace: no process made one, and none of the emitter's can be told."""
    return origin.is_root and not (origin.is_given and from_stream)


def ingested_span_id(origin: Origin, envelope: Envelope, *, from_stream: bool) -> str:
    """The ingest span of an event: derived as well, so that it can be named without having been kept."""
    if begins_with_ingest(origin, from_stream=from_stream):
        return origin.trace.span_id
    return _span_id(_INGESTED, f"{origin.trace.trace_id} {envelope.source} {envelope.id}")


def published_span_id(origin: Origin) -> str:
    """The publish span of an event whose emitter's process tells none: derived, for it may be told twice."""
    return _span_id(_PUBLISHED, f"{origin.trace.trace_id} {origin.trace.span_id}")


def _span_id(salt: bytes, text: str) -> str:
    digest = hashlib.sha256(salt + text.encode("utf-8", "surrogatepass")).digest()[:SPAN_ID_BYTES]
    # All zero is not a span id; that a hash is, nobody will see.
    return (digest if any(digest) else b"\0" * (SPAN_ID_BYTES - 1) + b"\x01").hex()
