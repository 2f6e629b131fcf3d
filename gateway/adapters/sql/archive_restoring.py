"""The events of an archive are put back into the log, as they were (S8).

The file is checked first; then its rows come page by page. Until all of them are there the archive counts as absent,
and nobody is told that it is back: what a process that died has left half done is dropped again.
"""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Row, select, update

from gateway.adapters.archive_files import in_pages
from gateway.adapters.sql.archive_rows import (
    holding,
    in_state,
    note,
    problem_of,
    read_archive,
    record_of,
    span_of,
    unfinished_erasure,
)
from gateway.adapters.sql.bulk import BulkInsert
from gateway.adapters.sql.database import Database
from gateway.adapters.sql.lists import parts
from gateway.adapters.sql.models import Archive, LogEntry
from gateway.adapters.sql.saying import FactWriter
from gateway.domain import archive as rules
from gateway.domain.archive import ArchiveDamaged, ArchivedRow
from gateway.domain.facts import ARCHIVE_RESTORED
from gateway.errors import ArchiveUnusable, Conflict
from gateway.ports import ArchiveRecord, ArchiveState, Now

_LOG = LogEntry.__table__  # type: ignore[attr-defined]
_ARCHIVE = Archive.__table__  # type: ignore[attr-defined]
_COLUMNS: Final = tuple(column.name for column in _LOG.columns)
_INSERT = BulkInsert(_LOG, _COLUMNS)
_PAGE: Final = 100
"""Rows that are in memory at a time: each is as large as an event may be."""


class Restorer:
    """Puts archives back, one file at a time."""

    def __init__(self, database: Database, folder: Path, facts: FactWriter, now: Now) -> None:
        self._database = database
        self._folder = folder
        self._facts = facts
        self._now = now

    async def restore(self, row: Row[Any]) -> ArchiveRecord:
        """Have the events of an archive in the log again; a second time does nothing. Raises ``Conflict``."""
        if row.state == ArchiveState.RESTORED.value:
            return record_of(row)
        path = self._folder / row.file
        try:
            await asyncio.to_thread(read_archive, path, span_of(row))
            await self._database.write(lambda connection: _begin(connection, row.first))
            pages = in_pages(path, _PAGE)
            while page := await asyncio.to_thread(next, pages, None):
                await self._database.write(_putting_back(row.first, page))
        except (OSError, ArchiveDamaged) as error:
            raise ArchiveUnusable(
                f"The archive {row.file} cannot be read: {problem_of(error, self._folder)}"
            ) from error
        return await self._database.write(lambda connection: self._finish(connection, row))

    def _finish(self, connection: Connection, row: Row[Any]) -> ArchiveRecord:
        now = connection.execute(holding(row.first)).one()
        if now.state == ArchiveState.RESTORED.value:
            return record_of(now)  # two have asked for it
        if now.state != ArchiveState.RESTORING.value:
            raise Conflict("It was dropped again meanwhile.", hint="Ask for it once more.")
        now_us = self._now()
        self._facts.say(connection, rules.moved(ARCHIVE_RESTORED, row.first, row.last, now_us), now_us)
        note(connection, row, state=ArchiveState.RESTORED.value)
        return record_of(connection.execute(holding(row.first)).one())


def undo(connection: Connection) -> None:
    """What was being put back is to be dropped again: nobody was told that it is back."""
    for row in connection.execute(in_state(ArchiveState.RESTORING)).all():
        note(connection, row, state=ArchiveState.DROPPING.value, moved_until=row.first - 1)


def _begin(connection: Connection, first: int) -> None:
    row = connection.execute(holding(first)).one()
    if connection.execute(unfinished_erasure()).first() is not None:
        raise Conflict("An erasure runs, which may write this archive anew.", hint="Wait until it is done.")
    if row.state == ArchiveState.DROPPING.value:
        raise Conflict("This archive is being dropped from the log.", hint="Wait until that is done.")
    note(connection, row, state=ArchiveState.RESTORING.value)


def _putting_back(first: int, page: Sequence[ArchivedRow]) -> Callable[[Connection], None]:
    """What of these is not in the log yet; what was erased since comes back as what is left of it."""

    def work(connection: Connection) -> None:
        there: set[int] = set()
        for part in parts([row.position for row in page]):
            there.update(
                connection.execute(select(_LOG.c.position).where(_LOG.c.position.in_(part))).scalars()
            )
        missing = [row for row in page if row.position not in there]
        _INSERT(connection, [tuple(getattr(row, name) for name in _COLUMNS) for row in missing])
        connection.execute(
            update(_ARCHIVE).where(_ARCHIVE.c.first == first).values(moved_until=page[-1].position)
        )

    return work
