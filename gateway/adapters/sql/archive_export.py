"""A range of the log is exported to a file, read back, and said in the log (S8).

What is exported is followed hash by hash on its way, so that no damaged row is put where nobody would look again. The
fact, and the row that says where the file is, are one transaction; from then on the file is the truth of the range's
events. A process that dies before it leaves a file that the next one writes again.
"""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Row, insert, select

from gateway.adapters.archive_files import ArchiveWriter, Written
from gateway.adapters.sql.archive_holders import Holders
from gateway.adapters.sql.archive_rows import read_archive
from gateway.adapters.sql.database import Database
from gateway.adapters.sql.fetching import rows_of
from gateway.adapters.sql.models import Archive, LogEntry
from gateway.adapters.sql.saying import FactWriter
from gateway.domain import archive as rules
from gateway.domain.archive import Chain, Span
from gateway.domain.chain import GENESIS
from gateway.errors import ArchiveUnusable
from gateway.ports import ArchiveState, ArchiveStep, Now

_LOG = LogEntry.__table__  # type: ignore[attr-defined]
_ARCHIVE = Archive.__table__  # type: ignore[attr-defined]
_PAGE: Final = 100
"""Rows that are in memory at a time: each is as large as an event may be."""
_DAMAGED: Final = "Nothing of it was dropped. Run `letta-gateway verify-log`, and restore a backup."


@dataclass(frozen=True, slots=True)
class _Exported:
    """What a file was filled with; ``erased``: which positions were empty then."""

    span: Span
    events: int
    erased: frozenset[int]
    first_at: int
    last_at: int


class Exporter:
    """Makes the files of a folder, one at a time."""

    def __init__(
        self, database: Database, folder: Path, holders: Holders, facts: FactWriter, now: Now
    ) -> None:
        self._database = database
        self._folder = folder
        self._holders = holders
        self._facts = facts
        self._now = now

    async def export(self, first: int, until: int) -> ArchiveStep:
        """Write one file, as far as it holds of this range, read it back, and let the log say so."""
        previous = await self._database.read(lambda connection: _hash_before(connection, first))
        writer = await asyncio.to_thread(ArchiveWriter, self._folder, first, previous)
        try:
            exported = await self._write(writer, Chain(first, previous), until)
            span = exported.span
            written = await asyncio.to_thread(writer.finish, rules.file_name(span.first, span.last))
        finally:
            await asyncio.to_thread(writer.abort)
        path = self._folder / rules.file_name(span.first, span.last)
        await asyncio.to_thread(read_archive, path, span)
        step = await self._database.write(lambda connection: self._begin(connection, exported, written))
        if not step.appended:
            # Something came in between, such as an erasure: no row knows this file, and nobody is to find it (S8b).
            await asyncio.to_thread(path.unlink, missing_ok=True)
        return step

    async def _write(self, writer: ArchiveWriter, chain: Chain, until: int) -> _Exported:
        last_max, size_bytes, erased = min(until, chain.first + rules.ROWS_MAX - 1), 0, set[int]()
        first_at = last_at = 0
        while chain.position < last_max and size_bytes < rules.BYTES_MAX:
            statement = (
                select(_LOG)
                .where(_LOG.c.position > chain.position, _LOG.c.position <= last_max)
                .order_by(_LOG.c.position)
                .limit(_PAGE)
            )
            rows = await rows_of(self._database, statement)
            if not rows:
                raise ArchiveUnusable(f"Position {chain.position + 1} is missing.", hint=_DAMAGED)
            kept: list[Row[Any]] = []
            for row in rows:
                fault = chain.follow(row)
                if fault:
                    raise ArchiveUnusable(
                        f"The log does not verify at position {row.position}: {fault}.", hint=_DAMAGED
                    )
                size_bytes += len(row.envelope or b"")
                kept.append(row)
                if row.erased_by is not None:
                    erased.add(row.position)
                if size_bytes >= rules.BYTES_MAX:
                    break
            first_at, last_at = first_at or kept[0].appended_at, kept[-1].appended_at
            await asyncio.to_thread(writer.add, kept)
        return _Exported(chain.span(), chain.events, frozenset(erased), first_at, last_at)

    def _begin(self, connection: Connection, exported: _Exported, written: Written) -> ArchiveStep:
        """From here on the file is what there is of the range's events, unless something came in between."""
        span = exported.span
        there = _LOG.c.position.between(span.first, span.last)
        erased = connection.execute(select(_LOG.c.position).where(there, _LOG.c.erased_by.is_not(None)))
        if set(erased.scalars()) != exported.erased or self._holders.are_there(connection, span.last):
            return ArchiveStep()  # it is written again, or ends, by the next step
        now_us = self._now()
        self._facts.say(connection, rules.archived(span, exported.events), now_us)
        connection.execute(
            insert(_ARCHIVE).values(
                first=span.first,
                last=span.last,
                state=ArchiveState.DROPPING.value,
                file=rules.file_name(span.first, span.last),
                size_bytes=written.size_bytes,
                sha256=written.sha256,
                events=exported.events,
                previous=span.previous,
                last_hash=span.last_hash,
                kept=span.kept,
                first_at=exported.first_at,
                last_at=exported.last_at,
                archived_at=now_us,
                moved_until=span.first - 1,
            )
        )
        return ArchiveStep(appended=True)


def _hash_before(connection: Connection, first: int) -> bytes:
    """The hash that the row at ``first`` follows."""
    if first == 1:
        return GENESIS
    archived = select(_ARCHIVE.c.last_hash).where(_ARCHIVE.c.last == first - 1)
    found = connection.execute(archived).scalar()
    if found is None:
        found = connection.execute(select(_LOG.c.row_hash).where(_LOG.c.position == first - 1)).scalar_one()
    return bytes(found)
