"""The latest attempts of one subscription, with when their events were appended, backwards by index."""

from typing import Any

from sqlalchemy import Row, Select, select

from gateway.adapters.sql.models import Attempt, LogEntry
from gateway.domain.delivery import Decision
from gateway.domain.statistics import Tried

_ATTEMPT = Attempt.__table__  # type: ignore[attr-defined]
_LOG = LogEntry.__table__  # type: ignore[attr-defined]


def latest_statement(number: int, limit: int) -> Select[Any]:
    """``ix_attempt_delivery`` backwards, and one row of the log for each: the cost is that of ``limit`` rows."""
    columns = _ATTEMPT.c
    return (
        select(
            columns.decision,
            columns.started_at,
            columns.duration_us,
            columns.status,
            columns.round,
            columns.replay,
            _LOG.c.appended_at,
        )
        .join(_LOG, _LOG.c.position == columns.position, isouter=True)
        .where(columns.number == number)
        .order_by(columns.position.desc(), columns.attempt.desc())
        .limit(limit)
    )


def tried_of(row: Row[Any]) -> Tried:
    """A row of it as the domain's value."""
    return Tried(
        decision=Decision(row.decision),
        started_at_us=row.started_at,
        duration_us=row.duration_us,
        appended_at_us=row.appended_at,
        sent=row.status is not None,
        replayed=row.replay is not None or row.round > 0,
    )
