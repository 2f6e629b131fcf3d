"""A receiver that does to the sender whatever a test tells it, byte by byte, and counts who came."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from gateway.adapters.http import connector
from gateway.adapters.http.guard import Address, EgressPolicy
from gateway.adapters.http.limits import Limits
from gateway.adapters.http.sender import EgressSender
from gateway.adapters.http.transport import EgressTransport
from gateway.domain.sending import Answer, OutboundRequest, SendError, SendErrorKind

CORPUS = Path(__file__).parent / "corpus"
LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


@pytest.fixture(params=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """Every asynchronous test runs on both loops."""
    return "asyncio", {"use_uvloop": request.param == "uvloop"}


@pytest.fixture(scope="session")
def corpus() -> Callable[[str], Any]:
    def load(name: str) -> Any:
        text = (CORPUS / name).read_text(encoding="utf-8")
        if name.endswith(".json"):
            return json.loads(text)
        head, *rows = (line.split("\t") for line in text.splitlines())
        return [dict(zip(head, row, strict=True)) for row in rows]

    return load


class Peer:
    """One connection, seen from the receiver."""

    def __init__(
        self, receiver: Receiver, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.receiver = receiver
        self.reader = reader
        self.writer = writer
        self.number = receiver.connections

    async def request(self) -> tuple[bytes, bytes]:
        """Read one request, head and body, and note it."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if line)
        body = await self.reader.readexactly(int(fields.get(b"content-length", b"0")))
        self.receiver.requests.append((head, body))
        return head, body

    async def send(self, *parts: bytes) -> None:
        for part in parts:
            self.writer.write(part)
            await self.writer.drain()

    async def gone(self) -> None:
        """Wait until the sender has closed its end."""
        try:
            while await self.reader.read(65536):
                pass
        except ConnectionError:
            pass

    def reset(self) -> None:
        self.writer.transport.abort()


Script: TypeAlias = Callable[[Peer], Awaitable[None]]


class Receiver:
    """A server on loopback that runs a script per connection."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.connections = 0
        self.open = 0
        self.requests: list[tuple[bytes, bytes]] = []
        self.sni: list[str | None] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Condition()
        self._server: asyncio.Server | None = None
        self.port = 0
        self.scheme = "http"

    async def start(self, context: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> None:
        if context is not None:
            self.scheme = "https"
            context.sni_callback = lambda _sock, name, _context: self.sni.append(name)
            _forgive_handshakes(asyncio.get_running_loop())
        self._server = await asyncio.start_server(self._serve, host, 0, ssl=context)
        self.port = self._server.sockets[0].getsockname()[1]

    def url(self, path: str = "/hook", host: str = "127.0.0.1") -> str:
        return f"{self.scheme}://{host}:{self.port}{path}"

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until this holds; it may change whenever a connection comes or goes or a script ends."""
        async with asyncio.timeout(5), self._changed:
            await self._changed.wait_for(condition)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._run(reader, writer))
        self._tasks.add(task)
        await asyncio.wait((task,))

    async def _run(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        await self._tell()
        try:
            await self.script(Peer(self, reader, writer))
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass  # the sender has had enough, which some tests want
        finally:
            self.open -= 1
            writer.close()
            await self._tell()

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()


def _forgive_handshakes(loop: asyncio.AbstractEventLoop) -> None:
    """A loop in debug mode reports handshakes that a receiver did not finish; the tests want just those."""
    report = loop.get_exception_handler()

    def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if report is not None and not context["message"].startswith("Error on transport creation"):
            report(loop, context)

    loop.set_exception_handler(handle)


class Names:
    """A resolver whose answers a test writes: per name, one answer after another, the last for ever."""

    def __init__(self, **answers: list[list[str]]) -> None:
        self.answers = {name.replace("_", "."): list(rows) for name, rows in answers.items()}
        self.asked: list[str] = []

    async def resolve(self, host: str, *, timeout_s: float) -> tuple[Address, ...]:
        assert timeout_s > 0
        self.asked.append(host)
        rows = self.answers.get(host)
        if not rows:
            raise SendError(SendErrorKind.DNS, "the sink's name does not resolve")
        row = rows.pop(0) if len(rows) > 1 else rows[0]
        return tuple(ipaddress.ip_address(text) for text in row)


@pytest.fixture
def names() -> type[Names]:
    return Names


@pytest.fixture
async def receive() -> AsyncIterator[Callable[..., Awaitable[Receiver]]]:
    """Start a receiver that runs this script on every connection."""
    receivers: list[Receiver] = []

    async def start(script: Script, **options: Any) -> Receiver:
        receiver = Receiver(script)
        receivers.append(receiver)
        await receiver.start(**options)
        return receiver

    yield start
    for receiver in receivers:
        await receiver.close()


@pytest.fixture(scope="session")
def system_tls() -> ssl.SSLContext:
    """The context a transport makes for itself, made once: reading the authorities takes a while."""
    return connector.default_ssl_context()


@pytest.fixture
async def make_transport(system_tls: ssl.SSLContext) -> AsyncIterator[Callable[..., EgressTransport]]:
    """Make transports that may use loopback; their limits by keyword."""
    made: list[EgressTransport] = []

    def make(
        *,
        allow: tuple[Any, ...] = LOOPBACK,
        own: frozenset[tuple[str, int]] = frozenset(),
        https_only: bool = False,
        resolver: Any = None,
        ssl_context: ssl.SSLContext | None = None,
        **limits: Any,
    ) -> EgressTransport:
        policy = EgressPolicy(allow=allow, own=own, https_only=https_only)
        made.append(
            EgressTransport(
                policy, resolver=resolver, limits=Limits(**limits), ssl_context=ssl_context or system_tls
            )
        )
        return made[-1]

    yield make
    for transport in made:
        await transport.aclose()


@pytest.fixture
def post(make_transport: Callable[..., EgressTransport]) -> Callable[..., Awaitable[Answer]]:
    """POST once through a new or a given transport, as an administrator's subscription would."""

    async def send(
        url: str,
        *,
        body: bytes = b'{"a":1}',
        headers: tuple[tuple[str, str], ...] = (("content-type", "application/json"),),
        timeout_s: float = 5.0,
        privileged: bool = True,
        transport: EgressTransport | None = None,
        **options: Any,
    ) -> Answer:
        sender = EgressSender(transport if transport is not None else make_transport(**options))
        return await sender.send(OutboundRequest(url, headers, body, timeout_s, privileged))

    return send


@pytest.fixture
def refuse(post: Callable[..., Awaitable[Answer]]) -> Callable[..., Awaitable[SendError]]:
    """POST once, expecting no status, and return the error."""

    async def send(url: str, **options: Any) -> SendError:
        with pytest.raises(SendError) as caught:
            await post(url, **options)
        return caught.value

    return send


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Every (address, port) that the sender opens a socket to."""
    addresses: list[tuple[str, int]] = []
    real = connector._open

    async def spy(address: Address, port: int) -> Any:
        addresses.append((str(address), port))
        return await real(address, port)

    monkeypatch.setattr(connector, "_open", spy)
    return addresses


@pytest.fixture
def answering() -> Callable[..., Script]:
    """A script that gives every request of a connection the same answer."""

    def make(*parts: bytes) -> Script:
        async def script(peer: Peer) -> None:
            while True:
                await peer.request()
                await peer.send(*(parts or (OK,)))

        return script

    return make
