"""Attempts, cursors and pending deliveries in SQL, as they are read; ``journal.py`` writes them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, func, insert, select, tuple_

from gateway.adapters.sql.database import Database
from gateway.adapters.sql.delivery_pages import read_page
from gateway.adapters.sql.delivery_rows import attempt_of, pending_of
from gateway.adapters.sql.journal import write_journal
from gateway.adapters.sql.latest_attempts import latest_statement, tried_of
from gateway.adapters.sql.lists import parts
from gateway.adapters.sql.models import Attempt, Pending, Shard
from gateway.adapters.sql.streams import last_attempts, notes, one_replay, running_replays
from gateway.domain.breaker import StreamNote
from gateway.domain.pending import PendingDelivery
from gateway.domain.statistics import Tried
from gateway.ports import (
    AttemptRecord,
    DeliveryPage,
    DeliveryQuery,
    DueKey,
    JournalBatch,
    Moment,
    ReplayRecord,
    Standing,
)

_ATTEMPT = Attempt.__table__  # type: ignore[attr-defined]
_PENDING = Pending.__table__  # type: ignore[attr-defined]
_SHARD = Shard.__table__  # type: ignore[attr-defined]
SHARDS = 64


def shard_of(number: int) -> int:
    """The shard that a subscription's stream belongs to (S6a)."""
    return number % SHARDS


class SqlDeliveries:
    """Implements ``gateway.ports.Deliveries`` on any ``Database``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def commit(self, batch: JournalBatch) -> Sequence[int]:
        """See ``Deliveries.commit``."""
        return await self._database.write(lambda connection: write_journal(connection, batch))

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
        self, until_us: int, limit: int, *, after: DueKey | None = None, numbers: Sequence[int] | None = None
    ) -> Sequence[PendingDelivery]:
        """See ``Deliveries.due``."""
        key = (_PENDING.c.next_at, _PENDING.c.number, _PENDING.c.position)
        statement = select(_PENDING).where(_PENDING.c.next_at <= until_us)
        if after is not None:
            # The first column alone as well: that is the part that the index can seek to.
            statement = statement.where(_PENDING.c.next_at >= after.next_at_us, tuple_(*key) > tuple_(*after))
        if numbers is not None:
            [part] = parts(numbers)
            statement = statement.where(_PENDING.c.number.in_(part))
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

    async def replays(self, numbers: Sequence[int] | None = None) -> Sequence[ReplayRecord]:
        """See ``Deliveries.replays``."""
        return await self._database.read(lambda connection: running_replays(connection, numbers))

    async def replay(self, replay: int) -> ReplayRecord | None:
        """See ``Deliveries.replay``."""
        return await self._database.read(lambda connection: one_replay(connection, replay))

    async def standings(self, number: int, first: int, last: int, *, asked: Moment) -> Mapping[int, Standing]:
        """See ``Deliveries.standings``."""

        def work(connection: Connection) -> dict[int, Standing]:
            tried = last_attempts(connection, number, first, last, asked)
            statement = select(_PENDING).where(
                _PENDING.c.number == number, _PENDING.c.position.between(first, last)
            )
            pending = {row.position: pending_of(row) for row in connection.execute(statement)}
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

    async def latest(self, number: int, limit: int) -> Sequence[Tried]:
        """See ``Deliveries.latest``."""
        statement = latest_statement(number, limit)
        return await self._database.read(
            lambda connection: [tried_of(row) for row in connection.execute(statement)]
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
        return await self._database.read(lambda connection: read_page(connection, query))

    async def pending_at(self, position: int) -> Sequence[PendingDelivery]:
        """See ``Deliveries.pending_at``."""
        return await self._pending(select(_PENDING).where(_PENDING.c.position == position))

    async def _pending(self, statement: Any) -> list[PendingDelivery]:  # noqa: ANN401 - a SELECT of the table
        return await self._database.read(
            lambda connection: [pending_of(row) for row in connection.execute(statement)]
        )

    async def _attempts(self, statement: Any) -> list[AttemptRecord]:  # noqa: ANN401 - a SELECT of the table
        return await self._database.read(
            lambda connection: [attempt_of(row) for row in connection.execute(statement)]
        )


def ensure_shards(connection: Connection) -> None:
    """Give a new database its 64 shards, all routed up to the empty log's head."""
    if connection.execute(select(_SHARD.c.shard).limit(1)).first() is None:
        connection.execute(insert(_SHARD), [{"shard": shard, "routed": 0} for shard in range(SHARDS)])
