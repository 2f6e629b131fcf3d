"""``HEAD`` is ``GET`` without the body (RFC 9110, 9.3.2), on every path whose ``GET`` changes nothing."""

from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

CHANGING: Final = "/handshake/"
"""Here a ``GET`` grants, as the standard wants it: whoever only looks at a link must not."""


class HeadAnswers:
    """Answers ``HEAD`` by what ``GET`` would answer: load balancers, link checkers and caches ask so."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if scope["type"] != "http" or scope["method"] != "HEAD" or scope["path"].startswith(CHANGING):
            await self._app(scope, receive, send)
            return
        ended = False

        async def send_head(message: Message) -> None:
            nonlocal ended
            if message["type"] == "http.response.start":
                await send(message)
            elif not ended:
                # At once, also where a stream would go on: it hears of the disconnect that follows.
                ended = True
                await send({"type": "http.response.body", "body": b"", "more_body": False})

        await self._app({**scope, "method": "GET"}, receive, send_head)
