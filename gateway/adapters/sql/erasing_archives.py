"""Erasure in archives (S8b): each file that has something of it is written anew, with what is left of those rows.

First the log says what is erased, then the file loses it. The facts are derived from the erasure and the rows, so a
process that dies in between comes to the same facts, and to the same file. A file that is not there cannot be
rewritten: the erasure says which.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, select, update

from gateway.adapters.archive_files import ArchiveWriter, Written, in_pages, read_rows, sha256_of
from gateway.adapters.sql.database import Database
from gateway.adapters.sql.erased_rows import NOTHING
from gateway.adapters.sql.lists import parts
from gateway.adapters.sql.models import Archive, LogEntry
from gateway.domain.archive import ArchiveDamaged, ArchivedRow
from gateway.domain.erasure import ROWS_MAX, Scope, Target
from gateway.ports import ArchiveState, Kind

_LOG = LogEntry.__table__  # type: ignore[attr-defined]
_ARCHIVE = Archive.__table__  # type: ignore[attr-defined]
_PAGE = 500
_WHOLE = frozenset({ArchiveState.ARCHIVED.value, ArchiveState.RESTORED.value})

Say = Callable[[Sequence[ArchivedRow]], Awaitable[int]]
"""Has the log say that these rows are erased, and empties what was answered to them; the fact's position."""


@dataclass(frozen=True, slots=True)
class Looked:
    """What looking through one archive came to.

    Attributes:
        until: The archive's last position.
        file: Its file's name.
        reached: Whether it could be read.
        written: The file as it is now, where it is another than before.
        events: How many events were erased in it.
    """

    until: int
    file: str
    reached: bool
    written: Written | None = None
    events: int = 0


async def following(database: Database, erasure: Row[Any]) -> Row[Any] | None:
    """The next archive that an erasure has to look through."""
    statement = (
        select(_ARCHIVE)
        .where(_ARCHIVE.c.first > erasure.archives_until, _ARCHIVE.c.first <= erasure.until_position)
        .order_by(_ARCHIVE.c.first)
        .limit(1)
    )
    return await database.read(lambda connection: connection.execute(statement).one_or_none())


def is_moving(archive: Row[Any]) -> bool:
    """Whether rows are being dropped or put back by it: then its file is not to be changed."""
    return archive.state not in _WHOLE


async def erase_in(database: Database, folder: Path, archive: Row[Any], target: Target, say: Say) -> Looked:
    """Erase in one archive. Raises OSError where its file cannot be written."""
    path = folder / archive.file
    try:
        found = await asyncio.to_thread(lambda: [row for row in read_rows(path) if _takes(target, row)])
    except (FileNotFoundError, NotADirectoryError, ArchiveDamaged):
        return Looked(archive.last, archive.file, reached=False)
    if not found:
        return Looked(
            archive.last, archive.file, reached=True, written=await asyncio.to_thread(_changed, path, archive)
        )
    facts = await _erased_in_log(database, [row.position for row in found])
    left = [row for row in found if row.position not in facts]
    for start in range(0, len(left), ROWS_MAX):
        chunk = left[start : start + ROWS_MAX]
        facts |= dict.fromkeys((row.position for row in chunk), await say(chunk))
    written = await asyncio.to_thread(_rewrite, folder, archive, facts)
    return Looked(archive.last, archive.file, reached=True, written=written, events=len(left))


def note_file(connection: Connection, looked: Looked) -> None:
    """The archive's row says what its file is now."""
    if looked.written is not None:
        connection.execute(
            update(_ARCHIVE)
            .where(_ARCHIVE.c.last == looked.until)
            .values(size_bytes=looked.written.size_bytes, sha256=looked.written.sha256)
        )


def with_file(unreachable: str, looked: Looked) -> str:
    """The names of the files that could not be read, with this one if it is such."""
    return unreachable if looked.reached else json.dumps([*json.loads(unreachable), looked.file])


def _rewrite(folder: Path, archive: Row[Any], facts: Mapping[int, int]) -> Written:
    path = folder / archive.file
    writer = ArchiveWriter(folder, archive.first, bytes(archive.previous))
    try:
        for page in in_pages(path, _PAGE):
            writer.add(_emptied(page, facts))
        return writer.finish(archive.file)
    finally:
        writer.abort()


def _emptied(page: Sequence[ArchivedRow], facts: Mapping[int, int]) -> Iterator[ArchivedRow]:
    for row in page:
        fact = facts.get(row.position)
        yield row if fact is None else replace(row, **NOTHING, erased_by=fact)


def _changed(path: Path, archive: Row[Any]) -> Written | None:
    """A file that was written anew before its row could say so."""
    found = sha256_of(path)
    return None if found == archive.sha256 else Written(path.stat().st_size, found)


def _takes(target: Target, row: ArchivedRow) -> bool:
    if row.kind != Kind.EVENT.value or row.erased_by is not None:
        return False
    if target.scope is Scope.ORGANIZATION:
        return row.organization == target.id
    return target.id in {row.agent_id, row.partition_key}


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
