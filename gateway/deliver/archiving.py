"""The archivist: does what an archiving commands, file by file, beside everything else that runs (S8).

Between two steps it stands still for as long as the last one took, so that at most every second moment is an
archiving's.
"""

from collections.abc import Callable
from functools import partial

import anyio

from gateway.deliver.patience import patiently
from gateway.deliver.signal import Signal
from gateway.ports import Archives

_LOOK_S = 3_600.0
_WAIT_S = 0.5
_REST_S_MAX = 1.0


class Archivist:
    """Archives what is commanded; begins where the process before it stopped.

    Args:
        archives: The store.
        appended: Is told that the log has grown.
    """

    def __init__(self, archives: Archives, *, appended: Callable[[], None]) -> None:
        self._archives = archives
        self._appended = appended
        self._asked = Signal()

    def ask(self) -> None:
        """Something was commanded."""
        self._asked.set()

    async def run(self) -> None:
        """Archive until cancelled. A transaction that has begun is seen to its end by the store."""
        await patiently(self._archives.recover, "archives cannot be read")
        while True:
            record = await patiently(self._archives.open, "archivings cannot be read")
            if record is None:
                await self._asked.wait(_LOOK_S)
                continue
            began = anyio.current_time()
            step = await patiently(partial(self._archives.step, record.id), "an archiving is held up")
            if step.appended:
                self._appended()
            rest_s = _WAIT_S if step.waits else min(anyio.current_time() - began, _REST_S_MAX)
            await anyio.sleep(rest_s)
