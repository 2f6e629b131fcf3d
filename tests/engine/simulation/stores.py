"""One process's way to the stores: slow, sometimes failing, and cut when the process dies."""

import asyncio
import math
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

from gateway.adapters.memory import (
    MemoryDeliveries,
    MemoryLog,
    MemoryStore,
    MemoryStreamCommands,
    MemorySubscriptions,
)
from gateway.domain.breaker import StreamNote
from gateway.domain.pending import PendingDelivery
from gateway.errors import Unavailable
from gateway.ports import (
    AttemptRecord,
    DueKey,
    Entry,
    Head,
    JournalBatch,
    Moment,
    ReplayRecord,
    ReplayState,
    Standing,
    SubscriptionRecord,
    SubscriptionState,
)
from simulation.plan import Plan

T = TypeVar("T")
_LATENCY_S = 0.004


class Killed(BaseException):
    """kill -9 reaches a task of the simulated process."""


class Wire:
    """What stands between one process and the stores; after ``cut`` nothing gets through any more."""

    def __init__(self, plan: Plan, dice: random.Random, committed: Callable[[JournalBatch], None]) -> None:
        self.alive = True
        self.outage_until_s = 0.0
        self.committed = committed
        self._plan = plan
        self._dice = dice

    def cut(self) -> None:
        self.alive = False

    @property
    def down(self) -> bool:
        return asyncio.get_running_loop().time() < self.outage_until_s

    async def read(self, work: Callable[[], Awaitable[T]]) -> T:
        await self._travel()
        if self.down:
            raise Unavailable("the simulated storage is away")
        found = await work()
        await self._travel()
        return found

    async def write(self, work: Callable[[], Awaitable[T]]) -> T:
        await self._travel()
        if self.down:
            raise Unavailable("the simulated storage is away")
        answer = await work()
        await self._travel()
        if self._dice.random() < self._plan.lost_answer:
            raise Unavailable("the answer to a simulated commit was lost")
        return answer

    async def _travel(self) -> None:
        await asyncio.sleep(self._dice.random() * _LATENCY_S)
        if not self.alive:
            raise Killed


class WiredLog:
    def __init__(self, wire: Wire, store: MemoryStore) -> None:
        self._wire, self._log = wire, MemoryLog(store)

    async def head(self) -> Head:
        return await self._wire.read(self._log.head)

    async def read(self, after: int, limit: int) -> Sequence[Entry]:
        return await self._wire.read(lambda: self._log.read(after, limit))

    async def get(self, position: int) -> Entry | None:
        return await self._wire.read(lambda: self._log.get(position))

    async def read_key(self, key: str, after: int, until: int, limit: int) -> Sequence[Entry]:
        return await self._wire.read(lambda: self._log.read_key(key, after, until, limit))


class WiredDeliveries:
    def __init__(self, wire: Wire, store: MemoryStore) -> None:
        self._wire, self._deliveries = wire, MemoryDeliveries(store)

    async def commit(self, batch: JournalBatch) -> Sequence[int]:
        async def work() -> Sequence[int]:
            asked = await self._deliveries.commit(batch)
            self._wire.committed(batch)
            return asked

        return await self._wire.write(work)

    async def routed(self) -> int:
        return await self._wire.read(self._deliveries.routed)

    async def in_flight(self) -> Sequence[PendingDelivery]:
        return await self._wire.read(self._deliveries.in_flight)

    async def due(
        self, until_us: int, limit: int, *, after: DueKey | None = None, numbers: Sequence[int] | None = None
    ) -> Sequence[PendingDelivery]:
        return await self._wire.read(
            lambda: self._deliveries.due(until_us, limit, after=after, numbers=numbers)
        )

    async def attempts(self, number: int, position: int) -> Sequence[AttemptRecord]:
        return await self._wire.read(lambda: self._deliveries.attempts(number, position))

    async def oldest(self, number: int) -> PendingDelivery | None:
        return await self._wire.read(lambda: self._deliveries.oldest(number))

    async def batch(self, number: int, batch: str) -> Sequence[PendingDelivery]:
        return await self._wire.read(lambda: self._deliveries.batch(number, batch))

    async def heads(self) -> Sequence[PendingDelivery]:
        return await self._wire.read(self._deliveries.heads)

    async def notes(self) -> Sequence[StreamNote]:
        return await self._wire.read(self._deliveries.notes)

    async def replays(self, numbers: Sequence[int] | None = None) -> Sequence[ReplayRecord]:
        return await self._wire.read(lambda: self._deliveries.replays(numbers))

    async def standings(self, number: int, first: int, last: int, *, asked: Moment) -> Mapping[int, Standing]:
        return await self._wire.read(lambda: self._deliveries.standings(number, first, last, asked=asked))


class WiredCommands:
    def __init__(self, wire: Wire, commands: MemoryStreamCommands) -> None:
        self._wire, self._commands = wire, commands

    async def end_replay(self, replay: int, state: ReplayState) -> None:
        await self._wire.write(lambda: self._commands.end_replay(replay, state))

    async def notice(self, number: int, kind: str, data: Mapping[str, object]) -> None:
        await self._wire.write(lambda: self._commands.notice(number, kind, data))


class WiredSubscriptions:
    def __init__(self, wire: Wire, subscriptions: MemorySubscriptions) -> None:
        self._wire, self._subscriptions = wire, subscriptions

    async def get(self, subscription_id: str) -> SubscriptionRecord | None:
        return await self._wire.read(lambda: self._subscriptions.get(subscription_id))

    async def by_number(self, number: int) -> SubscriptionRecord | None:
        return await self._wire.read(lambda: self._subscriptions.by_number(number))

    async def by_numbers(self, numbers: Sequence[int]) -> Sequence[SubscriptionRecord]:
        return await self._wire.read(lambda: self._subscriptions.by_numbers(numbers))

    async def page(self, *, organization: str | None, after: int, limit: int) -> Sequence[SubscriptionRecord]:
        return await self._wire.read(
            lambda: self._subscriptions.page(organization=organization, after=after, limit=limit)
        )

    async def set_state(
        self,
        number: int,
        state: SubscriptionState,
        *,
        cause: str,
        revision: int | None = None,
        skip: bool = False,
    ) -> SubscriptionRecord:
        return await self._wire.write(
            lambda: self._subscriptions.set_state(number, state, cause=cause, revision=revision, skip=skip)
        )


class Alone:
    """A process that nobody can take the log from."""

    def holds_for_s(self) -> float:
        return math.inf

    async def until_it_holds(self, for_s: float) -> None:
        """At once."""


ALONE = Alone()


def dataref_of(delivery_id: str) -> str:
    return f"https://gateway.test/payloads/{delivery_id}"
