"""How other threads wake the drain's thread, and tell it to end.

The drain waits in a lock and not in its event loop: all that loop runs is the drain's own, and to release a lock
costs the ringing thread half a microsecond, while to wake a loop is a system call in which it may lose the
interpreter.
"""

from __future__ import annotations

import contextlib
import threading
import time


class Bell:
    """Rung by any thread, heard by one."""

    def __init__(self) -> None:
        self.stop_at: float | None = None
        """When the drain must have ended (monotonic seconds), once it was told to."""
        self._listening = False
        self._quiet = threading.Lock()
        self._quiet.acquire()

    def ring(self) -> None:
        """Wake the drain, if it is waiting for it."""
        if self._listening:
            self._listening = False
            self._release()

    def stop(self, stop_at: float) -> None:
        """Tell the drain to end, at the latest at this monotonic time."""
        self.stop_at = stop_at
        self._release()

    def _release(self) -> None:
        with contextlib.suppress(RuntimeError):  # somebody else has rung
            self._quiet.release()

    @property
    def is_stopping(self) -> bool:
        """Say whether the drain was told to end."""
        return self.stop_at is not None

    @property
    def is_overdue(self) -> bool:
        """Say whether the time to end in good order is over."""
        return self.stop_at is not None and time.monotonic() >= self.stop_at

    def listen(self) -> None:
        """Hear rings from now on: called before the last look for work, so that none is missed before `wait`."""
        self._quiet.acquire(blocking=False)
        self._listening = True

    def wait(self, timeout_s: float) -> bool:
        """Wait for a ring or the time; returns whether it rang."""
        rang = not self.is_stopping and self._quiet.acquire(timeout=timeout_s)
        self._listening = False
        return rang

    def pause(self, timeout_s: float) -> None:
        """Wait for the time; only being told to stop ends it early."""
        self._listening = False
        self._quiet.acquire(blocking=False)
        self.wait(timeout_s)
