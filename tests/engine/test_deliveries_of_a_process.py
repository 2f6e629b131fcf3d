"""One question each about a delivery: S3a, S3c to S3h, S6b."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import pytest
from simulation.clock import now_us
from simulation.small import Engine, answer

from gateway.domain.sending import Answer, SendError, SendErrorKind
from gateway.domain.subscription import Config
from gateway.errors import CursorAhead
from gateway.ports import SubscriptionState

Virtually = Callable[[Coroutine[Any, Any, None]], None]


def test_s3a_cursors_ahead_of_the_log_stop_the_gateway(virtually: Virtually) -> None:
    async def main() -> None:
        engine = Engine()
        async with engine.running():
            await engine.subscribe()
            await engine.publish(3)
            await engine.until(lambda: len(engine.posts) == 3)
        del engine.store.rows[-2:]
        with pytest.raises(CursorAhead):
            await engine._new().run()

    virtually(main())


def test_s3d_the_sink_of_now_and_the_filter_of_then(virtually: Virtually) -> None:
    async def script(_number: int, _position: int) -> int:
        return 503 if len(engine.posts) == 1 else 204

    async def main() -> None:
        async with engine.running():
            record = await engine.subscribe(Config(retry=(5.0,)), types=["test.a"])
            (position,) = await engine.publish(1, "test.a")
            await engine.until(lambda: engine.decisions(1, position) == ["failed"])
            spec = replace(record.spec, sink="https://moved.test/", types=("test.b",))
            await engine.subscriptions.update(1, spec)
            engine.tell(1)
            await engine.publish(1, "test.a")
            await engine.until(lambda: engine.decisions(1, position) == ["failed", "delivered"])
            assert [request.url for request in engine.requests] == [
                "https://sink-1.test/hook",
                "https://moved.test/",
            ]

    engine = Engine(script)
    virtually(main())


def test_s3e_429_makes_the_whole_stream_wait_and_does_not_count(virtually: Virtually) -> None:
    times: list[int] = []

    async def script(_number: int, _position: int) -> int | Answer:
        times.append(now_us())
        return answer(429, ("Retry-After", "90")) if len(times) == 1 else 204

    async def main() -> None:
        engine = Engine(script)
        async with engine.running():
            await engine.subscribe(Config(retry=(), max_concurrency=1))
            positions = await engine.publish(3)
            await engine.until(lambda: len(times) == 4, 200)
            assert times[1] - times[0] >= 90_000_000
            await engine.until(lambda: engine.decisions(1, positions[0]) == ["failed", "delivered"])
            assert not engine.store.attempts[1, positions[0]][0].counts

    virtually(main())


def test_s3e_a_wait_of_more_than_a_day_pauses_with_a_fact(virtually: Virtually) -> None:
    async def script(_number: int, _position: int) -> Answer:
        return answer(429, ("Retry-After", str(25 * 3600)))

    async def main() -> None:
        engine = Engine(script)
        async with engine.running():
            await engine.subscribe()
            await engine.publish(1)
            await engine.until(lambda: engine.store.rows[-1].entry.type.endswith("subscription.paused"))
            record = await engine.subscriptions.by_number(1)
            assert record is not None
            assert record.state is SubscriptionState.PAUSED
            await asyncio.sleep(120)
            assert len(engine.posts) == 1

    virtually(main())


def test_s3f_410_disables_and_what_came_meanwhile_is_delivered_after_a_resume(virtually: Virtually) -> None:
    async def script(_number: int, _position: int) -> int:
        return 410 if len(engine.posts) == 1 else 204

    async def main() -> None:
        async with engine.running():
            await engine.subscribe(Config(max_concurrency=1))
            positions = await engine.publish(4)
            await engine.until(lambda: engine.store.rows[-1].entry.type.endswith("subscription.disabled"))
            positions += await engine.publish(3)
            await asyncio.sleep(5)
            assert len(engine.posts) == 1
            await engine.subscriptions.set_state(1, SubscriptionState.ACTIVE, cause="a test")
            engine.tell(1)
            await engine.until(lambda: {position for _, position in engine.posts} == set(positions))
            await engine.until(lambda: not engine.store.pending)
            assert engine.decisions(1, positions[0]) == ["failed", "delivered"]

    engine = Engine(script)
    virtually(main())


def test_s3f_a_410_of_an_earlier_revision_disables_nothing(virtually: Virtually) -> None:
    async def main() -> None:
        moved = asyncio.Event()

        async def script(_number: int, _position: int) -> int:
            await moved.wait()
            return 410 if len(engine.posts) == 1 else 204

        engine = Engine(script)
        async with engine.running():
            record = await engine.subscribe(Config(retry=(1.0,)))
            (position,) = await engine.publish(1)
            await engine.until(lambda: len(engine.posts) == 1)
            await engine.subscriptions.update(1, replace(record.spec, sink="https://moved.test/"))
            engine.tell(1)
            await asyncio.sleep(0.1)
            moved.set()
            await engine.until(lambda: engine.decisions(1, position) == ["failed", "delivered"])
            assert not any(row.entry.type.endswith("disabled") for row in engine.store.rows)

    virtually(main())


def test_s3h_resume_from_now_leaves_out_what_lies_before_and_nothing_behind(virtually: Virtually) -> None:
    async def main() -> None:
        engine = Engine()
        async with engine.running():
            await engine.subscribe(types=["test.a"])
            await engine.subscriptions.set_state(1, SubscriptionState.PAUSED, cause="a test")
            engine.tell(1)
            await engine.publish(5)
            await asyncio.sleep(0.5)
            await engine.subscriptions.set_state(1, SubscriptionState.ACTIVE, cause="a test", skip=True)
            # Told late: the router has passed both facts and what came behind them.
            behind = await engine.publish(3)
            await asyncio.sleep(0.2)
            engine.tell(1)
            await engine.until(lambda: len(engine.posts) == 3)
            await asyncio.sleep(5)
            assert [position for _, position in engine.posts] == behind

    virtually(main())


def test_s3h_a_deleted_stream_keeps_its_attempts_and_nothing_else(virtually: Virtually) -> None:
    async def main() -> None:
        deleted = asyncio.Event()

        async def script(_number: int, _position: int) -> int:
            await deleted.wait()
            return 503

        engine = Engine(script)
        async with engine.running() as dispatcher:
            await engine.subscribe(Config(max_concurrency=1))
            positions = await engine.publish(3)
            await engine.until(lambda: len(engine.posts) == 1)
            await engine.subscriptions.delete(1)
            engine.tell(1)
            await asyncio.sleep(0.2)
            deleted.set()
            await engine.until(lambda: engine.decisions(1, positions[0]) == ["failed"])
            await asyncio.sleep(30)
            assert len(engine.posts) == 1
            assert not engine.store.pending
            assert 1 not in engine.store.cursors
            assert 1 not in dispatcher.directory.index

    virtually(main())


def test_s6b_an_orderly_end_finishes_and_journals_what_is_in_flight(virtually: Virtually) -> None:
    async def script(_number: int, _position: int) -> int:
        await asyncio.sleep(4)
        return 204

    async def main() -> None:
        engine = Engine(script)
        async with engine.running():
            await engine.subscribe()
            positions = await engine.publish(5)
            await engine.until(lambda: len(engine.posts) == 5)
        assert all(engine.decisions(1, position) == ["delivered"] for position in positions)
        assert not engine.store.pending

    virtually(main())


def test_a_delivery_that_cannot_be_made_harms_no_other(virtually: Virtually) -> None:
    async def main() -> None:
        async def script(_number: int, position: int) -> int:
            if position == positions[0]:
                raise ZeroDivisionError
            return 204

        positions: list[int] = []
        engine = Engine(script)
        async with engine.running():
            await engine.subscribe(Config(retry=()))
            positions += await engine.publish(3)
            await engine.until(lambda: len(engine.store.attempts) == 3)
            (attempt,) = engine.store.attempts[1, positions[0]]
            assert (attempt.decision, attempt.detail) == (
                "exhausted",
                "inside the gateway: ZeroDivisionError",
            )

    virtually(main())


def test_an_attempt_without_an_answer_says_where_it_ended(virtually: Virtually) -> None:
    async def script(_number: int, _position: int) -> int:
        raise SendError(SendErrorKind.CONNECT, "nobody listens")

    async def main() -> None:
        engine = Engine(script)
        async with engine.running():
            await engine.subscribe(Config(retry=()))
            (position,) = await engine.publish()
            await engine.until(lambda: engine.decisions(1, position) == ["exhausted"])
            (attempt,) = engine.store.attempts[1, position]
            assert (attempt.error_class, attempt.detail, attempt.status) == (
                "connect",
                "nobody listens",
                None,
            )

    virtually(main())
