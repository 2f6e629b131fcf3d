"""A wake-up call that is never lost: set before the wait begins, it ends the wait at once."""

import anyio


class Signal:
    """Something happened since the last look; how often does not matter."""

    def __init__(self) -> None:
        self._event: anyio.Event | None = None
        self._set = False

    def set(self) -> None:
        """Wake whoever waits, or let the next wait end at once."""
        self._set = True
        if self._event is not None:
            self._event.set()

    async def wait(self, at_most_s: float) -> bool:
        """Until set, or until the time is over; says whether it was set."""
        if not self._set:
            self._event = anyio.Event()
            with anyio.move_on_after(at_most_s):
                await self._event.wait()
            self._event = None
        was_set, self._set = self._set, False
        return was_set
