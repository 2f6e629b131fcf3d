"""What a sender that sends at once gives out: the request goes on in a task of its own, and it is told of its end."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from gateway.domain.sending import Answer, OutboundRequest, SendError, SendErrorKind

Send = Callable[[OutboundRequest], Coroutine[Any, Any, Answer]]


class SentPromptly:
    """See ``gateway.ports.Exchange``. ``dead``: nothing was sent, over a connection that turns out to be closed."""

    def __init__(
        self, send: Send, request: OutboundRequest, told: Callable[[], object], *, dead: bool = False
    ) -> None:
        self._send, self._request = send, request
        self.stale = False
        self._ended: asyncio.Task[Answer] = asyncio.get_running_loop().create_task(
            _closed() if dead else send(request)
        )
        self._dead = dead
        self._ended.add_done_callback(lambda _ended: told())

    def answer(self) -> Answer:
        try:
            return self._ended.result()
        except SendError:
            self.stale = self._dead
            raise

    async def again(self) -> Answer:
        return await self._send(self._request)

    def abort(self) -> None:
        self._ended.cancel()


async def _closed() -> Answer:
    raise SendError(SendErrorKind.CLOSED, "it was closed meanwhile")
