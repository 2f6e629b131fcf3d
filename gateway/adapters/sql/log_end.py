"""Whether a log still has its end: asked before anything is delivered from it, or derived (S3a)."""

from typing import Any

from sqlalchemy import Connection, select

from gateway.adapters.sql.absent import IS_ABSENT
from gateway.adapters.sql.database import Database
from gateway.adapters.sql.models import Archive, LogEntry, LogHead
from gateway.errors import LogCut

_ARCHIVE = Archive.__table__  # type: ignore[attr-defined]
_HEAD = LogHead.__table__  # type: ignore[attr-defined]
_LOG = LogEntry.__table__  # type: ignore[attr-defined]


async def check_end(database: Database) -> None:
    """Hold the log's head against the last row there is; two rows are read. Raises ``LogCut``.

    What is appended behind a hole would be a chain that nobody can follow: ``verify_log`` alone looks at every row.
    """
    fault = await database.read(_fault)
    if fault:
        raise LogCut(fault)


def _fault(connection: Connection) -> str:
    head = connection.execute(select(_HEAD.c.position, _HEAD.c.row_hash)).one()
    newest = select(_LOG.c.position, _LOG.c.row_hash).order_by(_LOG.c.position.desc()).limit(1)
    row = connection.execute(newest).one_or_none()
    last = 0 if row is None else row.position
    if last == head.position:
        same = row is None or bytes(row.row_hash) == bytes(head.row_hash)
        return "" if same else f"The row at position {last}, the last one, is not the one that was appended."
    if last < head.position and connection.execute(_archived(head.position)).first() is not None:
        return ""
    return f"The log's head says that it ends at position {head.position}, and the last row is {last}."


def _archived(position: int) -> Any:  # noqa: ANN401 - a SELECT
    """The archive that holds a position, where its events are not in the log: the log may end in it."""
    return select(_ARCHIVE.c.first).where(
        _ARCHIVE.c.first <= position, _ARCHIVE.c.last >= position, IS_ABSENT
    )
