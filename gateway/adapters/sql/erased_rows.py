"""What a row looks like once its event is erased (S8b), of the log and of the attempts."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, or_, select

from gateway.adapters.sql.lists import parts
from gateway.adapters.sql.models import Attempt, Erasure, LogEntry
from gateway.domain.erasure import NO_TRACE
from gateway.ports import AttemptRecord

_ATTEMPT = Attempt.__table__  # type: ignore[attr-defined]
_ERASURE = Erasure.__table__  # type: ignore[attr-defined]
_LOG = LogEntry.__table__  # type: ignore[attr-defined]
# Made once: each journal asks it.
_LAST_ERASED = select(_ERASURE.c.until_position).order_by(_ERASURE.c.until_position.desc()).limit(1)

REMAINS: Final = (
    _LOG.c.position,
    _LOG.c.kind,
    _LOG.c.type,
    _LOG.c.organization,
    _LOG.c.appended_at,
    _LOG.c.payload_hash,
    _LOG.c.row_hash,
)
"""What is left of it (``chain.Remains``)."""

NOTHING: Final[dict[str, Any]] = {
    "source": "",
    "event_id": "",
    "subject": None,
    "agent_id": None,
    "run_id": None,
    "trace_id": None,
    "partition_key": None,
    "nonce": None,
    "envelope": None,
}
"""What is not."""

UNTOLD: Final[dict[str, Any]] = {
    "response_headers": None,
    "response_body": None,
    "detail": None,
    "trace_id": NO_TRACE,
}
"""What an attempt no longer says of what it sent."""

TELLS: Final[ColumnElement[bool]] = or_(
    _ATTEMPT.c.response_headers.is_not(None),
    _ATTEMPT.c.response_body.is_not(None),
    _ATTEMPT.c.detail.is_not(None),
    _ATTEMPT.c.trace_id != NO_TRACE,
)
"""An attempt that still does."""


def is_empty(row: Row[Any]) -> bool:
    """Whether a whole row of the log has nothing of what an erasure takes."""
    return all(getattr(row, name) == value for name, value in NOTHING.items())


def forgetting(connection: Connection, attempts: Sequence[AttemptRecord]) -> Sequence[AttemptRecord]:
    """The attempts as they may be stored: what was in flight while its event was erased keeps no answer.

    Writes stand in one line, so this sees every erasure before it, and every later one sees these attempts.
    """
    until = connection.execute(_LAST_ERASED).scalar()
    if until is None:
        return attempts
    erased: set[int] = set()
    for part in parts(sorted({item.position for item in attempts if item.position <= until})):
        rows = select(_LOG.c.position).where(_LOG.c.position.in_(part), _LOG.c.erased_by.is_not(None))
        erased.update(connection.execute(rows).scalars())
    return [item.untold() if item.position in erased else item for item in attempts] if erased else attempts
