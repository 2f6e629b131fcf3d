"""Server-sent events (WHATWG HTML, 9.2): how they are written, and an answer that goes on until it is to end."""

import contextlib
import logging
import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractContextManager
from typing import Final, TypeVar

import anyio
from fastapi import Request
from fastapi.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from gateway.api.problems import problem_response
from gateway.api.slots import Slot
from gateway.errors import InvalidToken

MEDIA_TYPE: Final = "text/event-stream"
RETRY_MS: Final = 1_000
"""What a client waits before it comes again."""

STALLED_S: Final = 60.0
"""A client that takes nothing for so long is let go: it comes again from where it was."""

NO_MORE: Final = "This token opens nothing any more."

_LOGGER = logging.getLogger(__name__)
_LINE_END: Final = re.compile(rb"\r\n|\n|\r")
_HEADERS: Final = {
    "Cache-Control": "no-store",
    # nginx would hold the events back until its buffer is full.
    "X-Accel-Buffering": "no",
}

T = TypeVar("T")
Watch = Callable[[Callable[[], None]], AbstractContextManager[None]]
"""Calls what it is given once the token of a stream opens nothing any more, for as long as it is entered."""


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
    """Sends chunks until there are no more, the client is gone, takes nothing any more or may not be here any more.

    Then it gives its slot back.
    """

    media_type = MEDIA_TYPE

    def __init__(
        self, chunks: AsyncGenerator[bytes], slot: Slot, watch: Watch, *, stalled_s: float = STALLED_S
    ) -> None:
        super().__init__(chunks, headers=_HEADERS)
        self._chunks = chunks
        self._slot = slot
        self._watch = watch
        self._stalled_s = stalled_s
        self._begun = self._whole = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve it (ASGI 3)."""
        with self._slot:
            try:
                with anyio.CancelScope() as allowed, self._watch(allowed.cancel):
                    async with contextlib.aclosing(self._chunks):
                        await super().__call__(scope, receive, self._bounded(send))
                if allowed.cancelled_caught:
                    await self._end(scope, receive, send)
            except TimeoutError:
                _LOGGER.info("a stream was ended: its client has taken nothing for %g s", self._stalled_s)

    async def _end(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Make the answer whole, as far as it has come; the client comes again, and is told why not."""
        bounded = self._bounded(send)
        if not self._begun:
            await problem_response(InvalidToken(NO_MORE))(scope, receive, bounded)
        elif not self._whole:
            await bounded({"type": "http.response.body", "body": b"", "more_body": False})

    def _bounded(self, send: Send) -> Send:
        async def send_or_give_up(message: Message) -> None:
            self._begun = True
            self._whole = message["type"] == "http.response.body" and not message.get("more_body", False)
            with anyio.fail_after(self._stalled_s):
                await send(message)

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
