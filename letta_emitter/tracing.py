"""Where an event came to be: the trace that its caller names, else the span it is emitted in, else a begun one."""

from __future__ import annotations

import re
from typing import Final

import schemas
from otel.current import current_trace
from otel.origin import emitted_span_id
from otel.traceparent import TraceParent, derive

_TRACE_ID: Final = re.compile(r"(?!0{32})[0-9a-f]{32}")


def made_trace(*natural_key: str, recorded: object = None) -> TraceParent:
    """A trace where nothing traces: of the id that Letta recorded, else one that whoever has the key can make."""
    made = derive(*natural_key)
    if isinstance(recorded, str) and _TRACE_ID.fullmatch(recorded):
        return TraceParent(recorded, made.span_id, sampled=True)
    return made


def begun_trace(event: schemas.Event) -> TraceParent:
    """The trace that begins with an event: the same for all events of a step, as the hooks have it.

    Its span is derived from the event's id, so that the gateway knows that it is to tell emit and publish.
    """
    if isinstance(event, schemas.RunCompleted | schemas.JobCompleted):
        key = event.subject
    else:
        step = getattr(event.data, "step_id", None)
        key = step if step and isinstance(step, str) else event.event_id
    recorded = getattr(event.data, "trace_id", None)
    return made_trace(key, recorded=recorded).with_span(emitted_span_id(event.event_id))


def written(
    event: schemas.LettaEvent | schemas.Envelope,
    *,
    source_base: str,
    trace: TraceParent | None = None,
    tracestate: str | None = None,
    causationid: str | None = None,
) -> schemas.Envelope:
    """Write an event in its trace.

    An envelope that says where it came to be is left as it is, and so is one that is emitted outside of any span: the
    gateway begins its trace.

    Args:
        event: A Letta event, or an envelope.
        source_base: What the source of a Letta event begins with.
        trace: Where it came to be; without it, the current span, else a trace that begins with the event.
        tracestate: The vendor part of ``trace``; ignored without one.
        causationid: The id of the event that a Letta event follows from.

    Raises:
        EnvelopeError: It cannot be written as a CloudEvent.
    """
    if isinstance(event, schemas.Envelope) and "traceparent" in event.attributes:
        return event
    traceparent, state = current_trace() if trace is None else (trace.render(), tracestate)
    if isinstance(event, schemas.Envelope):
        return event if traceparent is None else schemas.with_trace(event, traceparent, state)
    return schemas.to_envelope(
        event,
        source_base=source_base,
        traceparent=traceparent or begun_trace(event).render(),
        tracestate=state,
        causationid=causationid,
    )
