"""Archiving in SQL (S8): a range is exported, read back, said in the log, and only then dropped.

One step makes one file, or goes on dropping. What is exported is followed hash by hash on its way, so that no damaged
row is put where nobody would look again. The fact, and the row that says where the file is, are one transaction; from
then on the file is the truth of the range's events, and their rows are dropped a few hundred at a time. A process that
dies before it leaves a file that the next one writes again; one that dies after it is gone on from.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from gateway.adapters.archive_files import ArchiveWriter, Written, in_pages, read_rows
from gateway.adapters.sql.append import append, prepare
from gateway.adapters.sql.archive_holders import Revisions, behind, others
from gateway.adapters.sql.archive_rows import record_of, run_of, span_of
from gateway.adapters.sql.bulk import BulkInsert
from gateway.adapters.sql.database import Database
from gateway.adapters.sql.lists import parts
from gateway.adapters.sql.models import Archive, Archiving, Erasure, LogEntry, LogHead
from gateway.domain import archive as rules
from gateway.domain import facts
from gateway.domain.archive import ArchiveDamaged, ArchivedRow, Chain, Span
from gateway.domain.chain import GENESIS
from gateway.errors import ArchiveUnusable, Conflict, NotFound
from gateway.ports import (
    ArchivePlan,
    ArchiveRecord,
    ArchiveState,
    ArchiveStep,
    ErasureState,
    Holder,
    Kind,
    NewEntry,
    Now,
    Random,
    RunRecord,
    RunState,
    Subscriptions,
)

_LOG = LogEntry.__table__  # type: ignore[attr-defined]
_HEAD = LogHead.__table__  # type: ignore[attr-defined]
_ARCHIVE = Archive.__table__  # type: ignore[attr-defined]
_RUN = Archiving.__table__  # type: ignore[attr-defined]
_ERASURE = Erasure.__table__  # type: ignore[attr-defined]
_COLUMNS: Final = tuple(column.name for column in _LOG.columns)
_INSERT = BulkInsert(_LOG, _COLUMNS)
_PAGE: Final = 100
"""Rows that are in memory at a time: each is as large as an event may be."""
_MOVED: Final = 1_000
"""Rows that one transaction drops: appends wait for no more than that."""
_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Exported:
    """What a file was filled with; ``erased``: which positions were empty then."""

    span: Span
    events: int
    erased: frozenset[int]
    first_at: int
    last_at: int


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
    ) -> None:
        self._database = database
        self._subscriptions = subscriptions
        self._folder = folder
        self._fact_source = fact_source
        self._now = now
        self._random = random
        self._pulled: Revisions = {}
        """Streams that are only fetched, as they were looked at last."""

    def path(self, record: ArchiveRecord) -> Path:
        """See ``Archives.path``."""
        return self._folder / record.file

    # Commanding.

    async def plan(self, until: int) -> ArchivePlan:
        """See ``Archives.plan``."""
        first = 1 + await self._database.read(_archived_until)
        until = min(until, await self._database.read(_head))
        held = await self._held(until)
        lowest = min((item.position for item in held), default=until)
        return ArchivePlan(first, max(min(until, lowest), first - 1), held)

    async def request(self, until: int) -> RunRecord:
        """See ``Archives.request``."""

        def work(connection: Connection) -> RunRecord:
            if connection.execute(_open()).first() is not None:
                raise Conflict("An archiving runs already.", hint="Wait until it is done.")
            now_us, head = self._now(), _head(connection)
            fact = facts.Fact(
                facts.ARCHIVE_REQUESTED, "archive", str(head), {"until_position": min(until, head)}
            )
            position = self._fact(connection, fact, now_us)
            values = {"position": position, "until_position": min(until, head), "requested_at": now_us}
            counts = {"cursor": _archived_until(connection), "archives": 0, "events": 0}
            connection.execute(insert(_RUN).values(**values, **counts, state=RunState.RUNNING.value))
            return run_of(connection.execute(select(_RUN).where(_RUN.c.position == position)).one())

        return await self._database.write(work)

    async def run(self, run_id: int) -> RunRecord | None:
        """See ``Archives.run``."""
        row = await self._one(select(_RUN).where(_RUN.c.position == run_id))
        return None if row is None else run_of(row)

    async def open(self) -> RunRecord | None:
        """See ``Archives.open``."""
        row = await self._one(_open())
        return None if row is None else run_of(row)

    async def holding(self, position: int) -> ArchiveRecord | None:
        """See ``Archives.holding``."""
        row = await self._one(_holding(position))
        return None if row is None else record_of(row)

    async def page(self, *, after: int, limit: int) -> Sequence[ArchiveRecord]:
        """See ``Archives.page``."""
        statement = select(_ARCHIVE).where(_ARCHIVE.c.first > after).order_by(_ARCHIVE.c.first).limit(limit)
        return [record_of(row) for row in await self._rows(statement)]

    # Archiving.

    async def step(self, run_id: int) -> ArchiveStep:
        """See ``Archives.step``."""
        row = await self._one(select(_RUN).where(_RUN.c.position == run_id))
        if row is None or row.state != RunState.RUNNING.value:
            return ArchiveStep(finished=True)
        try:
            return await self._step(row)
        except (OSError, ArchiveDamaged, ArchiveUnusable) as error:
            problem = _sentence(error)
            _LOGGER.error("an archiving ends before its end: %s", problem)  # noqa: TRY400 - the sentence says it all
            return await self._end(row, problem)

    async def recover(self) -> None:
        """See ``Archives.recover``: nobody was told that they are back, so they are dropped again."""

        def undo(connection: Connection) -> None:
            for row in connection.execute(_in_state(ArchiveState.RESTORING)).all():
                _note(connection, row, state=ArchiveState.DROPPING.value, moved_until=row.first - 1)

        await self._database.write(undo)
        while half := await self._one(_in_state(ArchiveState.DROPPING)):
            await self._drop(half)

    async def _step(self, row: Row[Any]) -> ArchiveStep:
        until = row.until_position
        if half := await self._one(_in_state(ArchiveState.DROPPING)):
            return await self._drop(half)
        erasing = select(_ERASURE.c.id).where(_ERASURE.c.state != ErasureState.FINISHED.value).limit(1)
        if await self._one(erasing) is not None:
            return ArchiveStep(waits=True)  # what is being erased is not to be exported first
        again = await self._one(_in_state(ArchiveState.RESTORED).where(_ARCHIVE.c.last <= until))
        if again is not None:
            if held := await self._held(again.last):
                return await self._end(row, _held_sentence(held))
            return await self._drop_again(again)
        archived = await self._database.read(_archived_until)
        held = await self._held(until) if archived < until else []
        until = min([until, *(item.position for item in held)])
        if until <= archived:
            return await self._end(row, _held_sentence(held) if held else None)
        return await self._export(archived + 1, until)

    async def _held(self, until: int) -> list[Holder]:
        """Who needs something of what is up to there; streams that are only fetched hold nothing (S10b)."""
        self._pulled = {}
        while True:
            rows = await self._database.read(lambda connection: behind(connection, until, self._pulled))
            records = await self._subscriptions.by_numbers([row.number for row in rows])
            found = {record.number: record.revision for record in records if record.pull_only}
            self._pulled = {**self._pulled, **found}
            if not found:
                break
        held = [Holder(row.id, row.position, "it has not come further") for row in rows]
        return held + await self._database.read(lambda connection: others(connection, until))

    async def _export(self, first: int, until: int) -> ArchiveStep:
        """Write one file, read it back, and let the log say so."""
        previous = await self._database.read(lambda connection: _hash_before(connection, first))
        writer = await asyncio.to_thread(ArchiveWriter, self._folder, first, previous)
        try:
            exported = await self._write(writer, Chain(first, previous), until)
            span = exported.span
            written = await asyncio.to_thread(writer.finish, rules.file_name(span.first, span.last))
        finally:
            await asyncio.to_thread(writer.abort)
        path = self._folder / rules.file_name(span.first, span.last)
        await asyncio.to_thread(lambda: rules.check(read_rows(path), span))
        return await self._database.write(lambda connection: self._begin(connection, exported, written))

    async def _write(self, writer: ArchiveWriter, chain: Chain, until: int) -> "_Exported":
        last_max, size_bytes, erased = min(until, chain.first + rules.ROWS_MAX - 1), 0, set[int]()
        first_at = last_at = 0
        while chain.position < last_max and size_bytes < rules.BYTES_MAX:
            statement = (
                select(_LOG)
                .where(_LOG.c.position > chain.position, _LOG.c.position <= last_max)
                .order_by(_LOG.c.position)
                .limit(_PAGE)
            )
            rows = await self._rows(statement)
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

    def _begin(self, connection: Connection, exported: "_Exported", written: Written) -> ArchiveStep:
        """From here on the file is what there is of the range's events, unless something came in between."""
        span = exported.span
        there = _LOG.c.position.between(span.first, span.last)
        erased = connection.execute(select(_LOG.c.position).where(there, _LOG.c.erased_by.is_not(None)))
        if set(erased.scalars()) != exported.erased or self._held_now(connection, span.last):
            return ArchiveStep()  # it is written again, or ends, by the next step
        now_us = self._now()
        self._fact(connection, rules.archived(span, exported.events), now_us)
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

    def _held_now(self, connection: Connection, until: int) -> bool:
        """The same as was looked at before, where nothing can come in between."""
        return bool(behind(connection, until, self._pulled, 1) or others(connection, until, 1))

    async def _drop_again(self, seen: Row[Any]) -> ArchiveStep:
        """Drop what was put back: its file is there, and is looked at once more."""
        path = self._folder / seen.file
        await asyncio.to_thread(lambda: rules.check(read_rows(path), span_of(seen)))

        def work(connection: Connection) -> ArchiveStep:
            row = connection.execute(_holding(seen.first)).one()
            if tuple(row) != tuple(seen) or self._held_now(connection, row.last):
                return ArchiveStep()
            now_us = self._now()
            self._fact(connection, rules.moved(facts.ARCHIVE_DROPPED, row.first, row.last, now_us), now_us)
            _note(connection, row, state=ArchiveState.DROPPING.value, moved_until=row.first - 1)
            return ArchiveStep(appended=True)

        return await self._database.write(work)

    async def _drop(self, half: Row[Any]) -> ArchiveStep:
        """Drop some events of a range that is in its file; facts stay, and what is left of the erased (S8b, S8c)."""

        def work(connection: Connection) -> ArchiveStep:
            row = connection.execute(_holding(half.first)).one()
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
            _note(connection, row, moved_until=last, state=state.value)
            if done:
                connection.execute(
                    update(_RUN)
                    .where(_RUN.c.state == RunState.RUNNING.value)
                    .values(
                        cursor=_archived_until(connection),
                        archives=_RUN.c.archives + 1,
                        events=_RUN.c.events + row.events,
                    )
                )
            return ArchiveStep()

        return await self._database.write(work)

    async def _end(self, row: Row[Any], problem: str | None) -> ArchiveStep:
        state = RunState.FINISHED if problem is None else RunState.FAILED
        values = {"state": state.value, "problem": problem, "finished_at": self._now()}
        statement = update(_RUN).where(_RUN.c.position == row.position).values(**values)
        await self._database.write(lambda connection: connection.execute(statement))
        return ArchiveStep(finished=True)

    # Putting back.

    async def restore(self, position: int) -> ArchiveRecord:
        """See ``Archives.restore``."""
        row = await self._one(_holding(position))
        if row is None:
            raise NotFound(
                "This position is in no archive.", hint="`letta-gateway archive list` shows what there is."
            )
        if row.state == ArchiveState.RESTORED.value:
            return record_of(row)
        path = self._folder / row.file
        try:
            await asyncio.to_thread(lambda: rules.check(read_rows(path), span_of(row)))
            await self._database.write(lambda connection: self._begin_restoring(connection, row.first))
            pages = in_pages(path, _PAGE)
            while page := await asyncio.to_thread(next, pages, None):
                await self._database.write(_putting_back(row.first, page))
        except (OSError, ArchiveDamaged) as error:
            raise ArchiveUnusable(f"The archive {row.file} cannot be read: {_sentence(error)}") from error

        def finish(connection: Connection) -> ArchiveRecord:
            now = connection.execute(_holding(row.first)).one()
            if now.state == ArchiveState.RESTORED.value:
                return record_of(now)  # two have asked for it
            if now.state != ArchiveState.RESTORING.value:
                raise Conflict("It was dropped again meanwhile.", hint="Ask for it once more.")
            now_us = self._now()
            self._fact(connection, rules.moved(facts.ARCHIVE_RESTORED, row.first, row.last, now_us), now_us)
            _note(connection, row, state=ArchiveState.RESTORED.value)
            return record_of(connection.execute(_holding(row.first)).one())

        return await self._database.write(finish)

    def _begin_restoring(self, connection: Connection, first: int) -> None:
        row = connection.execute(_holding(first)).one()
        erasing = select(_ERASURE.c.id).where(_ERASURE.c.state != ErasureState.FINISHED.value).limit(1)
        if connection.execute(erasing).first() is not None:
            raise Conflict(
                "An erasure runs, which may write this archive anew.", hint="Wait until it is done."
            )
        if row.state == ArchiveState.DROPPING.value:
            raise Conflict("This archive is being dropped from the log.", hint="Wait until that is done.")
        _note(connection, row, state=ArchiveState.RESTORING.value)

    async def _one(self, statement: Any) -> Row[Any] | None:  # noqa: ANN401 - a SELECT
        rows = await self._rows(statement.limit(1))
        return rows[0] if rows else None

    async def _rows(self, statement: Any) -> Sequence[Row[Any]]:  # noqa: ANN401 - a SELECT
        return await self._database.read(lambda connection: connection.execute(statement).all())

    def _fact(self, connection: Connection, fact: facts.Fact, now_us: int) -> int:
        entry = NewEntry(
            type=fact.type,
            source=self._fact_source,
            id=fact.id,
            envelope=fact.envelope(self._fact_source, now_us).raw,
            subject=fact.subject,
        )
        return append(connection, prepare([entry], self._random), now_us=now_us, kind=Kind.FACT)[0].position


