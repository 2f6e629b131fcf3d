"""The emitter's spans, by the API and in the tracer of whoever's process it is: emit and publish (CONFORMANCE 41).

Where that process has not loaded the SDK, nobody traces there, and nothing is imported for it.
"""

from __future__ import annotations

import logging
import re
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from otel import names
from otel.attributes import cut, event_attributes
from otel.origin import emitted_span_id, given_trace
from otel.spans import Value
from otel.traceparent import TraceParent
from schemas import Envelope, parse_structured

_LOGGER = logging.getLogger(__name__)
_SDK: Final = "opentelemetry.sdk.trace"
_REDIS: Final = "redis"
_TRACEPARENT: Final = b'"traceparent"'
_UNSAMPLED: Final = re.compile(rb'"traceparent":\s?"[^"\\]{53}00"')
_DATA: Final = b'"data'


def is_traced() -> bool:
    """Whether this process may make spans at all."""
    return _SDK in sys.modules


def emit_span(
    envelope: Envelope,
    stream: str,
    shown: Callable[[str], str] = cut,
) -> Any | None:  # noqa: ANN401 - the API is imported only where needed
    """Begin the span of an `emit`, below the one that the event names; None where nobody wants it. Never raises.

    ``shown`` bounds a text that somebody else chose, and masks what is secret in it.
    """
    try:
        trace = _told_here(envelope)
        tracer = None if trace is None else _tracer()
        if tracer is None or trace is None:
            return None
        attributes = produced_attributes(envelope, stream, names.EMIT, "create", shown)
        attributes[names.MESSAGING_BODY_SIZE] = len(envelope.raw)
        return _start(tracer, cut(f"{names.EMIT} {stream}"), trace, attributes)
    except Exception as error:  # noqa: BLE001 - an event is not lost for its span
        _LOGGER.debug("no span of an emit: %r", error)
        return None


def end_span(span: Any) -> None:  # noqa: ANN401 - see `emit_span`
    """End it. Never raises."""
    try:
        span.end()
    except Exception as error:  # noqa: BLE001 - see `emit_span`
        _LOGGER.debug("no span of an emit: %r", error)


def publish_spans(
    payloads: Iterable[bytes], stream: str, started_ns: int, shown: Callable[[str], str] = cut
) -> None:
    """Tell of a batch that Redis has taken: a span for each event that is sampled, below the one that it names.

    ``shown`` as in ``emit_span``. Never raises.
    """
    try:
        tracer = _tracer()
        if tracer is not None:
            _published(tracer, list(payloads), stream, started_ns, shown)
    except Exception as error:  # noqa: BLE001 - see `emit_span`
        _LOGGER.debug("no spans of a batch: %r", error)


def _published(
    tracer: Any,  # noqa: ANN401 - see `emit_span`
    payloads: Sequence[bytes],
    stream: str,
    started_ns: int,
    shown: Callable[[str], str],
) -> None:
    ended_ns = time.time_ns()
    for payload in payloads:
        if not _may_be_sampled(payload):
            continue
        # Read whole, and not looked through: what stands in the data may look like any attribute.
        envelope = parse_structured(payload)
        trace = _told_here(envelope)
        if trace is None:
            continue
        attributes = produced_attributes(envelope, stream, names.PUBLISH, "send", shown)
        attributes[names.MESSAGING_BATCH_COUNT] = len(payloads)
        attributes[names.MESSAGING_BODY_SIZE] = len(payload)
        span = _start(tracer, cut(f"{names.PUBLISH} {stream}"), trace, attributes, started_ns)
        span.end(ended_ns)


def _may_be_sampled(payload: bytes) -> bool:
    """Whether it has to be read: most events that are not sampled say so before their data begin."""
    if _TRACEPARENT not in payload:
        return False
    unsampled = _UNSAMPLED.search(payload)
    return unsampled is None or payload.find(_DATA, 0, unsampled.start()) >= 0


def _told_here(envelope: Envelope) -> TraceParent | None:
    """The span below which this process tells its part; None: nobody wants it, or the gateway tells it.

    Where an event names a span that is derived from its own id, no process made that one, and the gateway tells it
    with all that is the emitter's (``otel.origin.emitted_span_id``).
    """
    trace = given_trace(envelope)
    if trace is None or not trace.sampled:
        return None
    return None if trace.span_id == emitted_span_id(envelope.id) else trace


def produced_attributes(
    envelope: Envelope, stream: str, operation: str, kind: str, shown: Callable[[str], str]
) -> dict[str, Value]:
    """What a span of an emitter says of an event: ``kind`` is the operation's among those of messaging."""
    return {
        **event_attributes(envelope, shown),
        names.MESSAGING_SYSTEM: _REDIS,
        names.MESSAGING_DESTINATION: cut(stream),
        names.MESSAGING_OPERATION: operation,
        names.MESSAGING_OPERATION_TYPE: kind,
        names.MESSAGING_MESSAGE_ID: shown(envelope.id),
    }


def _tracer() -> Any | None:  # noqa: ANN401 - the API is imported only where somebody traces
    if not is_traced():
        return None
    from opentelemetry import trace as api  # noqa: PLC0415 - see above

    provider = api.get_tracer_provider()
    if isinstance(provider, api.ProxyTracerProvider | api.NoOpTracerProvider):
        return None
    return provider.get_tracer(names.EMITTER_SCOPE)


def _start(
    tracer: Any,  # noqa: ANN401 - see `_tracer`
    name: str,
    trace: TraceParent,
    attributes: Mapping[str, Value],
    started_ns: int | None = None,
) -> Any:  # noqa: ANN401 - likewise
    from opentelemetry import trace as api  # noqa: PLC0415 - likewise
    from opentelemetry.context import Context  # noqa: PLC0415 - likewise

    above = api.SpanContext(
        int(trace.trace_id, 16),
        int(trace.span_id, 16),
        is_remote=True,
        trace_flags=api.TraceFlags(api.TraceFlags.SAMPLED),
    )
    context = api.set_span_in_context(api.NonRecordingSpan(above), Context())
    return tracer.start_span(
        name, context=context, kind=api.SpanKind.PRODUCER, attributes=attributes, start_time=started_ns
    )
