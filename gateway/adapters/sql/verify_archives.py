"""What was archived, in its place in the chain: by the facts that say so, and by the files if they are given (S8)."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from sqlalchemy import Row, select

from gateway.adapters.archive_files import read_rows
from gateway.adapters.sql.absent import IS_ABSENT
from gateway.adapters.sql.archive_rows import span_of
from gateway.adapters.sql.database import Database
from gateway.adapters.sql.models import Archive
from gateway.domain import archive as rules
from gateway.domain.archive import ArchiveDamaged, Kept, Span
from gateway.domain.chain import RemainsHash, payload_hash
from gateway.ports import ArchiveState, Kind

_ARCHIVE = Archive.__table__  # type: ignore[attr-defined]
_MOVING = frozenset({ArchiveState.DROPPING.value, ArchiveState.RESTORING.value})

ErasedBy = Callable[[int], Awaitable[frozenset[int]]]
"""The positions that the fact at a position says are erased."""


class Passage:
    """One archived range, while what the log keeps of it goes by: its facts, and what is left of the erased."""

    def __init__(self, row: Row[Any]) -> None:
        self.span: Span = span_of(row)
        self._moving = row.state in _MOVING
        self._kept = Kept()
        self.erased = 0
        """How many of its events are erased, as far as the log has what is left of them."""

    def fault_of(self, row: Row[Any]) -> str:
        """What is wrong with a row of the log that lies in the range, and is not erased."""
        if row.envelope is None or row.nonce is None:
            return "its payload, or a half of it, is missing, and no fact says that it was erased"
        if payload_hash(bytes(row.nonce), bytes(row.envelope)) != bytes(row.payload_hash):
            return "its envelope is not the one that was appended"
        if row.kind == Kind.FACT.value:
            self._kept.add(row)
            return ""
        return "" if self._moving else "it was archived, and is in the log"

    def fault(self) -> str:
        """What is wrong with the range, once all of it went by."""
        return (
            ""
            if self._kept.digest() == self.span.kept
            else "a fact of an archived range was changed, or is missing"
        )


class ArchiveVerification:
    """The archives of a log, as a pass over it comes to them."""

    def __init__(self, database: Database, folder: Path | None, erased_by: ErasedBy) -> None:
        self._database = database
        self._folder = folder
        self._erased_by = erased_by
        self._beginning: dict[int, Row[Any]] = {}
        self._unsaid: dict[int, Span] = {}
        self._remains: dict[int, RemainsHash] = {}
        self.positions = 0
        """How many are archived."""
        self.erased = 0

    async def load(self) -> None:
        """Read which ranges are archived: there are fifty of a million positions."""
        statement = select(_ARCHIVE).where(IS_ABSENT)
        rows = await self._database.read(lambda connection: connection.execute(statement).all())
        self._beginning = {row.first: row for row in rows}

    async def beginning_at(self, position: int, previous: bytes) -> tuple[Passage | None, str]:
        """The archived range that begins here, if one does, and what is wrong with it."""
        row = self._beginning.get(position)
        if row is None:
            return None, ""
        passage = Passage(row)
        self.positions += row.last - row.first + 1
        self._unsaid[row.first] = passage.span
        if passage.span.previous != previous:
            return passage, "it was archived, and does not follow from the row before it"
        return passage, "" if self._folder is None else await self._file_fault(
            self._folder / row.file, passage.span
        )

    async def fault_of_fact(self, data: object) -> str:
        """What is wrong with a fact that says that a range was archived."""
        said = rules.said(data)
        if said is None:
            return "it names no archive"
        statement = select(_ARCHIVE).where(_ARCHIVE.c.first == said.first)
        row = await self._database.read(lambda connection: connection.execute(statement).one_or_none())
        if row is None or span_of(row) != said:
            return "what the database knows of the archive is not what was archived"
        self._unsaid.pop(said.first, None)
        return ""

    def passed(self, passage: Passage) -> None:
        """A range went by. Its file, where it was read, has every row that is erased; the log has some of them."""
        if self._folder is None:
            self.erased += passage.erased

    def unsaid(self) -> int | None:
        """The first position of a range that no fact says was archived."""
        return min(self._unsaid, default=None)

    def remains_of(self, fact: int) -> str | None:
        """The hash of what the files have left of what a fact erased; None: they were not looked at."""
        found = self._remains.get(fact)
        return None if self._folder is None else "" if found is None else found.digest().hex()

    async def _file_fault(self, path: Path, span: Span) -> str:
        try:
            erased = await asyncio.to_thread(self._followed, path, span)
        except FileNotFoundError:
            return f"its archive {path.name} is not there"
        except (ArchiveDamaged, OSError, TypeError, OverflowError, ValueError) as error:
            return f"its archive {path.name} does not verify: {error}"
        for fact, positions in erased.items():
            self.erased += len(positions)
            if not await self._erased_by(fact) >= positions:
                return (
                    f"its archive {path.name} has rows that are empty, and no fact says that they were erased"
                )
        return ""

    def _followed(self, path: Path, span: Span) -> dict[int, set[int]]:
        erased: dict[int, set[int]] = {}

        def noting() -> Any:  # noqa: ANN401 - a generator of rows
            for row in read_rows(path):
                if row.erased_by is not None:
                    erased.setdefault(row.erased_by, set()).add(row.position)
                    self._remains.setdefault(row.erased_by, RemainsHash()).add(row)
                yield row

        rules.check(noting(), span)
        return erased
