"""What is asked of a stream, in memory."""

from collections.abc import Mapping
from dataclasses import replace

from gateway.adapters.memory.store import MemoryStore
from gateway.domain import facts
from gateway.domain.delivery import fold
from gateway.domain.pending import PendingDelivery
from gateway.domain.subscription import EVERY_ORGANIZATION
from gateway.errors import Conflict, Gone, NotFound
from gateway.ports import (
    Kind,
    NewEntry,
    ReplayRange,
    ReplayRecord,
    ReplayState,
    SubscriptionRecord,
    SubscriptionState,
)

_ENDED = {
    ReplayState.FINISHED: facts.REPLAY_FINISHED,
    ReplayState.CANCELLED: facts.REPLAY_CANCELLED,
}


class MemoryStreamCommands:
    """Implements ``gateway.ports.StreamCommands``."""

    def __init__(self, store: MemoryStore, *, fact_source: str) -> None:
        self._store = store
        self._fact_source = fact_source

    async def test(self, number: int) -> int:
        """See ``StreamCommands.test``."""
        record = self._present(number)
        cause = f"{self._store.now()}:{self._store.head}"
        data = {"subscription_id": record.id, "number": number, "test": True}
        return self._fact(record, facts.SUBSCRIPTION_TEST, cause, data, addressee=number)

    async def retry(self, number: int, position: int) -> None:
        """See ``StreamCommands.retry``."""
        store, record = self._store, self._store.record(number)
        if record is None:
            raise Gone("The subscription of this delivery is deleted.")
        if record.state is SubscriptionState.DISABLED:
            raise Conflict("The subscription is disabled.")
        pending, attempts = store.pending.get((number, position)), store.attempts.get((number, position))
        now_us = store.now()
        if pending is not None and pending.next_at_us is None:
            raise Conflict("An attempt of this delivery is in flight.")
        if pending is None and attempts is None:
            raise NotFound("This delivery was never tried.")
        if pending is not None:
            asked = replace(pending, next_at_us=min(now_us, pending.next_at_us or now_us))
        else:
            state = fold(attempts or ())
            asked = PendingDelivery(
                number,
                position,
                round=state.round + 1,
                attempts=state.attempts,
                first_at_us=now_us,
                next_at_us=now_us,
                last_span_id=attempts[-1].span_id if attempts else None,
                last_trace_id=attempts[-1].batch_trace_id if attempts else None,
                asked=True,
            )
        data = {
            "subscription_id": record.id,
            "number": number,
            "position": position,
            "attempts": asked.attempts,
        }
        cause = f"{position}:{asked.attempts}:{now_us}:{store.head}"
        request = self._fact(record, facts.RETRY_REQUESTED, cause, data)
        store.pending[number, position] = replace(asked, request=request)

    async def request_replay(self, number: int, wanted: ReplayRange) -> ReplayRecord:
        """See ``StreamCommands.request_replay``."""
        store, record = self._store, self._present(number)
        until = min(wanted.until_position, store.head)
        range_ = replace(wanted, until_position=until)
        data = {
            "subscription_id": record.id,
            "number": number,
            "revision": record.revision,
            "from_position": range_.from_position,
            "until_position": range_.until_position,
            "only_failed": range_.only_failed,
            "attempts_until": store.settled,
        }
        replay = self._fact(record, facts.REPLAY_REQUESTED, f"{store.head}:{store.now()}", data)
        found = ReplayRecord(
            replay=replay,
            number=number,
            revision=record.revision,
            range=range_,
            attempts_until=store.settled,
            cursor=range_.from_position - 1,
            state=ReplayState.RUNNING,
            requested_at_us=store.now(),
        )
        store.replays[replay] = found
        return found

    async def end_replay(self, replay: int, state: ReplayState) -> None:
        """See ``StreamCommands.end_replay``."""
        store = self._store
        found = store.replays.get(replay)
        if found is None or found.state is not ReplayState.RUNNING:
            return
        record = store.record(found.number)
        if record is not None:
            data = {"subscription_id": record.id, "number": found.number, "replay": replay}
            self._fact(record, _ENDED[state], str(replay), data)
        store.replays[replay] = replace(found, state=state, ended_at_us=store.now())

    async def notice(self, number: int, kind: str, data: Mapping[str, object]) -> None:
        """See ``StreamCommands.notice``."""
        record = self._store.record(number)
        if record is not None:
            cause = f"{self._store.now()}:{self._store.head}"
            self._fact(record, kind, cause, {"subscription_id": record.id, "number": number, **data})

    def _present(self, number: int) -> SubscriptionRecord:
        record = self._store.record(number)
        if record is None:
            raise NotFound("This subscription does not exist.")
        return record

    def _fact(
        self,
        record: SubscriptionRecord,
        kind: str,
        cause: str,
        data: Mapping[str, object],
        *,
        addressee: int | None = None,
    ) -> int:
        fact = facts.Fact(kind, record.id, cause, data)
        entry = NewEntry(
            type=fact.type,
            source=self._fact_source,
            id=fact.id,
            envelope=fact.envelope(self._fact_source, self._store.now()).raw,
            subject=fact.subject,
            organization=None if record.organization == EVERY_ORGANIZATION else record.organization,
        )
        return self._store.append([entry], kind=Kind.FACT, addressee=addressee)[0].position
