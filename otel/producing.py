"""The emitter's spans, by the API and in the tracer of whoever's process it is: emit and publish (CONFORMANCE 41).

Where that process has not loaded the SDK, nobody traces there, and nothing is imported for it.
"""

from __future__ import annotations

import logging
import re
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from otel import names
from otel.attributes import cut, event_attributes
from otel.spans import Value
from otel.traceparent import TraceParent, parse_traceparent

if TYPE_CHECKING:
    from schemas import Envelope

_LOGGER = logging.getLogger(__name__)
_SDK: Final = "opentelemetry.sdk.trace"
_REDIS: Final = "redis"
# Attributes come before the data in what the emitter renders, so the first one is the event's own.
_TRACEPARENT: Final = re.compile(rb'"traceparent":\s?"([^"\\]{55})"')
_MEMBER: Final = rb'"%s":\s?"([^"\\]{1,256})"'
_ATTRIBUTES: Final = (
    (re.compile(_MEMBER % b"id"), names.EVENT_ID),
    (re.compile(_MEMBER % b"source"), names.EVENT_SOURCE),
    (re.compile(_MEMBER % b"type"), names.EVENT_TYPE),
    (re.compile(_MEMBER % b"subject"), names.EVENT_SUBJECT),
)
_HEAD_BYTES: Final = 4_096


def is_traced() -> bool:
    """Whether this process may make spans at all."""
    return _SDK in sys.modules


def emit_span(envelope: Envelope, stream: str) -> Any | None:  # noqa: ANN401 - the API is imported only where needed
    """Begin the span of an `emit`, below the one that the event names; None where nobody wants it. Never raises."""
    try:
        trace = parse_traceparent(envelope.traceparent or "")
        tracer = None if trace is None or not trace.sampled else _tracer()
        if tracer is None or trace is None:
            return None
        attributes = {
            **event_attributes(envelope),
            **_messaging(stream, names.EMIT, "create", envelope.id),
            names.MESSAGING_BODY_SIZE: len(envelope.raw),
        }
        return _start(tracer, f"{names.EMIT} {cut(stream)}", trace, attributes)
    except Exception as error:  # noqa: BLE001 - an event is not lost for its span
        _LOGGER.debug("no span of an emit: %r", error)
        return None


def end_span(span: Any) -> None:  # noqa: ANN401 - see `emit_span`
    """End it. Never raises."""
    try:
        span.end()
    except Exception as error:  # noqa: BLE001 - see `emit_span`
        _LOGGER.debug("no span of an emit: %r", error)


def publish_spans(payloads: Iterable[bytes], stream: str, started_ns: int) -> None:
    """Tell of a batch that Redis has taken: a span for each event that is sampled, below the one that it names.

    Never raises.
    """
    try:
        tracer = _tracer()
        if tracer is not None:
            _published(tracer, list(payloads), stream, started_ns)
    except Exception as error:  # noqa: BLE001 - see `emit_span`
        _LOGGER.debug("no spans of a batch: %r", error)


def _published(
    tracer: Any,  # noqa: ANN401 - see `emit_span`
    payloads: Sequence[bytes],
    stream: str,
    started_ns: int,
) -> None:
    ended_ns = time.time_ns()
    for payload in payloads:
        head = payload[:_HEAD_BYTES]
        found = _TRACEPARENT.search(head)
        trace = None if found is None else parse_traceparent(found[1].decode("ascii", "replace"))
        if trace is None or not trace.sampled:
            continue
        attributes: dict[str, Value] = {names.EVENT_SPEC_VERSION: "1.0"}
        for pattern, name in _ATTRIBUTES:
            member = pattern.search(head)
            if member is not None:
                attributes[name] = cut(member[1].decode("utf-8", "replace"))
        attributes |= _messaging(stream, names.PUBLISH, "send", str(attributes.get(names.EVENT_ID, "")))
        attributes[names.MESSAGING_BATCH_COUNT] = len(payloads)
        attributes[names.MESSAGING_BODY_SIZE] = len(payload)
        span = _start(tracer, f"{names.PUBLISH} {cut(stream)}", trace, attributes, started_ns)
        span.end(ended_ns)


def _messaging(stream: str, operation: str, kind: str, event_id: str) -> dict[str, str | int]:
    return {
        names.MESSAGING_SYSTEM: _REDIS,
        names.MESSAGING_DESTINATION: cut(stream),
        names.MESSAGING_OPERATION: operation,
        names.MESSAGING_OPERATION_TYPE: kind,
        names.MESSAGING_MESSAGE_ID: cut(event_id),
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
