"""Erasure in memory (S8b): the same steps as in SQL, over plain values."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gateway.adapters.memory.store import MemoryStore, Row
from gateway.domain import erasure as rules
from gateway.domain.chain import remains_hash
from gateway.domain.erasure import Scope, Target
from gateway.domain.facts import Fact
from gateway.domain.ids import RANDOM_BYTES, erasure_id
from gateway.errors import NotFound
from gateway.ports import (
    ErasureCount,
    ErasureRecord,
    ErasureState,
    ErasureStep,
    Kind,
    NewEntry,
    QuarantineRecord,
    QuarantineState,
)

_EMPTIED = (QuarantineState.ERASED, QuarantineState.DISCARDED)


@dataclass(slots=True)
class _Erasure:
    record: ErasureRecord
    target: Target
    cursor: int = 0


@dataclass(frozen=True, slots=True)
class _Remains:
    position: int
    kind: str
    type: str
    organization: str | None
    appended_at: int
    payload_hash: bytes
    row_hash: bytes


class MemoryErasures:
    """Implements ``gateway.ports.Erasures``."""

    def __init__(self, store: MemoryStore, *, fact_source: str) -> None:
        self._store = store
        self._fact_source = fact_source
        self._erasures: dict[int, _Erasure] = {}

    async def request(self, target: Target) -> ErasureRecord:
        """See ``Erasures.request``."""
        store = self._store
        new_id, head = erasure_id(store.random(RANDOM_BYTES)), store.head
        position = self._fact(rules.requested(new_id, target.scope, head))
        record = ErasureRecord(new_id, target.scope, ErasureState.RUNNING, head, store.now())
        self._erasures[position] = _Erasure(record, target)
        store.erasing[new_id] = target
        return record

    async def count(self, target: Target) -> ErasureCount:
        """See ``Erasures.count``."""
        events = sum(_takes(target, row) for row in self._store.rows)
        return ErasureCount(events, sum(_owns(target, item) for item in self._store.quarantine.values()))

    async def get(self, erasure_id: str) -> ErasureRecord | None:
        """See ``Erasures.get``."""
        return next((item.record for item in self._erasures.values() if item.record.id == erasure_id), None)

    async def page(self, *, before: int | None, limit: int) -> Sequence[tuple[int, ErasureRecord]]:
        """See ``Erasures.page``."""
        found = [
            (position, item.record)
            for position, item in sorted(self._erasures.items(), reverse=True)
            if before is None or position < before
        ]
        return found[:limit]

    async def open(self) -> Sequence[ErasureRecord]:
        """See ``Erasures.open``."""
        records = [item.record for item in self._erasures.values()]
        return [record for record in records if record.state is not ErasureState.FINISHED]

    async def step(self, erasure_id: str) -> ErasureStep:
        """See ``Erasures.step``."""
        erasure = next((item for item in self._erasures.values() if item.record.id == erasure_id), None)
        if erasure is None:
            raise NotFound("There is no erasure with this id.")
        record = erasure.record
        if record.state is not ErasureState.RUNNING:
            return ErasureStep(finished=True)
        if erasure.cursor < record.until_position:
            return self._erase_events(erasure)
        owned = [key for key, item in self._store.quarantine.items() if _owns(erasure.target, item)]
        for key in owned:
            item = self._store.quarantine[key]
            self._store.quarantine[key] = replace(
                item, payload=b"", problems=[], state=QuarantineState.ERASED.value
            )
        counts = {"events": record.events, "attempts": record.attempts, "quarantined": len(owned)}
        self._fact(rules.finished(record.id, **counts))
        erasure.record = replace(
            record,
            state=ErasureState.FINISHED,
            quarantined=len(owned),
            rewritten=True,
            finished_at_us=self._store.now(),
        )
        erasure.target = Target(record.scope, "")
        self._store.erasing.pop(record.id, None)
        return ErasureStep(finished=True, appended=True)

    def _erase_events(self, erasure: _Erasure) -> ErasureStep:
        store, record = self._store, erasure.record
        rows = store.rows[erasure.cursor : record.until_position]
        found = [row for row in rows if _takes(erasure.target, row)][: rules.ROWS_MAX]
        positions = [row.entry.position for row in found]
        done = len(found) < rules.ROWS_MAX
        erasure.cursor = record.until_position if done else positions[-1]
        emptied = sum(self._empty_attempts(position) for position in positions)
        if positions:
            fact = rules.erased(record.id, positions, remains_hash(_remains(row) for row in found))
            store.erased.update(dict.fromkeys(positions, self._fact(fact)))
        for row in found:
            store.rows[row.entry.position - 1] = _emptied(row)
        erasure.record = replace(
            record, events=record.events + len(positions), attempts=record.attempts + emptied
        )
        return ErasureStep(appended=bool(positions), numbers=self._bring_forward(frozenset(positions)))

    def _empty_attempts(self, position: int) -> int:
        count = 0
        for (_, at), attempts in self._store.attempts.items():
            if at == position:
                count += len(attempts)
                attempts[:] = [attempt.untold() for attempt in attempts]
        return count

    def _bring_forward(self, positions: frozenset[int]) -> frozenset[int]:
        now_us, numbers = self._store.now(), set()
        for key, item in self._store.pending.items():
            if item.position in positions and item.next_at_us is not None and item.next_at_us > now_us:
                self._store.pending[key] = replace(item, next_at_us=now_us)
                numbers.add(item.number)
        return frozenset(numbers)

    def _fact(self, fact: Fact) -> int:
        entry = NewEntry(
            type=fact.type,
            source=self._fact_source,
            id=fact.id,
            envelope=fact.envelope(self._fact_source, self._store.now()).raw,
            subject=fact.subject,
        )
        return self._store.append([entry], kind=Kind.FACT)[0].position


def _takes(target: Target, row: Row) -> bool:
    if row.entry.kind is not Kind.EVENT or row.entry.envelope is None:
        return False
    if target.scope is Scope.ORGANIZATION:
        return row.entry.organization == target.id
    return target.id in {row.columns.agent_id, row.columns.partition_key}


def _owns(target: Target, record: QuarantineRecord) -> bool:
    payload = record.payload or b""
    return record.state not in _EMPTIED and target.owns_quarantined(record.organization, payload)


def _remains(row: Row) -> _Remains:
    entry = row.entry
    return _Remains(
        entry.position,
        entry.kind.value,
        entry.type,
        entry.organization,
        entry.appended_at_us,
        row.payload_hash,
        entry.row_hash,
    )


def _emptied(row: Row) -> Row:
    columns = NewEntry(row.columns.type, "", "", b"", organization=row.columns.organization)
    return Row(replace(row.entry, source="", id="", envelope=None), columns, b"", row.payload_hash)
