"""The event log in memory."""

from collections.abc import Container, Mapping, Sequence
from dataclasses import replace

from gateway.adapters.memory.store import MemoryStore, Row
from gateway.ports import Appended, Entry, EventPage, EventQuery, Head, Kind, NewEntry, NewQuarantine
from schemas import GATEWAY_TYPE_PREFIX


class MemoryLog:
    """Implements ``gateway.ports.EventLog``."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    async def append(
        self, entries: Sequence[NewEntry], quarantine: Sequence[NewQuarantine] = ()
    ) -> Sequence[Appended]:
        """See ``EventLog.append``."""
        results = self._store.append(entries)
        self._store.put_aside(quarantine)
        return results

    async def head(self) -> Head:
        """See ``EventLog.head``."""
        return Head(self._store.head, self._store.appended_at_us)

    async def read(self, after: int, limit: int) -> Sequence[Entry]:
        """See ``EventLog.read``."""
        return [row.entry for row in self._store.rows[after : after + limit]]

    async def get(self, position: int) -> Entry | None:
        """See ``EventLog.get``."""
        return self._store.rows[position - 1].entry if 0 < position <= self._store.head else None

    async def get_many(self, positions: Sequence[int]) -> Mapping[int, Entry]:
        """See ``EventLog.get_many``."""
        found = {position: await self.get(position) for position in positions}
        return {position: entry for position, entry in found.items() if entry is not None}

    async def search(self, query: EventQuery) -> Sequence[Entry]:
        """See ``EventLog.search``."""
        posted = set() if query.trace_id is None else self._posted(query.trace_id, query.organization)
        found = [row.entry for row in self._store.rows if _matches(row, query, posted)]
        if not query.ascending:
            found.reverse()
        return found[: query.limit]

    def _posted(self, trace_id: str, organization: str | None) -> set[int]:
        """What a batch in this trace posted, of this organization's subscriptions."""
        store = self._store
        return {
            position
            for number, position in store.attempts
            if organization in {None, store.names[number][1]} and store.has_posted(number, position, trace_id)
        }

    async def page(self, query: EventQuery) -> EventPage:
        """See ``EventLog.page``."""
        found = await self.search(replace(query, limit=query.limit + 1))
        entries, more = found[: query.limit], len(found) > query.limit
        return EventPage(entries, entries[-1].position if more else None)

    async def named(
        self, event_id: str, *, organization: str | None, before: int | None, rows: int
    ) -> EventPage:
        """See ``EventLog.named``."""
        last = self._store.head if before is None else min(before - 1, self._store.head)
        first = max(1, last - rows + 1)
        found = [
            row.entry
            for row in reversed(self._store.rows[first - 1 : last])
            if row.entry.id == event_id
            and row.entry.kind is Kind.EVENT
            and organization in {None, row.entry.organization}
        ]
        return EventPage(found, first if first > 1 else None)

    async def position_at(self, at_us: int) -> int:
        """See ``EventLog.position_at``."""
        return self._store.position_before(at_us)

    async def absent(self, first: int, last: int) -> tuple[int, int] | None:  # noqa: ARG002 - the port's shape
        """See ``EventLog.absent``: nothing leaves memory."""
        return None

    async def read_key(self, key: str, after: int, until: int, limit: int) -> Sequence[Entry]:
        """See ``EventLog.read_key``."""
        rows = self._store.rows[after:until]
        return [row.entry for row in rows if key in {row.columns.agent_id, row.columns.partition_key}][:limit]


def _matches(row: Row, query: EventQuery, posted: Container[int]) -> bool:
    entry, columns = row.entry, row.columns
    wanted = (
        (entry.organization, query.organization),
        (entry.organization, query.organization_id),
        (entry.source, query.source),
        (columns.subject, query.subject),
        (columns.agent_id, query.agent_id),
        (columns.run_id, query.run_id),
    )
    return (
        _shows(entry, query.types)
        and all(value is None or value == has for has, value in wanted)
        and (query.trace_id in {None, columns.trace_id} or entry.position in posted)
        and (query.since_us is None or entry.appended_at_us >= query.since_us)
        and (query.until_us is None or entry.appended_at_us < query.until_us)
        and (query.after is None or (entry.position > query.after) is query.ascending)
        and entry.position != query.after
    )


def _shows(entry: Entry, types: Sequence[str]) -> bool:
    """Facts are shown only to who names their type (S1b)."""
    is_fact = entry.kind is Kind.FACT
    return (
        entry.type in types and is_fact is entry.type.startswith(GATEWAY_TYPE_PREFIX)
        if types
        else not is_fact
    )
