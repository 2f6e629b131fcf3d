"""The event log in SQL."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Select, select

from gateway.adapters.sql.absent import absent
from gateway.adapters.sql.append import append, prepare, quarantine
from gateway.adapters.sql.database import Database
from gateway.adapters.sql.entries import COLUMNS, entry_of, position_before
from gateway.adapters.sql.event_pages import page, page_of_id
from gateway.adapters.sql.lists import parts
from gateway.adapters.sql.models import LogEntry, LogHead
from gateway.adapters.sql.search import read_key, search
from gateway.domain.ids import RANDOM_BYTES, quarantine_id
from gateway.ports import Appended, Entry, EventPage, EventQuery, Head, NewEntry, NewQuarantine, Now, Random

__all__ = ["SqlLog", "position_before"]

_LOG = LogEntry.__table__  # type: ignore[attr-defined]
_HEAD = LogHead.__table__  # type: ignore[attr-defined]
_READ_MAX = 1_000


class SqlLog:
    """Implements ``gateway.ports.EventLog`` on any ``Database``."""

    def __init__(self, database: Database, *, now: Now, random: Random) -> None:
        self._database = database
        self._now = now
        self._random = random

    async def append(
        self, entries: Sequence[NewEntry], quarantined: Sequence[NewQuarantine] = ()
    ) -> Sequence[Appended]:
        """See ``EventLog.append``."""
        prepared = prepare(entries, self._random)
        ids = [quarantine_id(self._random(RANDOM_BYTES)) for _ in quarantined]
        now_us = self._now()

        def work(connection: Connection) -> list[Appended]:
            results = append(connection, prepared, now_us=now_us)
            quarantine(connection, quarantined, now_us=now_us, ids=ids)
            return results

        return await self._database.write(work)

    async def head(self) -> Head:
        """See ``EventLog.head``."""
        row = await self._database.read(
            lambda connection: connection.execute(select(_HEAD.c.position, _HEAD.c.appended_at)).one()
        )
        return Head(row.position, row.appended_at)

    async def read(self, after: int, limit: int) -> Sequence[Entry]:
        """See ``EventLog.read``."""
        statement = (
            select(*COLUMNS)
            .where(_LOG.c.position > after)
            .order_by(_LOG.c.position)
            .limit(min(limit, _READ_MAX))
        )
        return await self._entries(statement)

    async def get(self, position: int) -> Entry | None:
        """See ``EventLog.get``."""
        found = await self._entries(select(*COLUMNS).where(_LOG.c.position == position))
        return found[0] if found else None

    async def get_many(self, positions: Sequence[int]) -> Mapping[int, Entry]:
        """See ``EventLog.get_many``."""
        found: dict[int, Entry] = {}
        for part in parts(positions):
            statement = select(*COLUMNS).where(_LOG.c.position.in_(part))
            found |= {entry.position: entry for entry in await self._entries(statement)}
        return found

    async def search(self, query: EventQuery) -> Sequence[Entry]:
        """See ``EventLog.search``."""
        return await self._database.read(lambda connection: search(connection, query))

    async def page(self, query: EventQuery) -> EventPage:
        """See ``EventLog.page``."""
        return await self._database.read(lambda connection: page(connection, query))

    async def named(
        self, event_id: str, *, organization: str | None, before: int | None, rows: int
    ) -> EventPage:
        """See ``EventLog.named``."""
        return await self._database.read(
            lambda connection: page_of_id(
                connection, event_id, organization=organization, before=before, rows=rows
            )
        )

    async def position_at(self, at_us: int) -> int:
        """See ``EventLog.position_at``."""
        return await self._database.read(lambda connection: position_before(connection, at_us))

    async def absent(self, first: int, last: int) -> tuple[int, int] | None:
        """See ``EventLog.absent``."""
        return await self._database.read(lambda connection: absent(connection, first, last))

    async def read_key(self, key: str, after: int, until: int, limit: int) -> Sequence[Entry]:
        """See ``EventLog.read_key``."""
        return await self._database.read(lambda connection: read_key(connection, key, after, until, limit))

    async def _entries(self, statement: Select[Any]) -> list[Entry]:
        return await self._database.read(
            lambda connection: [entry_of(row) for row in connection.execute(statement)]
        )
