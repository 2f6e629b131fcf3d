"""Query parameters that several routes share."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import Query

from gateway.errors import FieldError, InvalidRequest

LIMIT = 50
LIMIT_MAX = 500

Limit = Annotated[int, Query(ge=1, le=LIMIT_MAX)]
Since = Annotated[datetime | None, Query(description="Of events appended at or after this time, RFC 3339")]
Until = Annotated[datetime | None, Query(description="Of events appended before this time, RFC 3339")]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def micros(name: str, moment: datetime | None) -> int | None:
    """A time as microseconds since the Unix epoch. Raises ``InvalidRequest`` for one without an offset."""
    if moment is None:
        return None
    if moment.tzinfo is None:
        field = FieldError(name, "an RFC 3339 time with its offset, such as 2026-01-01T12:00:00Z")
        raise InvalidRequest("A time has no offset.", fields=[field])
    return (moment - _EPOCH) // timedelta(microseconds=1)
