"""What ingest tells a tracing backend: what was received together, and of each event when it was in the log.

Of an event from an emitter in whose process nobody makes spans, its emit and publish spans are told here as well, from
what the event and the stream say of them: else its trace would have no beginning (CONFORMANCE 41).
"""

import os
from collections.abc import Sequence
from typing import Final, NamedTuple

from gateway.domain.emitted import emitted_at_us, spooled_at_us
from gateway.ports import Appended, Event, Kind, NewEntry, Now
from otel import names
from otel.attributes import cut, event_attributes
from otel.origin import (
    Origin,
    begins_with_ingest,
    given_state,
    ingested_span_id,
    is_unsampled,
    origin_of,
    published_span_id,
)
from otel.quiet import quietly
from otel.spans import LINKS_MAX, EndedSpan, SpanLink, Tracing, Value
from otel.spans import Kind as SpanKind
from otel.traceparent import SPAN_ID_BYTES, TRACE_ID_BYTES, TraceParent, parse_traceparent, span_id_from
from schemas import Envelope

_REDIS: Final = "redis"
_HTTP: Final = "http"
_HTTP_DESTINATION: Final = "/v1/events"
_MEMBER: Final = {names.LINK: names.LINK_EVENT}
_REQUEST: Final = {names.LINK: names.LINK_REQUEST}


class _Told(NamedTuple):
    """An event that is told of: its trace, its place in the log, when Redis had it, what its spans say of it."""

    envelope: Envelope
    origin: Origin
    position: int
    published_at_us: int | None
    attributes: dict[str, Value]


