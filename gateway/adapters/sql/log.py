"""The event log in SQL."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, false, or_, select

from gateway.adapters.sql.append import append, prepare, quarantine
from gateway.adapters.sql.database import Database
from gateway.adapters.sql.lists import parts
from gateway.adapters.sql.models import LogEntry, LogHead
from gateway.adapters.sql.texts import same, sought, sought_among
from gateway.domain.ids import RANDOM_BYTES, quarantine_id
from gateway.ports import Appended, Entry, EventQuery, Head, Kind, NewEntry, NewQuarantine, Now, Random
from schemas import GATEWAY_TYPE_PREFIX

_LOG = LogEntry.__table__  # type: ignore[attr-defined]
_HEAD = LogHead.__table__  # type: ignore[attr-defined]
_COLUMNS = (
    _LOG.c.position,
    _LOG.c.kind,
    _LOG.c.type,
    _LOG.c.source,
    _LOG.c.event_id,
    _LOG.c.organization,
    _LOG.c.appended_at,
    _LOG.c.row_hash,
    _LOG.c.envelope,
    _LOG.c.addressee,
)
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
            select(*_COLUMNS)
            .where(_LOG.c.position > after)
            .order_by(_LOG.c.position)
            .limit(min(limit, _READ_MAX))
        )
        return await self._entries(statement)

    async def get(self, position: int) -> Entry | None:
        """See ``EventLog.get``."""
        found = await self._entries(select(*_COLUMNS).where(_LOG.c.position == position))
        return found[0] if found else None

    async def get_many(self, positions: Sequence[int]) -> Mapping[int, Entry]:
        """See ``EventLog.get_many``."""
        found: dict[int, Entry] = {}
        for part in parts(positions):
            statement = select(*_COLUMNS).where(_LOG.c.position.in_(part))
            found |= {entry.position: entry for entry in await self._entries(statement)}
        return found

    async def search(self, query: EventQuery) -> Sequence[Entry]:
        """See ``EventLog.search``."""

        def work(connection: Connection) -> list[Entry]:
            statement = _search(connection, query)
            return [entry_of(row) for row in connection.execute(statement)]

        return await self._database.read(work)

    async def position_at(self, at_us: int) -> int:
        """See ``EventLog.position_at``."""
        return await self._database.read(lambda connection: position_before(connection, at_us))

    async def read_key(self, key: str, after: int, until: int, limit: int) -> Sequence[Entry]:
        """See ``EventLog.read_key``."""
        found: dict[int, Entry] = {}
        # One read by each index; a single one over both would be sorted whole before its first row.
        for column in (_LOG.c.agent_id, _LOG.c.partition_key):
            statement = (
                select(*_COLUMNS)
                .where(sought(column, key), _LOG.c.position > after, _LOG.c.position <= until)
                .order_by(_LOG.c.position)
                .limit(limit)
            )
            found.update((entry.position, entry) for entry in await self._entries(statement))
        return [found[position] for position in sorted(found)[:limit]]

    async def _entries(self, statement: Select[Any]) -> list[Entry]:
        return await self._database.read(
            lambda connection: [entry_of(row) for row in connection.execute(statement)]
        )


def entry_of(row: Row[Any]) -> Entry:
    """A row of ``_COLUMNS`` as the port's record."""
    return Entry(
        position=row.position,
        kind=Kind(row.kind),
        type=row.type,
        source=row.source,
        id=row.event_id,
        organization=row.organization,
        appended_at_us=row.appended_at,
        row_hash=bytes(row.row_hash),
        envelope=None if row.envelope is None else bytes(row.envelope),
        addressee=row.addressee,
    )


def position_before(connection: Connection, at_us: int) -> int:
    """The last position appended before a time, by bisection: ``appended_at`` never goes back (S7d)."""
    first = connection.execute(select(_LOG.c.position).order_by(_LOG.c.position).limit(1)).scalar()
    if first is None:
        return 0
    low, high = first - 1, connection.execute(select(_HEAD.c.position)).scalar_one()
    while low < high:
        middle = (low + high + 1) // 2
        at = connection.execute(select(_LOG.c.appended_at).where(_LOG.c.position == middle)).scalar_one()
        if at < at_us:
            low = middle
        else:
            high = middle - 1
    return int(low)


def _search(connection: Connection, query: EventQuery) -> Select[Any]:
    conditions = _conditions(query)
    if query.since_us is not None:
        conditions.append(_LOG.c.position > position_before(connection, query.since_us))
    if query.until_us is not None:
        conditions.append(_LOG.c.position <= position_before(connection, query.until_us))
    if query.after is not None:
        beyond = _LOG.c.position > query.after if query.ascending else _LOG.c.position < query.after
        conditions.append(beyond)
    order = _LOG.c.position.asc() if query.ascending else _LOG.c.position.desc()
    return select(*_COLUMNS).where(and_(*conditions)).order_by(order).limit(query.limit)


def _conditions(query: EventQuery) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = [_kind_condition(query.types)]
    equal = (
        (_LOG.c.organization, query.organization),
        (_LOG.c.organization, query.organization_id),
        (_LOG.c.source, query.source),
        (_LOG.c.subject, query.subject),
        (_LOG.c.agent_id, query.agent_id),
        (_LOG.c.run_id, query.run_id),
    )
    conditions += [sought(column, value) for column, value in equal if value is not None]
    if query.trace_id is not None:
        conditions.append(same(_LOG.c.trace_id, query.trace_id))
    return conditions


def _kind_condition(types: Sequence[str]) -> ColumnElement[bool]:
    """Facts are shown only to who names their type, and an event can never pass for one (S1b)."""
    if not types:
        only_events: ColumnElement[bool] = _LOG.c.kind == Kind.EVENT.value
        return only_events
    facts = [name for name in types if name.startswith(GATEWAY_TYPE_PREFIX)]
    events = [name for name in types if not name.startswith(GATEWAY_TYPE_PREFIX)]
    condition: ColumnElement[bool] = or_(
        and_(_LOG.c.kind == Kind.FACT.value, sought_among(_LOG.c.type, facts)) if facts else false(),
        and_(_LOG.c.kind == Kind.EVENT.value, sought_among(_LOG.c.type, events)) if events else false(),
    )
    return condition
