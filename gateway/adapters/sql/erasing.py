"""Erasure in SQL (S8b): commanded by a fact, then done in transactions that bound how long an append waits.

What is to go is looked up beside the writes, by index; a transaction then empties so many rows, appends the fact that
names them, and moves the erasure's cursor. So a process that dies loses nothing and leaves nothing half done: the next
one reads where the cursor is and goes on.
"""

import asyncio
import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

from sqlalchemy import Column, Connection, Row, func, insert, select, tuple_, update

from gateway.adapters.sql import erasing_archives as archives
from gateway.adapters.sql.append import append, prepare
from gateway.adapters.sql.database import Database
from gateway.adapters.sql.erased_rows import NOTHING, REMAINS, TELLS, UNTOLD
from gateway.adapters.sql.lists import parts
from gateway.adapters.sql.models import Archive, Attempt, Erasure, LogEntry, LogHead, Pending, QuarantineEntry
from gateway.adapters.sql.search import read_positions
from gateway.adapters.sql.texts import same
from gateway.domain import erasure as rules
from gateway.domain.archive import ArchivedRow
from gateway.domain.chain import remains_hash
from gateway.domain.erasure import Scope, Target
from gateway.domain.facts import Fact
from gateway.domain.ids import RANDOM_BYTES, erasure_id
from gateway.errors import Conflict, InvalidRequest, NotFound
from gateway.ports import (
    ErasureCount,
    ErasureRecord,
    ErasureState,
    ErasureStep,
    Kind,
    NewEntry,
    Now,
    QuarantineState,
    Random,
)

_LOGGER = logging.getLogger(__name__)
T = TypeVar("T")
_ATTEMPT = Attempt.__table__  # type: ignore[attr-defined]
_ERASURE = Erasure.__table__  # type: ignore[attr-defined]
_HEAD = LogHead.__table__  # type: ignore[attr-defined]
_LOG = LogEntry.__table__  # type: ignore[attr-defined]
_PENDING = Pending.__table__  # type: ignore[attr-defined]
_QUARANTINE = QuarantineEntry.__table__  # type: ignore[attr-defined]

