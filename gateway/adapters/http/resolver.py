"""Looks names up with the system's resolver, without ever letting it hold anything else up."""

import asyncio
import ipaddress
import socket
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from gateway.adapters.http.guard import Address
from gateway.domain.sending import SendError, SendErrorKind

V = TypeVar("V")

GetAddrInfo = Callable[..., Sequence[tuple[Any, ...]]]


class SystemResolver:
    """``getaddrinfo`` in threads of its own: a bounded number, one per name at a time.

    A look-up cannot be interrupted, so a name server that hangs keeps its thread for as long as the system
    lets it. Neither the loop's shared executor nor the end of the process waits for such a thread (they are
    daemons), and a name that hung is looked up beside the others, in a few threads kept for such names.

    Answers are remembered for a moment, so that a burst of new connections asks once; each connection vets
    them anew.

    Args:
        threads_max: Look-ups at once; a quarter of them are for names that were slow or failed.
        queue_max: Look-ups that wait for a thread.
        keep_s: How long an answer, or a failure, is remembered.
        slow_s: A look-up that takes longer makes its name a slow one.
        getaddrinfo: The blocking look-up.
    """

    def __init__(
        self,
        *,
        threads_max: int = 32,
        queue_max: int = 1024,
        keep_s: float = 5.0,
        slow_s: float = 1.0,
        getaddrinfo: GetAddrInfo = socket.getaddrinfo,
    ) -> None:
        self._getaddrinfo = getaddrinfo
        self._keep_s = keep_s
        self._slow_s = slow_s
        self._queue_max = queue_max
        slow_max = max(1, threads_max // 4)
        self._normal = _Lane(threads_max - slow_max)
        self._slow = _Lane(slow_max)
        self._running: dict[str, asyncio.Future[tuple[Address, ...]]] = {}
        self._known: OrderedDict[str, tuple[float, tuple[Address, ...]]] = OrderedDict()
        self._slow_names: OrderedDict[str, None] = OrderedDict()

    async def resolve(self, host: str, *, timeout_s: float) -> tuple[Address, ...]:
        """All addresses of a name.

        Raises:
            SendError: ``DNS``: the name does not resolve, or not in time.
        """
        loop = asyncio.get_running_loop()
        known = self._known.get(host)
        if known is not None and known[0] > loop.time():
            return _some(known[1])
        running = self._running.get(host)
        if running is None:
            running = self._start(host, loop)
        # Waiting must not cancel what others wait for too.
        done, _ = await asyncio.wait((running,), timeout=max(0.0, timeout_s))
        if not done:
            self._mark_slow(host)
            raise SendError(SendErrorKind.DNS, "the sink's name did not resolve in time", timed_out=True)
        return _some(running.result())

    def _start(self, host: str, loop: asyncio.AbstractEventLoop) -> asyncio.Future[tuple[Address, ...]]:
        lane = self._slow if host in self._slow_names else self._normal
        if len(lane.queue) >= self._queue_max:
            raise SendError(SendErrorKind.DNS, "too many names are being looked up", timed_out=True)
        future: asyncio.Future[tuple[Address, ...]] = loop.create_future()
        self._running[host] = future
        lane.queue.append(host)
        self._advance(lane, loop)
        return future

    def _advance(self, lane: "_Lane", loop: asyncio.AbstractEventLoop) -> None:
        while lane.queue and lane.threads < lane.threads_max:
            host = lane.queue.popleft()
            lane.threads += 1
            arguments = (host, lane, loop, loop.time())
            threading.Thread(target=self._look_up, args=arguments, name="resolver", daemon=True).start()

    def _look_up(self, host: str, lane: "_Lane", loop: asyncio.AbstractEventLoop, started: float) -> None:
        try:
            found = self._getaddrinfo(host, None, type=socket.SOCK_STREAM)
            addresses = tuple(dict.fromkeys(ipaddress.ip_address(entry[4][0]) for entry in found))
        except (OSError, ValueError):  # ValueError holds UnicodeError, which the idna codec raises
            addresses = ()
        try:
            loop.call_soon_threadsafe(self._finish, host, addresses, lane, loop, started)
        except RuntimeError:
            return  # the loop has ended in the meantime, and with it whoever waited

    def _finish(
        self,
        host: str,
        addresses: tuple[Address, ...],
        lane: "_Lane",
        loop: asyncio.AbstractEventLoop,
        started: float,
    ) -> None:
        now = loop.time()
        lane.threads -= 1
        if now - started > self._slow_s:
            self._mark_slow(host)
        elif addresses:
            self._slow_names.pop(host, None)
        _remember(self._known, host, (now + self._keep_s, addresses), self._queue_max)
        future = self._running.pop(host)
        if not future.done():
            future.set_result(addresses)
        self._advance(lane, loop)

    def _mark_slow(self, host: str) -> None:
        _remember(self._slow_names, host, None, self._queue_max)


class _Lane:
    """Threads that are busy, and names that wait for one."""

    def __init__(self, threads_max: int) -> None:
        self.threads_max = threads_max
        self.threads = 0
        self.queue: deque[str] = deque()


def _remember(table: OrderedDict[str, V], key: str, value: V, size_max: int) -> None:
    table[key] = value
    table.move_to_end(key)
    while len(table) > size_max:
        table.popitem(last=False)


def _some(addresses: tuple[Address, ...]) -> tuple[Address, ...]:
    if not addresses:
        raise SendError(SendErrorKind.DNS, "the sink's name does not resolve")
    return addresses
