"""Attempts, cursors and pending deliveries in SQL: what the journal writes, and what is read from it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Row, bindparam, case, delete, func, insert, select, tuple_, update

from gateway.adapters.sql.database import Database
from gateway.adapters.sql.delivery_pages import matching
from gateway.adapters.sql.lists import parts
from gateway.adapters.sql.models import Attempt, DeliveryCursor, Pending, Shard
from gateway.adapters.sql.streams import last_attempts, notes, running_replays, write_notes, write_replays
from gateway.domain.breaker import StreamNote
from gateway.domain.delivery import Decision
from gateway.domain.pending import PendingDelivery
from gateway.ports import (
    AttemptRecord,
    CursorUpdate,
    DeliveryItem,
    DeliveryPage,
    DeliveryQuery,
    DueKey,
    JournalBatch,
    ReplayRecord,
    Standing,
)

_ATTEMPT = Attempt.__table__  # type: ignore[attr-defined]
_PENDING = Pending.__table__  # type: ignore[attr-defined]
_CURSOR = DeliveryCursor.__table__  # type: ignore[attr-defined]
_SHARD = Shard.__table__  # type: ignore[attr-defined]
SHARDS = 64


def shard_of(number: int) -> int:
    """The shard that a subscription's stream belongs to (S6a)."""
    return number % SHARDS


