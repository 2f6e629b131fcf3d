"""The POST of one delivery: built, signed, sent; and how it ended, before anything is made of it."""

import logging
from collections.abc import Coroutine, Iterable
from datetime import UTC, datetime
from typing import Any, NamedTuple

from gateway.deliver.access import AccessTokens
from gateway.deliver.directory import Current
from gateway.deliver.envelopes import Event
from gateway.deliver.request import AttemptContext, build_request, make_message
from gateway.deliver.suspects import CRASHES_MAX
from gateway.deliver.terms import Terms
from gateway.deliver.world import World
from gateway.domain.delivery import Decision
from gateway.domain.pending import PendingDelivery
from gateway.domain.retry import Answered, Failed, NotSent, Outcome, Parked
from gateway.domain.retry_after import parse_retry_after
from gateway.domain.sending import ATTEMPT_S_MAX, Answer, OutboundRequest, SendError, SendErrorKind
from gateway.ports import Exchange
from otel.origin import origin_at_span, origin_trace
from otel.traceparent import TraceParent, derive
from schemas import Envelope

LEASE_S = ATTEMPT_S_MAX + 2.0
"""For how long this process must be the only one, from the start of a POST on (S6a)."""

_LOGGER = logging.getLogger(__name__)
_SECOND_US = 1_000_000
_SPAN_BYTES = 8
_PREPARED_BYTES_MAX = 8 * 1024
_OK = 200
_ANSWERED_OK = Answered(_OK, None)


class Ended(NamedTuple):
    """How one try ended, before it is settled."""

    outcome: Outcome
    trace: TraceParent
    started_at_us: int
    ended_at_us: int
    answer: Answer | None = None
    detail: str | None = None


