"""One question each about the engine: S2b, S2e to S2g."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from simulation.small import Engine

from gateway.deliver.bounds import CONCURRENCY
from gateway.deliver.world import Limits
from gateway.domain.subscription import Config, StartAt
from gateway.ports import SubscriptionState

Virtually = Callable[[Coroutine[Any, Any, None]], None]


def test_s2b_a_slow_lane_is_demoted_and_holds_nobody_back(virtually: Virtually) -> None:
    async def script(number: int, _position: int) -> int:
        await asyncio.sleep(30 if number == 1 else 0)
        return 204

    async def main() -> None:
        engine = Engine(script)
        async with engine.running() as dispatcher:
            slow = await engine.subscribe(Config(max_concurrency=1))
            await engine.subscribe()
            positions = await engine.publish(20)
            await engine.until(lambda: len([one for one in engine.posts if one[0] == 2]) == 20, 1)
            lane = dispatcher.lanes.get(slow.number)
            await engine.until(lambda: lane is not None and not lane.live, 3)
            await engine.until(lambda: engine.store.routed == engine.store.head, 1)
            assert engine.store.cursors[slow.number].position == positions[0]

    virtually(main())


def test_s2e_a_backlogged_stream_halts_its_cursor_and_retries_go_on(virtually: Virtually) -> None:
    async def main() -> None:
        health = 503

        async def script(_number: int, _position: int) -> int:
            return health

        engine = Engine(script, Limits(pending_max=5))
        async with engine.running():
            record = await engine.subscribe(Config(retry=(1.0,) * 20, max_concurrency=2))
            positions = await engine.publish(12)
            await engine.until(lambda: len(engine.store.pending) == 5)
            assert engine.store.cursors[record.number].position < positions[6]
            tried = len(engine.posts)
            await engine.until(lambda: len(engine.posts) > tried + 5)
            assert {position for _, position in engine.posts} == set(positions[:5])
            health = 204
            await engine.until(lambda: {position for _, position in engine.posts} == set(positions))

    virtually(main())


def test_s2f_a_scan_becomes_live_although_events_never_stop_coming(virtually: Virtually) -> None:
    async def main() -> None:
        engine = Engine(limits=Limits(batch=5))
        await engine.publish(40)
        async with engine.running() as dispatcher:
            await engine.subscribe(Config(start=StartAt.BEGINNING))

            def live() -> bool:
                lane = dispatcher.lanes.get(1)
                return lane is None or lane.live

            for _ in range(200):
                await engine.publish(2)
                await asyncio.sleep(0)
                if live():
                    break
            assert live()

    virtually(main())


def test_s2g_room_that_is_given_back_goes_to_the_lane_that_waits_longest(virtually: Virtually) -> None:
    async def script(_number: int, _position: int) -> int:
        await asyncio.sleep(1)
        return 204

    async def main() -> None:
        engine = Engine(script, Limits(in_flight_max=4))
        async with engine.running():
            await engine.subscribe(types=["test.a"])
            await engine.subscribe(types=["test.b"])
            await engine.publish(40, "test.a")
            await engine.until(lambda: len(engine.posts) == 4)
            await engine.publish(4, "test.b")
            await engine.until(lambda: 2 in {number for number, _ in engine.posts}, 2.5)

    virtually(main())


def test_s2g_a_lane_has_at_most_its_concurrency_in_flight(virtually: Virtually) -> None:
    open_now, most = 0, 0

    async def script(_number: int, _position: int) -> int:
        nonlocal open_now, most
        open_now += 1
        most = max(most, open_now)
        await asyncio.sleep(0.1)
        open_now -= 1
        return 204

    async def main() -> None:
        engine = Engine(script)
        async with engine.running():
            await engine.subscribe()
            await engine.publish(200)
            await engine.until(lambda: len(engine.posts) == 200)

    virtually(main())
    assert most == CONCURRENCY


def test_s2g_thousands_that_are_due_on_a_stopped_stream_do_not_delay_another_s_retry(
    virtually: Virtually,
) -> None:
    async def script(number: int, position: int) -> int:
        # Not so many in a row that the breaker opens.
        in_between = number == 1 and position % 4 == 0
        return 503 if (number, position) not in engine.posts[:-1] and not in_between else 204

    async def main() -> None:
        async with engine.running():
            await engine.subscribe(Config(retry=(40.0, 40.0), max_concurrency=50))
            await engine.subscribe(Config(retry=(60.0,)), types=["test.b"])
            await engine.publish(200)
            await engine.until(lambda: len(engine.posts) == 200)
            await engine.subscriptions.set_state(1, SubscriptionState.PAUSED, cause="a test")
            engine.tell(1)
            (position,) = await engine.publish(1, "test.b")
            await engine.until(lambda: engine.decisions(2, position) == ["failed", "delivered"], 61)
            await engine.subscriptions.set_state(1, SubscriptionState.ACTIVE, cause="a test")
            engine.tell(1)
            await engine.until(lambda: len(engine.posts) >= 200 + 2 + 150, 20)

    engine = Engine(script, Limits(due_rows_max=20))
    virtually(main())


def test_a_retry_that_is_due_soon_after_a_restart_is_not_late(virtually: Virtually) -> None:
    async def script(_number: int, _position: int) -> int:
        return 503 if len(engine.posts) == 1 else 204

    async def main() -> None:
        async with engine.running():
            await engine.subscribe(Config(retry=(2.0,)))
            (position,) = await engine.publish()
            await engine.until(lambda: engine.decisions(1, position) == ["failed"])
        async with engine.running():
            await engine.until(lambda: len(engine.posts) == 2, 2.2)

    engine = Engine(script)
    virtually(main())
