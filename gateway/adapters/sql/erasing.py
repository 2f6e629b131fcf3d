"""Erasure in SQL (S8b): commanded by a fact, then done in transactions that bound how long an append waits.

An erasure goes through the log, then the archives, then the quarantine, by steps; each moves its cursor in the
transaction in which it empties what it has found. So a process that dies loses nothing and leaves nothing half done:
the next one reads where the cursor is and goes on.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Row, func, insert, select

from gateway.adapters.sql import erasing_quarantine as quarantine
from gateway.adapters.sql.database import Database
from gateway.adapters.sql.entries import last_position
from gateway.adapters.sql.erasing_archives import ArchiveEraser
from gateway.adapters.sql.erasing_events import EventEraser
from gateway.adapters.sql.erasure_rows import at, note, read, record_of
from gateway.adapters.sql.fetching import first_of, rows_of
from gateway.adapters.sql.models import Archive, Erasure
from gateway.adapters.sql.saying import FactWriter
from gateway.adapters.sql.texts import same
from gateway.domain import erasure as rules
from gateway.domain.erasure import Scope, Target
from gateway.domain.ids import RANDOM_BYTES, erasure_id
from gateway.errors import Conflict, InvalidRequest
from gateway.ports import ErasureCount, ErasureRecord, ErasureState, ErasureStep, Now, Random

_ERASURE = Erasure.__table__  # type: ignore[attr-defined]

OPEN_MAX: Final = 1_000


class SqlErasures:
    """Implements ``gateway.ports.Erasures`` on any ``Database``."""

    def __init__(
        self,
        database: Database,
        *,
        fact_source: str,
        now: Now,
        random: Random,
        archive_dir: Path | None = None,
        files: asyncio.Lock | None = None,
    ) -> None:
        self._database = database
        self._files = files or asyncio.Lock()
        self._now = now
        self._random = random
        self._facts = FactWriter(fact_source, random)
        self._events = EventEraser(database, self._facts, now)
        self._archives = ArchiveEraser(database, archive_dir or Path(), self._facts, now)

    async def request(self, target: Target) -> ErasureRecord:
        """See ``Erasures.request``."""
        new_id = erasure_id(self._random(RANDOM_BYTES))

        def work(connection: Connection) -> ErasureRecord:
            unfinished = (
                select(func.count())
                .select_from(_ERASURE)
                .where(_ERASURE.c.state != ErasureState.FINISHED.value)
            )
            if connection.execute(unfinished).scalar_one() >= OPEN_MAX:
                raise Conflict(
                    f"{OPEN_MAX} erasures are not finished yet.", hint="Wait until some of them are."
                )
            now_us, head = self._now(), last_position(connection)
            position = self._facts.say(connection, rules.requested(new_id, target.scope, head), now_us)
            connection.execute(
                insert(_ERASURE).values(
                    position=position,
                    id=new_id,
                    scope=target.scope.value,
                    target=target.id,
                    state=ErasureState.RUNNING.value,
                    until_position=head,
                    cursor=0,
                    seen_at=0,
                    seen_id="",
                    events=0,
                    attempts=0,
                    quarantined=0,
                    rewritten=False,
                    requested_at=now_us,
                )
            )
            return record_of(read(connection, new_id))

        try:
            return await self._database.erase(work)
        except ValueError as error:
            raise InvalidRequest(f"There can be nothing of this name. {error}") from error

    async def count(self, target: Target) -> ErasureCount:
        """See ``Erasures.count``."""
        head = await self._database.read(last_position)
        events = await self._events.count(target, head)
        quarantined = await quarantine.count(self._database, target, self._now())
        there = select(func.count()).select_from(Archive.__table__)  # type: ignore[attr-defined]
        count = await self._database.read(lambda connection: connection.execute(there).scalar_one())
        return ErasureCount(events, quarantined, int(count))

    async def get(self, erasure_id: str) -> ErasureRecord | None:
        """See ``Erasures.get``."""
        statement = select(_ERASURE).where(same(_ERASURE.c.id, erasure_id))
        row = await first_of(self._database, statement)
        return None if row is None else record_of(row)

    async def page(self, *, before: int | None, limit: int) -> Sequence[tuple[int, ErasureRecord]]:
        """See ``Erasures.page``."""
        statement = select(_ERASURE).order_by(_ERASURE.c.position.desc()).limit(limit)
        if before is not None:
            statement = statement.where(_ERASURE.c.position < before)
        rows = await rows_of(self._database, statement)
        return [(row.position, record_of(row)) for row in rows]

    async def open(self) -> Sequence[ErasureRecord]:
        """See ``Erasures.open``."""
        statement = select(_ERASURE).where(_ERASURE.c.state != ErasureState.FINISHED.value)
        return [
            record_of(row) for row in await rows_of(self._database, statement.order_by(_ERASURE.c.position))
        ]

    async def step(self, erasure_id: str) -> ErasureStep:
        """See ``Erasures.step``."""
        row = await self._database.read(lambda connection: read(connection, erasure_id))
        if row.state == ErasureState.FINISHED.value:
            return ErasureStep(finished=True)
        if row.state == ErasureState.SCRUBBING.value:
            return await self._scrub(row)
        target = Target(Scope(row.scope), row.target)
        if row.cursor < row.until_position:
            found = await self._events.find(target, row.cursor, row.until_position, rules.ROWS_MAX)
            return await at(
                self._database, row, lambda connection, now: self._events.erase(connection, now, found)
            )
        if row.archives_until < row.until_position:
            async with self._files:  # no file is half written meanwhile, nor one that no row knows yet
                return await self._archives.step(row, target)
        records = await quarantine.following(self._database, (row.seen_at, row.seen_id), row.requested_at)
        owned = await quarantine.owned(target, records)
        return await at(
            self._database,
            row,
            lambda connection, now: self._erase_quarantined(connection, now, records, owned),
        )

    def _erase_quarantined(
        self, connection: Connection, row: Row[Any], records: Sequence[Row[Any]], owned: Sequence[str]
    ) -> ErasureStep:
        quarantine.empty(connection, owned)
        quarantined = row.quarantined + len(owned)
        if records:
            last = records[-1]
            note(connection, row, seen_at=last.received_at, seen_id=last.id, quarantined=quarantined)
            return ErasureStep()
        counts = {"events": row.events, "attempts": row.attempts, "quarantined": row.quarantined}
        self._facts.say(connection, rules.finished(row.id, **counts), self._now())
        note(connection, row, state=ErasureState.SCRUBBING.value, target=None)
        return ErasureStep(appended=True)

    async def _scrub(self, row: Row[Any]) -> ErasureStep:
        """Have the storage let go of what it had; then it is finished."""
        rewritten = await self._database.scrub()
        if rewritten is None:
            return ErasureStep(waits=True)
        ended = {"state": ErasureState.FINISHED.value, "finished_at": self._now(), "rewritten": rewritten}

        def close(connection: Connection, now: Row[Any]) -> ErasureStep:
            note(connection, now, **ended)
            return ErasureStep(finished=True)

        return await at(self._database, row, close)
