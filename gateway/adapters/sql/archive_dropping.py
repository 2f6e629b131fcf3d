"""The events of a range that is in its file leave the log, a bounded number in each transaction (S8).

Facts stay, and what is left of the erased (S8b, S8c). A process that dies in between is gone on from: the archive's row
says up to where its events have left.
"""

import asyncio
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, update

from gateway.adapters.sql.archive_holders import Holders
from gateway.adapters.sql.archive_rows import archived_without_gap, holding, note, read_archive, span_of
from gateway.adapters.sql.database import Database
from gateway.adapters.sql.models import Archiving, LogEntry
from gateway.adapters.sql.saying import FactWriter
from gateway.domain import archive as rules
from gateway.domain.facts import ARCHIVE_DROPPED
from gateway.ports import ArchiveState, ArchiveStep, Kind, Now, RunState

_LOG = LogEntry.__table__  # type: ignore[attr-defined]
_RUN = Archiving.__table__  # type: ignore[attr-defined]
_MOVED: Final = 1_000
"""Rows that one transaction drops: appends wait for no more than that."""


class Dropper:
    """Lets events leave the log whose archives are whole."""

    def __init__(
        self, database: Database, folder: Path, holders: Holders, facts: FactWriter, now: Now
    ) -> None:
        self._database = database
        self._folder = folder
        self._holders = holders
        self._facts = facts
        self._now = now

    async def drop(self, half: Row[Any]) -> ArchiveStep:
        """Drop some events of an archive that is being dropped."""

        def work(connection: Connection) -> ArchiveStep:
            row = connection.execute(holding(half.first)).one()
            if row.state != ArchiveState.DROPPING.value:
                return ArchiveStep()
            last = min(row.moved_until + _MOVED, row.last)
            connection.execute(
                delete(_LOG).where(
                    _LOG.c.position.between(row.moved_until + 1, last),
                    _LOG.c.kind == Kind.EVENT.value,
                    _LOG.c.erased_by.is_(None),
                )
            )
            done = last == row.last
            state = ArchiveState.ARCHIVED if done else ArchiveState.DROPPING
            note(connection, row, moved_until=last, state=state.value)
            if done:
                connection.execute(
                    update(_RUN)
                    .where(_RUN.c.state == RunState.RUNNING.value)
                    .values(
                        cursor=archived_without_gap(connection),
                        archives=_RUN.c.archives + 1,
                        events=_RUN.c.events + row.events,
                    )
                )
            return ArchiveStep()

        return await self._database.write(work)

    async def drop_again(self, seen: Row[Any]) -> ArchiveStep:
        """Begin to drop what was put back: its file is there, and is looked at once more."""
        path = self._folder / seen.file
        await asyncio.to_thread(read_archive, path, span_of(seen))

        def work(connection: Connection) -> ArchiveStep:
            row = connection.execute(holding(seen.first)).one()
            if tuple(row) != tuple(seen) or self._holders.are_there(connection, row.last):
                return ArchiveStep()
            now_us = self._now()
            self._facts.say(connection, rules.moved(ARCHIVE_DROPPED, row.first, row.last, now_us), now_us)
            note(connection, row, state=ArchiveState.DROPPING.value, moved_until=row.first - 1)
            return ArchiveStep(appended=True)

        return await self._database.write(work)
