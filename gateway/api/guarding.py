"""In development the API answers only to the names of this machine: a web page cannot reach it by rebinding (S11c)."""

from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.api.problems import problem_response
from gateway.errors import Forbidden


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
        host = hosts[0].decode("latin-1").lower()
        name = (
            host[: host.rindex("]") + 1] if host.startswith("[") and "]" in host else host.partition(":")[0]
        )
        return name in self._allowed
