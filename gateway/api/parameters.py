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
    """The trace to look for: the one that is named, or that of the batch. Raises ``InvalidRequest`` for both.

    And for what is no trace id: it would be a list that is empty for another reason than it seems.
    """
    if batch is None:
        return None if trace_id is None else _known_form(trace_id)
    if trace_id is not None:
        raise InvalidRequest("`batch` goes without `trace_id`: a batch is posted in a trace of its own.")
    return batch_trace(batch).trace_id


def _known_form(trace_id: str) -> str:
    if _TRACE_ID.fullmatch(trace_id) is None:
        detail = "32 hex digits, such as 4bf92f3577b34da6a3ce929d0e0e4736; a batch is asked for by `batch`"
        raise InvalidRequest("This is no trace id.", fields=[FieldError("trace_id", detail)])
    return trace_id.lower()


def micros(name: str, moment: datetime | None) -> int | None:
    """A time as microseconds since the Unix epoch. Raises ``InvalidRequest`` for one without an offset."""
    if moment is None:
        return None
    if moment.tzinfo is None:
        field = FieldError(name, "an RFC 3339 time with its offset, such as 2026-01-01T12:00:00Z")
        raise InvalidRequest("A time has no offset.", fields=[field])
    return (moment - _EPOCH) // timedelta(microseconds=1)