class Posting:
    """Sends what is started, and never raises: whatever happens is an outcome."""

    def __init__(self, world: World) -> None:
        self._sender = world.sender
        self._policy = world.policy
        self._now = world.now
        self._random = world.random
        self.access = AccessTokens(world.sender, world.now, timeout_s=world.policy.timeout_s)

    def held_up(self, current: Current) -> bool:
        """Whether something comes first: the sink's consent, or a token that was given up, or changed, meanwhile."""
        return current.unasked or (current.fetches_token and self.access.lacks(current))

    def unsent(self, event: Event | None, delivery: PendingDelivery) -> Ended | None:
        """The end of what is not to be sent: erased (S8b), past its time (CONFORMANCE 35), or parked (S3c).

        A delivery on which three processes ended is kept, listed, and retried by hand once somebody has looked at it.
        """
        position = delivery.position
        if delivery.crashes >= CRASHES_MAX:
            now_us = self._now()
            detail = f"{delivery.crashes} processes ended while they delivered this"
            return Ended(Parked(delivery.crashes), _last_span(event, delivery), now_us, now_us, detail=detail)
        if event is None or event.envelope is None:
            now_us = self._now()
            return Ended(NotSent(Decision.ERASED), derive("erased", str(position)), now_us, now_us)
        if "expirytime" in event.envelope.attributes and _expired(event.envelope, self._now()):
            now_us = self._now()
            return Ended(NotSent(Decision.EXPIRED), self._span(event.envelope), now_us, now_us)
        return None

    def prepare(self, events: Iterable[Event | None], terms: Terms) -> None:
        """Make the messages of events that are sent next, in a row: so each takes half as long as between two POSTs.

        What cannot be made says so when it is its own turn.
        """
        if terms.thin:
            return
        for event in events:
            if event is None or event.message is not None or event.envelope is None:
                continue
            if len(event.envelope.raw) > _PREPARED_BYTES_MAX:
                continue  # it may be one whose message is not kept
            try:
                sent, dataschema = self._policy.as_sent(event.entry, event.envelope)
                structured = terms.structured or not sent.fits_binary
                make_message(event, sent, dataschema, structured=structured)
            except Exception:  # noqa: BLE001, S112 - `one` meets it again, and says it
                continue

    def one(
        self, event: Event | None, terms: Terms, delivery: PendingDelivery, started_at_us: int
    ) -> Coroutine[Any, Any, Ended]:
        """Send one event as its subscription wants it: to be awaited at once, where ``unsent`` has no reason not to."""
        if event is None or event.envelope is None:
            raise AssertionError("an event is sent, or there is a reason why not")
        context = self._context(event, event.envelope, delivery, started_at_us)
        if terms.fetches_token:
            try:
                context.bearer = self.access.token(terms)
            except SendError as error:
                return _at_once(self.failed(error, context.trace, started_at_us))
        try:
            request = self._request(event, event.envelope, terms, context)
        except SendError as error:
            return _at_once(self.failed(error, context.trace, started_at_us))
        except Exception as error:  # noqa: BLE001 - see `inside`
            return _at_once(self.inside(error, context.trace, started_at_us, delivery.position))
        return self.send(request, context, terms, started_at_us, delivery.position)

    def build(
        self, event: Event | None, terms: Terms, delivery: PendingDelivery, started_at_us: int
    ) -> tuple[OutboundRequest, TraceParent] | None:
        """The request of one event and the span it is sent in; None where ``one`` is to say what it comes to."""
        if event is None or event.envelope is None:
            return None
        context = self._context(event, event.envelope, delivery, started_at_us)
        try:
            return self._request(event, event.envelope, terms, context), context.trace
        except Exception:  # noqa: BLE001 - see `one`, which comes to the same
            return None

    def _context(
        self, event: Event, envelope: Envelope, delivery: PendingDelivery, started_at_us: int
    ) -> AttemptContext:
        trace = self._span(envelope)
        delivery.span_id = trace.span_id
        return AttemptContext(
            trace,
            started_at_us // _SECOND_US,
            delivery.replay is not None,
            event.entry.addressee is not None,
        )

    def _request(
        self, event: Event, envelope: Envelope, terms: Terms, context: AttemptContext
    ) -> OutboundRequest:
        sent, dataschema = self._policy.as_sent(event.entry, envelope)
        return build_request(
            event,
            sent,
            terms,
            context,
            dataschema=dataschema,
            dataref_of=self._policy.dataref_of,
            timeout_s=self._policy.timeout_s,
        )

    async def send(
        self,
        request: OutboundRequest,
        context: AttemptContext,
        terms: Terms,
        started_at_us: int,
        position: int,
    ) -> Ended:
        """Send a request that is built."""
        trace = context.trace
        try:
            answer = await self._sender.send(request)
        except SendError as error:
            return self.failed(error, trace, started_at_us)
        except Exception as error:  # noqa: BLE001 - see `inside`
            return self.inside(error, trace, started_at_us, position)
        if context.bearer is not None:
            answer = self.access.answered(terms, context.bearer, answer)
        return self.answered(answer, trace, started_at_us)

    async def sent_again(
        self, exchange: Exchange, trace: TraceParent, started_at_us: int, position: int
    ) -> Ended:
        """Send once more, within the same attempt, what went into a connection that was dead."""
        try:
            answer = await exchange.again()
        except SendError as error:
            return self.failed(error, trace, started_at_us)
        except Exception as error:  # noqa: BLE001 - see `inside`
            return self.inside(error, trace, started_at_us, position)
        return self.answered(answer, trace, started_at_us)

    def answered(self, answer: Answer, trace: TraceParent, started_at_us: int) -> Ended:
        """There was an answer."""
        ended_at_us = self._now()
        if answer.status == _OK:  # as nearly always, and then nobody asks how long to wait
            return Ended(_ANSWERED_OK, trace, started_at_us, ended_at_us, answer)
        wait_s = None
        for name, value in answer.headers:
            if name.lower() == "retry-after":
                wait_s = parse_retry_after(value, ended_at_us / _SECOND_US)
                break
        return Ended(Answered(answer.status, wait_s), trace, started_at_us, ended_at_us, answer)

    def failed(self, error: SendError, trace: TraceParent, started_at_us: int) -> Ended:
        """There was no answer."""
        return Ended(Failed(error.kind), trace, started_at_us, self._now(), detail=error.detail)

    def inside(self, error: Exception, trace: TraceParent, started_at_us: int, position: int) -> Ended:
        """One delivery that cannot even be made must not take all others down with it."""
        _LOGGER.error("an attempt of position %d failed inside the gateway", position, exc_info=error)
        detail = f"inside the gateway: {type(error).__name__}"
        return Ended(Failed(SendErrorKind.PROTOCOL), trace, started_at_us, self._now(), detail=detail)

    def _span(self, envelope: Envelope) -> TraceParent:
        return origin_at_span(envelope, self._random(_SPAN_BYTES))


def _last_span(event: Event | None, delivery: PendingDelivery) -> TraceParent:
    """What was sent last, as far as it is known: a receiver may have it in its log."""
    if event is None or event.envelope is None:
        return _parked(delivery)
    origin = origin_trace(event.envelope)
    if delivery.last_span_id is None:
        # It died before its span was journaled; the row still has one that is its own.
        return origin.with_span(_parked(delivery).span_id)
    return TraceParent(
        delivery.last_trace_id or origin.trace_id, delivery.last_span_id, sampled=origin.sampled
    )


def _parked(delivery: PendingDelivery) -> TraceParent:
    return derive("parked", str(delivery.number), str(delivery.position))


async def _at_once(ended: Ended) -> Ended:
    return ended


def _expired(envelope: Envelope, now_us: int) -> bool:
    """Whether the event says that it is no longer of use. An unreadable time says nothing."""
    text = envelope.attributes.get("expirytime")
    if not isinstance(text, str):
        return False
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00").replace("z", "+00:00"))
    except ValueError:
        return False
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment.timestamp() * _SECOND_US <= now_us