OPEN_MAX: Final = 1_000
ATTEMPTS_MAX: Final = 2_000
"""Attempts that one transaction empties, at most: an event may have gone to any number of subscriptions."""
_LOOKED_THROUGH: Final = 20
"""Records of the quarantine that are read at a time: each is as large as what came in."""
_COUNTED: Final = 5_000
_COLUMNS: Final[dict[Scope, tuple[Column[Any], ...]]] = {
    # An event that is no agent's by its source or data may be ordered by one all the same.
    Scope.AGENT: (_LOG.c.agent_id, _LOG.c.partition_key),
    Scope.ORGANIZATION: (_LOG.c.organization,),
}
_EMPTIED: Final = (QuarantineState.ERASED.value, QuarantineState.DISCARDED.value)
"""The states of a record of the quarantine whose payload is gone."""


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
    ) -> None:
        self._database = database
        self._archive_dir = archive_dir
        self._fact_source = fact_source
        self._now = now
        self._random = random

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
            now_us, head = self._now(), _head(connection)
            position = self._fact(connection, rules.requested(new_id, target.scope, head), now_us)
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
            return _record_of(_row(connection, new_id))

        try:
            return await self._database.erase(work)
        except ValueError as error:
            raise InvalidRequest(f"There can be nothing of this name. {error}") from error

    async def count(self, target: Target) -> ErasureCount:
        """See ``Erasures.count``."""
        head = await self._database.read(_head)
        events, after = 0, 0
        while after < head:
            found = await self._find(target, after, head, _COUNTED)
            events += len(found)
            after = found[-1] if len(found) == _COUNTED else head
        quarantined, now_us, seen = 0, self._now(), (0, "")
        while rows := await self._quarantined(seen, now_us):
            quarantined += len(await _owned(target, rows))
            seen = (rows[-1].received_at, rows[-1].id)
        there = select(func.count()).select_from(Archive.__table__)  # type: ignore[attr-defined]
        count = await self._database.read(lambda connection: connection.execute(there).scalar_one())
        return ErasureCount(events, quarantined, int(count))

    async def get(self, erasure_id: str) -> ErasureRecord | None:
        """See ``Erasures.get``."""
        statement = select(_ERASURE).where(same(_ERASURE.c.id, erasure_id))
        row = await self._database.read(lambda connection: connection.execute(statement).one_or_none())
        return None if row is None else _record_of(row)

    async def page(self, *, before: int | None, limit: int) -> Sequence[tuple[int, ErasureRecord]]:
        """See ``Erasures.page``."""
        statement = select(_ERASURE).order_by(_ERASURE.c.position.desc()).limit(limit)
        if before is not None:
            statement = statement.where(_ERASURE.c.position < before)
        rows = await self._rows(statement)
        return [(row.position, _record_of(row)) for row in rows]

    async def open(self) -> Sequence[ErasureRecord]:
        """See ``Erasures.open``."""
        statement = select(_ERASURE).where(_ERASURE.c.state != ErasureState.FINISHED.value)
        return [_record_of(row) for row in await self._rows(statement.order_by(_ERASURE.c.position))]

    async def step(self, erasure_id: str) -> ErasureStep:
        """See ``Erasures.step``."""
        row = await self._database.read(lambda connection: _row(connection, erasure_id))
        if row.state == ErasureState.FINISHED.value:
            return ErasureStep(finished=True)
        if row.state == ErasureState.SCRUBBING.value:
            rewritten = await self._database.scrub()
            if rewritten is None:
                return ErasureStep(waits=True)
            return await self._at(row, lambda connection, now: self._close(connection, now, rewritten))
        target = Target(Scope(row.scope), row.target)
        if row.cursor < row.until_position:
            found = await self._find(target, row.cursor, row.until_position, rules.ROWS_MAX)
            return await self._at(row, lambda connection, now: self._erase_events(connection, now, found))
        if row.archives_until < row.until_position:
            return await self._erase_archived(row, target)
        records = await self._quarantined((row.seen_at, row.seen_id), row.requested_at)
        owned = await _owned(target, records)
        return await self._at(
            row, lambda connection, now: self._erase_quarantined(connection, now, records, owned)
        )

    # Looking up, beside the writes. What is up to the erasure's end changes by its own steps alone.

    async def _find(self, target: Target, after: int, until: int, limit: int) -> list[int]:
        """The lowest positions of what is to go, ascending: as many as asked for, or all that there are."""
        found: set[int] = set()
        for column in _COLUMNS[target.scope]:
            found |= set(await self._positions(column, target.id, (after + 1, until), limit))
        return sorted(found)[:limit]

    async def _positions(
        self, column: Column[Any], value: str, within: tuple[int, int], limit: int
    ) -> list[int]:
        return await self._database.read(
            lambda connection: read_positions(connection, column, value, within, limit)
        )

    async def _quarantined(self, seen: tuple[int, str], until_us: int) -> Sequence[Row[Any]]:
        """The next records behind one, as far as they are not empty, up to a time."""
        columns = _QUARANTINE.c
        statement = (
            select(columns.id, columns.received_at, columns.organization, columns.payload)
            .where(
                tuple_(columns.received_at, columns.id) > tuple_(*seen),
                columns.received_at <= until_us,
                columns.state.not_in(_EMPTIED),
            )
            .order_by(columns.received_at, columns.id)
            .limit(_LOOKED_THROUGH)
        )
        return await self._rows(statement)

    async def _rows(self, statement: Any) -> Sequence[Row[Any]]:  # noqa: ANN401 - a SELECT
        return await self._database.read(lambda connection: connection.execute(statement).all())

    # Writing.

    async def _at(self, seen: Row[Any], work: Callable[[Connection, Row[Any]], ErasureStep]) -> ErasureStep:
        """Do it if the erasure still stands where it was read; a step whose answer was lost is not done twice."""

        def guarded(connection: Connection) -> ErasureStep:
            now = _row(connection, seen.id)
            return work(connection, now) if tuple(now) == tuple(seen) else ErasureStep()

        return await self._database.erase(guarded)

    def _erase_events(self, connection: Connection, row: Row[Any], found: Sequence[int]) -> ErasureStep:
        """Empty these events and what was answered to them, as many as one transaction may."""
        # As the log dates it, so that a rebuild finds the same.
        now_us = max(self._now(), connection.execute(select(_HEAD.c.appended_at)).scalar_one())
        emptied, whole = _empty_attempts(connection, found)
        all_found = len(whole) == len(found)
        done = all_found and len(found) < rules.ROWS_MAX
        cursor = row.until_position if done else (whole[-1] if whole else row.cursor)
        if whole:
            rows = _remains(connection, whole)
            fact = rules.erased(row.id, whole, remains_hash(rows))
            position = self._fact(connection, fact, now_us)
            for part in parts(whole):
                connection.execute(
                    update(_LOG).where(_LOG.c.position.in_(part)).values(**NOTHING, erased_by=position)
                )
        numbers = _bring_forward(connection, whole, now_us)
        _note(connection, row, cursor=cursor, events=row.events + len(whole), attempts=row.attempts + emptied)
        return ErasureStep(appended=bool(whole), numbers=numbers)

    async def _erase_archived(self, row: Row[Any], target: Target) -> ErasureStep:
        """Look through the next archive, and write its file anew if it has something of it."""
        archive = await archives.following(self._database, row)
        if archive is None:
            return await self._at(row, _passed_archives)
        if archives.is_moving(archive):
            return ErasureStep(waits=True)

        async def say(found: Sequence[ArchivedRow]) -> int:
            return await self._say_archived(row, found)

        try:
            looked = await archives.erase_in(
                self._database, self._archive_dir or Path(), archive, target, say
            )
        except OSError as error:
            _LOGGER.error("an archive cannot be rewritten, and its erasure waits: %s", error)  # noqa: TRY400
            return ErasureStep(waits=True)

        def noted(connection: Connection, now: Row[Any]) -> ErasureStep:
            archives.note_file(connection, looked)
            _note(
                connection,
                now,
                archives_until=looked.until,
                archives=now.archives + (looked.written is not None),
                unreachable=archives.with_file(now.unreachable, looked),
            )
            return ErasureStep(appended=bool(looked.events))

        return await self._database.erase(lambda connection: noted(connection, _row(connection, row.id)))

    async def _say_archived(self, row: Row[Any], found: Sequence[ArchivedRow]) -> int:
        """Empty what was answered to archived events, then have the log say that they are erased."""
        positions = [item.position for item in found]
        fact = rules.erased(row.id, positions, remains_hash(found))

        def work(connection: Connection) -> int | None:
            emptied, whole = _empty_attempts(connection, positions)
            now = _row(connection, row.id)
            if len(whole) < len(positions):
                _note(connection, now, attempts=now.attempts + emptied)
                return None
            head = _head(connection)
            position = self._fact(connection, fact, self._now())
            events = len(positions) if position > head else 0  # it was said before a crash
            _note(connection, now, events=now.events + events, attempts=now.attempts + emptied)
            return position

        while True:
            position = await self._database.erase(work)
            if position is not None:
                return position

    def _erase_quarantined(
        self, connection: Connection, row: Row[Any], records: Sequence[Row[Any]], owned: Sequence[str]
    ) -> ErasureStep:
        for part in parts(owned):
            connection.execute(
                update(_QUARANTINE)
                .where(_QUARANTINE.c.id.in_(part))
                .values(payload=b"", problems="[]", state=QuarantineState.ERASED.value)
            )
        quarantined = row.quarantined + len(owned)
        if records:
            last = records[-1]
            _note(connection, row, seen_at=last.received_at, seen_id=last.id, quarantined=quarantined)
            return ErasureStep()
        counts = {"events": row.events, "attempts": row.attempts, "quarantined": row.quarantined}
        self._fact(connection, rules.finished(row.id, **counts), self._now())
        _note(connection, row, state=ErasureState.SCRUBBING.value, target=None)
        return ErasureStep(appended=True)

    def _close(self, connection: Connection, row: Row[Any], rewritten: bool) -> ErasureStep:  # noqa: FBT001
        _note(
            connection,
            row,
            state=ErasureState.FINISHED.value,
            finished_at=self._now(),
            rewritten=rewritten,
        )
        return ErasureStep(finished=True)

    def _fact(self, connection: Connection, fact: Fact, now_us: int) -> int:
        entry = NewEntry(
            type=fact.type,
            source=self._fact_source,
            id=fact.id,
            envelope=fact.envelope(self._fact_source, now_us).raw,
            subject=fact.subject,
        )
        prepared = prepare([entry], self._random)
        return append(connection, prepared, now_us=now_us, kind=Kind.FACT)[0].position


