"""Volleys: what has nothing to wait for is sent together, by the rules of an attempt that goes alone (S3)."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulation.clock import run
from simulation.prompt import SentPromptly
from simulation.small import Engine, answer

from gateway.deliver import volleys
from gateway.domain.pending import PendingDelivery
from gateway.domain.sending import Answer, OutboundRequest, SendError, SendErrorKind
from gateway.domain.subscription import Config

Virtually = Callable[[Coroutine[Any, Any, None]], None]
OUTCOMES = [200, 200, 204, 301, 404, 410, 413, 429, 500, 503, None]


class Watched(Engine):
    """Tells which attempts had a task of their own; ``at_hand`` and ``dead`` say what became of connections."""

    def __init__(self, *, at_hand: bool = True, dead: bool = False) -> None:
        super().__init__()
        self.at_hand, self.dead = at_hand, dead
        self.begun = self.alone = 0

    def begin(self, request: OutboundRequest, told: Callable[[], object]) -> SentPromptly | None:  # type: ignore[override]
        if not self.at_hand:
            return None
        self.begun += 1
        return SentPromptly(self.send, request, told, dead=self.dead)

    def watch(self) -> None:
        once = self.dispatcher.attempts.once

        async def counted(*arguments: Any) -> None:
            self.alone += 1
            await once(*arguments)

        self.dispatcher.attempts.once = counted  # type: ignore[method-assign]

    def attempts(self, number: int = 1) -> list[tuple[int, int, str]]:
        """Position, number and decision of each attempt."""
        return [
            (position, attempt.attempt, attempt.decision.value)
            for (of, position), found in sorted(self.store.attempts.items())
            if of == number
            for attempt in found
        ]


async def delivered(engine: Watched, count: int) -> None:
    await engine.until(lambda: len(engine.attempts()) >= count)


@pytest.mark.interpreted
def test_what_is_usual_needs_no_task_of_its_own(virtually: Virtually) -> None:
    async def main() -> None:
        engine = Watched()
        async with engine.running():
            engine.watch()
            await engine.subscribe()
            await engine.publish(3 * volleys.VOLLEY_MAX)
            await delivered(engine, 3 * volleys.VOLLEY_MAX)
        assert (engine.begun, engine.alone) == (3 * volleys.VOLLEY_MAX, 0)
        assert {decision for _, _, decision in engine.attempts()} == {"delivered"}

    virtually(main())


@pytest.mark.interpreted
def test_without_a_connection_at_hand_it_is_sent_once_by_a_task(virtually: Virtually) -> None:
    async def main() -> None:
        engine = Watched(at_hand=False)
        async with engine.running():
            engine.watch()
            await engine.subscribe()
            await engine.publish(5)
            await delivered(engine, 5)
        assert engine.alone == len(engine.posts) == len(set(engine.posts)) == 5

    virtually(main())


def test_over_a_connection_that_was_dead_it_is_sent_again_in_the_same_attempt(virtually: Virtually) -> None:
    async def main() -> None:
        engine = Watched(dead=True)
        async with engine.running():
            await engine.subscribe()
            positions = await engine.publish(5)
            await delivered(engine, 5)
        assert engine.attempts() == [(position, 1, "delivered") for position in positions]
        assert len(engine.posts) == 5

    virtually(main())


def test_one_that_cannot_even_be_begun_is_an_attempt_that_failed(virtually: Virtually) -> None:
    class Broken(Watched):
        def begin(self, request: OutboundRequest, told: Callable[[], object]) -> SentPromptly | None:
            if self.begun == 0:
                self.begun += 1
                raise ValueError("what nobody thought of")
            return super().begin(request, told)

    async def main() -> None:
        engine = Broken()
        async with engine.running():
            await engine.subscribe(Config(retry=(1.0,)))
            (position,) = await engine.publish(1)
            await delivered(engine, 2)
        assert engine.attempts() == [(position, 1, "failed"), (position, 2, "delivered")]

    virtually(main())


MUST_WAIT: dict[str, Callable[[Any, Any], None]] = {
    "an event that is not in memory": lambda attempts, _: attempts._cache.forget(0),
    "what may have ended the process before": lambda attempts, _: setattr(attempts, "write_ahead_until", 99),
    "a lease that may end": lambda attempts, _: setattr(attempts, "_leadership", Ending()),
    "events that are held": lambda attempts, _: attempts._held.hold(1, 1),
    "a sink that asked to wait": lambda _, lane: setattr(lane, "waits_until_us", 2**62),
}


@pytest.mark.interpreted
def test_s3f_what_was_started_and_not_sent_when_the_sink_said_that_it_is_gone_is_not_sent(
    virtually: Virtually,
) -> None:
    async def main() -> None:
        engine = Watched()

        async def gone(_number: int, _position: int) -> int:
            return 410

        engine.script = gone
        async with engine.running() as dispatcher:
            record = await engine.subscribe(Config(max_concurrency=64))
            held = dispatcher.volleys._send
            later: list[Any] = []

            def one_now(starting: list[Any]) -> None:
                later.extend(starting[1:])
                held(starting[:1])

            dispatcher.volleys._send = one_now  # type: ignore[method-assign]
            await engine.publish(10)
            await engine.until(lambda: engine.store.subscriptions[record.number].state.value == "disabled")
            assert len(engine.posts) == 1
            dispatcher.volleys._send = held  # type: ignore[method-assign]
            held(later)
            # They wait for a resume, and so does the one that was answered.
            await engine.until(lambda: len(engine.store.pending) == len(later) + 1 == 10)
            assert len(engine.posts) == 1

    virtually(main())


class Ending:
    """A lease that was about to end, and is renewed."""

    def holds_for_s(self) -> float:
        return 1.0

    async def until_it_holds(self, for_s: float) -> None:
        """At once."""


@pytest.mark.interpreted
@pytest.mark.parametrize("what", MUST_WAIT)
def test_what_must_wait_goes_alone(virtually: Virtually, what: str) -> None:
    async def main() -> None:
        engine = Watched()
        async with engine.running() as dispatcher:
            record = await engine.subscribe()
            await engine.publish(1)
            await delivered(engine, 1)
            engine.watch()
            lane, engine.begun = dispatcher.lanes.obtain(record.number), 0
            assert lane is not None
            entries = engine.store.rows[-1].entry
            started = (PendingDelivery(record.number, entries.position, first_at_us=0),)
            dispatcher.lanes._in_flight += 1
            MUST_WAIT[what](dispatcher.attempts, lane)
            lane._flight.launch_one(started[0])
            dispatcher.volleys.start(lane, started)
            await engine.until(lambda: engine.alone == 1)
            assert engine.begun == 0
            lane.waits_until_us = 0

    virtually(main())


@pytest.mark.interpreted
def test_an_error_of_ours_ends_the_process_and_is_not_swallowed_by_the_loop(virtually: Virtually) -> None:
    async def main() -> None:
        engine = Watched()

        async def ended_by_an_error() -> None:
            async with engine.running() as dispatcher:
                await engine.subscribe()
                dispatcher.attempts.conclude = None  # type: ignore[assignment,method-assign]
                await engine.publish(1)
                await engine.until(lambda: dispatcher.volleys._closed)

        with pytest.raises(BaseExceptionGroup) as raised:
            await ended_by_an_error()
        assert raised.value.subgroup(TypeError) is not None

    virtually(main())


def test_what_is_under_way_when_the_process_ends_is_given_up(virtually: Virtually) -> None:
    async def main() -> None:
        asked, given_up = asyncio.Event(), asyncio.Event()

        async def never(_number: int, _position: int) -> int:
            asked.set()
            try:
                await asyncio.sleep(1_000)
            except asyncio.CancelledError:
                given_up.set()
                raise
            return 204

        engine = Watched()
        engine.script = never
        async with engine.killed_at_end():
            await engine.subscribe()
            await engine.publish(1)
            await asked.wait()
        await asyncio.wait_for(given_up.wait(), 1)
        assert engine.attempts() == []

    virtually(main())


@settings(max_examples=40, deadline=None)
@given(
    outcomes=st.lists(st.sampled_from(OUTCOMES), min_size=1, max_size=12),
    dead=st.booleans(),
    concurrency=st.integers(1, 4),
)
def test_every_outcome_comes_to_the_same_either_way(
    outcomes: list[int | None], *, dead: bool, concurrency: int
) -> None:
    def what_came_of_it(*, at_hand: bool) -> tuple[list[tuple[int, int, str]], str]:
        engine = Watched(at_hand=at_hand, dead=dead)
        left: dict[int, list[int | None]] = {}

        async def script(_number: int, position: int) -> Answer:
            mine = left.setdefault(position, [outcomes[position % len(outcomes)], 200])
            status = mine.pop(0) if mine else 200
            if status is None:
                raise SendError(SendErrorKind.TIMEOUT, "it did not answer")
            return answer(status)

        engine.script = script

        async def main() -> None:
            async with engine.running():
                record = await engine.subscribe(Config(max_concurrency=concurrency, retry=(1.0, 2.0)))
                await engine.publish(12)
                await asyncio.sleep(120)
                assert record.number == 1

        run(main())
        return engine.attempts(), engine.store.subscriptions[1].state.value

    together, alone = what_came_of_it(at_hand=True), what_came_of_it(at_hand=False)
    if 410 not in outcomes:
        assert together == alone
    else:
        # What is under way when the sink says so ends as it comes (S3f): how much that is depends on the turn.
        assert together[1] == alone[1]
