"""Rows of the archives' tables: the port's records of them, and the statements that find and change them."""

from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Row, func, select, update

from gateway.adapters.archive_files import read_rows
from gateway.adapters.sql.models import Archive, Archiving, Erasure
from gateway.domain.archive import ArchiveDamaged, Span, check
from gateway.errors import ArchiveUnusable
from gateway.ports import ArchiveRecord, ArchiveState, ErasureState, RunRecord, RunState

_ARCHIVE = Archive.__table__  # type: ignore[attr-defined]
_RUN = Archiving.__table__  # type: ignore[attr-defined]
_ERASURE = Erasure.__table__  # type: ignore[attr-defined]
_WHOLE: Final = (
    "Put a copy that is whole in its place, and try again; `letta-gateway verify-log --archive` finds others."
)


def record_of(row: Row[Any]) -> ArchiveRecord:
    """A row of ``archive``."""
    return ArchiveRecord(
        first=row.first,
        last=row.last,
        state=ArchiveState(row.state),
        file=row.file,
        size_bytes=row.size_bytes,
        sha256=row.sha256,
        events=row.events,
        first_at_us=row.first_at,
        last_at_us=row.last_at,
        archived_at_us=row.archived_at,
    )


def span_of(row: Row[Any]) -> Span:
    """What the file of a row is to be."""
    return Span(row.first, row.last, bytes(row.previous), bytes(row.last_hash), bytes(row.kept))


def run_of(row: Row[Any]) -> RunRecord:
    """A row of ``archiving``."""
    return RunRecord(
        id=row.position,
        until=row.until_position,
        cursor=row.cursor,
        state=RunState(row.state),
        archives=row.archives,
        events=row.events,
        requested_at_us=row.requested_at,
        finished_at_us=row.finished_at,
        problem=row.problem,
    )


def holding(position: int) -> Any:  # noqa: ANN401 - a SELECT
    """The archive that holds a position."""
    return select(_ARCHIVE).where(_ARCHIVE.c.first <= position, _ARCHIVE.c.last >= position)


def in_state(state: ArchiveState) -> Any:  # noqa: ANN401 - a SELECT
    """The archives in a state, in log order."""
    return select(_ARCHIVE).where(_ARCHIVE.c.state == state.value).order_by(_ARCHIVE.c.first)


def note(connection: Connection, row: Row[Any], **values: object) -> None:
    """Change the row of an archive."""
    connection.execute(update(_ARCHIVE).where(_ARCHIVE.c.first == row.first).values(**values))


def last_archived(connection: Connection) -> int:
    """Archives follow each other from the log's first position on; 0: there is none."""
    return int(connection.execute(select(func.max(_ARCHIVE.c.last))).scalar() or 0)


def archived_without_gap(connection: Connection) -> int:
    """Up to where everything is in archives and nothing of it in the log: what was put back ends it."""
    back = _ARCHIVE.c.state.in_((ArchiveState.RESTORED.value, ArchiveState.DROPPING.value))
    first = connection.execute(select(func.min(_ARCHIVE.c.first)).where(back)).scalar()
    return last_archived(connection) if first is None else int(first) - 1


def put_back(until: int) -> Any:  # noqa: ANN401 - a SELECT
    """The archives that were put back and end by a position, in log order: an archive leaves the log whole."""
    return in_state(ArchiveState.RESTORED).where(_ARCHIVE.c.last <= until)


def running() -> Any:  # noqa: ANN401 - a SELECT
    """The archiving that runs."""
    return select(_RUN).where(_RUN.c.state == RunState.RUNNING.value)


def unfinished_erasure() -> Any:  # noqa: ANN401 - a SELECT
    """An erasure that may still write archives anew."""
    return select(_ERASURE.c.id).where(_ERASURE.c.state != ErasureState.FINISHED.value).limit(1)


def problem_of(error: Exception, folder: Path) -> str:
    """What a folder, a file or a log refuses, as a sentence."""
    if isinstance(error, OSError):
        return f"{error.filename or folder}: {error.strerror or error}."
    return str(error).rstrip(".") + "."


def read_archive(path: Path, span: Span) -> None:
    """Read a file that is to be this span of the log from first to last. Raises ``ArchiveUnusable``, and OSError."""
    try:
        check(read_rows(path), span)
    except FileNotFoundError:
        raise ArchiveUnusable.missing(path.name) from None
    except ArchiveDamaged as error:
        raise ArchiveUnusable(f"The archive {path} is damaged: {error}.", hint=_WHOLE) from error