def _passed_archives(connection: Connection, row: Row[Any]) -> ErasureStep:
    _note(connection, row, archives_until=row.until_position)
    return ErasureStep()


def _empty_attempts(connection: Connection, found: Sequence[int]) -> tuple[int, list[int]]:
    """Empty the attempts of these events, within the bound; how many, and of which events all are empty now."""
    rows: list[Row[Any]] = []
    for part in parts(found):
        statement = select(_ATTEMPT.c.seq, _ATTEMPT.c.position).where(_ATTEMPT.c.position.in_(part), TELLS)
        rows += connection.execute(statement.order_by(_ATTEMPT.c.position).limit(ATTEMPTS_MAX + 1))
    whole = list(found)
    if len(rows) > ATTEMPTS_MAX:
        first_left = rows[ATTEMPTS_MAX].position
        rows = rows[:ATTEMPTS_MAX]
        whole = [position for position in found if position < first_left]
    for seqs in parts([row.seq for row in rows]):
        connection.execute(update(_ATTEMPT).where(_ATTEMPT.c.seq.in_(seqs)).values(**UNTOLD))
    return len(rows), whole


def _remains(connection: Connection, positions: Sequence[int]) -> list[Row[Any]]:
    rows: list[Row[Any]] = []
    for part in parts(positions):
        rows += connection.execute(
            select(*REMAINS).where(_LOG.c.position.in_(part)).order_by(_LOG.c.position)
        )
    return rows


