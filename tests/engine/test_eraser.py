"""The eraser: what it tells whom while it erases (S8b), and where it goes on."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from gateway.adapters.memory import MemoryLog, MemoryStore
from gateway.deliver import erasing
from gateway.deliver.envelopes import EnvelopeCache, event_of
from gateway.deliver.erasing import Eraser
from gateway.domain.erasure import Scope
from gateway.errors import Unavailable
from gateway.ports import ErasureRecord, ErasureState, ErasureStep, NewEntry
from schemas import build

Told = list[Any]
FORGET = ("forget", 7)


class Store:
    """Erasures that take these steps; what the eraser tells others is noted among them."""

    def __init__(self, **steps: list[ErasureStep | Exception]) -> None:
        self.steps = steps
        self.told: Told = []

    async def open(self) -> list[ErasureRecord]:
        return [ErasureRecord(name, Scope.AGENT, ErasureState.RUNNING, 7, 0) for name in self.steps]

    async def step(self, name: str) -> ErasureStep:
        self.told.append(name)
        step = self.steps[name].pop(0)
        if isinstance(step, Exception):
            raise step
        if step.finished:
            del self.steps[name]
        return step


def erase(
    store: Store, ends: Callable[[Told], bool], *, first: Callable[[Eraser], None] = lambda _: None
) -> Told:
    """Run an eraser until it has told enough; everything that was told, in order."""

    async def main() -> None:
        done = asyncio.Event()

        def note(what: Any) -> None:
            store.told.append(what)
            if what == "resume":
                first(eraser)
            if ends(store.told):
                done.set()

        eraser = Eraser(
            store,  # type: ignore[arg-type] - of the port, what it asks for
            forget=lambda until: note(("forget", until)),
            resume=lambda: note("resume"),
            changed=lambda number: note(("changed", number)),
            appended=lambda: note("appended"),
        )
        running = asyncio.create_task(eraser.run())
        async with asyncio.timeout(20):
            await done.wait()
        running.cancel()

    asyncio.run(main())
    return store.told


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(erasing, "_WAIT_S", 0.001)
    monkeypatch.setattr(erasing, "_SETTLED_S", 0.001)


def resumed(told: Told) -> bool:
    return "resume" in told


def test_memory_lets_go_before_the_first_step_and_after_each_one():
    step = ErasureStep(appended=True, numbers=frozenset({3}))
    told = erase(Store(a=[step, ErasureStep(finished=True)]), resumed)
    assert told == [FORGET, "a", FORGET, ("changed", 3), "appended", "a", FORGET, "resume"]


def test_what_the_process_before_left_is_done_in_order_and_memory_kept_away_throughout():
    told = erase(Store(a=[ErasureStep(finished=True)], b=[ErasureStep(finished=True)]), resumed)
    assert told == [FORGET, "a", FORGET, FORGET, "b", FORGET, "resume"]


def test_what_cannot_be_done_now_is_tried_again():
    steps = [Unavailable("away"), ErasureStep(waits=True), ErasureStep(finished=True)]
    told = erase(Store(a=steps), resumed)
    assert [item for item in told if item == "a"] == ["a"] * 3
    assert told[-1] == "resume"


def test_a_command_wakes_it():
    store = Store(a=[ErasureStep(finished=True)])

    def command(eraser: Eraser) -> None:
        if "b" not in store.told:
            store.steps["b"] = [ErasureStep(finished=True)]
            eraser.ask()

    told = erase(store, lambda told: told.count("resume") == 2, first=command)
    assert [item for item in told if item in {"a", "b"}] == ["a", "b"]


def test_what_was_read_before_it_was_erased_is_not_kept_by_the_cache():
    async def main() -> None:
        log = MemoryLog(MemoryStore(now=lambda: 1, random=bytes))
        attributes = {"specversion": "1.0", "source": "/t", "type": "t"}
        for name in ("e1", "e2"):
            await log.append([NewEntry("t", "/t", name, build(attributes | {"id": name}, {}).raw)])
        cache = EnvelopeCache(log)
        first, second = [event_of(entry) for entry in await log.read(0, 10)]
        cache.put(first)
        cache.forget(1)
        assert cache.peek(1) is None
        for event in (first, second):  # a page that somebody has in hand
            cache.put(event)
        assert (cache.peek(1), cache.peek(2)) == (None, second)
        assert await cache.get(1) is not None  # from the log, as it is now
        assert cache.peek(1) is None
        cache.resume()
        cache.put(first)
        assert cache.peek(1) is first

    asyncio.run(main())