class SqlDeliveries:
    """Implements ``gateway.ports.Deliveries`` on any ``Database``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def commit(self, batch: JournalBatch) -> None:
        """See ``Deliveries.commit``."""
        await self._database.write(lambda connection: write_journal(connection, batch))

    async def routed(self) -> int:
        """See ``Deliveries.routed``."""
        lowest = await self._database.read(
            lambda connection: connection.execute(select(func.min(_SHARD.c.routed))).scalar()
        )
        return int(lowest or 0)

    async def in_flight(self) -> Sequence[PendingDelivery]:
        """See ``Deliveries.in_flight``."""
        return await self._pending(select(_PENDING).where(_PENDING.c.next_at.is_(None)))

    async def due(
        self, until_us: int, limit: int, *, after: DueKey | None = None, number: int | None = None
    ) -> Sequence[PendingDelivery]:
        """See ``Deliveries.due``."""
        key = (_PENDING.c.next_at, _PENDING.c.number, _PENDING.c.position)
        statement = select(_PENDING).where(_PENDING.c.next_at <= until_us)
        if after is not None:
            # The first column alone as well: that is the part that the index can seek to.
            statement = statement.where(_PENDING.c.next_at >= after.next_at_us, tuple_(*key) > tuple_(*after))
        if number is not None:
            statement = statement.where(_PENDING.c.number == number)
        return await self._pending(statement.order_by(*key).limit(limit))

    async def oldest(self, number: int) -> PendingDelivery | None:
        """See ``Deliveries.oldest``."""
        statement = select(_PENDING).where(_PENDING.c.number == number)
        found = await self._pending(statement.order_by(_PENDING.c.position).limit(1))
        return found[0] if found else None

    async def batch(self, number: int, batch: str) -> Sequence[PendingDelivery]:
        """See ``Deliveries.batch``."""
        statement = select(_PENDING).where(_PENDING.c.number == number, _PENDING.c.batch == batch)
        return await self._pending(statement.order_by(_PENDING.c.position))

    async def heads(self) -> Sequence[PendingDelivery]:
        """See ``Deliveries.heads``."""
        return await self._pending(select(_PENDING).where(_PENDING.c.partition_key.is_not(None)))

    async def blocking(self, number: int, key: str) -> PendingDelivery | None:
        """See ``Deliveries.blocking``."""
        statement = select(_PENDING).where(_PENDING.c.number == number, _PENDING.c.partition_key == key)
        found = await self._pending(statement.order_by(_PENDING.c.position).limit(1))
        return found[0] if found else None

    async def notes(self) -> Sequence[StreamNote]:
        """See ``Deliveries.notes``."""
        return await self._database.read(notes)

    async def note(self, number: int) -> StreamNote | None:
        """See ``Deliveries.note``."""
        found = await self._database.read(lambda connection: notes(connection, number))
        return found[0] if found else None

    async def replays(self, number: int | None = None) -> Sequence[ReplayRecord]:
        """See ``Deliveries.replays``."""
        return await self._database.read(lambda connection: running_replays(connection, number))

    async def standings(
        self, number: int, first: int, last: int, *, attempts_until: int
    ) -> Mapping[int, Standing]:
        """See ``Deliveries.standings``."""

        def work(connection: Connection) -> dict[int, Standing]:
            tried = last_attempts(connection, number, first, last, attempts_until)
            statement = select(_PENDING).where(
                _PENDING.c.number == number, _PENDING.c.position.between(first, last)
            )
            pending = {row.position: _pending_of(row) for row in connection.execute(statement)}
            nothing = Standing(0, 0, failed=False, pending=None)
            return {
                position: replace(tried.get(position, nothing), pending=pending.get(position))
                for position in tried.keys() | pending.keys()
            }

        return await self._database.read(work)

    async def attempts(self, number: int, position: int) -> Sequence[AttemptRecord]:
        """See ``Deliveries.attempts``."""
        return await self._attempts(
            select(_ATTEMPT)
            .where(_ATTEMPT.c.number == number, _ATTEMPT.c.position == position)
            .order_by(_ATTEMPT.c.attempt)
        )

    async def attempts_at(self, position: int) -> Sequence[AttemptRecord]:
        """See ``Deliveries.attempts_at``."""
        return await self._attempts(
            select(_ATTEMPT)
            .where(_ATTEMPT.c.position == position)
            .order_by(_ATTEMPT.c.number, _ATTEMPT.c.attempt)
        )

    async def page(self, query: DeliveryQuery) -> DeliveryPage:
        """See ``Deliveries.page``."""

        def work(connection: Connection) -> DeliveryPage:
            positions, before = matching(connection, query)
            pending: dict[int, PendingDelivery] = {}
            attempts: dict[int, list[AttemptRecord]] = {position: [] for position in positions}
            for part in parts(positions):
                rows = select(_PENDING).where(
                    _PENDING.c.number == query.number, _PENDING.c.position.in_(part)
                )
                pending |= {row.position: _pending_of(row) for row in connection.execute(rows)}
                tried = select(_ATTEMPT).where(
                    _ATTEMPT.c.number == query.number, _ATTEMPT.c.position.in_(part)
                )
                for row in connection.execute(tried.order_by(_ATTEMPT.c.attempt)):
                    attempts[row.position].append(_attempt_of(row))
            items = [
                DeliveryItem(position, attempts[position], pending.get(position)) for position in positions
            ]
            return DeliveryPage(items, before)

        return await self._database.read(work)

    async def pending_at(self, position: int) -> Sequence[PendingDelivery]:
        """See ``Deliveries.pending_at``."""
        return await self._pending(select(_PENDING).where(_PENDING.c.position == position))

    async def _pending(self, statement: Any) -> list[PendingDelivery]:  # noqa: ANN401 - a SELECT of the table
        return await self._database.read(
            lambda connection: [_pending_of(row) for row in connection.execute(statement)]
        )

    async def _attempts(self, statement: Any) -> list[AttemptRecord]:  # noqa: ANN401 - a SELECT of the table
        return await self._database.read(
            lambda connection: [_attempt_of(row) for row in connection.execute(statement)]
        )


def write_journal(connection: Connection, batch: JournalBatch) -> None:
    """One journal transaction (S2c). A stream that was deleted meanwhile keeps its attempts and nothing else."""
    if batch.attempts:
        if _is_there(connection, batch.attempts[0]):
            return
        connection.execute(insert(_ATTEMPT), [_attempt_row(attempt) for attempt in batch.attempts])
    gone = [{"n": number, "p": position} for number, position in batch.settled]
    # A pending row is replaced whole: delete and insert spell the same on every database.
    gone += [{"n": item.number, "p": item.position} for item in batch.pending]
    if gone:
        connection.execute(
            delete(_PENDING).where(
                _PENDING.c.number == bindparam("n"), _PENDING.c.position == bindparam("p")
            ),
            gone,
        )
    kept = _still_there(connection, {item.number for item in batch.pending})
    rows = [pending_row(item) for item in batch.pending if item.number in kept]
    if rows:
        connection.execute(insert(_PENDING), rows)
    if batch.cursors:
        _write_cursors(connection, batch.cursors)
    write_replays(connection, batch.replays)
    write_notes(connection, batch.notes)
    connection.execute(update(_SHARD).values(routed=batch.routed).where(_SHARD.c.routed != batch.routed))


def _write_cursors(connection: Connection, cursors: Sequence[CursorUpdate]) -> None:
    connection.execute(
        update(_CURSOR)
        .where(_CURSOR.c.number == bindparam("n"))
        # A resume from now may have moved it on since this batch was made; it never goes back.
        .values(
            cursor=case((_CURSOR.c.cursor > bindparam("c"), _CURSOR.c.cursor), else_=bindparam("c")),
            live=bindparam("l"),
        ),
        [{"n": item.number, "c": item.cursor, "l": item.live} for item in cursors],
    )


def _is_there(connection: Connection, attempt: AttemptRecord) -> bool:
    """Whether this batch was committed before, and only the answer to that was lost."""
    statement = select(_ATTEMPT.c.id).where(
        _ATTEMPT.c.number == attempt.number,
        _ATTEMPT.c.position == attempt.position,
        _ATTEMPT.c.attempt == attempt.attempt,
    )
    return connection.execute(statement).scalar() == attempt.id


def _still_there(connection: Connection, numbers: set[int]) -> set[int]:
    there: set[int] = set()
    for part in parts(sorted(numbers)):
        there.update(connection.execute(select(_CURSOR.c.number).where(_CURSOR.c.number.in_(part))).scalars())
    return there


def _attempt_row(attempt: AttemptRecord) -> dict[str, Any]:
    return {
        "id": attempt.id,
        "number": attempt.number,
        "position": attempt.position,
        "hash6": attempt.hash6,
        "attempt": attempt.attempt,
        "round": attempt.round,
        "cause": attempt.cause,
        "decision": attempt.decision.value,
        "counts": attempt.counts,
        "error_class": attempt.error_class,
        # What an outcome was is never lost for what somebody said about it, and PostgreSQL holds no NUL.
        "detail": attempt.detail and attempt.detail.replace("\0", "\ufffd"),
        "status": attempt.status,
        "started_at": attempt.started_at_us,
        "duration_us": attempt.duration_us,
        "next_at": attempt.next_at_us,
        "revision": attempt.revision,
        "trace_id": attempt.trace_id,
        "span_id": attempt.span_id,
        "response_headers": json.dumps(attempt.response_headers) if attempt.response_headers else None,
        "response_body": attempt.response_body or None,
        "batch": attempt.batch,
        "replay": attempt.replay,
    }


def _attempt_of(row: Row[Any]) -> AttemptRecord:
    headers = json.loads(row.response_headers) if row.response_headers else []
    return AttemptRecord(
        id=row.id,
        number=row.number,
        position=row.position,
        hash6=bytes(row.hash6),
        attempt=row.attempt,
        round=row.round,
        cause=row.cause,
        decision=Decision(row.decision),
        counts=row.counts,
        started_at_us=row.started_at,
        duration_us=row.duration_us,
        revision=row.revision,
        trace_id=row.trace_id,
        span_id=row.span_id,
        error_class=row.error_class,
        detail=row.detail,
        status=row.status,
        next_at_us=row.next_at,
        response_headers=tuple((name, value) for name, value in headers),
        response_body=bytes(row.response_body or b""),
        batch=row.batch,
        replay=row.replay,
    )


def pending_row(item: PendingDelivery) -> dict[str, Any]:
    """A row of ``pending``."""
    return {
        "number": item.number,
        "position": item.position,
        "round": item.round,
        "attempts": item.attempts,
        "failures": item.failures,
        "first_at": item.first_at_us,
        "next_at": item.next_at_us,
        "crashes": item.crashes,
        "partition_key": item.partition_key,
        "blocked_from": item.blocked_from,
        "last_span_id": item.last_span_id,
        "replay": item.replay,
        "batch": item.batch,
        "batch_size": item.batch_size,
        "asked": item.asked,
    }


def _pending_of(row: Row[Any]) -> PendingDelivery:
    return PendingDelivery(
        number=row.number,
        position=row.position,
        round=row.round,
        attempts=row.attempts,
        failures=row.failures,
        first_at_us=row.first_at,
        next_at_us=row.next_at,
        crashes=row.crashes,
        partition_key=row.partition_key,
        blocked_from=row.blocked_from,
        last_span_id=row.last_span_id,
        replay=row.replay,
        batch=row.batch,
        batch_size=row.batch_size,
        asked=row.asked,
    )


def ensure_shards(connection: Connection) -> None:
    """Give a new database its 64 shards, all routed up to the empty log's head."""
    if connection.execute(select(_SHARD.c.shard).limit(1)).first() is None:
        connection.execute(insert(_SHARD), [{"shard": shard, "routed": 0} for shard in range(SHARDS)])
