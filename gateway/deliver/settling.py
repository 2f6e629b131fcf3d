"""What becomes of a try: its attempt row, the next one, and what it means for the whole stream (S3)."""

import logging
from collections.abc import Callable
from dataclasses import replace

from gateway.deliver.account import Account
from gateway.deliver.directory import Current, Directory
from gateway.deliver.journal import Journal
from gateway.deliver.lanes import Lanes
from gateway.deliver.masking import mask
from gateway.deliver.notices import Notices
from gateway.deliver.patience import patiently
from gateway.deliver.posting import Ended
from gateway.deliver.successors import Successors
from gateway.deliver.suspects import CRASHES_MAX
from gateway.deliver.terms import Terms
from gateway.deliver.timers import Timers
from gateway.deliver.world import World
from gateway.domain import facts
from gateway.domain.breaker import Change
from gateway.domain.delivery import Decision
from gateway.domain.due import Started
from gateway.domain.ids import ATTEMPT_BYTES, attempt_id
from gateway.domain.lane import Lane
from gateway.domain.pending import PendingDelivery
from gateway.domain.retry import DELIVERED, Answered, NotSent, Parked, Settlement, decide, succeeded
from gateway.errors import GatewayError
from gateway.ports import AttemptRecord, SubscriptionState

_LOGGER = logging.getLogger(__name__)
_SECOND_US = 1_000_000
_BODY_BYTES_MAX = 1_024
_HEADERS_MAX = 32
_FAILED = frozenset({Decision.EXHAUSTED, Decision.REFUSED})

Spawn = Callable[..., object]
"""Runs an async function with these arguments in the background (a task group's ``start_soon``)."""


