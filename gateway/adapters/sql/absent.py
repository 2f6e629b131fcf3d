"""What of the log was archived and is not in it: nobody may read past that without being told (S8)."""

from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, func, select

from gateway.adapters.sql.models import Archive
from gateway.errors import Archived, FieldError
from gateway.ports import ArchivedUntil, ArchiveState

_ARCHIVE = Archive.__table__  # type: ignore[attr-defined]
IS_ABSENT: Final[ColumnElement[bool]] = _ARCHIVE.c.state != ArchiveState.RESTORED.value


def absent(connection: Connection, first: int, last: int) -> tuple[int, int] | None:
    """The first archived range among these positions that is not, or not whole, in the log, up to where that is again.

    Archives follow each other without a gap, so it ends before the next one that was put back, or with the last.
    """
    statement = (
        select(_ARCHIVE.c.first, _ARCHIVE.c.last)
        .where(_ARCHIVE.c.last >= first, _ARCHIVE.c.first <= last, IS_ABSENT)
        .order_by(_ARCHIVE.c.first)
        .limit(1)
    )
    row: Any = connection.execute(statement).one_or_none()
    if row is None:
        return None
    back = select(func.min(_ARCHIVE.c.first)).where(_ARCHIVE.c.first > row.first, ~IS_ABSENT)
    following = connection.execute(back).scalar()
    if following is None:
        return row.first, int(connection.execute(select(func.max(_ARCHIVE.c.last))).scalar_one())
    return row.first, int(following) - 1


def archived_until(
    connection: Connection,
    first: int,
    last: int | None,
    *,
    since_us: int | None = None,
    until_us: int | None = None,
) -> ArchivedUntil | None:
    """Where the last archive ends that has something of these positions and times, and is not whole in the log.

    ``last`` None is the log's end. A time that lies in an archive is no position of the log any more, so times are held
    against the archives' own.
    """
    conditions = [_ARCHIVE.c.last >= first, IS_ABSENT]
    if last is not None:
        conditions.append(_ARCHIVE.c.first <= last)
    if since_us is not None:
        conditions.append(_ARCHIVE.c.last_at >= since_us)
    if until_us is not None:
        conditions.append(_ARCHIVE.c.first_at < until_us)
    statement = (
        select(_ARCHIVE.c.last, _ARCHIVE.c.last_at)
        .where(*conditions)
        .order_by(_ARCHIVE.c.last.desc())
        .limit(1)
    )
    row: Any = connection.execute(statement).one_or_none()
    return None if row is None else ArchivedUntil(row.last, row.last_at)


def check_present(connection: Connection, first: int, last: int, *, pointer: str = "") -> None:
    """Raises ``Archived`` where a part of this range was archived; ``pointer`` is what has named it."""
    found = absent(connection, first, last)
    if found is not None:
        raise archived_error(*found, pointer=pointer)


def archived_error(first: int, last: int, *, pointer: str = "") -> Archived:
    """What is told of an archived range."""
    fields = (
        [FieldError(pointer, f"must lie behind position {last}, or the archive be restored")]
        if pointer
        else []
    )
    return Archived(
        f"Positions {first} to {last} were archived.",
        hint=f"Begin behind them, or have an administrator put them back: `letta-gateway archive restore {first}`.",
        fields=fields,
    )