class IngestSpans:
    """Makes the spans of what comes in, by the stream or over HTTP; ``now`` is the gateway's clock, in microseconds."""

    def __init__(self, tracing: Tracing, now: Now, *, stream: str) -> None:
        self._tracing = tracing
        self._stream = stream
        self.now = now

    @quietly
    def from_stream(self, entries: Sequence[NewEntry], appended: Sequence[Appended], started_us: int) -> None:
        """A batch of the stream was appended."""
        wanted = self._wanted(entries, appended)
        if wanted:
            ended_us = self.now()
            self._received(wanted, len(entries), started_us, ended_us)
            for told in wanted:
                self._emitted(told)
                self._ingested(_REDIS, self._stream, told, started_us, ended_us)

    @quietly
    def from_http(
        self,
        entries: Sequence[NewEntry],
        appended: Sequence[Appended],
        started_us: int,
        traceparents: Sequence[str] = (),
    ) -> None:
        """What one request brought was appended; ``traceparents`` are the request's own, of which it may have one.

        That one is the span of the request, where an event's is the one in which the event came to be, which need not
        be of the same trace (CloudEvents, distributed tracing): so there is a link, and the event keeps its trace.
        """
        wanted = self._wanted(entries, appended)
        if wanted:
            request = parse_traceparent(traceparents[0]) if len(traceparents) == 1 else None
            ended_us = self.now()
            for told in wanted:
                links = _links_to(request, told.origin)
                self._ingested(_HTTP, _HTTP_DESTINATION, told, started_us, ended_us, links=links)

    def wants(self, envelope: Envelope) -> bool:
        """Whether spans are made of this event."""
        return not is_unsampled(envelope) and self._samples(origin_of(envelope))

    def _wanted(self, entries: Sequence[NewEntry], appended: Sequence[Appended]) -> list[_Told]:
        """Those that are sampled, the first time they come: a duplicate was told of when the original came."""
        found: list[_Told] = []
        for entry, result in zip(entries, appended, strict=True):
            if result.duplicate or entry.parsed is None or is_unsampled(entry.parsed):
                continue
            origin = origin_of(entry.parsed)
            if self._samples(origin):
                found.append(self._told(entry.parsed, origin, result.position, entry.published_at_us))
        return found

    def _told(self, envelope: Envelope, origin: Origin, position: int, published_at_us: int | None) -> _Told:
        found = event_attributes(envelope, self._tracing.shown)
        found[names.MESSAGING_MESSAGE_ID] = found[names.EVENT_ID]
        return _Told(envelope, origin, position, published_at_us, found)

    def _received(self, wanted: Sequence[_Told], count: int, started_us: int, ended_us: int) -> None:
        """A batch is of many traces: it has one of its own and links to theirs, and is above none of them."""
        links = [SpanLink(told.origin.trace, _MEMBER) for told in wanted[:LINKS_MAX]]
        trace = TraceParent(os.urandom(TRACE_ID_BYTES).hex(), _random_span(), sampled=True)
        if not self._tracing.samples(trace, is_root=True):
            return
        attributes = {
            **_messaging(_REDIS, self._stream, names.RECEIVE, "receive"),
            names.MESSAGING_BATCH_COUNT: count,
        }
        name = cut(f"{names.RECEIVE} {self._stream}")
        self._tracing.record(
            EndedSpan(name, SpanKind.CONSUMER, trace, None, started_us, ended_us, attributes, links)
        )

    @quietly
    def again(self, event: Event) -> None:
        """Tell again of an event that another process appended: it may have died before it could send its spans.

        Only where the trace begins here, so that all else in it keeps standing below something; by the same ids.
        """
        entry, envelope = event.entry, event.envelope
        if envelope is None or entry.kind is not Kind.EVENT:
            return
        origin = origin_of(envelope)
        if not origin.is_root or not self._samples(origin):
            return
        told = self._told(envelope, origin, entry.position, entry.published_at_us)
        system, destination = (_REDIS, self._stream) if entry.published_at_us else (_HTTP, _HTTP_DESTINATION)
        self._emitted(told)
        began_us = min(entry.published_at_us or entry.appended_at_us, entry.appended_at_us)
        self._ingested(system, destination, told, began_us, entry.appended_at_us)

    def _emitted(self, told: _Told) -> None:
        """Tell what the emitter's process does not: the event names a span that nobody makes."""
        envelope, origin, published_us = told.envelope, told.origin, told.published_at_us
        if not (origin.is_given and origin.is_root) or published_us is None:
            return
        spooled_us = spooled_at_us(envelope.attributes.get("sequence"), published_us) or published_us
        emitted_us = min(emitted_at_us(envelope.time) or spooled_us, spooled_us)
        root, below = origin.trace, origin.trace.with_span(published_span_id(origin))
        self._produced(told, names.EMIT, "create", trace=root, parent=None, times_us=(emitted_us, spooled_us))
        self._produced(
            told, names.PUBLISH, "send", trace=below, parent=root.span_id, times_us=(spooled_us, published_us)
        )

    def _produced(
        self,
        told: _Told,
        operation: str,
        kind: str,
        *,
        trace: TraceParent,
        parent: str | None,
        times_us: tuple[int, int],
    ) -> None:
        attributes = {
            **told.attributes,
            **_messaging(_REDIS, self._stream, operation, kind),
            names.TOLD_BY: "gateway",
        }
        name = cut(f"{operation} {self._stream}")
        self._tracing.record(
            EndedSpan(
                name,
                SpanKind.PRODUCER,
                trace,
                parent,
                *times_us,
                attributes,
                is_remote_parent=False,
                tracestate=given_state(told.envelope),
            )
        )

    def _ingested(
        self,
        system: str,
        destination: str,
        told: _Told,
        started_us: int,
        ended_us: int,
        *,
        links: Sequence[SpanLink] = (),
    ) -> None:
        envelope, origin = told.envelope, told.origin
        from_stream = told.published_at_us is not None
        begins = begins_with_ingest(origin, from_stream=from_stream)
        attributes = {
            **told.attributes,
            **_messaging(system, destination, names.INGEST, "process"),
            names.POSITION: told.position,
        }
        self._tracing.record(
            EndedSpan(
                cut(f"{names.INGEST} {destination}"),
                SpanKind.CONSUMER,
                origin.trace.with_span(ingested_span_id(origin, envelope, from_stream=from_stream)),
                None if begins else origin.trace.span_id,
                started_us,
                ended_us,
                attributes,
                links,
                tracestate=given_state(envelope),
            )
        )

    def _samples(self, origin: Origin) -> bool:
        return origin.trace.sampled and self._tracing.samples(origin.trace, is_root=origin.is_root)


def _links_to(request: TraceParent | None, origin: Origin) -> tuple[SpanLink, ...]:
    """To the request's span, where somebody tells one and the event does not stand below it already."""
    if request is None or not request.sampled or request == origin.trace:
        return ()
    return (SpanLink(request, _REQUEST),)


def _messaging(system: str, destination: str, operation: str, kind: str) -> dict[str, Value]:
    return {
        names.MESSAGING_SYSTEM: system,
        names.MESSAGING_DESTINATION: cut(destination),
        names.MESSAGING_OPERATION: operation,
        names.MESSAGING_OPERATION_TYPE: kind,
    }


def _random_span() -> str:
    return span_id_from(os.urandom(SPAN_ID_BYTES))
