"""Idempotency keys in memory; kept beside the subscriptions that were made by them."""

from gateway.adapters.memory.store import MemoryStore
from gateway.errors import Conflict
from gateway.ports import Remembered, Remembering, SubscriptionRecord


class MemoryIdempotencyKeys:
    """Implements ``gateway.ports.IdempotencyKeys``."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    async def find(self, key: bytes) -> Remembered | None:
        """See ``IdempotencyKeys.find``."""
        until_us, subscription, answer = self._store.remembered.get(key, (0, "", b""))
        if until_us <= self._store.now():
            return None
        there = self._store.subscriptions.get(self._store.numbers[subscription]) is not None
        return Remembered(answer if there else None)

    async def forget(self) -> int:
        """See ``IdempotencyKeys.forget``."""
        now_us = self._store.now()
        due = [key for key, (until_us, _, _) in self._store.remembered.items() if until_us <= now_us]
        for key in due:
            del self._store.remembered[key]
        return len(due)


def check(store: MemoryStore, wanted: Remembering) -> None:
    """Raises ``Conflict`` where the key is in use."""
    until_us, _, _ = store.remembered.get(wanted.key, (0, "", b""))
    if until_us > store.now():
        raise Conflict("A request with this Idempotency-Key was served meanwhile.", hint="Send it again.")


def remember(store: MemoryStore, record: SubscriptionRecord, wanted: Remembering) -> None:
    """Keep what is answered."""
    store.remembered[wanted.key] = (wanted.until_us, record.id, wanted.answer(record))
