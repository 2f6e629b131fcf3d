"""How fast one process posts: the sender beside stock httpx, in the same run, to one receiver.

    python tests/bench/sender.py [--seconds 2] [--bytes 600] [--at-once 64]

The receiver is another process (asyncio protocol and httptools, on uvloop). Rates are of this machine in this
run, where receiver and sender share the processors: compare rows, and runs on one machine.
"""

import argparse
import asyncio
import ipaddress
import multiprocessing
import resource
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import TypeAlias, cast

import httptools
import httpx
import uvloop
from rich.console import Console
from rich.table import Table

from gateway.adapters.http.guard import EgressPolicy
from gateway.adapters.http.sender import EgressSender
from gateway.adapters.http.transport import EgressTransport
from gateway.domain.sending import OutboundRequest

LOOPBACK = EgressPolicy(allow=(ipaddress.ip_network("127.0.0.0/8"),))
HEADERS = (
    ("Content-Type", "application/json"),
    ("User-Agent", "Letta-Webhook/1.0"),
    ("X-Letta-Event", "agent.step.completed"),
    ("X-Letta-Delivery", "dlv_aebagbafaydqqcikbmga2dqpcaireeyuculbogazdinryhi6d4"),
    ("X-Letta-Signature", "sha256=" + "0" * 64),
    ("webhook-id", "dlv_aebagbafaydqqcikbmga2dqpcaireeyuculbogazdinryhi6d4"),
    ("webhook-timestamp", "1767225600"),
    ("webhook-signature", "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4="),
    ("ce-specversion", "1.0"),
    ("ce-id", "evt_0123456789abcdef0123456789abcdef"),
    ("ce-source", "https://letta/organizations/org-1/agents/agent-1"),
    ("ce-type", "com.letta.agent.step.completed"),
    ("ce-time", "2026-01-01T12:00:00Z"),
    ("ce-subject", "step-0123456789abcdef"),
    ("ce-partitionkey", "agent-1"),
    ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
)

Post: TypeAlias = Callable[[], Awaitable[int]]
Client: TypeAlias = Callable[[str, bytes], AbstractAsyncContextManager[Post]]


class Receiver(asyncio.Protocol):
    """Answers every request at once."""

    def __init__(self) -> None:
        self.parser = httptools.HttpRequestParser(self)
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop."""
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Called by the loop."""
        self.parser.feed_data(data)

    def on_message_complete(self) -> None:
        """Called by the parser."""
        if self.transport is not None:
            self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


def receive(pipe: Connection) -> None:
    """Run a receiver until it is killed; its port goes into the pipe."""

    async def serve() -> None:
        server = await asyncio.get_running_loop().create_server(Receiver, "127.0.0.1", 0)
        pipe.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    uvloop.run(serve())


@asynccontextmanager
async def ours(url: str, body: bytes) -> AsyncIterator[Post]:
    """The path of a delivery: text headers, the guard, the pool."""
    sender = EgressSender(EgressTransport(LOOPBACK))
    request = OutboundRequest(url, HEADERS, body, 5.0, privileged=True)

    async def post() -> int:
        return (await sender.send(request)).status

    yield post
    await sender.aclose()


@asynccontextmanager
async def ours_raw(url: str, body: bytes) -> AsyncIterator[Post]:
    """The lower call, with headers that are bytes already."""
    transport = EgressTransport(LOOPBACK)
    target = transport.target(url, privileged=True)
    headers = [(name.encode(), value.encode()) for name, value in HEADERS]

    async def post() -> int:
        return (await transport.post(target, headers, body, deadline_s=5.0, privileged=True)).status

    yield post
    await transport.aclose()


@asynccontextmanager
async def ours_behind_httpx(url: str, body: bytes) -> AsyncIterator[Post]:
    """The same transport behind an httpx client."""
    async with httpx.AsyncClient(transport=EgressTransport(LOOPBACK), timeout=5) as client:

        async def post() -> int:
            answer = await client.post(url, headers=HEADERS, content=body, extensions={"privileged": True})
            return answer.status_code

        yield post


