"""Archiving in SQL (S8): commanded by a fact, then done step by step; and what archives there are.

One step makes one file (``archive_export``), or goes on dropping what a file has (``archive_dropping``): a range is
exported, read back, said in the log, and only then dropped.
"""

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from gateway.adapters.sql.archive_dropping import Dropper
from gateway.adapters.sql.archive_export import Exporter
from gateway.adapters.sql.archive_holders import Holders, sentence
from gateway.adapters.sql.archive_restoring import Restorer, undo
from gateway.adapters.sql.archive_rows import (
    archived_without_gap,
    holding,
    in_state,
    last_archived,
    problem_of,
    put_back,
    record_of,
    run_of,
    running,
    unfinished_erasure,
)
from gateway.adapters.sql.database import Database
from gateway.adapters.sql.entries import last_position
from gateway.adapters.sql.fetching import first_of, rows_of
from gateway.adapters.sql.models import Archive, Archiving
from gateway.adapters.sql.saying import FactWriter
from gateway.domain import facts
from gateway.domain.archive import ArchiveDamaged
from gateway.errors import ArchiveUnusable, Conflict, NotFound
from gateway.ports import (
    ArchivePlan,
    ArchiveRecord,
    ArchiveState,
    ArchiveStep,
    Now,
    Random,
    RunRecord,
    RunState,
    Subscriptions,
)

_ARCHIVE = Archive.__table__  # type: ignore[attr-defined]
_RUN = Archiving.__table__  # type: ignore[attr-defined]
_LOGGER = logging.getLogger(__name__)


class SqlArchives:
    """Implements ``gateway.ports.Archives`` on any ``Database``, with files in a folder of this machine."""

    def __init__(
        self,
        database: Database,
        subscriptions: Subscriptions,
        folder: Path,
        *,
        fact_source: str,
        now: Now,
        random: Random,
        files: asyncio.Lock | None = None,
    ) -> None:
        self._database = database
        self._folder = folder
        self._files = files or asyncio.Lock()
        self._now = now
        self._facts = FactWriter(fact_source, random)
        self._holders = Holders(database, subscriptions)
        self._exporter = Exporter(database, folder, self._holders, self._facts, now)
        self._dropper = Dropper(database, folder, self._holders, self._facts, now)
        self._restorer = Restorer(database, folder, self._facts, now)

    def path(self, record: ArchiveRecord) -> Path:
        """See ``Archives.path``."""
        return self._folder / record.file

    # Commanding.

    async def plan(self, until: int) -> ArchivePlan:
        """See ``Archives.plan``."""
        first = 1 + await self._database.read(last_archived)
        until = min(until, await self._database.read(last_position))
        held = await self._holders.look(until)
        lowest = min((item.position for item in held), default=until)
        again = await rows_of(self._database, put_back(min(until, lowest)))
        return ArchivePlan(
            first, max(min(until, lowest), first - 1), held, [(row.first, row.last) for row in again]
        )

    async def request(self, until: int) -> RunRecord:
        """See ``Archives.request``."""

        def work(connection: Connection) -> RunRecord:
            if connection.execute(running()).first() is not None:
                raise Conflict("An archiving runs already.", hint="Wait until it is done.")
            now_us, head = self._now(), last_position(connection)
            fact = facts.Fact(
                facts.ARCHIVE_REQUESTED, "archive", str(head), {"until_position": min(until, head)}
            )
            position = self._facts.say(connection, fact, now_us)
            values = {"position": position, "until_position": min(until, head), "requested_at": now_us}
            counts = {"cursor": archived_without_gap(connection), "archives": 0, "events": 0}
            connection.execute(insert(_RUN).values(**values, **counts, state=RunState.RUNNING.value))
            return run_of(connection.execute(select(_RUN).where(_RUN.c.position == position)).one())

        return await self._database.write(work)

    async def run(self, run_id: int) -> RunRecord | None:
        """See ``Archives.run``."""
        row = await first_of(self._database, select(_RUN).where(_RUN.c.position == run_id))
        return None if row is None else run_of(row)

    async def open(self) -> RunRecord | None:
        """See ``Archives.open``."""
        row = await first_of(self._database, running())
        return None if row is None else run_of(row)

    async def holding(self, position: int) -> ArchiveRecord | None:
        """See ``Archives.holding``."""
        row = await first_of(self._database, holding(position))
        return None if row is None else record_of(row)

    async def page(self, *, after: int, limit: int) -> Sequence[ArchiveRecord]:
        """See ``Archives.page``."""
        statement = select(_ARCHIVE).where(_ARCHIVE.c.first > after).order_by(_ARCHIVE.c.first).limit(limit)
        return [record_of(row) for row in await rows_of(self._database, statement)]

    # Archiving.

    async def step(self, run_id: int) -> ArchiveStep:
        """See ``Archives.step``."""
        row = await first_of(self._database, select(_RUN).where(_RUN.c.position == run_id))
        if row is None or row.state != RunState.RUNNING.value:
            return ArchiveStep(finished=True)
        try:
            async with self._files:  # an erasure finds files whole, and in a row or in none
                return await self._step(row)
        except (OSError, ArchiveDamaged, ArchiveUnusable) as error:
            problem = problem_of(error, self._folder)
            _LOGGER.error("an archiving ends before its end: %s", problem)  # noqa: TRY400 - the sentence says it all
            return await self._end(row, problem)

    async def recover(self) -> None:
        """See ``Archives.recover``."""
        await self._database.write(undo)
        while half := await first_of(self._database, in_state(ArchiveState.DROPPING)):
            await self._dropper.drop(half)

    async def _step(self, row: Row[Any]) -> ArchiveStep:
        until = row.until_position
        if half := await first_of(self._database, in_state(ArchiveState.DROPPING)):
            return await self._dropper.drop(half)
        if await first_of(self._database, unfinished_erasure()) is not None:
            return ArchiveStep(waits=True)  # what is being erased is not to be exported first
        again = await first_of(self._database, put_back(until))
        if again is not None:
            if held := await self._holders.look(again.last):
                return await self._end(row, sentence(held))
            return await self._dropper.drop_again(again)
        archived = await self._database.read(last_archived)
        held = await self._holders.look(until) if archived < until else []
        until = min([until, *(item.position for item in held)])
        if until <= archived:
            return await self._end(row, sentence(held) if held else None)
        return await self._exporter.export(archived + 1, until)

    async def _end(self, row: Row[Any], problem: str | None) -> ArchiveStep:
        state = RunState.FINISHED if problem is None else RunState.FAILED
        values = {"state": state.value, "problem": problem, "finished_at": self._now()}
        statement = update(_RUN).where(_RUN.c.position == row.position)

        def work(connection: Connection) -> None:
            # An archive may have been put back while it ran.
            connection.execute(statement.values(**values, cursor=archived_without_gap(connection)))

        await self._database.write(work)
        return ArchiveStep(finished=True)

    # Putting back.

    async def restore(self, position: int) -> ArchiveRecord:
        """See ``Archives.restore``."""
        row = await first_of(self._database, holding(position))
        if row is None:
            raise NotFound(
                "This position is in no archive.", hint="`letta-gateway archive list` shows what there is."
            )
        return await self._restorer.restore(row)
