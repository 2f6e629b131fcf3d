"""One run: commands, events, moods, outages and crashes by the dice; then everything is well, and must settle."""

import asyncio
import contextlib
import random

from gateway.adapters.memory import MemoryLog, MemoryStore, MemoryStreamCommands, MemorySubscriptions
from gateway.deliver.dispatcher import Dispatcher
from gateway.deliver.world import AttemptPolicy, World
from gateway.domain.subscription import Config, Format, Ordering, StartAt
from gateway.errors import Conflict, Unavailable
from gateway.ports import ReplayRange, ReplayState, SubscriptionState
from simulation.clock import now_us
from simulation.making import AGENTS, FACTS, ORGANIZATIONS, RETRIES, TYPES, event_of, random_wish, spec_of
from simulation.oracle import Oracle, Told, Wish
from simulation.plan import Plan
from simulation.sinks import MOODS, Post, Sinks
from simulation.stores import (
    ALONE,
    Killed,
    Wire,
    WiredCommands,
    WiredDeliveries,
    WiredLog,
    WiredSubscriptions,
    dataref_of,
)

_SECRET = "whsec_" + "A" * 32


class Simulation:
    """The world of one seed."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.dice = random.Random(plan.seed)
        self.store = MemoryStore(now=now_us, random=self.dice.randbytes)
        self.log = MemoryLog(self.store)
        self.subscriptions = MemorySubscriptions(self.store, fact_source="https://gateway.test/gateway")
        self.commands = MemoryStreamCommands(self.store, fact_source="https://gateway.test/gateway")
        self.sinks = Sinks(self.dice, now_us)
        self.oracle = Oracle(self.store, self.sinks, plan.limits.pending_max)
        self.sinks.positions = self.store.keys
        self.sinks.arrived = self._arrived
        self.sinks.ended = self.oracle.ended
        self.processes = 0
        self.events = 0
        self._wire = self._new_wire()
        self._task: asyncio.Task[None] | None = None
        self._dispatcher: Dispatcher | None = None
        self._faults: list[BaseException] = []

    async def run(self) -> None:
        await self._start()
        for _ in range(self.plan.subscriptions):
            await self._create()
        for _ in range(self.plan.actions):
            await self._act()
            await self._pass(self.dice.expovariate(1 / self.plan.action_gap_s))
        await self._make_well()
        deadline = now_us() + int(self.plan.settle_s * 1_000_000)
        while self.oracle.missing() or self.store.pending or self._replaying():
            assert now_us() < deadline, (
                f"not settled: {self.oracle.missing()[:5]} {list(self.store.pending)[:5]} {self._replaying()}"
            )
            await self._pass(1.0)
        await self._pass(2.0)
        await self._stop()
        self.oracle.check_all()
        self.oracle.check_end()

    async def _pass(self, seconds: float) -> None:
        """Let time go by; a fault that a task of the process met ends the run here."""
        await asyncio.sleep(seconds)
        if self._faults:
            raise self._faults[0]
        if self._task is not None and self._task.done():
            error = self._task.exception()
            storage_only = isinstance(error, Unavailable) or (
                isinstance(error, BaseExceptionGroup) and error.split(Unavailable)[1] is None
            )
            was_running = self._dispatcher is not None and self._dispatcher.running
            if error is None or was_running or not storage_only:
                raise AssertionError("the dispatcher ended by itself") from error
            await self._start()  # the storage was away at its start: a supervisor tries again

    # The process.

    def _new_wire(self) -> Wire:
        return Wire(self.plan, self.dice, self._committed)

    async def _start(self) -> None:
        self.processes += 1
        outage = self._wire.outage_until_s
        self._wire = self._new_wire()
        self._wire.outage_until_s = outage
        self.oracle.process_started(self.processes)
        world = World(
            log=WiredLog(self._wire, self.store),  # type: ignore[arg-type]  # what delivering uses of it
            deliveries=WiredDeliveries(self._wire, self.store),  # type: ignore[arg-type]  # likewise
            subscriptions=WiredSubscriptions(self._wire, self.subscriptions),  # type: ignore[arg-type]
            commands=WiredCommands(self._wire, self.commands),  # type: ignore[arg-type]  # likewise
            sender=self.sinks.sender(self._wire, self.processes),
            policy=AttemptPolicy(5.0, lambda _entry, envelope: (envelope, None), dataref_of),
            now=now_us,
            random=self.dice.randbytes,
            jitter=self.dice.random,
            leadership=ALONE,
        )
        self._dispatcher = Dispatcher(world, self.plan.limits)
        self._task = asyncio.create_task(self._dispatcher.run())

    async def _crash(self) -> None:
        """kill -9: nothing that is not committed by now survives."""
        task, self._task, self._dispatcher = self._task, None, None
        assert task is not None
        self._wire.cut()
        task.cancel()
        await asyncio.wait([task], timeout=30)
        assert task.done()
        error = None if task.cancelled() else task.exception()
        if isinstance(error, AssertionError):
            raise error
        self.oracle.check_all()
        await asyncio.sleep(self.dice.choice((0.0, 0.2, 3.0, 40.0)))
        await self._start()

    async def _stop(self) -> None:
        """SIGTERM: what is in flight ends and is journaled (S6b)."""
        task, dispatcher = self._task, self._dispatcher
        assert task is not None
        assert dispatcher is not None
        while not dispatcher.running and not task.done():
            await asyncio.sleep(0.01)
        if task.done():
            await self._pass(0)
            return
        self._task = None
        dispatcher.stop()
        await asyncio.wait_for(task, 60)
        # Storage that was away until just now may have cost the last commit.
        if self.oracle.last_outage_us + 8_000_000 < now_us():
            left = [item for item in self.store.pending.values() if item.next_at_us is None]
            assert not left, "left in flight"
        self.oracle.check_all()

    def _committed(self, batch: object) -> None:
        try:
            self.oracle.committed(batch)  # type: ignore[arg-type]  # a JournalBatch
        except AssertionError as error:
            self._faults.append(error)

    def _arrived(self, post: Post) -> None:
        try:
            self.oracle.arrived(post)
        except AssertionError as error:
            self._faults.append(error)

    # What happens.

    async def _act(self) -> None:
        plan, roll = self.plan, self.dice.random()
        if roll < plan.crash:
            await self._crash()
        elif roll < plan.crash + plan.stop:
            await self._stop()
            await self._start() if self._task is None else None
        elif roll < plan.crash + plan.stop + plan.outage:
            length_s = self.dice.random() * plan.outage_s
            self._wire.outage_until_s = asyncio.get_running_loop().time() + length_s
            self.oracle.last_outage_us = now_us() + int(length_s * 1_000_000)
        else:
            await self.dice.choices(
                (self._publish, self._change_mood, self._command, self._create), weights=(50, 15, 22, 3)
            )[0]()

    async def _publish(self) -> None:
        entries, agents = [], []
        for _ in range(self.dice.choice((1, 1, 3, 10, 25))):
            self.events += 1
            agents.append(self.dice.choice(AGENTS))
            entries.append(event_of(self.events, self.dice.choice(TYPES), agents[-1], self.dice))
        appended = await self.log.append(entries)
        for result, agent in zip(appended, agents, strict=True):
            self.oracle.agents[result.position] = agent
        self._tell()

    async def _change_mood(self) -> None:
        numbers = self._numbers()
        if numbers:
            self.sinks.moods[self.dice.choice(numbers)] = self.dice.choice(MOODS)

    async def _create(self) -> None:
        number = len(self.store.names) + 1
        wish, audits = random_wish(self.dice), self.dice.random() < 0.15
        if audits:
            wish = Wish(types=frozenset(FACTS))
        start = self.dice.choice(
            (StartAt.NOW, StartAt.NOW, StartAt.BEGINNING, self.dice.randint(0, self.store.head))
        )
        organization = self.dice.choice(("*", "*", *ORGANIZATIONS))
        concurrency = self.dice.choice((1, 2, 5))
        has = self.plan.features
        ordering = self.dice.choice(
            (Ordering.NONE, Ordering.PARTITIONKEY if "order" in has else Ordering.NONE)
        )
        form = self.dice.choice(
            (Format.BINARY, Format.BINARY, Format.BATCH if "batch" in has else Format.BINARY)
        )
        config = Config(
            start=start,
            retry=self.dice.choice(RETRIES),
            max_concurrency=concurrency,
            ordering=ordering,
            format=form,
            batch_events_max=self.dice.choice((2, 5, 50)) if form is Format.BATCH else None,
            batch_age_s=self.dice.choice((0.1, 3.0)) if form is Format.BATCH else None,
            max_per_second=self.dice.choice((None, None, 3.0 if "rate" in has else None)),
        )
        spec = spec_of(number, wish, config)
        record = await self.subscriptions.create(
            spec, organization=organization, privileged=True, secret=_SECRET
        )
        assert record.number == number
        self.oracle.told[number] = Told(
            organization,
            [(record.created_position, wish)],
            audits,
            concurrency,
            ordered=ordering is Ordering.PARTITIONKEY,
        )
        self._tell(number)

    async def _command(self) -> None:
        numbers = self._numbers()
        if not numbers:
            return
        number = self.dice.choice(numbers)
        told, record = self.oracle.told[number], self.store.record(number)
        assert record is not None
        if record.state is not SubscriptionState.ACTIVE and self.dice.random() < 0.7:
            await self._resume(number, skip=self.dice.random() < 0.3)
            return
        kinds = ("pause", "update", "delete", "blink", "retry", "replay", "test")
        has = self.plan.features
        weights = (6, 6, 1, 2, 6 * ("retry" in has), 4 * ("replay" in has), 2 * ("test" in has))
        match self.dice.choices(kinds, weights=weights)[0]:
            case "retry":
                await self._retry(number)
            case "replay":
                await self._replay(number)
            case "test":
                await self.commands.test(number)
            case "pause":
                await self._pause(number)
            case "blink":
                await self._pause(number)
                await self._resume(number, skip=self.dice.random() < 0.3)
            case "update":
                wish = told.wishes[-1][1] if told.audits else random_wish(self.dice)
                changed = await self.subscriptions.update(number, spec_of(number, wish, record.spec.config))
                told.wishes.append((changed.revisions[-1].position, wish))
            case "delete":
                await self.subscriptions.delete(number)
                told.deleted, told.stopped_us = True, now_us()
        if self.dice.random() < self.plan.deaf:
            # The router learns of it from the log, in one batch with what came after it.
            await self._publish()
        self._tell(number)

    async def _retry(self, number: int) -> None:
        positions = [at for owner, at in self.store.attempts if owner == number]
        if not positions:
            return
        position = self.dice.choice(positions)
        with contextlib.suppress(Conflict):
            await self.commands.retry(number, position)
            self.oracle.told[number].reopened.add(position)
            self.oracle.asked_us[number, position] = now_us()

    async def _replay(self, number: int) -> None:
        told, head = self.oracle.told[number], self.store.head
        first = self.dice.randint(1, head)
        wanted = ReplayRange(first, self.dice.randint(first, head), self.dice.random() < 0.3)
        promised = self.oracle.replayed(number, wanted)
        record = await self.commands.request_replay(number, wanted)
        told.promised[record.replay] = promised
        told.reopened |= set(range(wanted.from_position, wanted.until_position + 1))

    def _replaying(self) -> list[int]:
        return [item.replay for item in self.store.replays.values() if item.state is ReplayState.RUNNING]

    async def _pause(self, number: int) -> None:
        await self.subscriptions.set_state(number, SubscriptionState.PAUSED, cause="a test")
        self.oracle.told[number].stopped_us = now_us()

    async def _resume(self, number: int, *, skip: bool) -> None:
        before = self.oracle.passed(number)
        record = await self.subscriptions.set_state(
            number, SubscriptionState.ACTIVE, cause="a test", skip=skip
        )
        told = self.oracle.told[number]
        if skip:
            told.excused |= set(range(before + 1, record.cursor + 1))
        told.stopped_us = None
        self._tell(number)

    def _tell(self, number: int | None = None) -> None:
        """The API tells its process; one that is deaf just then finds out by itself."""
        if self._dispatcher is None or self.dice.random() < self.plan.deaf:
            return
        if number is not None:
            self._dispatcher.changed(number)
        self._dispatcher.appended()

    async def _make_well(self) -> None:
        """Storage and sinks work again, and nothing stands still."""
        self._wire.outage_until_s = 0.0
        for number in self._numbers():
            self.sinks.moods[number] = "well"
        for _ in range(3):
            # A 410 that is still under way may stop one once more.
            for number in self._numbers():
                record = self.store.record(number)
                if record is not None and record.state is not SubscriptionState.ACTIVE:
                    await self._resume(number, skip=False)
            await self._pass(8.0)

    def _numbers(self) -> list[int]:
        return [number for number, told in self.oracle.told.items() if not told.deleted]


async def simulate(plan: Plan) -> Simulation:
    """Run one plan; raises AssertionError where something does not hold."""
    simulation = Simulation(plan)
    await simulation.run()
    return simulation


__all__ = ["Killed", "Simulation", "simulate"]
