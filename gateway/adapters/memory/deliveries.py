"""Attempts, cursors and pending deliveries in memory."""

from collections.abc import Sequence

from gateway.adapters.memory.store import MemoryStore
from gateway.domain.lane import PendingDelivery
from gateway.ports import AttemptRecord, DueKey, JournalBatch


class MemoryDeliveries:
    """Implements ``gateway.ports.Deliveries``."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    async def commit(self, batch: JournalBatch) -> None:
        """See ``Deliveries.commit``."""
        store = self._store
        if batch.attempts and self._has(batch.attempts[0]):
            return
        for attempt in batch.attempts:
            store.attempts.setdefault((attempt.number, attempt.position), []).append(attempt)
        for key in batch.settled:
            store.pending.pop(key, None)
        for item in batch.pending:
            if item.number in store.cursors:
                store.pending[item.number, item.position] = item
        for update in batch.cursors:
            cursor = store.cursors.get(update.number)
            if cursor is not None:
                cursor.position, cursor.live = max(cursor.position, update.cursor), update.live
        store.routed = batch.routed

    async def routed(self) -> int:
        """See ``Deliveries.routed``."""
        return self._store.routed

    async def in_flight(self) -> Sequence[PendingDelivery]:
        """See ``Deliveries.in_flight``."""
        return [item for item in self._store.pending.values() if item.next_at_us is None]

    async def due(
        self, until_us: int, limit: int, *, after: DueKey | None = None, number: int | None = None
    ) -> Sequence[PendingDelivery]:
        """See ``Deliveries.due``."""
        keyed = [
            (DueKey(item.next_at_us, item.number, item.position), item)
            for item in self._store.pending.values()
            if item.next_at_us is not None and item.next_at_us <= until_us and number in {None, item.number}
        ]
        keyed.sort(key=lambda pair: pair[0])
        return [item for key, item in keyed if after is None or key > after][:limit]

    async def attempts(self, number: int, position: int) -> Sequence[AttemptRecord]:
        """See ``Deliveries.attempts``."""
        return list(self._store.attempts.get((number, position), ()))

    async def attempts_at(self, position: int) -> Sequence[AttemptRecord]:
        """See ``Deliveries.attempts_at``."""
        found = sorted(key for key in self._store.attempts if key[1] == position)
        return [attempt for key in found for attempt in self._store.attempts[key]]

    async def pending_at(self, position: int) -> Sequence[PendingDelivery]:
        """See ``Deliveries.pending_at``."""
        return [item for item in self._store.pending.values() if item.position == position]

    def _has(self, attempt: AttemptRecord) -> bool:
        """Whether this batch was written before and only its answer was lost."""
        known = self._store.attempts.get((attempt.number, attempt.position), ())
        return any(item.id == attempt.id for item in known)
