"""What delivering tells a tracing backend: who wanted an event, and each POST (CONFORMANCE 40, DESIGN "Traces").

Everything stands directly below the span that the event names. What follows one another (retry, replay, redelivery) is
linked, and so are a batch and the events in it. There is none of these objects where nothing is traced.
"""

from collections.abc import Sequence
from typing import NamedTuple

from gateway.deliver.patience import patiently
from gateway.deliver.posting import Ended
from gateway.deliver.settling import cause_of
from gateway.deliver.terms import Terms
from gateway.deliver.world import World
from gateway.domain.ids import delivery_id
from gateway.domain.pending import PendingDelivery
from gateway.domain.retry import Answered, NotSent, Parked, Settlement
from gateway.ports import Event, EventLog
from gateway.ports import Kind as EntryKind
from otel import names
from otel.attributes import REDACTED, event_attributes, sink_attributes
from otel.origin import given_state, is_unsampled, origin_of, origin_trace
from otel.quiet import quietly
from otel.spans import LINKS_MAX, EndedSpan, Kind, SpanLink, Tracing, Value
from otel.traceparent import TraceParent, span_id_from

_SPAN_BYTES = 8
_HELD_UP = "the log cannot be read"
_SINKS_MAX = 4_096
_EXPORTED_WITHIN_US = 30_000_000
"""So long a span may wait in an exporter: some of its batches, and one that is tried again."""
_TOLD_AGAIN_MAX = 65_536
_ERRORS_FROM = 400
_BEFORE = {names.LINK: names.LINK_BEFORE}
_MEMBER = {names.LINK: names.LINK_EVENT}


class Tried(NamedTuple):
    """One POST: of which subscription, how it was sent, how it ended, and what that led to."""

    subscription_id: str
    terms: Terms
    delivery: PendingDelivery
    ended: Ended
    settlement: Settlement


