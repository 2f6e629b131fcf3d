"""Erasure in archives (S8b): each file that has something of it is written anew, with what is left of those rows.

First the log says what is erased, then the file loses it. The facts are derived from the erasure and the rows, so a
process that dies in between comes to the same facts, and to the same file. A file that is not there cannot be
rewritten: the erasure says which.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, select, update

from gateway.adapters.archive_files import Written, read_rows, sha256_of
from gateway.adapters.sql.database import Database
from gateway.adapters.sql.entries import last_position
from gateway.adapters.sql.erasing_events import empty_attempts
from gateway.adapters.sql.erasing_files import rewrite, takes
from gateway.adapters.sql.erasing_strays import erase_in_strays
from gateway.adapters.sql.erasure_rows import at, note, read, with_unreached
from gateway.adapters.sql.fetching import first_of
from gateway.adapters.sql.lists import parts
from gateway.adapters.sql.models import Archive, LogEntry
from gateway.adapters.sql.saying import FactWriter
from gateway.domain import erasure as rules
from gateway.domain.archive import ArchiveDamaged, ArchivedRow
from gateway.domain.chain import remains_hash
from gateway.domain.erasure import ROWS_MAX, Target
from gateway.ports import ArchiveState, ErasureStep, Now, Unreached, UnreachedArchive

_LOG = LogEntry.__table__  # type: ignore[attr-defined]
_ARCHIVE = Archive.__table__  # type: ignore[attr-defined]
_LOGGER = logging.getLogger(__name__)
_WHOLE = frozenset({ArchiveState.ARCHIVED.value, ArchiveState.RESTORED.value})

Say = Callable[[Sequence[ArchivedRow]], Awaitable[int]]
"""Has the log say that these rows are erased, and empties what was answered to them; the fact's position."""


@dataclass(frozen=True, slots=True)
class _Looked:
    """What looking through one archive came to.

    Attributes:
        until: The archive's last position.
        unreached: Why it could not be read.
        written: The file as it is now, where it is another than before.
        events: How many events were erased in it.
    """

    until: int
    unreached: UnreachedArchive | None = None
    written: Written | None = None
    events: int = 0


class ArchiveEraser:
    """Looks through the files of a folder, one in each step."""

    def __init__(self, database: Database, folder: Path, facts: FactWriter, now: Now) -> None:
        self._database = database
        self._folder = folder
        self._facts = facts
        self._now = now

    async def step(self, row: Row[Any], target: Target) -> ErasureStep:
        """Look through the next archive, and write its file anew if it has something of it."""
        archive = await first_of(self._database, _following(row))
        if archive is None:
            return await self._strays(row, target)
        if archive.state not in _WHOLE:
            return ErasureStep(waits=True)  # rows are being dropped or put back by its file

        async def say(found: Sequence[ArchivedRow]) -> int:
            return await self._say(row, found)

        try:
            looked = await _erase_in(self._database, self._folder, archive, target, say)
        except OSError as error:
            _LOGGER.error("an archive cannot be rewritten, and its erasure waits: %s", error)  # noqa: TRY400
            return ErasureStep(waits=True)

        def noted(connection: Connection, now: Row[Any]) -> ErasureStep:
            _note_file(connection, looked)
            note(
                connection,
                now,
                archives_until=looked.until,
                archives=now.archives + (looked.written is not None),
                unreachable=with_unreached(now.unreachable, looked.unreached),
            )
            return ErasureStep(appended=bool(looked.events))

        return await self._database.erase(lambda connection: noted(connection, read(connection, row.id)))

    async def _strays(self, row: Row[Any], target: Target) -> ErasureStep:
        """After the archives that the log knows, the files that it does not."""
        try:
            erased = await erase_in_strays(self._database, self._folder, row, target)
        except OSError as error:
            _LOGGER.error("a file of the archives cannot be rewritten, and an erasure waits: %s", error)  # noqa: TRY400
            return ErasureStep(waits=True)

        def passed(connection: Connection, now: Row[Any]) -> ErasureStep:
            unreachable = now.unreachable
            for left in erased.left:
                unreachable = with_unreached(unreachable, left)
            counts = {"archives": now.archives + erased.written, "unreachable": unreachable}
            note(connection, now, archives_until=now.until_position, **counts)
            return ErasureStep()

        return await at(self._database, row, passed)

    async def _say(self, row: Row[Any], found: Sequence[ArchivedRow]) -> int:
        """Empty what was answered to archived events, then have the log say that they are erased."""
        positions = [item.position for item in found]
        fact = rules.erased(row.id, positions, remains_hash(found))

        def work(connection: Connection) -> int | None:
            emptied, whole = empty_attempts(connection, positions)
            now = read(connection, row.id)
            if len(whole) < len(positions):
                note(connection, now, attempts=now.attempts + emptied)
                return None
            head = last_position(connection)
            position = self._facts.say(connection, fact, self._now())
            events = len(positions) if position > head else 0  # it was said before a crash
            note(connection, now, events=now.events + events, attempts=now.attempts + emptied)
            return position

        while True:
            position = await self._database.erase(work)
            if position is not None:
                return position


