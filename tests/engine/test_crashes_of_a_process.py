"""Who is blamed for a crash, and who is not (S3c)."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from simulation.small import Engine, hangs

from gateway.domain.subscription import Config
from gateway.ports import SubscriptionState

Virtually = Callable[[Coroutine[Any, Any, None]], None]


def test_s3c_a_delivery_that_three_processes_died_on_is_parked(virtually: Virtually) -> None:
    async def main() -> None:
        engine = Engine(hangs)
        async with engine.killed_at_end():
            await engine.subscribe()
            (position,) = await engine.publish()
            await engine.until(lambda: bool(engine.store.pending))
        for died in (1, 2):
            async with engine.killed_at_end():
                await engine.until(lambda died=died: len(engine.posts) == died + 1)  # type: ignore[misc]
                # The start was durable before the POST was made.
                pending = engine.store.pending[1, position]
                assert (pending.next_at_us, pending.crashes) == (None, died)
        async with engine.running():
            await engine.until(lambda: engine.decisions(1, position) == ["exhausted"])
            assert engine.store.attempts[1, position][0].error_class == "crash"
            assert not engine.store.pending
        assert len(engine.posts) == 3

    virtually(main())


def test_s3c_of_many_in_flight_only_the_one_that_kills_is_parked(virtually: Virtually) -> None:
    """The culprit takes the process down with all that is in flight beside it, whenever it is started."""

    async def main() -> None:
        deadly = asyncio.Event()

        async def script(_number: int, position: int) -> int:
            if position == culprit:
                deadly.set()
            await asyncio.sleep(0.5)
            return 204

        culprit = 0
        engine = Engine(script)
        async with engine.killed_at_end():
            await engine.subscribe(Config(max_concurrency=10))
            culprit = engine.store.head + 5
            positions = await engine.publish(10)
            await engine.until(lambda: len(engine.store.pending) == 10)
        for _ in range(20):
            deadly.clear()
            async with engine.killed_at_end():
                await engine.until(lambda: deadly.is_set() or not engine.store.pending)
            if not engine.store.pending:
                break
        assert engine.decisions(1, culprit) == ["exhausted"]
        for position in positions:
            assert position == culprit or engine.decisions(1, position) == ["delivered"]

    virtually(main())


def test_s3c_only_starts_are_blamed_for_a_crash(virtually: Virtually) -> None:
    """What stands on a paused stream is taken up by every process and started by none."""

    async def main() -> None:
        hang = True

        async def script(_number: int, _position: int) -> int:
            await asyncio.sleep(1000 if hang else 0)
            return 204

        engine = Engine(script)
        async with engine.killed_at_end():
            await engine.subscribe()
            (position,) = await engine.publish()
            await engine.until(lambda: bool(engine.store.pending))
            await engine.subscriptions.set_state(1, SubscriptionState.PAUSED, cause="a test")
        for _ in range(4):
            async with engine.killed_at_end():
                await asyncio.sleep(1)
            assert engine.store.pending[1, position].crashes == 1
        hang = False
        async with engine.running():
            await engine.subscriptions.set_state(1, SubscriptionState.ACTIVE, cause="a test")
            engine.tell(1)
            await engine.until(lambda: engine.decisions(1, position) == ["delivered"])

    virtually(main())
