"""The quarantine in memory."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from gateway.adapters.memory.store import MemoryStore
from gateway.errors import Conflict, NotFound
from gateway.ports import Appended, NewEntry, QuarantineRecord, QuarantineState


class MemoryQuarantine:
    """Implements ``gateway.ports.Quarantine``."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    async def page(
        self,
        *,
        organization: str | None,
        before: tuple[int, str] | None,
        limit: int,
        state: QuarantineState | None = None,
    ) -> Sequence[QuarantineRecord]:
        """See ``Quarantine.page``."""
        found = [
            record
            for record in self._store.quarantine.values()
            if record.state != QuarantineState.DISCARDED
            and (state is None or record.state == state)
            and (organization is None or record.organization == organization)
            and (before is None or (record.received_at_us, record.id) < before)
        ]
        found.sort(key=lambda record: (record.received_at_us, record.id), reverse=True)
        return [replace(record, payload=None) for record in found[:limit]]

    async def get(self, quarantine_id: str) -> QuarantineRecord | None:
        """See ``Quarantine.get``."""
        found = (item for item in self._store.quarantine.values() if item.id == quarantine_id)
        return next((item for item in found if item.state != QuarantineState.DISCARDED), None)

    async def redrive(self, quarantine_id: str, entry: NewEntry) -> Appended:
        """See ``Quarantine.redrive``."""
        record = await self._there(quarantine_id)
        if record.position is not None:
            return Appended(record.position, duplicate=True)
        if record.state != QuarantineState.OPEN:
            raise Conflict(f"This entry of the quarantine is {record.state}.")
        erasing = self._store.erasing.values()
        if any(target.owns_quarantined(record.organization, entry.envelope) for target in erasing):
            raise Conflict("It is being erased.")
        [result] = self._store.append([entry])
        self._put(replace(record, state=QuarantineState.REDRIVEN.value, position=result.position))
        return result

    async def keep(self, quarantine_id: str, reason: str, problems: Sequence[Mapping[str, str]]) -> None:
        """See ``Quarantine.keep``."""
        record = await self._there(quarantine_id)
        if record.state == QuarantineState.OPEN:
            self._put(replace(record, reason=reason, problems=[dict(problem) for problem in problems]))

    async def discard(self, quarantine_id: str) -> None:
        """See ``Quarantine.discard``."""
        record = await self._there(quarantine_id)
        self._put(replace(record, state=QuarantineState.DISCARDED.value, payload=b"", problems=[]))

    async def _there(self, quarantine_id: str) -> QuarantineRecord:
        record = await self.get(quarantine_id)
        if record is None:
            raise NotFound("There is nothing in quarantine with this id.")
        return record

    def _put(self, record: QuarantineRecord) -> None:
        self._store.quarantine[record.origin, record.entry_id] = record
