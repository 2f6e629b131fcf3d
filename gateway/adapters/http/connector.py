"""Opens connections, each one only to an address that was resolved and vetted for it."""

import asyncio
import os
import socket
import ssl
from collections.abc import Callable
from ipaddress import IPv4Address
from pathlib import Path

import httpx

from gateway.adapters.http.connection import Connection, Key
from gateway.adapters.http.guard import Address, EgressPolicy, Resolver, Target, vet
from gateway.adapters.http.limits import Limits
from gateway.domain.sending import SendError, SendErrorKind, SinkRefused

#: A name may have any number of addresses; all are vetted, this many are tried.
TRIES_MAX = 4
_TLS_GOODBYE_S = 1.0


def default_ssl_context() -> ssl.SSLContext:
    """Verified TLS 1.2 or later for HTTP/1.1, by the system's authorities, else certifi's."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # verifies chain and name; reads no SSLKEYLOGFILE
    context.load_default_certs()
    folder = ssl.get_default_verify_paths().capath
    if not context.cert_store_stats()["x509_ca"] and not (folder and any(Path(folder).iterdir())):
        bundled = httpx.create_ssl_context(trust_env=False).get_ca_certs(binary_form=True)
        context.load_verify_locations(cadata=b"".join(bundled))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


class Connector:
    """Resolves, vets, connects and shakes hands."""

    def __init__(
        self, policy: EgressPolicy, resolver: Resolver, limits: Limits, ssl_context: ssl.SSLContext
    ) -> None:
        self._policy = policy
        self._resolver = resolver
        self._limits = limits
        self._ssl_context = ssl_context

    async def connect(
        self, target: Target, key: Key, until: float, lost: Callable[[Connection], None]
    ) -> Connection:
        """A new connection to ``target``, for the privilege in ``key``, by a time of the loop.

        Raises:
            SendError: ``REFUSED``, ``DNS``, ``CONNECT`` or ``TLS``.
        """
        loop = asyncio.get_running_loop()
        addresses = await self._addresses(target, until - loop.time(), privileged=key[1])
        sock = await _first_to_answer(addresses[:TRIES_MAX], target.port, until)
        connection = Connection(key, self._limits, lost)
        if target.scheme == "https":
            await self._shake_hands(connection, sock, target.host, until)
            return connection
        try:
            await loop.create_connection(lambda: connection, sock=sock)
        except OSError:
            raise SendError(SendErrorKind.CONNECT, "the sink closed the connection") from None
        return connection

    async def _addresses(self, target: Target, timeout_s: float, *, privileged: bool) -> tuple[Address, ...]:
        found = target.addresses or await self._resolver.resolve(target.host, timeout_s=timeout_s)
        try:
            looked_up = not target.addresses
            return vet(found, target.port, self._policy, privileged=privileged, looked_up=looked_up)
        except SinkRefused as refused:
            raise SendError(SendErrorKind.REFUSED, str(refused), rule=refused.rule) from None

    async def _shake_hands(
        self, connection: Connection, sock: socket.socket, host: str, until: float
    ) -> None:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout_at(until):
                await loop.create_connection(
                    lambda: connection,
                    sock=sock,
                    ssl=self._ssl_context,
                    server_hostname=host,
                    ssl_shutdown_timeout=_TLS_GOODBYE_S,
                )
        except TimeoutError:
            raise SendError(SendErrorKind.TLS, "no TLS handshake in time", timed_out=True) from None
        except ssl.SSLCertVerificationError as error:
            detail = f"the sink's certificate is not valid: {error.verify_message}"
            raise SendError(SendErrorKind.TLS, detail) from None
        except ssl.SSLError as error:
            reason = error.reason or "unknown"
            raise SendError(SendErrorKind.TLS, f"the TLS handshake failed: {reason}") from None
        except OSError:
            raise SendError(SendErrorKind.TLS, "the sink closed the connection in the handshake") from None


async def _first_to_answer(addresses: tuple[Address, ...], port: int, until: float) -> socket.socket:
    """A socket connected to one of these, tried in the resolver's order, each with its share of the time."""
    loop = asyncio.get_running_loop()
    error = SendError(SendErrorKind.CONNECT, "the sink has no address to connect to")
    for left, address in zip(range(len(addresses), 0, -1), addresses, strict=True):
        now = loop.time()
        try:
            async with asyncio.timeout_at(now + (until - now) / left):
                return await _open(address, port)
        except TimeoutError:
            error = SendError(SendErrorKind.CONNECT, "no connection to the sink in time", timed_out=True)
        except OSError as failure:
            # Not the loop's own text: it holds the address.
            reason = os.strerror(failure.errno) if failure.errno else "unknown"
            error = SendError(SendErrorKind.CONNECT, f"no connection to the sink: {reason}")
    raise error


async def _open(address: Address, port: int) -> socket.socket:
    family = socket.AF_INET if isinstance(address, IPv4Address) else socket.AF_INET6
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.settimeout(0)
        await asyncio.get_running_loop().sock_connect(sock, (str(address), port))
    except BaseException:
        sock.close()
        raise
    return sock
