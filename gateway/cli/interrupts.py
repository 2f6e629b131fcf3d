"""Ending a long-running command: Ctrl-C and SIGTERM are its ordinary end, not a failure."""

import contextlib
import signal
from collections.abc import Awaitable, Iterator

import anyio

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


async def until_interrupted(work: Awaitable[object] | None = None) -> None:
    """Do `work`, or nothing, until it is done or the process is asked to end.

    SIGINT, SIGTERM and SIGHUP (the terminal was closed) ask for that.

    Being asked cancels the work; it cleans up and this returns. From then on the signals act as by default.
    """
    async with anyio.create_task_group() as group:
        group.start_soon(_cancel_when_asked, group.cancel_scope)
        if work is None:
            await anyio.sleep_forever()
        else:
            await work
        group.cancel_scope.cancel()


async def _cancel_when_asked(scope: anyio.CancelScope) -> None:
    with anyio.open_signal_receiver(*_ENDING) as signals:
        async for _ in signals:
            scope.cancel()
            return


@contextlib.contextmanager
def ended_by_signals() -> Iterator[None]:
    """Work without an event loop, which those signals end wherever it is; leaving it that way is no error."""
    before = {number: signal.signal(number, signal.default_int_handler) for number in _ENDING}
    try:
        yield
    except KeyboardInterrupt:
        pass
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