@asynccontextmanager
async def stock_httpx(url: str, body: bytes) -> AsyncIterator[Post]:
    """What people reach for: one client, one pool."""
    limits = httpx.Limits(max_connections=64, max_keepalive_connections=64)
    async with httpx.AsyncClient(limits=limits, timeout=5, trust_env=False) as client:

        async def post() -> int:
            return (await client.post(url, headers=HEADERS, content=body)).status_code

        yield post


@asynccontextmanager
async def stock_httpx_each(url: str, body: bytes) -> AsyncIterator[Post]:
    """The fastest that stock httpx is had: a client, and so a pool, per task."""
    context = ssl.create_default_context()
    async with AsyncExitStack() as stack:
        clients: dict[asyncio.Task[object] | None, httpx.AsyncClient] = {}

        async def post() -> int:
            task = asyncio.current_task()
            if (client := clients.get(task)) is None:
                client = httpx.AsyncClient(verify=context, timeout=5, trust_env=False)
                clients[task] = await stack.enter_async_context(client)
            return (await client.post(url, headers=HEADERS, content=body)).status_code

        yield post


@dataclass(frozen=True)
class Measured:
    """One row of the table."""

    name: str
    posts_per_s: float
    cpu_us: float


async def measure(
    *, name: str, client: Client, url: str, body: bytes, seconds: float, at_once: int
) -> Measured:
    """Post for some seconds from that many tasks at once."""
    posts = 0

    async def worker(until: float) -> None:
        nonlocal posts
        while time.perf_counter() < until:
            assert await post() == 200
            posts += 1

    async with client(url, body) as post:
        async with asyncio.TaskGroup() as group:  # connections open, caches warm
            for _ in range(at_once):
                group.create_task(worker(time.perf_counter() + 0.2))
        posts = 0
        started, cpu = time.perf_counter(), cpu_s()
        async with asyncio.TaskGroup() as group:
            for _ in range(at_once):
                group.create_task(worker(started + seconds))
        elapsed, cpu = time.perf_counter() - started, cpu_s() - cpu
    return Measured(name, posts / elapsed, cpu / posts * 1e6)


def cpu_s() -> float:
    """Processor time of this process, seconds."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--bytes", type=int, default=600)
    parser.add_argument("--at-once", type=int, default=64)
    arguments = parser.parse_args()
    ours_end, theirs_end = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=receive, args=(theirs_end,), daemon=True)
    process.start()
    rows: list[Measured] = []
    try:
        url = f"http://127.0.0.1:{ours_end.recv()}/hook"
        body = b"x" * arguments.bytes
        for loop, run in (("uvloop", uvloop.run), ("asyncio", asyncio.run)):
            for name, client in (
                ("sender", ours),
                ("transport.post", ours_raw),
                ("httpx client over the transport", ours_behind_httpx),
                ("stock httpx, one pool", stock_httpx),
                ("stock httpx, a client per task", stock_httpx_each),
            ):
                job = measure(
                    name=f"{name}, {loop}",
                    client=client,
                    url=url,
                    body=body,
                    seconds=arguments.seconds,
                    at_once=arguments.at_once,
                )
                rows.append(run(job))
    finally:
        process.kill()
        process.join()
    stock = min(row.posts_per_s for row in rows if row.name == "stock httpx, one pool, uvloop")
    table = Table(title=f"{arguments.bytes} bytes, {arguments.at_once} at once")
    for column in ("client", "POST/s", "CPU µs each", "times one pool"):
        table.add_column(column, justify="left" if column == "client" else "right")
    for row in rows:
        ratio = f"{row.posts_per_s / stock:.1f}"
        table.add_row(row.name, f"{row.posts_per_s:,.0f}", f"{row.cpu_us:.0f}", ratio)
    Console().print(table)


if __name__ == "__main__":
    main()
