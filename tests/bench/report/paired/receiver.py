"""The receiver that everybody delivers to: one process on uvloop that answers 200 and keeps count.

It counts each `webhook-id` once, notes when the first and the last came and how old each event was, and keeps
a sample of whole requests whose signatures are checked afterwards, when no clock runs.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import time
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import cast

import uvloop

from paired.clock import now_us
from paired.processes import cpu_s
from paired.wire import request_end, sent_at_us, verify, webhook_id

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
_SAMPLE_EVERY = 97
_SAMPLES_MAX = 40
_START_S_MAX = 20.0
_ANSWER_S_MAX = 60.0
_QUIET_S = 0.2


class ReceiptsMissingError(Exception):
    """Not everything arrived in time."""


@dataclass
class Receipts:
    """What has arrived since the count began; times are microseconds of `now_us`."""

    expected: int
    requests: int = 0
    unique: int = 0
    first_us: int = 0
    last_us: int = 0
    latencies_us: array[int] = field(default_factory=lambda: array("q"))
    samples: list[bytes] = field(default_factory=list)


class _Book:
    """Receipts being counted, and where completion is told."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self.begin(0)

    def begin(self, expected: int) -> None:
        self.receipts = Receipts(expected)
        self._seen: set[bytes] = set()

    def enter(self, buffer: bytes, start: int, end: int, at_us: int) -> None:
        receipts = self.receipts
        receipts.requests += 1
        receipts.last_us = at_us
        key = webhook_id(buffer, start, end)
        if key in self._seen:
            return
        self._seen.add(key)
        receipts.latencies_us.append(at_us - sent_at_us(buffer, start, end))
        if receipts.requests % _SAMPLE_EVERY == 1 and len(receipts.samples) < _SAMPLES_MAX:
            receipts.samples.append(buffer[start:end])
        receipts.unique = len(self._seen)
        if receipts.unique == 1:
            receipts.first_us = at_us
        if receipts.unique == receipts.expected:
            self._pipe.send("complete")


class _Http(asyncio.Protocol):
    """One connection: whole requests, one after another, perhaps several in one read."""

    def __init__(self, book: _Book) -> None:
        self._book = book
        self._rest = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        buffer = self._rest + data if self._rest else data
        at_us = now_us()
        start = answers = 0
        while start < len(buffer) and (end := request_end(buffer, start)):
            self._book.enter(buffer, start, end, at_us)
            start = end
            answers += 1
        self._rest = buffer[start:]
        if answers and self._transport is not None:
            self._transport.write(_ANSWER * answers)


def _serve(pipe: Connection) -> None:
    async def serve() -> None:
        book = _Book(pipe)
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: _Http(book), "127.0.0.1", 0, backlog=512)
        pipe.send(server.sockets[0].getsockname()[1])

        def command() -> None:
            try:
                asked = pipe.recv()
            except EOFError:
                server.close()
                return
            if asked == "receipts":
                pipe.send(book.receipts)
            else:
                book.begin(asked)
                pipe.send("begun")

        loop.add_reader(pipe.fileno(), command)
        # The loop has made it non-blocking; what is sent here can be longer than it takes at once.
        os.set_blocking(pipe.fileno(), True)
        await server.serve_forever()

    try:
        uvloop.run(serve())
    except (asyncio.CancelledError, KeyboardInterrupt):
        return


class Receiver:
    """The receiver's process as the harness sees it."""

    def __init__(self, pipe: Connection, pid: int, port: int) -> None:
        self._pipe = pipe
        self._pid = pid
        self.port = port

    def sink(self, path: str = "hook") -> str:
        """A URL of it; all paths are one."""
        return f"http://127.0.0.1:{self.port}/{path}"

    def expect(self, unique: int) -> None:
        """Count from zero; `wait` returns when so many have arrived. 0 only counts."""
        self._pipe.send(unique)
        self._answer("begun")

    def wait(self, within_s: float) -> Receipts:
        """What has arrived, once that is everything; raises `ReceiptsMissingError` if it is not in time."""
        if not self._pipe.poll(within_s):
            found = self.receipts()
            raise ReceiptsMissingError(
                f"{found.unique} of {found.expected} arrived within {within_s:g} s ({found.requests} requests)"
            )
        assert self._pipe.recv() == "complete"
        return self.receipts()

    def receipts(self) -> Receipts:
        """What has arrived so far."""
        self._pipe.send("receipts")
        return cast("Receipts", self._answer(Receipts))

    def until_quiet(self) -> None:
        """Wait until nothing arrives any more."""
        before = -1
        while (now := self.receipts().requests) != before:
            before = now
            time.sleep(_QUIET_S)

    def cpu_s(self) -> float:
        """Processor time that it has used."""
        return cpu_s(self._pid)

    def _answer(self, wanted: object) -> object:
        """The answer to a command; a completion that came at the same moment is passed over."""
        while True:
            assert self._pipe.poll(_ANSWER_S_MAX), "the receiver does not answer"
            said = self._pipe.recv()
            if said == wanted or (isinstance(wanted, type) and isinstance(said, wanted)):
                return said


@contextmanager
def receiving() -> Iterator[Receiver]:
    """Run a receiver for as long as the context is open."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(theirs,), daemon=True)
    process.start()
    theirs.close()
    try:
        assert ours.poll(_START_S_MAX), "the receiver did not come up"
        assert process.pid is not None
        yield Receiver(ours, process.pid, ours.recv())
    finally:
        process.kill()
        process.join()
        ours.close()


def check_signatures(receipts: Receipts, secret: str) -> int:
    """Check the sampled requests; returns how many there were. Raises BadSignature."""
    now_s = time.time()
    for request in receipts.samples:
        verify(request, secret, now_s)
    return len(receipts.samples)