class DeliverySpans:
    """Makes the spans of matching and of attempts.

    Args:
        tracing: Where they go.
        world: Its clock, its randomness, and how the events of a process that died are told of again.
    """

    def __init__(self, tracing: Tracing, world: World) -> None:
        self._tracing = tracing
        self._tell_again = world.tell_again
        self._random = world.random
        self.now = world.now
        self._began_us = world.now()
        self._lost_from_us = self._began_us
        self._told_again: set[int] = set()
        self._sinks: dict[int, tuple[Terms, dict[str, Value]]] = {}

    def wants(self, event: Event) -> bool:
        """Whether spans are made of this event. Asked once for each: what nobody samples must cost nothing."""
        if event.sampled is None:
            event.sampled = self._samples(event)
        return event.sampled

    def _samples(self, event: Event) -> bool:
        if event.envelope is None or is_unsampled(event.envelope):
            return False
        origin = origin_of(event.envelope)
        return origin.trace.sampled and self._tracing.samples(origin.trace, is_root=origin.is_root)

    async def follow(self, log: EventLog) -> None:
        """Another process was here before, and may have died with what its exporter was about to send.

        What it appended shortly before its last append has its beginning told again when it is matched or tried here;
        by the same ids, where it did not die. The head says nothing: this process may have appended that by now.
        """
        before = await patiently(lambda: log.position_at(self._began_us), _HELD_UP)
        last = await patiently(lambda: log.get(before), _HELD_UP)
        if last is not None:
            self._lost_from_us = min(self._began_us, last.appended_at_us - _EXPORTED_WITHIN_US)

    def _begin_again(self, event: Event) -> None:
        entry = event.entry
        if (
            entry.kind is not EntryKind.EVENT
            or not self._lost_from_us <= entry.appended_at_us < self._began_us
        ):
            return
        if entry.position not in self._told_again and len(self._told_again) < _TOLD_AGAIN_MAX:
            self._told_again.add(entry.position)
            self._tell_again(event)

    @quietly
    def matched(self, event: Event, subscriptions: int, started_us: int) -> None:
        """The router has passed an entry, and so many streams were offered it.

        A fact came in nowhere, so its trace begins here; most are nobody's, and make no span.
        """
        entry = event.entry
        is_fact = entry.kind is EntryKind.FACT
        if event.envelope is None or (is_fact and not subscriptions):
            return
        if entry.redriven_from is not None:
            self._tell_again(event)
        else:
            self._begin_again(event)
        origin, ended_us = origin_trace(event.envelope), self.now()
        trace = origin if is_fact else origin.with_span(span_id_from(self._random(_SPAN_BYTES)))
        self._tracing.record(
            EndedSpan(
                names.MATCH,
                Kind.INTERNAL,
                trace,
                None if is_fact else origin.span_id,
                started_us,
                ended_us,
                {
                    names.EVENT_ID: self._tracing.shown(event.envelope.id),
                    names.POSITION: entry.position,
                    names.SUBSCRIPTIONS: subscriptions,
                },
                tracestate=given_state(event.envelope),
            )
        )

    @quietly
    def attempt(self, event: Event, tried: Tried) -> None:
        """One try of one delivery; what was settled without one makes no span."""
        if event.envelope is None or isinstance(tried.ended.outcome, NotSent | Parked):
            return
        self._begin_again(event)
        entry, origin = event.entry, origin_trace(event.envelope)
        attributes = {
            **event_attributes(event.envelope, self._tracing.shown),
            **self._of_post(tried),
            names.DELIVERY: delivery_id(tried.delivery.number, entry.position, entry.row_hash),
        }
        before = _before(tried.delivery, origin)
        links = [] if before is None else [SpanLink(before, _BEFORE)]
        self._record(tried, origin.span_id, attributes, links, given_state(event.envelope))

    @quietly
    def batch(self, events: Sequence[Event], tried: Tried) -> None:
        """One POST of many events: in a trace of its own, linked with the events that are sampled."""
        sampled = [event.envelope for event in events if event.envelope is not None and self.wants(event)]
        if not sampled or not self._tracing.samples(tried.ended.trace, is_root=True):
            return
        for event in events:
            if event.envelope is not None and self.wants(event):
                self._begin_again(event)
        links = [SpanLink(origin_trace(envelope), _MEMBER) for envelope in sampled[: LINKS_MAX - 1]]
        first = events[0].envelope
        before = None if first is None else _before(tried.delivery, origin_trace(first))
        if before is not None:
            links.append(SpanLink(before, _BEFORE))
        attributes = {
            **self._of_post(tried),
            names.BATCH: tried.delivery.batch or "",
            names.MESSAGING_BATCH_COUNT: len(events),
        }
        self._record(tried, None, attributes, links)

    def _record(
        self,
        tried: Tried,
        parent: str | None,
        attributes: dict[str, Value],
        links: list[SpanLink],
        tracestate: str = "",
    ) -> None:
        """What went wrong with the delivery is in the decision, also where the span has no error."""
        ended = tried.ended
        self._tracing.record(
            EndedSpan(
                names.POST,
                Kind.CLIENT,
                ended.trace,
                parent,
                ended.started_at_us,
                ended.ended_at_us,
                attributes,
                links,
                _error_of(tried),
                is_answer=isinstance(ended.outcome, Answered),
                tracestate=tracestate,
            )
        )

    def _of_post(self, tried: Tried) -> dict[str, Value]:
        delivery, settlement = tried.delivery, tried.settlement
        found = {
            **self._of_sink(tried.terms),
            names.SUBSCRIPTION: tried.subscription_id,
            names.CAUSE: cause_of(delivery),
            names.DECISION: settlement.decision.value,
        }
        # A process that died may have sent it before.
        if delivery.attempts or delivery.crashes:
            found[names.HTTP_RESEND_COUNT] = delivery.attempts + delivery.crashes
        if isinstance(tried.ended.outcome, Answered):
            found[names.HTTP_STATUS] = tried.ended.outcome.status
        error = _error_of(tried)
        if error is not None:
            found[names.ERROR_TYPE] = error
        return found

    def _of_sink(self, terms: Terms) -> dict[str, Value]:
        """The sink as it may be shown, made once for as long as the subscription stays as it is."""
        known = self._sinks.get(terms.number)
        if known is not None and known[0] is terms:
            return known[1]
        made = sink_attributes(terms.sink)
        for name in (names.URL_FULL, names.SERVER_ADDRESS):
            shown = str(made[name])
            for secret, _ in terms.known:
                shown = shown.replace(secret, REDACTED)
            made[name] = shown
        while len(self._sinks) >= _SINKS_MAX:
            del self._sinks[next(iter(self._sinks))]
        self._sinks[terms.number] = (terms, made)
        return made


def _error_of(tried: Tried) -> str | None:
    """Of the client span: by the HTTP conventions an answer below 400 is none, whatever it means for the delivery."""
    outcome = tried.ended.outcome
    if isinstance(outcome, Answered) and outcome.status < _ERRORS_FROM:
        return None
    return tried.settlement.error_class


def _before(delivery: PendingDelivery, origin: TraceParent) -> TraceParent | None:
    """The span of the attempt before this one; None: this is the first, or that one's trace was erased."""
    if delivery.last_span_id is None:
        return None
    try:
        return TraceParent(delivery.last_trace_id or origin.trace_id, delivery.last_span_id, sampled=True)
    except ValueError:
        return None
