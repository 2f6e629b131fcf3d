"""S3h: a retry by hand that is asked for while the database is behind what the engine knows still comes."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from simulation.clock import now_us
from simulation.small import Engine, answer

from gateway.adapters.memory import MemoryDeliveries
from gateway.domain.sending import Answer, OutboundRequest
from gateway.domain.subscription import Config, Format
from gateway.errors import Unavailable
from gateway.ports import JournalBatch, ReplayRange

Virtually = Callable[[Coroutine[Any, Any, None]], None]


class Meanwhile(MemoryDeliveries):
    """Lets something be done once, just before it writes the batch that has this attempt; may lose its answer."""

    def __init__(self, engine: Engine, attempt: int, *, lost: bool = False) -> None:
        super().__init__(engine.store)
        self.attempt, self.lost, self.done_at = attempt, lost, 0
        self.todo: Callable[[], Coroutine[Any, Any, None]] | None = None

    async def commit(self, batch: JournalBatch) -> Any:
        todo, ours = self.todo, any(item.attempt == self.attempt for item in batch.attempts)
        if todo is None or not ours:
            return await super().commit(batch)
        self.todo, self.done_at = None, now_us()
        await todo()
        found = await super().commit(batch)
        if self.lost:
            raise Unavailable("the answer was lost")
        return found


class Batched(Engine):
    """Takes batches as well, whose id says nothing of a delivery."""

    async def send(self, request: OutboundRequest) -> Answer:
        self.requests.append(request)
        return answer(await self.script(1, 0))  # type: ignore[arg-type]  # the script gives a status


def retried(engine: Engine, position: int) -> Callable[[], Coroutine[Any, Any, None]]:
    async def ask() -> None:
        await engine.commands.retry(1, position)
        engine.tell(1)

    return ask


@pytest.mark.parametrize("lost", [False, True])
def test_s3h_asked_for_while_the_end_of_a_replay_is_not_journaled(
    virtually: Virtually, *, lost: bool
) -> None:
    async def main() -> None:
        engine = Engine()
        deliveries = Meanwhile(engine, 2, lost=lost)
        engine.deliveries = deliveries
        async with engine.running():
            await engine.subscribe()
            (position,) = await engine.publish()
            await engine.until(lambda: engine.decisions(1, position) == ["delivered"])
            deliveries.todo = retried(engine, position)
            await engine.commands.request_replay(1, ReplayRange(position, position))
            engine.tell(1)
            await engine.until(lambda: engine.decisions(1, position) == ["delivered"] * 3)
            await asyncio.sleep(60)
            assert engine.decisions(1, position) == ["delivered"] * 3
        attempts = engine.store.attempts[1, position]
        assert [(item.round, item.cause) for item in attempts] == [(0, "first"), (1, "replay"), (2, "manual")]
        assert not engine.store.pending

    virtually(main())


@pytest.mark.parametrize("form", [Format.BINARY, Format.BATCH])
@pytest.mark.parametrize("ended", [204, 503])
def test_s3h_asked_for_while_the_outcome_of_a_scheduled_retry_is_not_journaled(
    virtually: Virtually, ended: int, form: Format
) -> None:
    async def main() -> None:
        statuses = [503, ended, 204]

        async def script(_number: int, _position: int) -> int:
            return statuses.pop(0)

        engine = Batched(script=script)
        deliveries = Meanwhile(engine, 2)
        engine.deliveries = deliveries
        async with engine.running():
            batch = {"batch_events_max": 1, "batch_age_s": 0.1} if form is Format.BATCH else {}
            await engine.subscribe(Config(retry=(1.0, 7200.0), format=form, **batch))  # type: ignore[arg-type]
            (position,) = await engine.publish()
            # Journaled as waiting, then in flight and settled between two commits.
            deliveries.todo = retried(engine, position)
            await engine.until(lambda: len(engine.decisions(1, position)) == 3)
            assert now_us() - deliveries.done_at < 5_000_000
            await asyncio.sleep(60)
            assert engine.decisions(1, position)[2:] == ["delivered"]
        assert not engine.store.pending

    virtually(main())


@pytest.mark.parametrize("dies", [False, True])
def test_s3h_asked_for_while_a_replay_is_in_flight_and_the_database_does_not_say_so(
    virtually: Virtually, *, dies: bool
) -> None:
    async def main() -> None:
        release = asyncio.Event()

        async def script(_number: int, _position: int) -> int:
            if len(engine.posts) == 2:
                # Before the checkpoint after this start: its delivery has no row.
                assert (1, position) not in engine.store.pending
                await retried(engine, position)()
                await release.wait()
            return 204

        engine = Engine(script=script)
        async with engine.killed_at_end() if dies else engine.running():
            await engine.subscribe(Config())
            (position,) = await engine.publish()
            await engine.until(lambda: engine.decisions(1, position) == ["delivered"])
            await engine.commands.request_replay(1, ReplayRange(position, position))
            engine.tell(1)
            await engine.until(lambda: len(engine.posts) == 2)
            await asyncio.sleep(1)
            assert engine.store.pending[1, position].next_at_us is None
            if not dies:
                release.set()
                await engine.until(lambda: len(engine.decisions(1, position)) == 3)
        if dies:
            async with engine.running():
                await engine.until(lambda: len(engine.decisions(1, position)) == 2)
        assert not engine.store.pending

    virtually(main())


def test_s3h_what_waits_for_its_turn_in_the_lane_is_tried_once(virtually: Virtually) -> None:
    async def main() -> None:
        engine = Engine(script=lambda _number, position: script(position))
        release = asyncio.Event()
        positions: list[int] = []

        async def script(position: int) -> int:
            if positions and position == positions[1] and not release.is_set():
                await release.wait()
            return 503 if len(engine.posts) == 1 else 204

        async with engine.running():
            await engine.subscribe(Config(retry=(2.0,), max_concurrency=1, timeout_s=30))
            positions += await engine.publish()
            await engine.until(lambda: len(engine.posts) == 1)
            await asyncio.sleep(1)
            positions += await engine.publish()
            await asyncio.sleep(3)  # the first is due by now, and the one place of the lane is taken
            await engine.commands.retry(1, positions[0])
            engine.tell(1)
            await asyncio.sleep(0.5)
            release.set()
            await asyncio.sleep(60)
            assert engine.decisions(1, positions[0]) == ["failed", "delivered"]
        assert not engine.store.pending

    virtually(main())


@pytest.mark.parametrize("status", [200, 400])
def test_s5b_a_replay_that_is_asked_for_while_the_first_attempt_is_not_journaled(
    virtually: Virtually, status: int
) -> None:
    """Whoever was just sent something, and asks for it again at once, is sent it again."""

    async def replies(_number: int, _position: int) -> int:
        return status

    async def main() -> None:
        engine = Engine()
        deliveries = Meanwhile(engine, 1)
        engine.deliveries = deliveries
        engine.script = replies

        async def replay() -> None:
            wanted = ReplayRange(position, position, only_failed=status != 200)
            await engine.commands.request_replay(1, wanted)
            engine.tell(1)

        async with engine.running():
            await engine.subscribe()
            deliveries.todo = replay
            (position,) = await engine.publish()
            ended = "delivered" if status == 200 else "exhausted"
            await engine.until(lambda: engine.decisions(1, position) == [ended] * 2)
            await asyncio.sleep(60)
        attempts = engine.store.attempts[1, position]
        assert [(item.round, item.cause) for item in attempts] == [(0, "first"), (1, "replay")]
        assert not engine.store.pending

    virtually(main())
