"""A stream that stands, or has nothing open, has no lane and costs nothing (S2g); it goes on where it stood."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest
from simulation.small import Engine, answer

from gateway.adapters.memory import MemoryDeliveries, MemorySubscriptions
from gateway.deliver.dispatcher import Dispatcher
from gateway.domain.subscription import Config, Ordering, SubscriptionSpec
from gateway.ports import (
    NewEntry,
    NewSubscription,
    ReplayRange,
    ReplayRecord,
    SubscriptionRecord,
    SubscriptionState,
)
from schemas import build

Virtually = Callable[[Coroutine[Any, Any, None]], None]


async def make_many(engine: Engine, count: int, type_: str = "test.a") -> list[int]:
    spec = SubscriptionSpec(sink="https://s.test/", types=(type_,))
    wanted = [
        NewSubscription(spec, organization="*", privileged=True, secret="whsec_" + "A" * 32)
        for _ in range(count)
    ]
    return [record.number for record in await engine.subscriptions.create_many(wanted)]


async def set_state(
    engine: Engine, numbers: Sequence[int], state: SubscriptionState, *, skip: bool = False
) -> None:
    for number in numbers:
        await engine.subscriptions.set_state(number, state, cause="a test", skip=skip)
    for number in numbers:
        engine.tell(number)


async def pause(engine: Engine, *numbers: int) -> None:
    await set_state(engine, numbers, SubscriptionState.PAUSED)


async def resume(engine: Engine, *numbers: int, skip: bool = False) -> None:
    await set_state(engine, numbers, SubscriptionState.ACTIVE, skip=skip)


def lanes_of(dispatcher: Dispatcher) -> list[int]:
    return [lane.number for lane in dispatcher.lanes]


async def at_head(engine: Engine) -> None:
    """The router has passed everything, and that is written."""
    await engine.until(lambda: engine.store.routed == engine.store.head)


async def gone(engine: Engine, dispatcher: Dispatcher, number: int) -> None:
    await engine.until(lambda: dispatcher.lanes.get(number) is None, 30)


def test_many_that_were_imported_or_paused_have_no_lane_after_a_start(virtually: Virtually) -> None:
    async def main() -> None:
        engine = Engine()
        numbers = await make_many(engine, 300)
        paused = numbers[:200]
        for number in paused:
            await engine.subscriptions.set_state(number, SubscriptionState.PAUSED, cause="a test")
        async with engine.running() as dispatcher:
            # The router has not passed the facts that made them.
            assert lanes_of(dispatcher) == []
            await at_head(engine)
            assert lanes_of(dispatcher) == []
            (position,) = await engine.publish()
            await engine.until(lambda: len(engine.posts) == 100)
            assert set(engine.posts) == {(number, position) for number in numbers[200:]}
            assert set(lanes_of(dispatcher)).isdisjoint(paused)
        async with engine.running() as dispatcher:
            assert lanes_of(dispatcher) == []
            await resume(engine, *paused[:3])
            await engine.until(lambda: len(engine.posts) == 103)
        assert {number for number, _ in engine.posts[100:]} == set(paused[:3])

    virtually(main())


def test_one_that_stands_is_not_found_by_the_router(virtually: Virtually) -> None:
    async def main() -> None:
        engine = Engine()
        async with engine.running() as dispatcher:
            await engine.subscribe()
            await engine.publish()
            await engine.until(lambda: len(engine.posts) == 1)
            await pause(engine, 1)
            await engine.until(lambda: 1 not in dispatcher.directory.index)
            await gone(engine, dispatcher, 1)
            positions = await engine.publish(30)
            await at_head(engine)
            assert lanes_of(dispatcher) == []
            assert engine.store.cursors[1].position < positions[0]
            await resume(engine, 1)
            await engine.until(lambda: len(engine.posts) == 31)
            assert [position for _, position in engine.posts[1:]] == positions
            await engine.until(lambda: engine.store.cursors[1].live)
            await gone(engine, dispatcher, 1)
            (last,) = await engine.publish()
            await engine.until(lambda: engine.posts[-1] == (1, last))
        assert len(engine.posts) == len(set(engine.posts))

    virtually(main())


def test_s2b_where_it_stands_is_written_although_it_never_had_a_lane(virtually: Virtually) -> None:
    async def main() -> None:
        engine = Engine()
        async with engine.running() as dispatcher:
            number = (await engine.subscribe(types=["test.b"])).number
            await engine.publish(20)
            await at_head(engine)
            await pause(engine, number)
            stands_at = engine.store.head
            await engine.until(lambda: engine.store.cursors[number].position >= stands_at - 1)
            assert lanes_of(dispatcher) == []
            await engine.publish(3, "test.b")
        async with engine.running():
            await resume(engine, number)
            await engine.until(lambda: len(engine.posts) == 3)

    virtually(main())


def test_s3h_a_resume_from_now_leaves_out_what_came_while_there_was_no_lane(virtually: Virtually) -> None:
    async def main() -> None:
        engine = Engine()
        async with engine.running() as dispatcher:
            await engine.subscribe()
            await at_head(engine)
            await pause(engine, 1)
            await engine.publish(5)
            await at_head(engine)
            await resume(engine, 1, skip=True)
            await engine.until(lambda: engine.store.cursors[1].live)
            await gone(engine, dispatcher, 1)
            (position,) = await engine.publish()
            await engine.until(lambda: bool(engine.posts))
            assert engine.posts == [(1, position)]

    virtually(main())


def test_what_is_pending_waits_in_the_database_until_it_goes_on(virtually: Virtually) -> None:
    async def main() -> None:
        health = 503

        async def script(_number: int, _position: int) -> int:
            return health

        engine = Engine(script)
        async with engine.running() as dispatcher:
            await engine.subscribe(Config(retry=(20.0,) * 9))
            positions = await engine.publish(4)
            await engine.until(lambda: len(engine.posts) == 4)
            await pause(engine, 1)
            await gone(engine, dispatcher, 1)
            await asyncio.sleep(60)
            assert (len(engine.posts), lanes_of(dispatcher), len(engine.store.pending)) == (4, [], 4)
            health = 204
            await resume(engine, 1)
            await engine.until(lambda: len(engine.posts) == 8, 2)
            assert {position for _, position in engine.posts[4:]} == set(positions)
            await engine.until(lambda: not engine.store.pending)
            await gone(engine, dispatcher, 1)

    virtually(main())


def test_s3g_a_breaker_that_was_open_is_closed_by_the_resume_also_in_its_note(virtually: Virtually) -> None:
    async def main() -> None:
        health = 503

        async def script(_number: int, _position: int) -> int:
            return health

        engine = Engine(script)
        async with engine.running() as dispatcher:
            await engine.subscribe(Config(retry=(1.0,) * 40))
            await engine.publish(30)
            await engine.until(
                lambda: 1 in engine.store.notes and engine.store.notes[1].opened_at_us is not None
            )
            await pause(engine, 1)
            await gone(engine, dispatcher, 1)
            assert 1 in engine.store.notes
            health = 204
            await resume(engine, 1)
            await engine.until(lambda: not engine.store.pending and 1 not in engine.store.notes, 20)

    virtually(main())


def test_s4b_a_blocked_key_is_still_blocked_after_a_lane_went_away(virtually: Virtually) -> None:
    async def main() -> None:
        health = 503

        async def script(_number: int, _position: int) -> int:
            return health

        def entry(index: int) -> NewEntry:
            attributes = {
                "specversion": "1.0",
                "id": f"k-{index}",
                "source": "/tests",
                "type": "test.a",
                "partitionkey": "key",
            }
            envelope = build(attributes, {}).raw
            return NewEntry(
                type="test.a", source="/tests", id=f"k-{index}", envelope=envelope, partition_key="key"
            )

        engine = Engine(script)
        async with engine.running() as dispatcher:
            await engine.subscribe(Config(ordering=Ordering.PARTITIONKEY, retry=(5.0,) * 9))
            appended = await engine.log.append([entry(index) for index in range(6)])
            positions = [item.position for item in appended]
            engine.dispatcher.appended()
            await engine.until(lambda: engine.decisions(1, positions[0]) == ["failed"])
            await pause(engine, 1)
            await gone(engine, dispatcher, 1)
            health = 204
            await resume(engine, 1)
            await engine.until(lambda: len(engine.posts) == 7, 30)
            assert [position for _, position in engine.posts[1:]] == positions

    virtually(main())


def test_s3e_a_sink_that_asked_for_a_pause_gets_it_over_a_resume(virtually: Virtually) -> None:
    async def main() -> None:
        async def script(_number: int, _position: int) -> Any:
            return answer(429, ("Retry-After", "30")) if len(engine.posts) == 1 else 204

        engine = Engine(script)
        async with engine.running() as dispatcher:
            await engine.subscribe()
            await engine.publish()
            await engine.until(lambda: engine.decisions(1, 2) == ["failed"])
            await pause(engine, 1)
            await asyncio.sleep(5)
            await resume(engine, 1)
            await asyncio.sleep(20)
            assert len(engine.posts) == 1
            await engine.until(lambda: len(engine.posts) == 2, 15)
            await gone(engine, dispatcher, 1)

    virtually(main())


def test_s5_a_replay_of_one_that_stands_waits_in_a_lane_until_it_ends(virtually: Virtually) -> None:
    async def main() -> None:
        engine = Engine()
        async with engine.running() as dispatcher:
            await engine.subscribe()
            positions = await engine.publish(3)
            await engine.until(lambda: len(engine.posts) == 3)
            await pause(engine, 1)
            await gone(engine, dispatcher, 1)
            await engine.commands.request_replay(1, ReplayRange(1, positions[-1]))
            engine.tell(1)
            await engine.until(lambda: dispatcher.lanes.get(1) is not None)
            await asyncio.sleep(5)
            assert len(engine.posts) == 3
            await resume(engine, 1)
            await engine.until(lambda: len(engine.posts) == 6)
            await engine.until(lambda: not dispatcher.lanes.replaying())
            await gone(engine, dispatcher, 1)

    virtually(main())


class Subscriptions(MemorySubscriptions):
    """Counts what is asked of it."""

    sets = 0
    singles = 0

    async def by_numbers(self, numbers: Sequence[int]) -> Sequence[SubscriptionRecord]:
        self.sets += 1
        return await super().by_numbers(numbers)

    async def by_number(self, number: int) -> SubscriptionRecord | None:
        self.singles += 1
        return await super().by_number(number)

    async def get(self, subscription_id: str) -> SubscriptionRecord | None:
        self.singles += 1
        return await super().get(subscription_id)


class Deliveries(MemoryDeliveries):
    """Likewise."""

    asked = 0

    async def due(self, *args: Any, **members: Any) -> Any:
        self.asked += 1
        return await super().due(*args, **members)

    async def replays(self, numbers: Sequence[int] | None = None) -> Sequence[ReplayRecord]:
        self.asked += 1
        return await super().replays(numbers)


@pytest.mark.parametrize("command", ["pause", "resume", "update", "delete"])
def test_a_command_on_very_many_reads_them_together(virtually: Virtually, command: str) -> None:
    async def main() -> None:
        engine = Engine()
        engine.subscriptions = subscriptions = Subscriptions(
            engine.store, fact_source="https://gateway.test/gateway"
        )
        engine.deliveries = deliveries = Deliveries(engine.store)
        numbers = await make_many(engine, 1_500)
        if command == "resume":
            for number in numbers:
                await engine.subscriptions.set_state(number, SubscriptionState.PAUSED, cause="a test")
        async with engine.running() as dispatcher:
            await at_head(engine)
            subscriptions.sets = subscriptions.singles = deliveries.asked = 0
            for number in numbers:
                if command == "update":
                    await subscriptions.update(
                        number, SubscriptionSpec(sink="https://s.test/", types=("test.b",))
                    )
                elif command == "delete":
                    await subscriptions.delete(number)
                else:
                    state = SubscriptionState.PAUSED if command == "pause" else SubscriptionState.ACTIVE
                    await subscriptions.set_state(number, state, cause="a test")
            for number in numbers:
                engine.tell(number)
            await at_head(engine)
            await engine.until(lambda: not (lanes_of(dispatcher) or dispatcher._changed_numbers))
            await asyncio.sleep(1)
            assert subscriptions.singles == 0
            assert subscriptions.sets <= 15
            assert deliveries.asked <= 40
            positions = await engine.publish(1, "test.b" if command == "update" else "test.a")
            await at_head(engine)
            due = [] if command in {"pause", "delete"} else [(number, positions[0]) for number in numbers]
            await engine.until(lambda: sorted(engine.posts) == due)

    virtually(main())
