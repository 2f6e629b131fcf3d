"""The eraser: does what an erasure commands, step by step, beside everything else that runs (S8b).

Between two steps it stands still for as long as the last one took, so that at most every second moment of the log's
one writer is an erasure's.
"""

from collections.abc import Callable
from functools import partial

import anyio

from gateway.deliver.patience import patiently
from gateway.deliver.signal import Signal
from gateway.ports import ErasureRecord, Erasures

_LOOK_S = 3_600.0
_WAIT_S = 0.5
_SETTLED_S = 60.0
"""What was read before the last step has been put into the caches by then, or has come to nothing."""

Forget = Callable[[int], None]
"""Drops what memory has of the log up to a position, and keeps nothing of it until told to go on."""


class Eraser:
    """Erases in the order of the commands, one at a time; begins where the process before it stopped.

    Args:
        erasures: The store.
        forget: Is told before the first step and after each one.
        resume: Is told a while after the last one.
        changed: Is told which subscriptions have deliveries to be settled as erased.
        appended: Is told that the log has grown.
    """

    def __init__(
        self,
        erasures: Erasures,
        *,
        forget: Forget,
        resume: Callable[[], None],
        changed: Callable[[int], None],
        appended: Callable[[], None],
    ) -> None:
        self._erasures = erasures
        self._forget = forget
        self._resume = resume
        self._changed = changed
        self._appended = appended
        self._asked = Signal()

    def ask(self) -> None:
        """Something was commanded."""
        self._asked.set()

    async def run(self) -> None:
        """Erase until cancelled. A step that has begun is seen to its end by the store."""
        while True:
            found = await patiently(self._erasures.open, "erasures cannot be read")
            for record in found:
                await self._erase(record)
            if found:
                await self._asked.wait(_SETTLED_S)
                if await patiently(self._erasures.open, "erasures cannot be read"):
                    continue
                self._resume()
            await self._asked.wait(_LOOK_S)

    async def _erase(self, record: ErasureRecord) -> None:
        self._forget(record.until_position)
        while True:
            began = anyio.current_time()
            step = await patiently(partial(self._erasures.step, record.id), "an erasure is held up")
            self._forget(record.until_position)
            for number in step.numbers:
                self._changed(number)
            if step.appended:
                self._appended()
            if step.finished:
                return
            await anyio.sleep(_WAIT_S if step.waits else anyio.current_time() - began)
