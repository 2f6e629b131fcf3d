"""One attempt: first try, retry and replay are this one path (S3)."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from gateway.deliver.directory import Current, Directory
from gateway.deliver.envelopes import EnvelopeCache, Event
from gateway.deliver.journal import Journal
from gateway.deliver.lanes import Lanes
from gateway.deliver.masking import mask
from gateway.deliver.patience import patiently
from gateway.deliver.request import AttemptContext, build_request, origin_trace
from gateway.deliver.timers import Timers
from gateway.deliver.world import World
from gateway.domain.delivery import Decision
from gateway.domain.ids import HASH_BYTES, RANDOM_BYTES, attempt_id
from gateway.domain.lane import Lane
from gateway.domain.pending import PendingDelivery
from gateway.domain.retry import DEFAULT_SCHEDULE_S, Answered, Failed, NotSent, Outcome, Settlement, decide
from gateway.domain.retry_after import parse_retry_after
from gateway.domain.sending import Answer, SendError, SendErrorKind
from gateway.errors import GatewayError
from gateway.ports import AttemptRecord, SubscriptionState
from otel.traceparent import TraceParent, derive, span_id_from
from schemas import Envelope

_LOGGER = logging.getLogger(__name__)
_SECOND_US = 1_000_000
_SPAN_BYTES = 8
_BODY_BYTES_MAX = 1_024
_HEADERS_MAX = 32

Spawn = Callable[..., object]
"""Runs an async function with these arguments in the background (a task group's ``start_soon``)."""


@dataclass(frozen=True, slots=True)
class _Ended:
    """How one try ended, before it is settled."""

    outcome: Outcome
    trace: TraceParent
    started_at_us: int
    ended_at_us: int
    answer: Answer | None = None
    detail: str | None = None


class Attempts:
    """Makes attempts and hands their outcomes to the journal."""

    def __init__(
        self,
        *,
        directory: Directory,
        lanes: Lanes,
        cache: EnvelopeCache,
        journal: Journal,
        timers: Timers,
        world: World,
        changed: Callable[[int], None],
    ) -> None:
        self._directory = directory
        self._lanes = lanes
        self._cache = cache
        self._journal = journal
        self._timers = timers
        self._sender = world.sender
        self._subscriptions = world.subscriptions
        self._policy = world.policy
        self._now = world.now
        self._random = world.random
        self._jitter = world.jitter
        self._changed = changed
        self.write_ahead_until = 0
        self.spawn: Spawn = _not_started

    async def run(self, lane: Lane, delivery: PendingDelivery) -> None:
        """Make one attempt from start to settlement. It ends unsettled only where the process or the stream ends."""
        try:
            event = await patiently(lambda: self._cache.get(delivery.position), "the log cannot be read")
            if delivery.position <= self.write_ahead_until:
                # It may have been what the process before this one died of: count this start first (S3c).
                await self._journal.written()
            # Between here and the POST nothing is waited for, so this is how the subscription is now (S3d).
            current = self._directory.get(delivery.number)
            if current is None:
                return
            if not current.active or self._now() < lane.waits_until_us:
                self._postpone(lane, delivery, current)
            else:
                await self._attempt(lane, delivery, current, event)
        finally:
            self._lanes.finished(lane)

    def _postpone(self, lane: Lane, delivery: PendingDelivery, current: Current) -> None:
        """Stopped between start and POST: nothing was sent, so it waits as if it had not been started."""
        lane.settle(delivery.position, again=True)
        waits = replace(delivery, next_at_us=max(self._now(), lane.waits_until_us))
        self._journal.postpone(waits)
        if not current.active:
            self._lanes.halt(lane)
        self._timers.add(waits)

    async def _attempt(
        self, lane: Lane, delivery: PendingDelivery, current: Current, event: Event | None
    ) -> None:
        if event is None or event.envelope is None:
            trace = derive("erased", str(delivery.position))
            now_us = self._now()
            ended = _Ended(NotSent(Decision.ERASED), trace, now_us, now_us)
        else:
            ended = await self._send(event, event.envelope, current, delivery)
        # Of a subscription that was deleted meanwhile the attempt is kept, and nothing else (S3h).
        self._settle(lane, delivery, current, event, ended)

    async def _send(
        self, event: Event, envelope: Envelope, current: Current, delivery: PendingDelivery
    ) -> _Ended:
        started_at_us = self._now()
        trace = origin_trace(envelope).with_span(span_id_from(self._random(_SPAN_BYTES)))
        if _expired(envelope, started_at_us):
            return _Ended(NotSent(Decision.EXPIRED), trace, started_at_us, started_at_us)
        context = AttemptContext(trace, started_at_us // _SECOND_US, replay=delivery.round > 0)
        try:
            request = build_request(
                event,
                envelope,
                current,
                context,
                dataschema=self._policy.dataschema_of(envelope.type),
                timeout_s=self._policy.timeout_s,
            )
            answer = await self._sender.send(request)
        except SendError as error:
            return _Ended(Failed(error.kind), trace, started_at_us, self._now(), detail=error.detail)
        except Exception as error:
            # One delivery that cannot even be made must not take all others down with it.
            _LOGGER.exception("an attempt of position %d failed inside the gateway", delivery.position)
            detail = f"inside the gateway: {type(error).__name__}"
            return _Ended(Failed(SendErrorKind.PROTOCOL), trace, started_at_us, self._now(), detail=detail)
        ended_at_us = self._now()
        after = next((value for name, value in answer.headers if name.lower() == "retry-after"), None)
        wait_s = None if after is None else parse_retry_after(after, ended_at_us / _SECOND_US)
        return _Ended(Answered(answer.status, wait_s), trace, started_at_us, ended_at_us, answer)

    def _settle(
        self, lane: Lane, delivery: PendingDelivery, current: Current, event: Event | None, ended: _Ended
    ) -> None:
        config = current.record.spec.config
        settlement = decide(
            ended.outcome,
            failures_in_round=delivery.failures,
            schedule=DEFAULT_SCHEDULE_S if config.retry is None else config.retry,
            now_s=ended.ended_at_us / _SECOND_US,
            jitter=self._jitter(),
            round_started_s=delivery.first_at_us / _SECOND_US,
        )
        attempt = self._record(delivery, current, event, ended, settlement)
        again = None
        if settlement.next_at is not None:
            again = replace(
                delivery,
                attempts=delivery.attempts + 1,
                failures=delivery.failures + int(settlement.counts),
                next_at_us=attempt.next_at_us,
                crashes=0,
                last_span_id=ended.trace.span_id,
            )
        lane.settle(delivery.position, again=again is not None)
        self._journal.settle(attempt, again)
        if again is not None:
            self._timers.add(again)
        if settlement.wait_lane_s is not None:
            until_us = ended.ended_at_us + int(settlement.wait_lane_s * _SECOND_US)
            lane.wait(until_us)
            self._timers.lane_waits(lane.number, until_us)
        if settlement.disable or settlement.pause:
            self._stop(lane, current, attempt, disable=settlement.disable)

    def _record(
        self,
        delivery: PendingDelivery,
        current: Current,
        event: Event | None,
        ended: _Ended,
        settlement: Settlement,
    ) -> AttemptRecord:
        answer = ended.answer
        headers, body = ((), b"") if answer is None else mask(answer, current.record)
        return AttemptRecord(
            id=attempt_id(self._random(RANDOM_BYTES)),
            number=delivery.number,
            position=delivery.position,
            hash6=event.entry.row_hash[:HASH_BYTES] if event is not None else bytes(HASH_BYTES),
            attempt=delivery.attempts + 1,
            round=delivery.round,
            cause="first" if delivery.attempts == 0 else "retry",
            decision=settlement.decision,
            counts=settlement.counts,
            started_at_us=ended.started_at_us,
            duration_us=max(0, ended.ended_at_us - ended.started_at_us),
            revision=current.record.revision,
            trace_id=ended.trace.trace_id,
            span_id=ended.trace.span_id,
            error_class=settlement.error_class,
            detail=ended.detail,
            status=None if answer is None else answer.status,
            next_at_us=None if settlement.next_at is None else int(settlement.next_at * _SECOND_US),
            response_headers=tuple(headers[:_HEADERS_MAX]),
            response_body=body[:_BODY_BYTES_MAX],
        )

    def _stop(self, lane: Lane, current: Current, attempt: AttemptRecord, *, disable: bool) -> None:
        """The sink said to stop (410), or to wait longer than is granted: no new start, and a fact (S3e, S3f)."""
        present = self._directory.get(lane.number)
        if present is None or present.record.revision != attempt.revision:
            return
        if not (disable or present.active):
            return  # it stands already, and disabled must not become paused
        self._lanes.halt(lane)
        state = SubscriptionState.DISABLED if disable else SubscriptionState.PAUSED
        cause = f"the sink answered {attempt.status}"
        self.spawn(self._write_state, current.record.number, state, cause, attempt.revision)

    async def _write_state(self, number: int, state: SubscriptionState, cause: str, revision: int) -> None:
        try:
            await patiently(
                lambda: self._subscriptions.set_state(number, state, cause=cause, revision=revision),
                f"subscription {number} cannot be stopped",
            )
        except GatewayError as error:
            # It was changed or deleted meanwhile: that change has the last word.
            _LOGGER.info("subscription %d was not stopped: %s", number, error)
        self._changed(number)


def _not_started(*_arguments: object) -> None:
    raise RuntimeError("an attempt ended before there was a task group to go on in")


def _expired(envelope: Envelope, now_us: int) -> bool:
    """Whether the event says that it is no longer of use (CONFORMANCE 35). An unreadable time says nothing."""
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
