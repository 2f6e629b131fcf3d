"""Ended spans through the OpenTelemetry SDK's sampler, batch processor and exporters. Imported where they are wanted.

The SDK's own `Tracer` is passed by: it draws ids of its own, where an attempt's are those of its row and of the header
that went out, and it costs several times as much per span (docs/decisions/0020).
"""

import logging
import threading
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final

from opentelemetry import trace as api
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import Decision, ParentBased, Sampler
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from otel import names
from otel.attributes import cut
from otel.exporters import TelemetryUnusable
from otel.limits import Limits
from otel.quiet import quietly
from otel.sdk_parts import exporter_of, named
from otel.spans import LINKS_MAX, EndedSpan, Kind, SpanLink
from otel.traceparent import TraceParent

_LOGGER = logging.getLogger(__name__)
_US_NS: Final = 1_000
_SHOWN_MAX: Final = 1_024
_SHOWN_CHARS_MAX: Final = 512
"""A longer text is seldom shown twice, and would be kept whole."""
_SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)
_UNSET: Final = Status(StatusCode.UNSET)
_KINDS: Final = {
    Kind.INTERNAL: SpanKind.INTERNAL,
    Kind.CLIENT: SpanKind.CLIENT,
    Kind.PRODUCER: SpanKind.PRODUCER,
    Kind.CONSUMER: SpanKind.CONSUMER,
}


class SdkTracing:
    """Implements ``otel.spans.Tracing``; ``masked`` takes secrets out of a text."""

    def __init__(
        self,
        sampler: Sampler,
        resource: Resource,
        processors: Sequence[SpanProcessor],
        version: str,
        masked: Callable[[str], str] = str,
        *,
        limits: Limits | None = None,
    ) -> None:
        self._masked = masked
        # An event has several spans with the same texts, and so have the events of one agent.
        self._shown = lru_cache(_SHOWN_MAX)(lambda text: cut(masked(text)))
        self._sampler = sampler
        self._follows_producer = _follows_producer(sampler)
        self._resource = _HashedResource(resource)
        self._processors = tuple(processors)
        self._limits = limits
        self._scope = InstrumentationScope(names.SCOPE, version)

    def samples(self, trace: TraceParent, *, is_root: bool) -> bool:
        """See ``Tracing.samples``. What its producer does not want is not wanted by any sampler."""
        if not trace.sampled:
            return False
        if self._follows_producer and not is_root:
            return True
        above = Context() if is_root else _below(trace)
        try:
            result = self._sampler.should_sample(above, int(trace.trace_id, 16), names.INGEST)
        except Exception as error:  # noqa: BLE001 - a sampler may be anybody's, and an event is not lost for it
            _LOGGER.debug("the sampler failed: %r", error)
            return False
        return result.decision is Decision.RECORD_AND_SAMPLE

    def shown(self, text: str) -> str:
        """See ``Tracing.shown``. Masked before it is cut: what is cut in two is no longer known for a secret."""
        return self._shown(text) if len(text) <= _SHOWN_CHARS_MAX else cut(self._masked(text))

    @quietly
    def record(self, span: EndedSpan) -> None:
        """See ``Tracing.record``."""
        ended = self._readable(span)
        for processor in self._processors:
            processor.on_end(ended)

    def close(self, timeout_s: float) -> None:
        """See ``Tracing.close``. An exporter that hangs is left behind in a thread that no process waits for."""
        threads = [
            threading.Thread(target=_shut_down, args=(processor,), name="otel-close", daemon=True)
            for processor in self._processors
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout_s)
        if any(thread.is_alive() for thread in threads):
            _LOGGER.warning("the last spans were not exported within %g s", timeout_s)

    def _readable(self, span: EndedSpan) -> ReadableSpan:
        limits = self._limits
        trace_id = int(span.trace.trace_id, 16)
        state = TraceState.from_header([span.tracestate]) if span.tracestate else None
        parent = None
        if span.parent is not None:
            above = int(span.parent, 16)
            parent = SpanContext(
                trace_id, above, is_remote=span.is_remote_parent, trace_flags=_SAMPLED, trace_state=state
            )
        return ReadableSpan(
            span.name,
            context=_context(span.trace, state),
            parent=parent,
            resource=self._resource,
            attributes=dict(span.attributes) if limits is None else limits.of_span(span.attributes),
            links=[_link(link, limits) for link in _told(span.links, limits)] if span.links else (),
            kind=_KINDS[span.kind],
            status=_status(span),
            start_time=span.started_us * _US_NS,
            end_time=max(span.started_us, span.ended_us) * _US_NS,
            instrumentation_scope=self._scope,
        )


def open_tracing(exporters: Sequence[str], version: str, masked: Callable[[str], str] = str) -> SdkTracing:
    """Sampler, resource and exporters, as the SDK reads them from its variables.

    Raises ``TelemetryUnusable`` where one of them cannot be had.
    """
    try:
        limits = Limits.from_variables()
        provider = TracerProvider(shutdown_on_exit=False)
        processors = [BatchSpanProcessor(exporter_of("traces", name)) for name in exporters]
    except TelemetryUnusable:
        raise
    except Exception as error:
        raise TelemetryUnusable(f"Tracing cannot be set up: {type(error).__name__}: {error}") from error
    resource = named(provider.resource, version)
    return SdkTracing(provider.sampler, resource, processors, version, masked, limits=limits)


class _HashedResource(Resource):
    """A resource that is hashed once: an exporter hashes it for each span, which would be a third of a span's cost."""

    def __init__(self, resource: Resource) -> None:
        super().__init__(resource.attributes, resource.schema_url)
        self._hash = super().__hash__()

    def __eq__(self, other: object) -> bool:
        return self is other or super().__eq__(other)

    def __hash__(self) -> int:
        return self._hash


def _follows_producer(sampler: Sampler) -> bool:
    """Whether it says yes to whatever its producer samples, as all samplers do that are based on the parent."""
    described = sampler.get_description()
    return isinstance(sampler, ParentBased) and "remoteParentSampled:AlwaysOnSampler" in described


def _shut_down(processor: SpanProcessor) -> None:
    try:
        processor.shutdown()
    except Exception as error:  # noqa: BLE001 - an exporter's trouble is told, and is nobody else's
        _LOGGER.warning("the exporter of spans did not end well: %s", error)


def _below(trace: TraceParent) -> Context:
    remote = SpanContext(
        int(trace.trace_id, 16),
        int(trace.span_id, 16),
        is_remote=True,
        trace_flags=_SAMPLED if trace.sampled else TraceFlags(),
    )
    return api.set_span_in_context(api.NonRecordingSpan(remote), Context())


def _status(span: EndedSpan) -> Status:
    """Without a description where the HTTP status says it all, as the HTTP conventions have it."""
    if span.error is None:
        return _UNSET
    return Status(StatusCode.ERROR, None if span.is_answer else span.error)


def _context(trace: TraceParent, state: TraceState | None = None) -> SpanContext:
    return SpanContext(
        int(trace.trace_id, 16),
        int(trace.span_id, 16),
        is_remote=False,
        trace_flags=_SAMPLED,
        trace_state=state,
    )


def _told(links: Sequence[SpanLink], limits: Limits | None) -> Sequence[SpanLink]:
    return links[:LINKS_MAX] if limits is None else limits.links(links[:LINKS_MAX])


def _link(link: SpanLink, limits: Limits | None) -> Link:
    attributes = dict(link.attributes) if limits is None else limits.of_link(link.attributes)
    return Link(_context(link.to), attributes)
