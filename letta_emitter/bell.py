"""How other threads wake the drain's loop, and tell it to end."""

from __future__ import annotations

import asyncio
import contextlib
import time


class Bell:
    """Rung by any thread, heard by one loop. A ring costs next to nothing while the loop is busy anyway."""

    def __init__(self) -> None:
        self.stop_at: float | None = None
        """When the loop must have ended (monotonic seconds), once it was told to."""
        self._listening = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._rung: asyncio.Event | None = None

    def attach(self) -> None:
        """Take the running loop as the one that listens."""
        self._loop = asyncio.get_running_loop()
        self._rung = asyncio.Event()

    def detach(self) -> None:
        """The loop is ending."""
        self._loop = None

    def ring(self) -> None:
        """Wake the loop, if it is waiting for it."""
        if self._listening:
            self._listening = False
            self._ring()

    def stop(self, stop_at: float) -> None:
        """Tell the loop to end, at the latest at this monotonic time."""
        self.stop_at = stop_at
        self._ring()

    def _ring(self) -> None:
        loop, rung = self._loop, self._rung
        if loop is not None and rung is not None:
            with contextlib.suppress(RuntimeError):  # it is just closing
                loop.call_soon_threadsafe(rung.set)

    @property
    def is_stopping(self) -> bool:
        """Say whether the loop was told to end."""
        return self.stop_at is not None

    @property
    def is_overdue(self) -> bool:
        """Say whether the time to end in good order is over."""
        return self.stop_at is not None and time.monotonic() >= self.stop_at

    def listen(self) -> None:
        """Hear rings from now on: called before the last look for work, so that none is missed before `wait`."""
        if self._rung is not None:
            self._rung.clear()
        self._listening = True

    async def wait(self, timeout_s: float) -> bool:
        """Wait for a ring or the time; returns whether it rang."""
        if self._rung is None:
            return False
        try:
            async with asyncio.timeout(timeout_s):
                await self._rung.wait()
        except TimeoutError:
            return False
        finally:
            self._listening = False
        return True

    async def pause(self, timeout_s: float) -> None:
        """Wait for the time; only being told to stop ends it early."""
        if self._rung is not None and not self.is_stopping:
            self._rung.clear()
            if not self.is_stopping:
                await self.wait(timeout_s)
