"""The one way out: requests over connections to vetted addresses, for the hot path and behind httpx alike."""

import asyncio
import ssl
from collections.abc import Callable, Iterable
from functools import lru_cache
from time import perf_counter

import httpx

from gateway.adapters.http.connector import Connector, default_ssl_context
from gateway.adapters.http.exchange import Awaited, Call, Exchange, sent_anew
from gateway.adapters.http.guard import EgressPolicy, Resolver, Target, check_url
from gateway.adapters.http.headers import FRAMING, block_from_bytes, method_bytes
from gateway.adapters.http.limits import Limits
from gateway.adapters.http.pool import Pool
from gateway.adapters.http.resolver import SystemResolver
from gateway.domain.sending import ATTEMPT_S_MAX, Answer, SendError, SendErrorKind, SinkRefused

_TARGETS_REMEMBERED = 4096
_BODILESS_METHODS = frozenset({b"GET", b"HEAD", b"OPTIONS"})
#: Of an answer, once its body is unpacked and whole or cut.
_DECODED = frozenset({"content-encoding", "content-length", "transfer-encoding"})
#: Unpacking is for what a sink packs unasked; an answer is never worth asking for it.
_ACCEPT = (b"accept-encoding", b"identity")
_CONNECTING = frozenset({SendErrorKind.DNS, SendErrorKind.CONNECT, SendErrorKind.TLS})


