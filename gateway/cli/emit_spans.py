"""`emit` as a producer that traces: where a trace is given to it, nobody else tells the emit and publish spans in it.

Where none is given the event begins one, and the gateway tells its beginning, as of any emitter that makes no spans.
"""

import logging
import os
import sys
import time
from collections.abc import Mapping
from importlib.metadata import version

from gateway.adapters.logs import handler_for
from gateway.cli.output import say
from letta_emitter import EmitterSettings
from letta_emitter.shown import known_secrets
from otel import names
from otel.exporters import TelemetryUnusable
from otel.origin import emitted_span_id, given_state, given_trace
from otel.producing import produced_attributes
from otel.redaction import Redaction
from otel.setup import tracing_from
from otel.spans import EndedSpan, Kind, Tracing
from otel.traceparent import SPAN_ID_BYTES, span_id_from
from schemas import Envelope

_CLOSE_S = 2.0


class EmitSpans:
    """Tells emit and publish below the span that an event names, where the environment says to whom.

    Made where the one begins: the spool has the event next.
    """

    def __init__(self, tracing: Tracing, stream: str) -> None:
        self._tracing = tracing
        self._stream = stream
        self._began_us = _now_us()

    @classmethod
    def for_event(
        cls, envelope: Envelope, settings: EmitterSettings, environ: Mapping[str, str]
    ) -> "EmitSpans | None":
        """None: nobody wants spans of this event from here. What is wrong with the environment is said, and no more."""
        trace = given_trace(envelope)
        if trace is None or not trace.sampled or trace.span_id == emitted_span_id(envelope.id):
            return None
        redaction = Redaction(known_secrets(settings, environ))
        _sentences(redaction)
        try:
            tracing = tracing_from(environ, version=version("letta-gateway"), masked=redaction.text)
        except TelemetryUnusable as error:
            say(f"No spans are told: {error}")
            return None
        if tracing is None or not tracing.samples(trace, is_root=False):
            return None
        return cls(tracing, settings.stream)

    def tell(self, envelope: Envelope, *, spooled_us: int) -> None:
        """Send both, now that Redis has the event; waits up to two seconds for whoever takes them."""
        published_us = _now_us()
        self._record(envelope, names.EMIT, "create", (self._began_us, spooled_us))
        self._record(envelope, names.PUBLISH, "send", (spooled_us, published_us))
        self._tracing.close(_CLOSE_S)

    def _record(self, envelope: Envelope, operation: str, kind: str, times_us: tuple[int, int]) -> None:
        trace = given_trace(envelope)
        if trace is None:
            return
        attributes = produced_attributes(envelope, self._stream, operation, kind, self._tracing.shown)
        name = f"{operation} {self._stream}"
        place = trace.with_span(span_id_from(os.urandom(SPAN_ID_BYTES)))
        self._tracing.record(
            EndedSpan(
                self._tracing.shown(name),
                Kind.PRODUCER,
                place,
                trace.span_id,
                *times_us,
                attributes,
                tracestate=given_state(envelope),
            )
        )


def _now_us() -> int:
    return time.time_ns() // 1_000


def _sentences(redaction: Redaction) -> None:
    """What the SDK has to say, as the gateway says it: a line each, and never a traceback."""
    logger = logging.getLogger("opentelemetry")
    if not logger.handlers:
        logger.addHandler(handler_for("text", redaction, sys.stderr))
        logger.propagate = False
