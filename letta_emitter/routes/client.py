"""Speaking to the gateway by HTTP, within bounds of time, of size and of number."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from letta_emitter.routes.exchange import ANSWER_BYTES_MAX, Answer, Call, answer
from letta_emitter.routes.problems import BUSY, TIMEOUT, UNREACHABLE, UNUSABLE, RouteProblem
from letta_emitter.routes.settings import GatewayAccess

if TYPE_CHECKING:
    import httpx

TIMEOUT_S: Final = 10.0
"""From the request to the last byte of its answer."""
_CONNECT_S: Final = 3.0
_IDLE_S: Final = 2.0  # a gateway lets go after 5: a connection is not taken just when it is closed
CONNECTIONS_MAX: Final = 8
WAITING_MAX: Final = 32
"""Requests under way in one process, those included that wait for a connection."""
_CHUNK_BYTES: Final = 65_536

Reporting = Callable[[str, str], None]
"""Told of what went wrong: its kind and a sentence."""


class Gateway:
    """The gateway behind one address. Made at once; the client of HTTPX, which Letta has, at the first request."""

    def __init__(
        self,
        access: GatewayAccess,
        *,
        timeout_s: float = TIMEOUT_S,
        report: Reporting = lambda _kind, _text: None,
    ) -> None:
        self._access = access
        self._timeout_s = timeout_s
        self._report = report
        self._waiting = 0
        self._client: httpx.AsyncClient | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def send(self, call: Call) -> Answer:
        """Send a request and return the answer, as it goes to the caller.

        Raises:
            RouteProblem: there is no answer, or none that is of use.
        """
        if self._waiting >= WAITING_MAX:
            raise RouteProblem(BUSY, f"{WAITING_MAX} are under way in this process.")
        self._waiting += 1
        try:
            return await self._send(call)
        except RouteProblem as problem:
            self._report(problem.kind.slug, f"webhook routes: {problem.kind.title}. {problem.detail}")
            raise
        finally:
            self._waiting -= 1

    async def _send(self, call: Call) -> Answer:
        import httpx  # noqa: PLC0415 (not a dependency of the emitter: Letta has it)

        try:
            async with asyncio.timeout(self._timeout_s):
                status, headers, body = await self._exchange(call)
        except (TimeoutError, httpx.TimeoutException):
            raise RouteProblem(TIMEOUT, f"It had {self._timeout_s:g} seconds.") from None
        except httpx.ConnectError:
            raise RouteProblem(UNREACHABLE, "Nothing takes a connection at its address.") from None
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError) as error:
            # Only the class: the text of an error of HTTP's may quote a header.
            raise RouteProblem(UNREACHABLE, f"The exchange broke off ({type(error).__name__}).") from None
        return answer(call.method, status, headers, body)

    async def _exchange(self, call: Call) -> tuple[int, dict[str, str], bytes]:
        client = await self._ready()
        headers = [
            *call.headers,
            (b"Authorization", b"Bearer " + self._access.token.encode("ascii")),
            (b"Accept", b"application/json, application/problem+json"),
            (b"Accept-Encoding", b"identity"),  # what is not packed cannot unpack beyond the bound
        ]
        url = self._access.url + call.target
        async with client.stream(call.method, url, headers=headers, content=call.body or None) as response:
            body = bytearray()
            async for chunk in response.aiter_raw(_CHUNK_BYTES):
                body += chunk
                if len(body) > ANSWER_BYTES_MAX:
                    detail = f"It has more than {ANSWER_BYTES_MAX} bytes; of a list, ask for fewer (`limit`)."
                    raise RouteProblem(UNUSABLE, detail)
            return response.status_code, dict(response.headers), bytes(body)

    async def _ready(self) -> httpx.AsyncClient:
        loop = asyncio.get_running_loop()
        if self._client is None or self._loop is not loop:
            # In a thread: reading the certificates of all authorities takes as long as some requests of Letta's.
            made = await asyncio.to_thread(_make_client)
            if self._client is None or self._loop is not loop:  # nobody else was faster
                self._client, self._loop = made, loop
        return self._client

    async def close(self) -> None:
        """Let go of the connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()


def _make_client() -> httpx.AsyncClient:
    import httpx  # noqa: PLC0415 (see above)

    verify: Any = httpx.create_ssl_context()  # with SSL_CERT_FILE, where that is set
    return httpx.AsyncClient(
        verify=verify,
        # No proxy and no .netrc of the environment's: those are for the models, and the token is for the gateway alone.
        trust_env=False,
        follow_redirects=False,
        timeout=httpx.Timeout(TIMEOUT_S, connect=_CONNECT_S),
        limits=httpx.Limits(
            max_connections=CONNECTIONS_MAX,
            max_keepalive_connections=CONNECTIONS_MAX,
            keepalive_expiry=_IDLE_S,
        ),
        headers={"User-Agent": "letta-emitter"},
    )
