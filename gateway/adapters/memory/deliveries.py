"""Attempts, cursors and pending deliveries in memory."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from gateway.adapters.memory import delivery_pages
from gateway.adapters.memory.store import MemoryStore
from gateway.domain.asking import Asked
from gateway.domain.breaker import StreamNote
from gateway.domain.delivery import fold
from gateway.domain.pending import PendingDelivery
from gateway.domain.statistics import Tried
from gateway.ports import (
    AttemptRecord,
    DeliveryPage,
    DeliveryPlace,
    DeliveryQuery,
    DueKey,
    JournalBatch,
    Moment,
    ReplayRecord,
    ReplayState,
    Standing,
)


class MemoryDeliveries:
    """Implements ``gateway.ports.Deliveries``."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    async def commit(self, batch: JournalBatch) -> Sequence[int]:
        """See ``Deliveries.commit``."""
        store = self._store
        keys = [*batch.settled, *(item.key for item in batch.pending)]
        rows = {key: store.pending[key] for key in keys if key in store.pending}
        asked = batch.newer({key: Asked(row.request, row.next_at_us) for key, row in rows.items()})
        if batch.attempts and self._has(batch.attempts[0]):
            return sorted({number for number, _ in asked})
        for settled in batch.attempts:
            # What was in flight while its event was erased keeps no answer (S8b).
            attempt = settled.untold() if settled.position in store.erased else settled
            store.attempts.setdefault((attempt.number, attempt.position), []).append(attempt)
            store.settled += 1
            store.seqs[attempt.id] = store.settled
        for key in batch.settled:
            store.pending.pop(key, None)
        for item in batch.kept(asked):
            if item.number in store.cursors:
                span_id, trace_id = item.to_link
                row = replace(item, last_span_id=span_id, last_trace_id=trace_id)
                store.pending[item.number, item.position] = row
        self._move(batch)
        store.routed = batch.routed
        return sorted({number for number, _ in asked})

    def _move(self, batch: JournalBatch) -> None:
        store = self._store
        for update in batch.cursors:
            cursor = store.cursors.get(update.number)
            if cursor is not None:
                cursor.position, cursor.live = max(cursor.position, update.cursor), update.live
        for moved in batch.replays:
            replay = store.replays.get(moved.replay)
            if replay is not None:
                store.replays[moved.replay] = replace(replay, cursor=max(replay.cursor, moved.cursor))
        for note in batch.notes:
            store.notes.pop(note.number, None)
            if note.failing_since_us is not None and note.number in store.cursors:
                store.notes[note.number] = note

    async def routed(self) -> int:
        """See ``Deliveries.routed``."""
        return self._store.routed

    async def in_flight(self) -> Sequence[PendingDelivery]:
        """See ``Deliveries.in_flight``."""
        return [item for item in self._store.pending.values() if item.next_at_us is None]

    async def due(
        self, until_us: int, limit: int, *, after: DueKey | None = None, numbers: Sequence[int] | None = None
    ) -> Sequence[PendingDelivery]:
        """See ``Deliveries.due``."""
        wanted = None if numbers is None else set(numbers)
        keyed = [
            (DueKey(item.next_at_us, item.number, item.position), item)
            for item in self._store.pending.values()
            if item.next_at_us is not None
            and item.next_at_us <= until_us
            and (wanted is None or item.number in wanted)
        ]
        keyed.sort(key=lambda pair: pair[0])
        return [item for key, item in keyed if after is None or key > after][:limit]

    async def oldest(self, number: int) -> PendingDelivery | None:
        """See ``Deliveries.oldest``."""
        found = [item for item in self._store.pending.values() if item.number == number]
        return min(found, key=lambda item: item.position, default=None)

    async def batch(self, number: int, batch: str) -> Sequence[PendingDelivery]:
        """See ``Deliveries.batch``."""
        found = [
            item for item in self._store.pending.values() if (item.number, item.batch) == (number, batch)
        ]
        return sorted(found, key=lambda item: item.position)

    async def heads(self) -> Sequence[PendingDelivery]:
        """See ``Deliveries.heads``."""
        return [item for item in self._store.pending.values() if item.partition_key is not None]

    async def blocking(self, number: int, key: str) -> PendingDelivery | None:
        """See ``Deliveries.blocking``."""
        found = [
            item
            for item in self._store.pending.values()
            if (item.number, item.partition_key) == (number, key)
        ]
        return min(found, key=lambda item: item.position, default=None)

    async def notes(self) -> Sequence[StreamNote]:
        """See ``Deliveries.notes``."""
        return list(self._store.notes.values())

    async def note(self, number: int) -> StreamNote | None:
        """See ``Deliveries.note``."""
        return self._store.notes.get(number)

    async def replays(self, numbers: Sequence[int] | None = None) -> Sequence[ReplayRecord]:
        """See ``Deliveries.replays``."""
        wanted = None if numbers is None else set(numbers)
        return [
            replace(replay, open=sum(item.replay == replay.replay for item in self._store.pending.values()))
            for replay in self._store.replays.values()
            if replay.state is ReplayState.RUNNING and (wanted is None or replay.number in wanted)
        ]

    async def replay(self, replay: int) -> ReplayRecord | None:
        """See ``Deliveries.replay``."""
        found = self._store.replays.get(replay)
        if found is None:
            return None
        return replace(found, open=sum(item.replay == replay for item in self._store.pending.values()))

    async def standings(self, number: int, first: int, last: int, *, asked: Moment) -> Mapping[int, Standing]:
        """See ``Deliveries.standings``."""
        store, found = self._store, {}
        for position in range(first, last + 1):
            attempts = store.attempts.get((number, position), ())
            pending = store.pending.get((number, position))
            if attempts or pending is not None:
                ended = [item for item in attempts if asked.follows(store.seqs[item.id], item.ended_at_us)]
                begun = (
                    asked.follows(store.seqs[attempts[0].id], attempts[0].started_at_us) if attempts else True
                )
                now = fold(attempts)
                found[position] = Standing(
                    round=now.round,
                    attempts=now.attempts,
                    failed=bool(ended) and fold(ended).state.failed,
                    pending=pending,
                    late=not begun,
                    replays=frozenset(item.replay for item in attempts if item.replay is not None),
                    last_span_id=attempts[-1].span_id if attempts else None,
                    last_trace_id=attempts[-1].batch_trace_id if attempts else None,
                )
        return found

    async def attempts(self, number: int, position: int) -> Sequence[AttemptRecord]:
        """See ``Deliveries.attempts``."""
        return list(self._store.attempts.get((number, position), ()))

    async def latest(self, number: int, limit: int) -> Sequence[Tried]:
        """See ``Deliveries.latest``."""
        store = self._store
        keys = sorted((key for key in store.attempts if key[0] == number), reverse=True)
        found = [attempt for key in keys for attempt in reversed(store.attempts[key])][:limit]
        return [
            Tried(
                decision=item.decision,
                started_at_us=item.started_at_us,
                duration_us=item.duration_us,
                appended_at_us=store.appended_at(item.position),
                sent=item.status is not None,
                replayed=item.replay is not None or item.round > 0,
            )
            for item in found
        ]

    async def attempts_at(self, position: int) -> Sequence[AttemptRecord]:
        """See ``Deliveries.attempts_at``."""
        found = sorted(key for key in self._store.attempts if key[1] == position)
        return [attempt for key in found for attempt in self._store.attempts[key]]

    async def page(self, query: DeliveryQuery) -> DeliveryPage:
        """See ``Deliveries.page``."""
        found = delivery_pages.matching(self._store, query)
        more = len(found) > query.limit
        items = found[: query.limit]
        return DeliveryPage(items, DeliveryPlace(items[-1].position, items[-1].number) if more else None)

    async def pending_at(self, position: int) -> Sequence[PendingDelivery]:
        """See ``Deliveries.pending_at``."""
        return [item for item in self._store.pending.values() if item.position == position]

    def _has(self, attempt: AttemptRecord) -> bool:
        """Whether this batch was written before and only its answer was lost."""
        known = self._store.attempts.get((attempt.number, attempt.position), ())
        return any(item.id == attempt.id for item in known)