class EgressTransport(httpx.AsyncBaseTransport):
    """Sends only to where the egress guard lets it. Follows nothing, asks no proxy, reads no environment.

    ``post`` is the hot path; ``handle_async_request`` puts the same path behind an ``httpx.AsyncClient``,
    which costs several times as much (httpx's own objects). It belongs to the event loop that first uses it.

    Args:
        policy: What the guard lets through.
        resolver: Looks names up; the system's by default.
        limits: Bounds of time, size and connections.
        ssl_context: Verifies sinks; by default the system's authorities, TLS 1.2 or later.
    """

    def __init__(
        self,
        policy: EgressPolicy,
        *,
        resolver: Resolver | None = None,
        limits: Limits | None = None,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self.policy = policy
        self.resolver = resolver if resolver is not None else SystemResolver()
        self.limits = limits if limits is not None else Limits()
        connector = Connector(
            policy,
            self.resolver,
            self.limits,
            ssl_context if ssl_context is not None else default_ssl_context(),
        )
        self._pool = Pool(self.limits, connector.connect)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._targets = lru_cache(maxsize=_TARGETS_REMEMBERED)(self._check)

    def target(self, url: str, *, privileged: bool) -> Target:
        """A URL that the guard lets through, read once and remembered; raises ``SinkRefused``."""
        return self._targets(url, privileged)

    async def post(
        self,
        target: Target,
        headers: Iterable[tuple[bytes, bytes]],
        body: bytes,
        *,
        deadline_s: float,
        privileged: bool,
    ) -> Answer:
        """POST ``body``, within ``deadline_s`` seconds (15 at most) from now to the end of the answer.

        Raises:
            SendError: There is no status, of one kind or another.
        """
        block = block_from_bytes(headers)
        return await self.exchange(b"POST", target, block, body, deadline_s=deadline_s, privileged=privileged)

    async def exchange(
        self,
        method: bytes,
        target: Target,
        block: bytes,
        body: bytes,
        *,
        deadline_s: float,
        privileged: bool,
        connect_s: float | None = None,
        capture_bytes: int | None = None,
    ) -> Answer:
        """The path of every request; ``block`` is made by `gateway.adapters.http.headers`.

        A connection that had been idle and is closed without a byte of an answer is replaced once by a new
        one. The sink may have read the request all the same; delivery is at least once.
        """
        call = self._call(
            method,
            target,
            block,
            body,
            deadline_s=deadline_s,
            privileged=privileged,
            connect_s=connect_s,
            capture_bytes=capture_bytes,
        )
        connection = self._pool.take(call.key, call.began)
        if connection is None:
            connection = await self._pool.open(target, call.key, call.deadline, call.connect_s)
        used, awaited = connection.exchanges > 0, Awaited()
        try:
            exchange = Exchange(self._pool, call, connection, awaited.told)
        except SendError:
            if not used:
                raise
            return await sent_anew(self._pool, call)
        try:
            return await awaited.answer(exchange)
        except SendError:
            if not exchange.stale:
                raise
        return await exchange.again()

    def begin(
        self,
        target: Target,
        block: bytes,
        body: bytes,
        *,
        deadline_s: float,
        privileged: bool,
        capture_bytes: int | None,
        told: Callable[[], object],
    ) -> Exchange | None:
        """A POST as by ``exchange``, over a connection that is at hand; None, and nothing is sent, where none is."""
        call = self._call(
            b"POST",
            target,
            block,
            body,
            deadline_s=deadline_s,
            privileged=privileged,
            capture_bytes=capture_bytes,
        )
        connection = self._pool.take(call.key, call.began)
        if connection is None:
            return None
        try:
            return Exchange(self._pool, call, connection, told)
        except SendError:
            return None

    def _call(
        self,
        method: bytes,
        target: Target,
        block: bytes,
        body: bytes,
        *,
        deadline_s: float,
        privileged: bool,
        connect_s: float | None = None,
        capture_bytes: int | None = None,
    ) -> Call:
        started = perf_counter()
        loop = self._loop
        if loop is None:  # to ask for it each time is a system call each time
            loop = self._loop = asyncio.get_running_loop()
        now = loop.time()
        if body or method not in _BODILESS_METHODS:
            length = b"content-length: %d\r\n\r\n" % len(body)
            request = b"".join((method, target.head, block, length, body))
        else:
            request = b"%b%b%b\r\n" % (method, target.head, block)
        limits = self.limits
        return Call(
            target,
            (target.origin, privileged),
            request,
            method == b"HEAD",
            limits.capture_bytes if capture_bytes is None else capture_bytes,
            limits.connect_s if connect_s is None else min(connect_s, limits.connect_s),
            started,
            now,
            now + min(deadline_s, ATTEMPT_S_MAX),
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The same path for an ``httpx.AsyncClient``.

        Of the client's timeouts ``connect`` bounds the connection and ``read`` the whole attempt, both within
        the limits. The extension ``privileged`` (S11b) defaults to False. The answer's extension
        ``truncated`` says whether the body was cut, at ``read_bytes_max`` at the latest.
        """
        privileged = bool(request.extensions.get("privileged", False))
        timeouts = request.extensions.get("timeout", {})
        raw = request.headers.raw
        headers = [(name, value) for name, value in raw if name.lower().decode("latin-1") not in FRAMING]
        headers = [*(pair for pair in headers if pair[0].lower() != _ACCEPT[0]), _ACCEPT]
        try:
            answer = await self.exchange(
                method_bytes(request.method),
                self.target(str(request.url), privileged=privileged),
                block_from_bytes(headers),
                await request.aread(),
                deadline_s=timeouts.get("read") or self.limits.attempt_s,
                privileged=privileged,
                connect_s=timeouts.get("connect"),
                capture_bytes=self.limits.read_bytes_max,
            )
        except SinkRefused as refused:
            raise httpx.ConnectError(str(refused), request=request) from refused
        except SendError as error:
            raise _as_httpx(error, request) from error
        return httpx.Response(
            answer.status,
            headers=[
                (name.encode("latin-1"), value.encode("latin-1"))
                for name, value in answer.headers
                if name.lower() not in _DECODED
            ],
            content=answer.body,
            extensions={"http_version": b"HTTP/1.1", "truncated": answer.truncated},
        )

    async def aclose(self) -> None:
        """Close every connection; requests under way end with ``SendError`` of kind ``CLOSED``."""
        await self._pool.aclose()

    def _check(self, url: str, privileged: bool) -> Target:  # noqa: FBT001 - lru_cache keys by position
        return check_url(url, self.policy, privileged=privileged)


def _as_httpx(error: SendError, request: httpx.Request) -> httpx.TransportError:
    if error.kind is SendErrorKind.REFUSED and error.rule is None:
        return httpx.LocalProtocolError(error.detail, request=request)
    if error.kind is SendErrorKind.TIMEOUT:
        return httpx.ReadTimeout(error.detail, request=request)
    if error.kind in _CONNECTING and error.timed_out:
        return httpx.ConnectTimeout(error.detail, request=request)
    if error.kind in _CONNECTING or error.kind is SendErrorKind.REFUSED:
        return httpx.ConnectError(error.detail, request=request)
    return httpx.RemoteProtocolError(error.detail, request=request)
