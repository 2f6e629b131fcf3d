"""Sinks that hang, fail for ever, drip and flood, on one port of loopback, a path each; for tests and measurements.

They are a process of their own, which prints its port: what they cost is not to be taken for what a gateway costs.
GET /seen tells how many POSTs came whole, by path.
"""

import asyncio
import contextlib
import http.client
import json
import subprocess
import sys
import zlib
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

FAILED = b"HTTP/1.1 500 Internal Server Error\r\n"
ZEROS = bytes(1 << 20)
UNPACKED_MIB = 256
GZIP = 31


def bomb() -> bytes:
    """A quarter of a gibibyte of zeros in a quarter of a mebibyte."""
    packer = zlib.compressobj(9, wbits=GZIP)
    return b"".join(packer.compress(ZEROS) for _ in range(UNPACKED_MIB)) + packer.flush()


async def hang(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


async def fail(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(FAILED + b"content-length: 0\r\n\r\n")
    await writer.drain()


async def drip(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    for octet in FAILED * 100:
        writer.write(bytes([octet]))
        await writer.drain()
        await asyncio.sleep(1)


async def drip_body(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(FAILED + b"content-length: 1000\r\n\r\n")
    for _ in range(1000):
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(1)


async def flood(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(FAILED + b"transfer-encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"10000\r\n" + bytes(0x10000) + b"\r\n")
        await writer.drain()


async def flood_head(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(FAILED)
    while True:
        writer.write(b"x-more: " + b"y" * 1000 + b"\r\n")
        await writer.drain()


def explode(head: bytes) -> Script:
    packed = bomb()

    async def script(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        length = f"content-encoding: gzip\r\ncontent-length: {len(packed)}\r\n\r\n".encode()
        writer.write(head + length + packed)
        await writer.drain()

    return script


class Server:
    """All of them."""

    def __init__(self) -> None:
        self.scripts: dict[str, Script] = {
            "hang": hang,
            "fail": fail,
            "drip": drip,
            "drip-body": drip_body,
            "flood": flood,
            "flood-head": flood_head,
            "bomb": explode(FAILED),
            "kind-bomb": explode(b"HTTP/1.1 200 OK\r\n"),
        }
        self.seen: Counter[str] = Counter()

    async def serve(self) -> None:
        """Until killed."""
        server = await asyncio.start_server(self._answer, "127.0.0.1", 0, backlog=512)
        print(server.sockets[0].getsockname()[1], flush=True)
        async with server:
            await asyncio.Event().wait()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
                await reader.readexactly(int(head.partition("content-length:")[2].partition("\r\n")[0] or 0))
                method, path, _ = head.split(" ", 2)
                if method == "get":
                    await self._tell(writer)
                    continue
                self.seen[path.strip("/")] += 1
                await until_it_leaves(self.scripts[path.strip("/")](reader, writer), reader)
        writer.transport.abort()

    async def _tell(self, writer: asyncio.StreamWriter) -> None:
        told = json.dumps(self.seen).encode()
        writer.write(f"HTTP/1.1 200 OK\r\ncontent-length: {len(told)}\r\n\r\n".encode() + told)
        await writer.drain()


async def until_it_leaves(script: Awaitable[None], reader: asyncio.StreamReader) -> None:
    """Run a script, at most for as long as the other side is there; raises ``OSError`` when it leaves."""
    running, leaving = asyncio.ensure_future(script), asyncio.ensure_future(gone(reader))
    try:
        await asyncio.wait([running, leaving], return_when=asyncio.FIRST_COMPLETED)
        if not running.done():
            raise ConnectionResetError
        running.result()
    finally:
        for task in (running, leaving):
            task.cancel()
        await asyncio.gather(running, leaving, return_exceptions=True)


async def gone(reader: asyncio.StreamReader) -> None:
    """Wait for the end of the other side, which sends nothing before it has an answer."""
    while not reader.at_eof() and reader.exception() is None:
        await asyncio.sleep(0.05)


@dataclass(frozen=True)
class HostileSinks:
    """Where they are."""

    port: int

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.port}/{name}"

    def seen(self, name: str) -> int:
        """How many POSTs came whole to this one."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        with contextlib.closing(connection):
            connection.request("GET", "/seen")
            return int(json.loads(connection.getresponse().read()).get(name, 0))


@contextlib.contextmanager
def hostile_sinks() -> Iterator[HostileSinks]:
    """Start them, and end them."""
    process = subprocess.Popen([sys.executable, __file__], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield HostileSinks(int(process.stdout.readline()))
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


if __name__ == "__main__":
    asyncio.run(Server().serve())
