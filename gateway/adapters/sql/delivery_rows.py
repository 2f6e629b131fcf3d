"""Rows of attempts and of pending deliveries as the port's records, and back."""

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import Row

from gateway.domain.delivery import Decision
from gateway.domain.pending import PendingDelivery
from gateway.ports import AttemptRecord

ATTEMPT_COLUMNS: Final = (
    *("id", "number", "position", "hash6", "attempt", "round", "cause", "decision", "counts", "error_class"),
    *("detail", "status", "started_at", "duration_us", "next_at", "revision", "trace_id", "span_id"),
    *("response_headers", "response_body", "batch", "replay"),
)
"""What ``attempt_row`` gives, in the table's order."""

SELDOM_OF_ATTEMPT: Final = ("error_class", "detail", "next_at", "batch", "replay")
"""What one that was answered with 2xx has not."""


def attempt_row(attempt: AttemptRecord) -> tuple[Any, ...]:
    """A row of ``attempt``, without the number that the database gives it."""
    headers = attempt.response_headers
    return (
        attempt.id,
        attempt.number,
        attempt.position,
        attempt.hash6,
        attempt.attempt,
        attempt.round,
        attempt.cause,
        attempt.decision.value,
        attempt.counts,
        attempt.error_class,
        # What an outcome was is never lost for what somebody said about it, and PostgreSQL holds no NUL.
        attempt.detail and attempt.detail.replace("\0", "\ufffd"),
        attempt.status,
        attempt.started_at_us,
        attempt.duration_us,
        attempt.next_at_us,
        attempt.revision,
        attempt.trace_id,
        attempt.span_id,
        _headers_text(tuple(headers)) if headers else None,
        attempt.response_body or None,
        attempt.batch,
        attempt.replay,
    )


@lru_cache(maxsize=256)  # a sink answers with the same headers again and again
def _headers_text(headers: Sequence[tuple[str, str]]) -> str:
    return json.dumps(headers)


def attempt_of(row: Row[Any]) -> AttemptRecord:
    """A row of ``attempt`` as the port's record."""
    headers = json.loads(row.response_headers) if row.response_headers else []
    return AttemptRecord(
        id=row.id,
        number=row.number,
        position=row.position,
        hash6=bytes(row.hash6),
        attempt=row.attempt,
        round=row.round,
        cause=row.cause,
        decision=Decision(row.decision),
        counts=row.counts,
        started_at_us=row.started_at,
        duration_us=row.duration_us,
        revision=row.revision,
        trace_id=row.trace_id,
        span_id=row.span_id,
        error_class=row.error_class,
        detail=row.detail,
        status=row.status,
        next_at_us=row.next_at,
        response_headers=tuple((name, value) for name, value in headers),
        response_body=bytes(row.response_body or b""),
        batch=row.batch,
        replay=row.replay,
    )


def pending_row(item: PendingDelivery) -> dict[str, Any]:
    """A row of ``pending``."""
    last_span_id, last_trace_id = item.to_link
    return {
        "number": item.number,
        "position": item.position,
        "round": item.round,
        "attempts": item.attempts,
        "failures": item.failures,
        "first_at": item.first_at_us,
        "next_at": item.next_at_us,
        "crashes": item.crashes,
        "partition_key": item.partition_key,
        "blocked_from": item.blocked_from,
        "last_span_id": last_span_id,
        "last_trace_id": last_trace_id,
        "replay": item.replay,
        "batch": item.batch,
        "batch_size": item.batch_size,
        "asked": item.asked,
        "caught_up": item.caught_up,
        "request": item.request,
    }


def pending_of(row: Row[Any]) -> PendingDelivery:
    """A row of ``pending`` as the port's record."""
    return PendingDelivery(
        number=row.number,
        position=row.position,
        round=row.round,
        attempts=row.attempts,
        failures=row.failures,
        first_at_us=row.first_at,
        next_at_us=row.next_at,
        crashes=row.crashes,
        partition_key=row.partition_key,
        blocked_from=row.blocked_from,
        last_span_id=row.last_span_id,
        last_trace_id=row.last_trace_id,
        replay=row.replay,
        batch=row.batch,
        batch_size=row.batch_size,
        asked=row.asked,
        caught_up=row.caught_up,
        request=row.request,
    )
