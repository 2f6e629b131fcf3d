"""What must hold when two things meet that seldom do: a command and a look, a stop and a storage that is away."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from itertools import pairwise
from typing import Any

from simulation.clock import now_us
from simulation.small import Engine, answer

from gateway.adapters.memory import MemoryDeliveries, MemorySubscriptions
from gateway.domain.sending import Answer, OutboundRequest
from gateway.domain.subscription import Config, Format
from gateway.errors import Unavailable
from gateway.ports import SubscriptionRecord, SubscriptionState

Virtually = Callable[[Coroutine[Any, Any, None]], None]


def test_a_stream_that_keeps_up_keeps_its_rate(virtually: Virtually) -> None:
    """Its lane has nothing to do between two events, and must not be forgotten with what it has used up."""

    async def main() -> None:
        times: list[int] = []

        async def script(_number: int, _position: int) -> int:
            times.append(now_us())
            return 204

        engine = Engine(script=script)
        async with engine.running():
            await engine.subscribe(Config(max_per_second=1))
            for _ in range(40):
                await engine.publish()
                await asyncio.sleep(0.25)
            await engine.until(lambda: len(times) == 40)
        assert all(later - earlier >= 990_000 for earlier, later in pairwise(times))

    virtually(main())


def test_a_retry_that_is_told_during_a_look_at_what_is_due_is_not_left_to_the_next_one(
    virtually: Virtually,
) -> None:
    async def main() -> None:
        failing = True

        async def script(_number: int, _position: int) -> int:
            return 503 if failing else 204

        engine = Engine(script=script)
        told: list[int] = []

        class Looked(MemoryDeliveries):
            async def due(self, *arguments: Any, **named: Any) -> Any:
                found = await super().due(*arguments, **named)
                if named.get("numbers") is None and not failing and not told:
                    told.append(now_us())
                    await engine.commands.retry(1, position)
                    engine.tell(1)
                    await asyncio.sleep(0.02)
                return found

        engine.deliveries = Looked(engine.store)
        async with engine.running():
            await engine.subscribe(Config(retry=(3600.0,)))
            (position,) = await engine.publish()
            await engine.until(lambda: engine.decisions(1, position) == ["failed"])
            failing = False
            await engine.until(lambda: engine.decisions(1, position) == ["failed", "delivered"])
            assert now_us() - told[0] < 2_000_000

    virtually(main())


def test_s3f_a_sink_that_is_gone_gets_nothing_more_while_that_cannot_be_written(virtually: Virtually) -> None:
    async def main() -> None:
        away = False

        async def script(_number: int, _position: int) -> int:
            return 410

        class Away(MemorySubscriptions):
            async def set_state(self, *arguments: Any, **named: Any) -> Any:
                if away:
                    raise Unavailable("the storage is away")
                return await super().set_state(*arguments, **named)

        engine = Engine(script=script)
        engine.subscriptions = Away(engine.store, fact_source="https://gateway.test/gateway")
        async with engine.running() as dispatcher:
            await engine.subscribe(Config(max_concurrency=1))
            away = True
            await engine.publish(30)
            await engine.until(lambda: len(engine.posts) == 1)
            for _ in range(5):
                engine.tell(1)
                await asyncio.sleep(1)
            assert len(engine.posts) == 1
            away = False

            def disabled() -> bool:
                current = dispatcher.directory.get(1)
                return current is not None and current.record.state is SubscriptionState.DISABLED

            await engine.until(disabled)
            await engine.subscriptions.set_state(1, SubscriptionState.ACTIVE, cause="a test")
            engine.tell(1)
            await engine.until(lambda: len(engine.posts) > 1)

    virtually(main())


def test_s3g_a_resume_from_now_of_a_stream_that_goes_on_closes_its_breaker(virtually: Virtually) -> None:
    async def main() -> None:
        status = 503

        async def script(_number: int, _position: int) -> int:
            return status

        engine = Engine(script=script)
        async with engine.running() as dispatcher:
            await engine.subscribe(Config(retry=(1.0,) * 40))
            await engine.publish(30)

            def probed_for_long() -> bool:
                lane = dispatcher.lanes.get(1)
                return lane is not None and lane.breaker.open and lane.breaker.probes > 6

            await engine.until(probed_for_long, 3600)
            status, before, at_us = 204, len(engine.posts), now_us()
            await engine.subscriptions.set_state(1, SubscriptionState.ACTIVE, cause="a test", skip=True)
            engine.tell(1)
            await engine.until(lambda: len(engine.posts) > before, 3600)
            assert now_us() - at_us < 1_000_000

    virtually(main())


def test_s10a_a_batch_that_could_not_be_journaled_is_not_sent_by_a_process_that_ends(
    virtually: Virtually,
) -> None:
    async def main() -> None:
        away = False

        class Away(MemoryDeliveries):
            async def commit(self, *arguments: Any, **named: Any) -> Any:
                if away:
                    raise Unavailable("the storage is away")
                return await super().commit(*arguments, **named)

        sent: list[object] = []

        class Batched(Engine):
            async def send(self, request: OutboundRequest) -> Answer:
                sent.append(request)
                return answer(204)

        engine = Batched()
        engine.deliveries = Away(engine.store)
        async with engine.running():
            await engine.subscribe(Config(format=Format.BATCH, batch_events_max=5, batch_age_s=0.2))
            await engine.until(lambda: engine.store.routed > 0)
            away = True
            await engine.publish(3)
            await asyncio.sleep(3)
        assert sent == []

    virtually(main())


def test_a_backlog_of_batches_begins_with_a_full_one(virtually: Virtually) -> None:
    async def main() -> None:
        sizes: list[int] = []

        class Batched(Engine):
            async def send(self, request: OutboundRequest) -> Answer:
                sizes.append(request.body.count(b'"specversion"'))
                return answer(204)

        engine = Batched()
        async with engine.running():
            await engine.subscribe(Config(format=Format.BATCH, batch_events_max=100, batch_age_s=0.2))
        await engine.publish(1_000)
        async with engine.running():
            await engine.until(lambda: sum(sizes) == 1_000)
        assert sizes == [100] * 10

    virtually(main())


def test_s3e_the_next_process_waits_as_long_as_the_sink_asked_for(virtually: Virtually) -> None:
    async def main() -> None:
        asked = answer(429, ("Retry-After", "600"))

        async def script(_number: int, _position: int) -> Answer | int:
            return asked if len(engine.posts) == 1 else 204

        engine = Engine(script=script)
        async with engine.running():
            await engine.subscribe()
            await engine.publish()
            await engine.until(lambda: len(engine.posts) == 1)
            asked_at_us = now_us()
            await engine.publish()
        async with engine.running():
            await engine.publish()
            await engine.until(lambda: len(engine.posts) == 4, 3600)
            assert now_us() - asked_at_us > 590_000_000

    virtually(main())


class Slow(MemorySubscriptions):
    """Takes its time to read what was commanded."""

    hangs_for_s = 0.5

    async def by_numbers(self, numbers: Sequence[int]) -> Sequence[SubscriptionRecord]:
        await asyncio.sleep(self.hangs_for_s)
        return await super().by_numbers(numbers)


def test_s3d_what_is_sent_behind_the_answer_of_a_command_goes_by_it(virtually: Virtually) -> None:
    secrets = ["whsec_" + letter * 32 for letter in "AB"]

    async def main() -> None:
        engine = Engine()
        engine.subscriptions = Slow(engine.store, fact_source="https://gateway.test/gateway")
        async with engine.running() as process:
            await engine.subscribe()
            await engine.publish()
            await engine.until(lambda: len(engine.posts) == 1)
            await engine.subscriptions.rotate_secret(1, secrets[1])
            await process.in_force(1)
            await engine.publish()
            await engine.until(lambda: len(engine.posts) == 2)
            # A storage that is away holds no answer back for long.
            engine.subscriptions.hangs_for_s = 30.0
            began = now_us()
            await process.in_force(1)
            assert now_us() - began <= 1_000_000
        first, second = (dict(request.headers)["webhook-signature"].split() for request in engine.requests)
        assert (len(first), len(second)) == (1, 2)

    virtually(main())
