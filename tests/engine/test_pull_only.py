"""S10b from the engine's side: what is only pulled is never sent, has no lane, and goes on where it stood."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import pytest
from simulation.small import Engine

from gateway.domain.subscription import PULL_SINK, Config, StartAt, SubscriptionSpec
from gateway.ports import SubscriptionRecord

Virtually = Callable[[Coroutine[Any, Any, None]], None]
POSTED_TO = "https://sink-1.test/hook"


async def pull_only(engine: Engine, config: Config | None = None) -> SubscriptionRecord:
    record = await engine.subscriptions.create(
        SubscriptionSpec(sink=PULL_SINK, config=config or Config()),
        organization="*",
        privileged=True,
        secret="whsec_" + "A" * 32,
    )
    engine.tell(record.number)
    return record


async def change(engine: Engine, sink: str) -> None:
    record = await engine.subscriptions.by_number(1)
    assert record is not None
    await engine.subscriptions.update(1, replace(record.spec, sink=sink))
    engine.tell(1)


async def routed(engine: Engine) -> None:
    """Until the engine has seen everything, and has written down where it stands."""
    head = len(engine.store.rows)
    await engine.until(lambda: engine.dispatcher.lanes.routed == head and engine.store.routed == head)


def test_nothing_is_sent_and_no_lane_is_made(virtually: Virtually) -> None:
    async def main() -> None:
        engine = Engine()
        for start in (StartAt.NOW, StartAt.BEGINNING):
            async with engine.running() as dispatcher:
                await engine.publish(3)
                record = await pull_only(engine, Config(start=start))
                await engine.publish(3)
                await routed(engine)
                assert dispatcher.lanes.get(record.number) is None
                assert record.number not in dispatcher.directory.index
        async with engine.running() as dispatcher:
            await engine.publish(1)
            await routed(engine)
            assert list(dispatcher.lanes) == []
        assert engine.posts == []
        assert engine.store.pending == {}

    virtually(main())


def test_facts_about_one_that_asks_for_facts_are_routed_to_nobody(virtually: Virtually) -> None:
    async def main() -> None:
        engine = Engine()
        paused = "com.letta.gateway.subscription.paused"
        async with engine.running() as dispatcher:
            record = await engine.subscriptions.create(
                SubscriptionSpec(sink=PULL_SINK, types=(paused,)),
                organization="*",
                privileged=True,
                secret="whsec_" + "A" * 32,
            )
            engine.tell(record.number)
            await engine.until(lambda: record.id in dispatcher.directory._audits)
        async with engine.running() as dispatcher:
            assert record.id in dispatcher.directory._audits

    virtually(main())


@pytest.mark.parametrize("restarted", [False, True])
def test_from_push_to_pull_and_back_goes_on_at_the_cursor(virtually: Virtually, *, restarted: bool) -> None:
    async def main() -> None:
        engine = Engine()
        async with engine.running():
            await engine.subscribe()
            sent = await engine.publish(3)
            await engine.until(lambda: len(engine.posts) == 3)
            await change(engine, PULL_SINK)
            stood = await engine.publish(3)
            await routed(engine)
            if not restarted:
                await change(engine, POSTED_TO)
                await engine.until(lambda: len(engine.posts) >= 6)
        if restarted:
            async with engine.running():
                await routed(engine)
                await change(engine, POSTED_TO)
                await engine.until(lambda: len(engine.posts) >= 6)
        assert [position for _, position in engine.posts] == [*sent, *stood]

    virtually(main())


def test_it_becomes_live_again_after_that(virtually: Virtually) -> None:
    async def main() -> None:
        engine = Engine()
        async with engine.running() as dispatcher:
            await pull_only(engine)
            await engine.publish(2)
            await change(engine, POSTED_TO)
            await engine.until(lambda: len(engine.posts) == 2)
            await engine.until(lambda: engine.store.cursors[1].live)
            await engine.publish(2)
            await engine.until(lambda: len(engine.posts) == 4)
            assert 1 in dispatcher.directory.index

    virtually(main())


def test_made_to_be_pulled_and_pushed_later_begins_at_its_start(virtually: Virtually) -> None:
    async def main() -> None:
        engine = Engine()
        async with engine.running():
            early = await engine.publish(2)
            await pull_only(engine, Config(start=StartAt.BEGINNING))
            later = await engine.publish(2)
            await routed(engine)
            await change(engine, POSTED_TO)
            await engine.until(lambda: len(engine.posts) == 4)
        assert [position for _, position in engine.posts] == [*early, *later]

    virtually(main())


def test_a_crash_right_after_the_change_loses_nothing(virtually: Virtually) -> None:
    async def main() -> None:
        engine = Engine()
        async with engine.running():
            await engine.subscribe()
            await engine.publish(1)
            await engine.until(lambda: len(engine.posts) == 1)
        async with engine.killed_at_end():
            record = await engine.subscriptions.by_number(1)
            assert record is not None
            # Nobody tells the dispatcher before it dies.
            await engine.subscriptions.update(1, replace(record.spec, sink=PULL_SINK))
            stood = await engine.publish(2)
        async with engine.running():
            await routed(engine)
            assert len(engine.posts) == 1
            await change(engine, POSTED_TO)
            await engine.until(lambda: {position for _, position in engine.posts} >= set(stood))

    virtually(main())


def test_what_waited_for_a_retry_waits_and_is_sent_after_the_way_back(virtually: Virtually) -> None:
    async def script(_number: int, _position: int) -> int:
        return 503 if len(engine.posts) == 1 else 204

    async def main() -> None:
        async with engine.running():
            await engine.subscribe(Config(retry=(5.0,)))
            (position,) = await engine.publish(1)
            await engine.until(lambda: engine.decisions(1, position) == ["failed"])
            await change(engine, PULL_SINK)
            await asyncio.sleep(60)
            assert len(engine.posts) == 1
            assert (1, position) in engine.store.pending
            await change(engine, POSTED_TO)
            await engine.until(lambda: engine.decisions(1, position) == ["failed", "delivered"])

    engine = Engine(script)
    virtually(main())


def test_a_resume_from_now_before_the_way_back_leaves_out_what_was_pulled(virtually: Virtually) -> None:
    async def main() -> None:
        engine = Engine()
        async with engine.running():
            record = await pull_only(engine, Config(start=StartAt.BEGINNING))
            await engine.publish(3)
            await engine.subscriptions.set_state(1, record.state, cause="a command", skip=True)
            engine.tell(1)
            await change(engine, POSTED_TO)
            late = await engine.publish(1)
            await engine.until(lambda: len(engine.posts) == 1)
            assert engine.posts == [(1, late[0])]

    virtually(main())
