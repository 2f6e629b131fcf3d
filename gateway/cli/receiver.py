"""A webhook receiver as a subscriber would write one: it verifies, parses, remembers and answers as told.

`listen` prints what it collects; `demo` and tests look at it.
"""

import asyncio
import contextlib
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import anyio
from starlette.types import Receive, Scope, Send

from gateway.adapters.web_server import WebServer, listening_socket
from gateway.cli.signatures import UNCHECKED, Check, check_letta, check_v1, trace_id_of
from schemas import Envelope, EnvelopeError, parse_http

BODY_BYTES_MAX = 32 * 1024 * 1024
EVENTS_MAX = 10_000
KEPT_MAX = 10_000
IDS_MAX = 1_000_000
START_S_MAX = 10.0


@dataclass(frozen=True, slots=True)
class Answer:
    """How the receiver answers one POST, `delay_s` seconds after it has read it."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    delay_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Received:
    """One POST.

    Attributes:
        headers: As sent, names in lower case.
        body: The raw body.
        events: The events in it; empty where `problem` says why it cannot be read.
        verified_v1: The Standard Webhooks signature.
        verified_letta: The `X-Letta-Signature`.
        duplicate: Whether this `webhook-id` was here before.
        at: When the whole body was in.
        answer: What it is answered.
        problem: Why the body is not a CloudEvent, or empty.
    """

    headers: Mapping[str, str]
    body: bytes
    events: Sequence[Envelope]
    verified_v1: Check
    verified_letta: Check
    duplicate: bool
    at: datetime
    answer: Answer = field(default_factory=Answer)
    problem: str = ""

    @property
    def delivery_id(self) -> str | None:
        """The `webhook-id`: the same on every attempt."""
        return self.headers.get("webhook-id")

    @property
    def event(self) -> Envelope | None:
        """The event of a POST that carries exactly one."""
        return self.events[0] if len(self.events) == 1 else None

    @property
    def trace_id(self) -> str | None:
        """The trace that this attempt belongs to (`traceparent` header)."""
        return trace_id_of(self.headers.get("traceparent"))


class Receiver:
    """Collects the POSTs of a gateway; start it with `running()`.

    Args:
        secret: The subscription's secret, also settable later; None checks nothing.
        respond: Decides the answer to each POST; 200 by default.
        on_received: Called with each POST before it is answered.

    Attributes:
        received: The last `KEPT_MAX` POSTs in order of arrival.
        count: How many came in all.
        duplicates: How many carried a `webhook-id` that had been here before.
        url: The sink, once it runs.
    """

    def __init__(
        self,
        *,
        secret: str | None = None,
        respond: Callable[[Received], Answer] | None = None,
        on_received: Callable[[Received], None] | None = None,
    ) -> None:
        self.secret = secret
        self.received: deque[Received] = deque(maxlen=KEPT_MAX)
        self.count = 0
        self.duplicates = 0
        self.url = ""
        self._respond = respond or (lambda _: Answer())
        self._on_received = on_received
        self._ids: OrderedDict[str, None] = OrderedDict()
        self._arrived = asyncio.Condition()

    @contextlib.asynccontextmanager
    async def running(self, port: int = 0, host: str = "127.0.0.1") -> AsyncIterator["Receiver"]:
        """Listen while the context is open; port 0 takes a free one. Raises AddressInUse."""
        with listening_socket(host, port) as listening:
            shown = f"[{host}]" if ":" in host else host
            self.url = f"http://{shown}:{listening.getsockname()[1]}/"
            server = WebServer(self, listening)
            serving = asyncio.create_task(server.run(), name="receiver")
            try:
                with anyio.fail_after(START_S_MAX):
                    await server.started()
                yield self
            finally:
                server.stop()
                with anyio.CancelScope(shield=True):
                    await asyncio.gather(serving, return_exceptions=True)

    async def wait_until(self, condition: Callable[["Receiver"], bool], *, within_s: float) -> bool:
        """Wait until the condition holds, looked at after each POST; False when the time is over."""
        with anyio.move_on_after(within_s):
            async with self._arrived:
                await self._arrived.wait_for(lambda: condition(self))
                return True
        return False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request (ASGI 3)."""
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
        body = await _whole_body(receive)
        if body is None:
            answer = Answer(413)
        elif scope["method"] == "POST":
            answer = await self._take(headers, body)
        else:
            answer = _handshake(scope["method"], dict(headers))
        await anyio.sleep(answer.delay_s)
        await _reply(send, answer)

    async def _take(self, headers: Sequence[tuple[str, str]], body: bytes) -> Answer:
        received = self._read(headers, body)
        received = replace(received, answer=self._respond(received))
        self.received.append(received)
        self.count += 1
        self.duplicates += received.duplicate
        if self._on_received is not None:
            self._on_received(received)
        async with self._arrived:
            self._arrived.notify_all()
        return received.answer

    def _read(self, headers: Sequence[tuple[str, str]], body: bytes) -> Received:
        by_name = dict(headers)
        events: Sequence[Envelope] = ()
        problem = ""
        try:
            events = parse_http(headers, body, events_max=EVENTS_MAX)
        except EnvelopeError as error:
            problem = str(error)
        secret = self.secret
        return Received(
            headers=by_name,
            body=body,
            events=events,
            verified_v1=UNCHECKED if secret is None else check_v1(secret, by_name, body),
            verified_letta=UNCHECKED if secret is None else check_letta(secret, by_name, body),
            duplicate=self._seen_before(by_name.get("webhook-id")),
            at=datetime.now(UTC),
            problem=problem,
        )

    def _seen_before(self, delivery_id: str | None) -> bool:
        if delivery_id is None:
            return False
        seen = delivery_id in self._ids
        self._ids[delivery_id] = None
        if len(self._ids) > IDS_MAX:
            self._ids.popitem(last=False)
        return seen


async def _whole_body(receive: Receive) -> bytes | None:
    """The body, or None for one over the bound, which is read to its end and thrown away."""
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        if size <= BODY_BYTES_MAX:
            chunks.append(chunk)
        else:
            chunks.clear()
        if not message.get("more_body", False):
            return b"".join(chunks) if size <= BODY_BYTES_MAX else None


def _handshake(method: str, headers: Mapping[str, str]) -> Answer:
    """Grant the validation of CloudEvents HTTP 1.1 Web Hooks (section 4); other methods get 405."""
    origin = headers.get("webhook-request-origin")
    if method == "OPTIONS" and origin is not None:
        return Answer(200, {"Allow": "POST, OPTIONS", "WebHook-Allowed-Origin": origin})
    return Answer(405, {"Allow": "POST, OPTIONS"})


async def _reply(send: Send, answer: Answer) -> None:
    headers = {"content-length": str(len(answer.body)), **answer.headers}
    raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": raw})
    await send({"type": "http.response.body", "body": answer.body})
