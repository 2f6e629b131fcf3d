"""A small engine for tests that ask one question: the real dispatcher over stores in memory and a scripted sink."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from gateway.adapters.memory import (
    MemoryDeliveries,
    MemoryLog,
    MemoryStore,
    MemoryStreamCommands,
    MemorySubscriptions,
)
from gateway.deliver.dispatcher import Dispatcher
from gateway.deliver.world import DEFAULT_LIMITS, AttemptPolicy, Limits, World
from gateway.domain.ids import parse_delivery_id
from gateway.domain.sending import Answer, OutboundRequest
from gateway.domain.subscription import Config, SubscriptionSpec
from gateway.ports import NewEntry, SubscriptionRecord
from otel.spans import Tracing
from schemas import build
from simulation.clock import now_us
from simulation.prompt import SentPromptly
from simulation.sinks import sink_url
from simulation.stores import ALONE, dataref_of

Script = Callable[[int, int], Awaitable[int | Answer]]
"""Answers a POST of subscription number and position with a status, or with a whole answer."""


async def well(_number: int, _position: int) -> int:
    return 204


async def hangs(_number: int, _position: int) -> int:
    """Longer than any test waits."""
    await asyncio.sleep(1000)
    return 204


@dataclass(slots=True)
class Engine:
    """Stores that outlive the process, and at most one process on them."""

    script: Script = well
    limits: Limits = DEFAULT_LIMITS
    tracing: Tracing | None = None
    posts: list[tuple[int, int]] = field(default_factory=list)
    requests: list[OutboundRequest] = field(default_factory=list)
    store: MemoryStore = field(init=False)
    dispatcher: Dispatcher = field(init=False)
    deliveries: MemoryDeliveries = field(init=False)
    log: MemoryLog = field(init=False)
    subscriptions: MemorySubscriptions = field(init=False)
    commands: MemoryStreamCommands = field(init=False)

    def __post_init__(self) -> None:
        dice = random.Random(1)
        self.store = MemoryStore(now=now_us, random=dice.randbytes)
        self.log = MemoryLog(self.store)
        self.deliveries = MemoryDeliveries(self.store)
        self.subscriptions = MemorySubscriptions(self.store, fact_source="https://gateway.test/gateway")
        self.commands = MemoryStreamCommands(self.store, fact_source="https://gateway.test/gateway")
        self.dispatcher = self._new()

    def _new(self) -> Dispatcher:
        world = World(
            log=self.log,
            deliveries=self.deliveries,
            subscriptions=self.subscriptions,
            commands=self.commands,
            sender=self,
            policy=AttemptPolicy(5.0, lambda _entry, envelope: (envelope, None), dataref_of),
            now=now_us,
            # Attempt ids of the process before this one must not come again.
            random=random.Random(2 + len(self.posts)).randbytes,
            jitter=lambda: 0.5,
            leadership=ALONE,
            tracing=self.tracing,
        )
        return Dispatcher(world, self.limits)

    async def send(self, request: OutboundRequest) -> Answer:
        headers = {name.lower(): value for name, value in request.headers}
        reference = parse_delivery_id(headers["webhook-id"])
        # A batch is of no one position.
        number, position = (0, 0) if reference is None else (reference.number, reference.position)
        self.posts.append((number, position))
        self.requests.append(request)
        said = await self.script(number, position)
        return said if isinstance(said, Answer) else answer(said)

    def begin(self, request: OutboundRequest, told: Callable[[], object]) -> SentPromptly:
        return SentPromptly(self.send, request, told)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Dispatcher]:
        """A process that ends in good order."""
        self.dispatcher = self._new()
        task = asyncio.create_task(self.dispatcher.run())
        try:
            await self.until(lambda: self.dispatcher.running or task.done())
            yield self.dispatcher
            self.dispatcher.stop()
        finally:
            if not self.dispatcher._stopping.is_set():
                task.cancel()
            await task

    @contextlib.asynccontextmanager
    async def killed_at_end(self) -> AsyncIterator[Dispatcher]:
        """A process that dies: what it has not committed is lost."""
        self.dispatcher = self._new()
        task = asyncio.create_task(self.dispatcher.run())
        await self.until(lambda: self.dispatcher.running or task.done())
        yield self.dispatcher
        deliveries = self.deliveries
        self.deliveries = MemoryDeliveries(self.store)
        deliveries._store = MemoryStore(now=now_us, random=random.Random(3).randbytes)
        task.cancel()
        await asyncio.wait([task])

    async def subscribe(self, config: Config | None = None, types: Sequence[str] = ()) -> SubscriptionRecord:
        spec = SubscriptionSpec(
            sink=sink_url(len(self.store.names) + 1), types=tuple(types), config=config or Config()
        )
        record = await self.subscriptions.create(
            spec, organization="*", privileged=True, secret="whsec_" + "A" * 32
        )
        self.tell(record.number)
        return record

    async def publish(self, count: int = 1, type_: str = "test.a") -> list[int]:
        first = len(self.store.rows)
        entries = [_entry(f"{first}-{index}", type_) for index in range(count)]
        appended = await self.log.append(entries)
        self.dispatcher.appended()
        return [item.position for item in appended]

    def tell(self, number: int) -> None:
        self.dispatcher.changed(number)
        self.dispatcher.appended()

    async def until(self, condition: Callable[[], bool], within_s: float = 600.0) -> None:
        """Let virtual time go by until it holds."""
        deadline = now_us() + int(within_s * 1_000_000)
        while not condition():
            assert now_us() < deadline, "the condition does not come true"
            await asyncio.sleep(0.01)

    def decisions(self, number: int, position: int) -> list[str]:
        return [attempt.decision.value for attempt in self.store.attempts.get((number, position), ())]


def answer(status: int, *headers: tuple[str, str]) -> Answer:
    return Answer(status=status, headers=headers, body=b"", truncated=False, duration_s=0.0)


def _entry(id_: str, type_: str) -> NewEntry:
    attributes = {"specversion": "1.0", "id": id_, "source": "/tests", "type": type_}
    return NewEntry(type=type_, source="/tests", id=id_, envelope=build(attributes, {"id": id_}).raw)