_DAMAGED: Final = "Nothing of it was dropped. Run `letta-gateway verify-log`, and restore a backup."


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


def _hash_before(connection: Connection, first: int) -> bytes:
    """The hash that the row at ``first`` follows."""
    if first == 1:
        return GENESIS
    archived = select(_ARCHIVE.c.last_hash).where(_ARCHIVE.c.last == first - 1)
    found = connection.execute(archived).scalar()
    if found is None:
        found = connection.execute(select(_LOG.c.row_hash).where(_LOG.c.position == first - 1)).scalar_one()
    return bytes(found)


def _archived_until(connection: Connection) -> int:
    """Archives follow each other from the log's first position on."""
    return int(connection.execute(select(func.max(_ARCHIVE.c.last))).scalar() or 0)


def _head(connection: Connection) -> int:
    return int(connection.execute(select(_HEAD.c.position)).scalar_one())


def _open() -> Any:  # noqa: ANN401 - a SELECT
    return select(_RUN).where(_RUN.c.state == RunState.RUNNING.value)


def _holding(position: int) -> Any:  # noqa: ANN401 - a SELECT
    return select(_ARCHIVE).where(_ARCHIVE.c.first <= position, _ARCHIVE.c.last >= position)


def _in_state(state: ArchiveState) -> Any:  # noqa: ANN401 - a SELECT
    return select(_ARCHIVE).where(_ARCHIVE.c.state == state.value).order_by(_ARCHIVE.c.first)


def _note(connection: Connection, row: Row[Any], **values: object) -> None:
    connection.execute(update(_ARCHIVE).where(_ARCHIVE.c.first == row.first).values(**values))


def _held_sentence(held: Sequence[Holder]) -> str:
    first = min(held, key=lambda item: item.position)
    return (
        f"Subscription {first.subscription} still needs what is behind position {first.position}: {first.why}. "
        "Let it go on, resume it from now, or delete it."
    )


def _sentence(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"{error.filename or 'the folder of the archives'}: {error.strerror or error}."
    return str(error).rstrip(".") + "."
