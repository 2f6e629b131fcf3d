"""Where and when a call was seen: time, organization, and the trace it belongs to."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Final

from letta_emitter.hooks.memory import Recent
from letta_emitter.mapping.calls import Context
from otel.current import current_trace

# A step that waits for an approval is continued in another request, and so in another span: what belongs to
# one step stays in the trace in which the step was first seen.
_traces: Final[Recent[tuple[str | None, str | None]]] = Recent()


def here(organization_id: str, *, step_id: str | None = None) -> Context:
    """Describe this moment; with a step, in the trace of that step."""
    found = current_trace()
    traceparent, tracestate = found if step_id is None else _traces.first(step_id, found)
    return Context(datetime.now(UTC), organization_id, traceparent, tracestate)


def current_run_id() -> str | None:
    """Return the run under way, as Letta's own log context knows it."""
    log_context = sys.modules.get("letta.log_context")
    if log_context is None:
        return None
    run_id = log_context.get_log_context("run_id")
    return run_id if isinstance(run_id, str) else None
