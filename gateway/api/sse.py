"""Server-sent events (WHATWG HTML, 9.2): how they are written, and an answer that goes on until it is to end."""

import contextlib
import logging
import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Final, TypeVar

import anyio
from fastapi import Request
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from gateway.api.slots import Slot

MEDIA_TYPE: Final = "text/event-stream"
RETRY_MS: Final = 1_000
"""What a client waits before it comes again."""

STALLED_S: Final = 60.0
"""A client that takes nothing for so long is let go: it comes again from where it was."""

_LOGGER = logging.getLogger(__name__)
_LINE_END: Final = re.compile(rb"\r\n|\n|\r")
_HEADERS: Final = {
    "Cache-Control": "no-store",
    # nginx would hold the events back until its buffer is full.
    "X-Accel-Buffering": "no",
}

T = TypeVar("T")


def opening(position: int) -> bytes:
    """The beginning: where a client that loses the connection right away goes on."""
    return b"retry: %d\nid: %d\n\n" % (RETRY_MS, position)


def frame(position: int, data: bytes) -> bytes:
    """One event; its id is the position. A line end in JSON is white space, so it may come out as another one."""
    lines = b"".join(b"data: " + line + b"\n" for line in _LINE_END.split(data))
    return b"id: %d\n" % position + lines + b"\n"


def keep_alive(position: int) -> bytes:
    """Nothing for this client up to here: it goes on behind that, and its proxies see that somebody is there."""
    return b": still here\nid: %d\n\n" % position


class EventStream(StreamingResponse):
    """Sends chunks until there are no more, the client is gone or takes nothing any more; then gives its slot back."""

    media_type = MEDIA_TYPE

    def __init__(self, chunks: AsyncGenerator[bytes], slot: Slot, *, stalled_s: float = STALLED_S) -> None:
        super().__init__(chunks, headers=_HEADERS)
        self._chunks = chunks
        self._slot = slot
        self._stalled_s = stalled_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve it (ASGI 3)."""
        with self._slot:
            try:
                async with contextlib.aclosing(self._chunks):
                    await super().__call__(scope, receive, self._bounded(send))
            except TimeoutError:
                _LOGGER.info("a stream was ended: its client has taken nothing for %g s", self._stalled_s)

    def _bounded(self, send: Send) -> Send:
        async def send_or_give_up(message: object) -> None:
            with anyio.fail_after(self._stalled_s):
                await send(message)  # type: ignore[arg-type]  # as it came

        return send_or_give_up


async def while_connected(request: Request, work: Callable[[], Awaitable[T]]) -> T | None:
    """Do the work, unless the client goes away before it is done: then None, for nobody."""
    result: T | None = None
    failure: Exception | None = None

    async def do() -> None:
        nonlocal result, failure
        try:
            result = await work()
        except Exception as error:  # noqa: BLE001 - raised below, outside of the group that would wrap it
            failure = error
        group.cancel_scope.cancel()

    async with anyio.create_task_group() as group:
        group.start_soon(do)
        while (await request.receive())["type"] != "http.disconnect":
            pass
        group.cancel_scope.cancel()
    if failure is not None:
        raise failure
    return result
