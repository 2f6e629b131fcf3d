"""The quarantine in memory."""

from collections.abc import Sequence
from dataclasses import replace

from gateway.adapters.memory.store import MemoryStore
from gateway.ports import QuarantineRecord


class MemoryQuarantine:
    """Implements ``gateway.ports.Quarantine``."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    async def page(
        self, *, organization: str | None, before: tuple[int, str] | None, limit: int
    ) -> Sequence[QuarantineRecord]:
        """See ``Quarantine.page``."""
        found = [
            record
            for record in self._store.quarantine.values()
            if (organization is None or record.organization == organization)
            and (before is None or (record.received_at_us, record.id) < before)
        ]
        found.sort(key=lambda record: (record.received_at_us, record.id), reverse=True)
        return [replace(record, payload=None) for record in found[:limit]]

    async def get(self, quarantine_id: str) -> QuarantineRecord | None:
        """See ``Quarantine.get``."""
        return next((item for item in self._store.quarantine.values() if item.id == quarantine_id), None)
