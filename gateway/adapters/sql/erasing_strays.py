"""Erasure in files of this log that the database does not know (S8b).

A backup from before an archiving leaves such files in the folder, and so does a process that died between a file and
the fact that says it. They have the events that are erased, so they are written anew as well. Nothing is said of it in
the log: what of it the log has was said when it was erased there, and the rest is no part of this log any more.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Row, select

from gateway.adapters.archive_files import archive_names, read_head, read_rows
from gateway.adapters.sql.archive_rows import holding
from gateway.adapters.sql.database import Database
from gateway.adapters.sql.erasing_files import rewrite, takes
from gateway.adapters.sql.fetching import first_of, rows_of
from gateway.adapters.sql.lists import parts
from gateway.adapters.sql.models import Archive, LogEntry
from gateway.domain.archive import ArchiveDamaged, ArchivedRow
from gateway.domain.erasure import Target
from gateway.ports import Unreached, UnreachedArchive

_ARCHIVE = Archive.__table__  # type: ignore[attr-defined]
_LOG = LogEntry.__table__  # type: ignore[attr-defined]
_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StraysErased:
    """How many files were written anew, and which could not be looked through, or are another log's."""

    written: int
    left: Sequence[UnreachedArchive]


@dataclass(frozen=True, slots=True)
class _Stray:
    """A file: where it begins, the hashes before its first row, of that, and of its last; and what of it is to go."""

    first: int
    previous: bytes
    first_hash: bytes
    last_hash: bytes
    found: Sequence[ArchivedRow]


async def erase_in_strays(
    database: Database, folder: Path, erasure: Row[Any], target: Target
) -> StraysErased:
    """Look through the files that the database does not know, in log order. Raises OSError.

    A file is this log's if it has a row of it, or follows a file that is. Another log's is left as it is, and named.
    """
    known = {row.file for row in await rows_of(database, select(_ARCHIVE.c.file))}
    names = await asyncio.to_thread(archive_names, folder)
    written, left, ends = 0, list[UnreachedArchive](), set[bytes]()
    for name in sorted(set(names) - known):
        path = folder / name
        try:
            stray = await asyncio.to_thread(_look, path, target)
        except FileNotFoundError:
            continue  # moved away meanwhile
        except (ArchiveDamaged, PermissionError, IsADirectoryError) as error:
            left.append(UnreachedArchive(name, Unreached.DAMAGED, str(error)))
            continue
        if stray is None:
            continue
        ours = await _is_ours(database, folder, stray, ends)
        if ours:
            ends.add(stray.last_hash)
        facts = await _facts(database, erasure, stray.found)
        if facts and ours:
            await asyncio.to_thread(rewrite, path, stray.first, stray.previous, facts)
            _LOGGER.warning(
                "an archive that the database does not know was rewritten by an erasure: %s", name
            )
            written += 1
        elif facts:
            left.append(UnreachedArchive(name, Unreached.UNKNOWN))
    return StraysErased(written, left)


def _look(path: Path, target: Target) -> _Stray | None:
    """A file as it is; None where it has no row. Raises ArchiveDamaged, and OSError."""
    first, previous = read_head(path)
    found: list[ArchivedRow] = []
    first_hash: bytes | None = None
    last_hash = b""
    for row in read_rows(path):
        last_hash = row.row_hash
        first_hash = first_hash or last_hash
        if takes(target, row):
            found.append(row)
    return None if first_hash is None else _Stray(first, previous, first_hash, last_hash, found)


async def _is_ours(database: Database, folder: Path, stray: _Stray, ends: set[bytes]) -> bool:
    if stray.previous in ends or await _hash_at(database, folder, stray.first) == stray.first_hash:
        return True
    return stray.first > 1 and await _hash_at(database, folder, stray.first - 1) == stray.previous


async def _hash_at(database: Database, folder: Path, position: int) -> bytes | None:
    """The hash of a row of this log, wherever that is; None where nothing is known of it."""
    row = await first_of(database, select(_LOG.c.row_hash).where(_LOG.c.position == position))
    if row is not None:
        return bytes(row.row_hash)
    archive = await first_of(database, holding(position))
    if archive is None:
        return None
    if archive.last == position:
        return bytes(archive.last_hash)

    def read() -> bytes | None:
        rows = (item.row_hash for item in read_rows(folder / archive.file) if item.position == position)
        return next(rows, None)

    try:
        return await asyncio.to_thread(read)
    except (OSError, ArchiveDamaged):
        return None  # that archive is named by itself


async def _facts(database: Database, erasure: Row[Any], found: Sequence[ArchivedRow]) -> Mapping[int, int]:
    """By what each of these rows is erased: the log's fact, or the command where the log has no such row.

    What the log has, and has not erased, came after the command: it stays.
    """
    there: dict[int, Row[Any]] = {}
    for part in parts([row.position for row in found]):
        statement = select(_LOG.c.position, _LOG.c.row_hash, _LOG.c.erased_by).where(
            _LOG.c.position.in_(part)
        )
        there |= {row.position: row for row in await rows_of(database, statement)}
    facts: dict[int, int] = {}
    for row in found:
        own = there.get(row.position)
        if own is None or bytes(own.row_hash) != row.row_hash:
            facts[row.position] = erasure.position
        elif own.erased_by is not None:
            facts[row.position] = own.erased_by
    return facts