def _following(erasure: Row[Any]) -> Any:  # noqa: ANN401 - a SELECT
    """The next archive that an erasure has to look through."""
    return (
        select(_ARCHIVE)
        .where(_ARCHIVE.c.first > erasure.archives_until, _ARCHIVE.c.first <= erasure.until_position)
        .order_by(_ARCHIVE.c.first)
    )


async def _erase_in(database: Database, folder: Path, archive: Row[Any], target: Target, say: Say) -> _Looked:
    """Erase in one archive. Raises OSError where its file cannot be written."""
    path = folder / archive.file
    try:
        found = await asyncio.to_thread(lambda: [row for row in read_rows(path) if takes(target, row)])
    except (FileNotFoundError, NotADirectoryError):
        return _Looked(archive.last, UnreachedArchive(archive.file, Unreached.MISSING))
    except ArchiveDamaged as error:
        return _Looked(archive.last, UnreachedArchive(archive.file, Unreached.DAMAGED, str(error)))
    if not found:
        return _Looked(archive.last, written=await asyncio.to_thread(_changed, path, archive))
    facts = await _erased_in_log(database, [row.position for row in found])
    left = [row for row in found if row.position not in facts]
    for start in range(0, len(left), ROWS_MAX):
        chunk = left[start : start + ROWS_MAX]
        facts |= dict.fromkeys((row.position for row in chunk), await say(chunk))
    written = await asyncio.to_thread(rewrite, path, archive.first, bytes(archive.previous), facts)
    return _Looked(archive.last, written=written, events=len(left))


def _note_file(connection: Connection, looked: _Looked) -> None:
    """The archive's row says what its file is now."""
    if looked.written is not None:
        connection.execute(
            update(_ARCHIVE)
            .where(_ARCHIVE.c.last == looked.until)
            .values(size_bytes=looked.written.size_bytes, sha256=looked.written.sha256)
        )


def _changed(path: Path, archive: Row[Any]) -> Written | None:
    """A file that was written anew before its row could say so."""
    found = sha256_of(path)
    return None if found == archive.sha256 else Written(path.stat().st_size, found)


async def _erased_in_log(database: Database, positions: Sequence[int]) -> dict[int, int]:
    """By which facts those are erased that the log has as well, since they were put back or are yet to be dropped."""

    def work(connection: Connection) -> dict[int, int]:
        found: dict[int, int] = {}
        for part in parts(positions):
            statement = select(_LOG.c.position, _LOG.c.erased_by).where(
                _LOG.c.position.in_(part), _LOG.c.erased_by.is_not(None)
            )
            found |= {row.position: row.erased_by for row in connection.execute(statement)}
        return found

    return await database.read(work)