class Settling:
    """Judges how tries ended and hands the outcomes to journal, timers and breaker."""

    def __init__(
        self,
        *,
        directory: Directory,
        lanes: Lanes,
        journal: Journal,
        timers: Timers,
        successors: Successors,
        notices: Notices,
        world: World,
        changed: Callable[[int], None],
    ) -> None:
        self._directory = directory
        self._lanes = lanes
        self._journal = journal
        self._timers = timers
        self._successors = successors
        self._notices = notices
        self._subscriptions = world.subscriptions
        self._disable_after_s = world.policy.disable_after_s
        self._now = world.now
        self._random = world.random
        self._jitter = world.jitter
        self._changed = changed
        self.account = Account(world.meters, world.told)
        self.spawn: Spawn = _not_started

    def judge(self, lane: Lane, delivery: PendingDelivery, terms: Terms, ended: Ended) -> Settlement:
        """What the outcome means, by the stream's schedule; while the breaker is open nothing counts (S3g)."""
        return decide(
            ended.outcome,
            failures_in_round=delivery.failures,
            schedule=terms.schedule_s,
            now_s=ended.ended_at_us / _SECOND_US,
            jitter=self._jitter(),
            round_started_s=delivery.first_at_us / _SECOND_US,
            counting=not lane.breaker.open,
        )

    async def settle(
        self,
        lane: Lane,
        delivery: PendingDelivery,
        terms: Terms,
        ended: Ended,
        settlement: Settlement,
        *,
        hash6: bytes,
    ) -> None:
        """Settle one delivery. It waits only where the key that it blocks has successors to be looked up."""
        unsettled = self.settle_now(lane, delivery, terms, ended, settlement, hash6=hash6)
        if unsettled is not None:
            await self.end_behind(lane, delivery, unsettled)

    async def end_behind(self, lane: Lane, delivery: PendingDelivery, attempt: AttemptRecord) -> None:
        """Look up the successors of the key that a delivery blocks, then end it."""
        await self._successors.bring(lane, delivery.position)
        self._end(lane, delivery, attempt)

    def settle_now(
        self,
        lane: Lane,
        delivery: PendingDelivery,
        terms: Terms,
        ended: Ended,
        settlement: Settlement,
        *,
        hash6: bytes,
    ) -> AttemptRecord | None:
        """Settle one delivery without waiting. An attempt that is returned is to be given to ``end_behind``."""
        attempt = self._record(delivery, terms, ended, settlement, hash6)
        if settlement.next_at is None:
            if lane.wants_successors(delivery.position) is not None:
                return attempt
            self._end(lane, delivery, attempt)
            return None
        again = replace(
            delivery,
            attempts=delivery.attempts + 1,
            failures=delivery.failures + int(settlement.counts),
            next_at_us=attempt.next_at_us,
            crashes=0,
            asked=False,
            last_span_id=ended.trace.span_id,
            span_id=None,
            last_trace_id=attempt.batch_trace_id,
            stored=True,
        )
        self.put_off(lane, attempt, again)
        return None

    def postpone(self, lane: Lane, started: Started, current: Current, *, until_us: int = 0) -> None:
        """Stopped between start and POST: nothing was sent, so it waits as if it had not been started."""
        for delivery in started:
            lane.settle(delivery.position, again=True)
            due_us = max(self._now(), lane.waits_until_us, until_us)
            waits = replace(delivery, next_at_us=due_us, asked=False, stored=True)
            self._journal.postpone(waits)
            self._timers.add(waits)
        if not current.active:
            self._lanes.halt(lane)

    def put_off(self, lane: Lane, attempt: AttemptRecord, again: PendingDelivery) -> None:
        """Note that an attempt is over, and that the delivery waits for another one."""
        lane.settle(again.position, again=True)
        self._journal.settle(attempt, again)
        self._timers.add(again)

    def try_again(
        self, lane: Lane, delivery: PendingDelivery, terms: Terms, ended: Ended, hash6: bytes
    ) -> Settlement:
        """What was too much at once is tried again at once in another batch; it counts for nothing (S10a)."""
        settlement = self.judge(lane, delivery, terms, ended)
        once_more = Settlement(
            Decision.FAILED,
            next_at=ended.ended_at_us / _SECOND_US,
            error_class=settlement.error_class,
        )
        attempt = self._record(delivery, terms, ended, once_more, hash6)
        again = replace(
            delivery,
            attempts=delivery.attempts + 1,
            next_at_us=ended.ended_at_us,
            crashes=0,
            asked=False,
            last_span_id=ended.trace.span_id,
            span_id=None,
            last_trace_id=attempt.batch_trace_id,
            stored=True,
        )
        self.put_off(lane, replace(attempt, next_at_us=ended.ended_at_us), again)
        return once_more

    def conclude(
        self, lane: Lane, current: Current, ended: Ended, settlement: Settlement, position: int
    ) -> None:
        """What a try means for the whole stream: its breaker, its waits, whether it stops. Once per POST."""
        if settlement is DELIVERED and lane.breaker.quiet:
            return  # as nearly always: a stream that goes well goes on
        if isinstance(ended.outcome, NotSent | Parked):
            return
        if settlement.wait_lane_s is not None:
            until_us = ended.ended_at_us + int(settlement.wait_lane_s * _SECOND_US)
            lane.wait(until_us)
            self._timers.lane_wakes(lane.number, until_us)
        success = succeeded(ended.outcome)
        if not success or not lane.breaker.quiet:
            self._break(lane, ended, position, success=success)
        if settlement.disable or settlement.pause:
            state = SubscriptionState.DISABLED if settlement.disable else SubscriptionState.PAUSED
            status = ended.outcome.status if isinstance(ended.outcome, Answered) else 0
            self._stop(lane, current, state, f"the sink answered {status}")
        elif not success and lane.breaker.failed_for(ended.ended_at_us) >= self._disable_after_s:
            days = self._disable_after_s / 86_400
            self._stop(lane, current, SubscriptionState.DISABLED, f"nothing was delivered for {days:g} days")

    def _break(self, lane: Lane, ended: Ended, position: int, *, success: bool) -> None:
        change = lane.record(
            success=success, at_us=ended.ended_at_us, jitter=self._jitter(), routed=self._lanes.routed
        )
        self.account.meters.breaker(change)
        if lane.breaker.changed:
            self._lanes.moved(lane)
            self._journal.touch()
        if change is Change.OPENED:
            self._lanes.demote(lane)
            self._notices.tell(lane.number, facts.BREAKER_OPENED, position)
        elif change is Change.CLOSED:
            self._lanes.hungry(lane)
            self._notices.tell(lane.number, facts.BREAKER_CLOSED, position)
        if lane.breaker.open and lane.breaker.probe_at_us is not None:
            self._timers.lane_wakes(lane.number, lane.breaker.probe_at_us)

    def _end(self, lane: Lane, delivery: PendingDelivery, attempt: AttemptRecord) -> None:
        successors = lane.settle(delivery.position, again=False)
        self._journal.settle(attempt, None, stored=delivery.stored, request=delivery.request)
        due_us = attempt.ended_at_us
        for successor in successors:
            self._journal.postpone(replace(successor, first_at_us=due_us, next_at_us=due_us))
        if attempt.decision in _FAILED:
            self._notices.tell(lane.number, facts.DELIVERY_EXHAUSTED, delivery.position)

    def _record(
        self,
        delivery: PendingDelivery,
        terms: Terms,
        ended: Ended,
        settlement: Settlement,
        hash6: bytes,
    ) -> AttemptRecord:
        answer, now = ended.answer, self._directory.get(delivery.number)
        present = None if now is None else now.terms(ended.ended_at_us)
        headers, body = ((), b"") if answer is None else mask(answer, terms, present)
        # In the order of its fields: by their names it would cost three times as much, for every attempt.
        return AttemptRecord(
            attempt_id(self._random(ATTEMPT_BYTES)),
            delivery.number,
            delivery.position,
            hash6,
            delivery.attempts + 1,
            delivery.round,
            cause_of(delivery),
            settlement.decision,
            settlement.counts,
            ended.started_at_us,
            max(0, ended.ended_at_us - ended.started_at_us),
            terms.revision,
            ended.trace.trace_id,
            ended.trace.span_id,
            settlement.error_class,
            ended.detail,
            None if answer is None else answer.status,
            None if settlement.next_at is None else int(settlement.next_at * _SECOND_US),
            tuple(headers[:_HEADERS_MAX]),
            body[:_BODY_BYTES_MAX],
            delivery.batch,
            delivery.replay,
        )

    def _stop(self, lane: Lane, current: Current, state: SubscriptionState, cause: str) -> None:
        """The sink said to stop (410), or to wait longer than is granted: no new start, and a fact (S3e, S3f)."""
        revision = current.record.revision
        present = self._directory.get(lane.number)
        if present is None or present.record.revision != revision:
            return
        if not (state is SubscriptionState.DISABLED or present.active):
            return  # it stands already, and disabled must not become paused
        self._lanes.halt(lane)
        lane.stopping_at = revision
        self.spawn(self._write_state, lane, state, cause, revision)

    async def _write_state(self, lane: Lane, state: SubscriptionState, cause: str, revision: int) -> None:
        number = lane.number
        try:
            await patiently(
                lambda: self._subscriptions.set_state(number, state, cause=cause, revision=revision),
                f"subscription {number} cannot be stopped",
            )
        except GatewayError as error:
            # It was changed or deleted meanwhile: that change has the last word.
            _LOGGER.info("subscription %d was not stopped: %s", number, error)
        lane.stopping_at = None
        self._changed(number)


def cause_of(delivery: PendingDelivery) -> str:
    """Why an attempt was made, for a person who reads the list of them."""
    if delivery.crashes >= CRASHES_MAX:
        return "recovery"
    if delivery.asked:
        return "manual"
    if delivery.attempts == 0:
        return "first"
    return "retry" if delivery.replay is None or delivery.failures else "replay"


def _not_started(*_arguments: object) -> None:
    raise RuntimeError("an attempt ended before there was a task group to go on in")
