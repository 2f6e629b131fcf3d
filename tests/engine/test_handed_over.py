"""What a process has just appended is handed to its router; the log is read only for what nobody handed over."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import Any

import pytest
from simulation.small import Engine

from gateway.deliver.dispatcher import Dispatcher
from gateway.deliver.envelopes import event_of
from gateway.ports import Entry, Event, Head

Virtually = Callable[[Coroutine[Any, Any, None]], None]


class CountingLog:
    """Counts how often the log is read behind a position."""

    def __init__(self, log: Any) -> None:
        self._log = log
        self.reads: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    async def read(self, after: int, limit: int) -> Sequence[Entry]:
        self.reads.append(after)
        found: Sequence[Entry] = await self._log.read(after, limit)
        return found

    async def head(self) -> Head:
        found: Head = await self._log.head()
        return found


class Handing(Engine):
    """An engine that appends and hands over, as the batcher does."""

    def __init__(self) -> None:
        super().__init__()
        self.counted = CountingLog(self.log)
        self.log = self.counted  # type: ignore[assignment]

    async def append(self, count: int) -> list[Event]:
        before = len(self.store.rows)
        waked, self.dispatcher.appended = self.dispatcher.appended, lambda: None  # type: ignore[method-assign]
        try:
            await self.publish(count)
        finally:
            self.dispatcher.appended = waked  # type: ignore[method-assign]
        return [event_of(row.entry) for row in self.store.rows[before:]]

    @property
    def last(self) -> int:
        return len(self.store.rows)

    async def until_sent(self, count: int, within_s: float = 600.0) -> None:
        await self.until(lambda: len(self.posts) >= count, within_s)
        assert [position for _, position in self.posts] == sorted({position for _, position in self.posts})


@contextlib.asynccontextmanager
async def subscribed() -> AsyncIterator[tuple[Handing, Dispatcher]]:
    """One that runs, with a subscription; everything up to now is routed: the reads from here on are the test's."""
    engine = Handing()
    async with engine.running() as dispatcher:
        await engine.subscribe()
        await engine.until(lambda: dispatcher.lanes.routed == engine.last)
        await asyncio.sleep(0.02)
        engine.counted.reads.clear()
        yield engine, dispatcher


def test_what_was_handed_over_is_not_read(virtually: Virtually) -> None:
    async def main() -> None:
        async with subscribed() as (engine, dispatcher):
            for _ in range(20):
                dispatcher.take(await engine.append(3), engine.last)
                await asyncio.sleep(0.01)
            await engine.until_sent(60, within_s=0.5)
            assert engine.counted.reads == []

    virtually(main())


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_what_is_missing_in_between_or_at_the_end_is_read_at_once(virtually: Virtually, missing: int) -> None:
    async def main() -> None:
        async with subscribed() as (engine, dispatcher):
            events = await engine.append(3)
            dispatcher.take(events[:missing] + events[missing + 1 :], engine.last)
            await engine.until_sent(3, within_s=0.5)
            assert engine.counted.reads

    virtually(main())


def test_what_another_process_appended_in_between_is_read_with_the_next_that_is_handed_over(
    virtually: Virtually,
) -> None:
    async def main() -> None:
        async with subscribed() as (engine, dispatcher):
            await engine.append(2)
            dispatcher.take(await engine.append(2), engine.last)
            await engine.until_sent(4, within_s=0.5)

    virtually(main())


def test_what_nobody_tells_of_is_found_within_a_second_or_so(virtually: Virtually) -> None:
    async def main() -> None:
        async with subscribed() as (engine, _):
            await engine.append(2)
            await engine.until_sent(2, within_s=2.5)

    virtually(main())


def test_wakes_that_hand_nothing_over_do_not_keep_the_log_from_being_read(virtually: Virtually) -> None:
    """As of many streams that catch up one after the other, while another process appends."""

    async def main() -> None:
        async with subscribed() as (engine, dispatcher):
            await engine.append(2)
            for _ in range(8):
                dispatcher.router.wake.set()
                await asyncio.sleep(0.3)
            assert len(engine.posts) == 2

    virtually(main())
