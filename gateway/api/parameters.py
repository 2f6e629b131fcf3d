"""Query parameters that several routes share."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import Query

from gateway.errors import FieldError, InvalidRequest
from otel.origin import batch_trace

LIMIT = 50
LIMIT_MAX = 500

Limit = Annotated[int, Query(ge=1, le=LIMIT_MAX)]
Since = Annotated[datetime | None, Query(description="Of events appended at or after this time, RFC 3339")]
Until = Annotated[datetime | None, Query(description="Of events appended before this time, RFC 3339")]
TraceId = Annotated[
    str | None,
    Query(description="In this trace, or in a batch whose POST was in this trace"),
]
BatchId = Annotated[
    str | None,
    Query(description="In the batch with this id, which is its `webhook-id`; goes without `trace_id`"),
]

_TRACE_ID = re.compile(r"[0-9a-fA-F]{32}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def trace_of(trace_id: str | None, batch: str | None) -> str | None:
    """The trace to look for: the one that is named, or that of the batch.

    Raises:
        InvalidRequest: Both are given, or what is named can be no trace's id.
    """
    if trace_id is None:
        return None if batch is None else batch_trace(batch).trace_id
    if batch is not None:
        raise InvalidRequest("`batch` goes without `trace_id`: a batch is posted in a trace of its own.")
    if not _TRACE_ID.fullmatch(trace_id):
        raise InvalidRequest("This is no trace's id.", fields=[FieldError("trace_id", "32 hex digits")])
    return trace_id.lower()


def micros(name: str, moment: datetime | None) -> int | None:
    """A time as microseconds since the Unix epoch. Raises ``InvalidRequest`` for one without an offset."""
    if moment is None:
        return None
    if moment.tzinfo is None:
        field = FieldError(name, "an RFC 3339 time with its offset, such as 2026-01-01T12:00:00Z")
        raise InvalidRequest("A time has no offset.", fields=[field])
    return (moment - _EPOCH) // timedelta(microseconds=1)