def _bring_forward(connection: Connection, positions: Sequence[int], now_us: int) -> frozenset[int]:
    """What waits for another attempt is due now: it will be settled as erased. Whose it is."""
    numbers: set[int] = set()
    for part in parts(positions):
        waiting = (_PENDING.c.position.in_(part), _PENDING.c.next_at > now_us)
        numbers.update(connection.execute(select(_PENDING.c.number).where(*waiting).distinct()).scalars())
        connection.execute(update(_PENDING).where(*waiting).values(next_at=now_us))
    return frozenset(numbers)


async def _owned(target: Target, records: Sequence[Row[Any]]) -> list[str]:
    """The ids of those that are to go. In a thread: each may be as large as a request, and is read in full."""

    def look() -> list[str]:
        return [
            record.id
            for record in records
            if target.owns_quarantined(record.organization, bytes(record.payload))
        ]

    return await asyncio.to_thread(look)


def _note(connection: Connection, row: Row[Any], **values: object) -> None:
    connection.execute(update(_ERASURE).where(_ERASURE.c.position == row.position).values(**values))


def _head(connection: Connection) -> int:
    return int(connection.execute(select(_HEAD.c.position)).scalar_one())


def _row(connection: Connection, erasure_id: str) -> Row[Any]:
    row = connection.execute(select(_ERASURE).where(_ERASURE.c.id == erasure_id)).one_or_none()
    if row is None:
        raise NotFound("There is no erasure with this id.")
    return row


def _record_of(row: Row[Any]) -> ErasureRecord:
    return ErasureRecord(
        id=row.id,
        scope=Scope(row.scope),
        state=ErasureState(row.state),
        until_position=row.until_position,
        requested_at_us=row.requested_at,
        finished_at_us=row.finished_at,
        events=row.events,
        attempts=row.attempts,
        quarantined=row.quarantined,
        rewritten=row.rewritten,
        archives=row.archives,
        unreachable=tuple(json.loads(row.unreachable)),
    )
