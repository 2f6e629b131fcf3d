"""The span in which a line of code runs, by whoever traces in this process; nothing is imported to find out.

A process that has not loaded the OpenTelemetry API is in no span.
"""

import sys
from types import ModuleType
from typing import Final

_API: Final = "opentelemetry.trace"
_SAMPLED: Final = 0x01


def current_trace() -> tuple[str | None, str | None]:
    """The `traceparent` and `tracestate` of the current span, its sampled flag kept; None, None where there is none.

    Never raises: whoever has put something else into the current context loses a trace, and no event.
    """
    api = sys.modules.get(_API)
    if api is None:
        return None, None
    try:
        return _current(api)
    except Exception:  # noqa: BLE001 - the API may be half imported by another thread, and a span may be anybody's
        return None, None


def _current(api: ModuleType) -> tuple[str | None, str | None]:
    span = api.get_current_span().get_span_context()
    if not span.is_valid:
        return None, None
    parent = f"00-{span.trace_id:032x}-{span.span_id:016x}-{span.trace_flags & _SAMPLED:02x}"
    return parent, span.trace_state.to_header() or None
