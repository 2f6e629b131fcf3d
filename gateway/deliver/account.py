"""The account of each attempt: counted, and told in one wide line of the log.

A line of its own for each attempt that did not deliver; for those that did only where it is asked for
(``GATEWAY_LOG_DELIVERIES``), since a line costs a sixth of a delivery. Failing streams cannot flood the log: a breaker
opens after 20 of them.
"""

import logging
from typing import Final, Literal

from gateway.deliver.directory import Current
from gateway.deliver.envelopes import Event
from gateway.deliver.meters import DeliveryMeters, outcome_class
from gateway.deliver.posting import Ended
from gateway.domain.delivery import Decision
from gateway.domain.ids import delivery_id
from gateway.domain.pending import PendingDelivery
from gateway.domain.retry import Settlement

LOGGER: Final = logging.getLogger(__name__)
Told = Literal["failed", "all", "none"]
"""Which attempts are told of."""


class Account:
    """Told of every attempt, just before it is settled."""

    def __init__(self, meters: DeliveryMeters, told: Told) -> None:
        self.meters = meters
        self._tells_all = told == "all"
        self._tells = told != "none"

    def attempt(
        self,
        current: Current,
        event: Event | None,
        delivery: PendingDelivery,
        *,
        ended: Ended,
        settlement: Settlement,
    ) -> None:
        """One attempt has ended, and means this."""
        self.meters.attempt(event, delivery, ended, settlement)
        if self._tells_all or (self._tells and settlement.decision is not Decision.DELIVERED):
            _tell(current, event, delivery, ended, settlement)


def _tell(
    current: Current,
    event: Event | None,
    delivery: PendingDelivery,
    ended: Ended,
    settlement: Settlement,
) -> None:
    """Names and figures only: never a URL, a header, or what a sink has said."""
    entry = None if event is None else event.entry
    fields: dict[str, object] = {
        "event": None if entry is None else entry.id,
        "type": None if entry is None else entry.type,
        "position": delivery.position,
        "subscription": current.record.id,
        "delivery": None if entry is None else delivery_id(delivery.number, entry.position, entry.row_hash),
        "attempt": delivery.attempts + 1,
        "outcome": settlement.decision.value,
        "class": "2xx"
        if settlement.decision is Decision.DELIVERED
        else outcome_class(settlement.error_class),
        "status": None if ended.answer is None else ended.answer.status,
        "error": settlement.error_class,
        "duration_ms": round((ended.ended_at_us - ended.started_at_us) / 1_000, 3),
        "batch": delivery.batch,
        "replay": delivery.replay,
        "trace_id": ended.trace.trace_id,
        "span_id": ended.trace.span_id,
    }
    LOGGER.info("attempt", extra={"fields": fields})
