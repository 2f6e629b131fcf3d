"""An event loop whose clock moves only when nothing is left to do: hours pass in milliseconds, always alike."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

EPOCH_US = 1_767_225_600_000_000  # 2026-01-01T00:00:00Z


class Stuck(Exception):
    """Everything waits for something that no timer will bring."""


class _Leaping(selectors.SelectSelector):
    """Instead of waiting for a time, it says to the loop that the time is over."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            if timeout is None:
                raise Stuck("every task waits for another one")
            self.now_s += max(0.0, timeout)
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """asyncio's own loop on that clock."""

    def __init__(self) -> None:
        self._leaping = _Leaping()
        super().__init__(self._leaping)

    def time(self) -> float:
        return self._leaping.now_s


def now_us() -> int:
    """The virtual wall clock."""
    return EPOCH_US + round(asyncio.get_running_loop().time() * 1_000_000)


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run to the end in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
