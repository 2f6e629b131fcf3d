"""From a call to its events: the one place where hooks meet mapping and emitter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import letta_emitter
from letta_emitter.hooks.memory import Recent
from letta_emitter.mapping import Call, outcomes
from otel.origin import emitted_span_id

# Whoever wants to see the calls themselves, as the recorder of the demo does.
observers: Final[list[Callable[[Call], None]]] = []

# Letta ends some runs and steps twice in the same way. Ids made from the natural key would let the gateway
# recognise that; knowing it here spares the second way there.
_emitted: Final[Recent[bool]] = Recent()


def deliver(call: Call) -> None:
    """Emit the events of a call, each natural key once per process."""
    for observer in observers:
        observer(call)
    for outcome in outcomes(call):
        event = outcome.event
        if event.event_id in _emitted:
            continue
        _emitted.put(event.event_id, value=True)
        trace = outcome.trace
        if call.context.traceparent is None:
            # Letta has no span here. The event begins with one of its own, in the trace of what it is about.
            trace = trace.with_span(emitted_span_id(event.event_id))
        letta_emitter.get_emitter().emit(
            event, trace=trace, tracestate=outcome.tracestate, causationid=outcome.causationid
        )
