"""Searching the log: by what its indexes hold, in log order or the newest first."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Column, ColumnElement, Connection, Row, and_, false, or_, select

from gateway.adapters.sql.entries import COLUMNS, entry_of, position_before
from gateway.adapters.sql.lists import parts
from gateway.adapters.sql.models import LogEntry, LogHead
from gateway.adapters.sql.posted import posted_positions
from gateway.adapters.sql.stretches import STRETCH, stretches
from gateway.adapters.sql.texts import fits, sought, sought_among
from gateway.ports import Entry, EventQuery, Kind
from schemas import GATEWAY_TYPE_PREFIX

_LOG = LogEntry.__table__  # type: ignore[attr-defined]
_HEAD = LogHead.__table__  # type: ignore[attr-defined]

_INDEXES: Final = {
    "trace_id": "ix_log_trace",
    "subject": "ix_log_subject",
    "run_id": "ix_log_run",
    "agent_id": "ix_log_agent",
    "partition_key": "ix_log_key",
    "source": "ix_log_source",
    "organization": "ix_log_organization",
}
"""The columns that have an index by stretches, in the order in which one is chosen: the fewest rows first."""

_NAMED_MAX: Final = 100
"""Events of one id: of many sources, each of which may have one."""


@dataclass(frozen=True, slots=True)
class _Range:
    """Positions from ``first`` to ``last``, both included, and how many rows are wanted from which end."""

    first: int
    last: int
    ascending: bool
    limit: int


def search(connection: Connection, query: EventQuery) -> list[Entry]:
    """See ``EventLog.search``."""
    equal = [(column, value) for column, value in _equal(query) if value is not None]
    if not all(fits(text) for _, text in equal) or (query.types and not any(map(fits, query.types))):
        return []
    conditions = [_kind_condition(query.types), *(sought(column, value) for column, value in equal)]
    within = _range(connection, query)
    named = {column.name: column for column, _ in equal}
    chosen = next((named[name] for name in _INDEXES if name in named), None)
    if chosen is None:
        return [entry_of(row) for row in connection.execute(_statement(conditions, within))]
    rows = _by_stretches(connection, chosen, conditions, within)
    if query.trace_id is not None:
        others = [sought(column, value) for column, value in equal if column is not _LOG.c.trace_id]
        posted = _posted(connection, query, [conditions[0], *others], within)
        rows = _together(rows, posted, within) if posted else rows
    return [entry_of(row) for row in rows]


def named(
    connection: Connection, event_id: str, *, organization: str | None, before: int | None, rows: int
) -> tuple[list[Entry], int | None]:
    """See ``EventLog.named``."""
    if not event_id or not fits(event_id):  # what is erased has an empty one
        return [], None
    last = _last(connection) if before is None else before - 1
    first = max(1, last - rows + 1)
    conditions = [_LOG.c.kind == Kind.EVENT.value, _LOG.c.event_id == event_id]
    if organization is not None:
        conditions.append(sought(_LOG.c.organization, organization))
    within = _Range(first, last, ascending=False, limit=_NAMED_MAX)
    found = [entry_of(row) for row in connection.execute(_statement(conditions, within))]
    return found, first if first > 1 else None


def read_key(connection: Connection, key: str, after: int, until: int, limit: int) -> list[Entry]:
    """See ``EventLog.read_key``."""
    if not fits(key):
        return []
    within = _Range(after + 1, min(until, _last(connection)), ascending=True, limit=limit)
    found: dict[int, Entry] = {}
    # One read by each index; a single one over both would be sorted whole before its first row.
    for column in (_LOG.c.agent_id, _LOG.c.partition_key):
        rows = _by_stretches(connection, column, [sought(column, key)], within)
        found.update((row.position, entry_of(row)) for row in rows)
    return [found[position] for position in sorted(found)[:limit]]


def read_positions(
    connection: Connection, column: Column[Any], value: str, within: tuple[int, int], limit: int
) -> list[int]:
    """The lowest positions of events that have this in an indexed column, both ends of the range included.

    What is erased keeps its organization, and is there no more.
    """
    if not fits(value):
        return []
    conditions = [sought(column, value), _LOG.c.kind == Kind.EVENT.value, _LOG.c.erased_by.is_(None)]
    rows = _by_stretches(
        connection, column, conditions, _Range(*within, ascending=True, limit=limit), (_LOG.c.position,)
    )
    return [row.position for row in rows]


def latest_positions(
    connection: Connection, column: Column[Any], value: str, within: tuple[int, int], limit: int
) -> list[int]:
    """The highest positions of what has this in an indexed column, descending, both ends of the range included."""
    first, last = within[0], min(within[1], _last(connection))
    if not fits(value):
        return []
    descending = _Range(first, last, ascending=False, limit=limit)
    rows = _by_stretches(connection, column, [sought(column, value)], descending, (_LOG.c.position,))
    return [row.position for row in rows]


def _by_stretches(
    connection: Connection,
    column: Column[Any],
    conditions: Sequence[ColumnElement[bool]],
    within: _Range,
    wanted: Sequence[Column[Any]] = COLUMNS,
) -> list[Row[Any]]:
    found: list[Row[Any]] = []
    for part in stretches(within.first, within.last, ascending=within.ascending):
        rest = _Range(within.first, within.last, within.ascending, within.limit - len(found))
        statement = _statement([STRETCH.in_(part), *conditions], rest, wanted).with_hint(
            # It knows nothing of how many rows a value has, and may take another one, or read all in order.
            _LOG,
            f"INDEXED BY {_INDEXES[column.name]}",
            "sqlite",
        )
        found += connection.execute(statement)
        if len(found) >= within.limit:
            break
    return found


def _posted(
    connection: Connection, query: EventQuery, conditions: Sequence[ColumnElement[bool]], within: _Range
) -> list[Row[Any]]:
    """What a batch in this trace posted: its events are in traces of their own."""
    found: list[Row[Any]] = []
    positions = posted_positions(
        connection, query.trace_id or "", (within.first, within.last), organization=query.organization
    )
    for part in parts(positions if within.ascending else positions[::-1]):
        found += connection.execute(_statement([_LOG.c.position.in_(part), *conditions], within))
        if len(found) >= within.limit:
            break
    return found


def _together(one: Sequence[Row[Any]], other: Sequence[Row[Any]], within: _Range) -> list[Row[Any]]:
    by_position = {row.position: row for row in (*one, *other)}
    ordered = sorted(by_position, reverse=not within.ascending)
    return [by_position[position] for position in ordered[: within.limit]]


def _statement(
    conditions: Sequence[ColumnElement[bool]], within: _Range, wanted: Sequence[Column[Any]] = COLUMNS
) -> Any:  # noqa: ANN401 - a SELECT
    position = _LOG.c.position
    return (
        select(*wanted)
        .where(and_(*conditions), position >= within.first, position <= within.last)
        .order_by(position.asc() if within.ascending else position.desc())
        .limit(within.limit)
    )


def _range(connection: Connection, query: EventQuery) -> _Range:
    first, last = 1, _last(connection)
    if query.since_us is not None:
        first = position_before(connection, query.since_us) + 1
    if query.until_us is not None:
        last = position_before(connection, query.until_us)
    if query.after is not None and query.ascending:
        first = max(first, query.after + 1)
    elif query.after is not None:
        last = min(last, query.after - 1)
    return _Range(first, last, query.ascending, query.limit)


def _last(connection: Connection) -> int:
    return int(connection.execute(select(_HEAD.c.position)).scalar_one())


def _equal(query: EventQuery) -> tuple[tuple[Column[Any], str | None], ...]:
    return (
        (_LOG.c.organization, query.organization),
        (_LOG.c.organization, query.organization_id),
        (_LOG.c.source, query.source),
        (_LOG.c.subject, query.subject),
        (_LOG.c.agent_id, query.agent_id),
        (_LOG.c.run_id, query.run_id),
        (_LOG.c.trace_id, query.trace_id),
    )


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
