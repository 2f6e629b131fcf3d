"""In development the API answers only to the names of this machine: a web page cannot reach it by rebinding (S11c)."""

import re
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.api.problems import problem_response
from gateway.errors import Forbidden

_HOST: Final = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[^\[\]:]+)(:[0-9]*)?")
"""A name or an address with its port (RFC 9110, 7.2), and nothing behind it."""


class HostCheck:
    """Refuses requests whose ``Host`` names another machine."""

    def __init__(self, app: ASGIApp, allowed: frozenset[str]) -> None:
        self._app = app
        self._allowed = allowed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through, or answer it here."""
        if scope["type"] == "http" and not self._fits(scope):
            error = Forbidden(
                "In development this gateway answers only to loopback names.",
                hint="Use http://127.0.0.1, or GATEWAY_ENV=production behind a name of its own.",
            )
            await problem_response(error)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _fits(self, scope: Scope) -> bool:
        hosts = [value for name, value in scope["headers"] if name == b"host"]
        if len(hosts) != 1:
            return False
        host = _HOST.fullmatch(hosts[0].decode("latin-1").lower())
        return host is not None and host["name"] in self._allowed
