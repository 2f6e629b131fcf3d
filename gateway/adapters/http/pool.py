"""Keep-alive connections, shared per origin, bounded per origin and in total."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from gateway.adapters.http.connection import Connection, Key
from gateway.adapters.http.guard import Target
from gateway.adapters.http.limits import Limits
from gateway.domain.sending import SendError, SendErrorKind

#: Opens a connection to a target by a time of the loop; the last argument is what it calls when it is lost.
Connect: TypeAlias = Callable[[Target, Key, float, Callable[[Connection], None]], Awaitable[Connection]]
#: Either a connection that another request has just left, or the leave (None) to open one.
Grant: TypeAlias = Connection | None
#: An aborted connection is gone after a turn or two of the loop.
_CLOSING_TURNS_MAX = 100


class _Origin:
    """What is open to one origin. A connection counts from the leave to open it until it is let go."""

    __slots__ = ("idle", "key", "open", "waiters", "waiting")

    def __init__(self, key: Key) -> None:
        self.key = key
        self.open = 0
        self.idle: list[Connection] = []
        self.waiters: deque[asyncio.Future[Grant]] = deque()
        self.waiting = 0

    @property
    def hopeful(self) -> bool:
        """Whether somebody still waits; those who gave up are dropped on the way."""
        while self.waiters and self.waiters[0].done():
            self.waiters.popleft()
        return bool(self.waiters)


class Pool:
    """Gives connections out, the most recently used first, and takes them back.

    Requests of one origin that find no connection wait in order. Origins that are held up by the total take
    turns, and idle connections of others, the longest unused first, give way to them.
    """

    def __init__(self, limits: Limits, connect: Connect) -> None:
        self._limits = limits
        self._connect = connect
        self._origins: dict[Key, _Origin] = {}
        self._idle: dict[Connection, None] = {}
        self._all: set[Connection] = set()
        self._waiting: dict[Key, _Origin] = {}
        self._waiting_count = 0
        self._open = 0
        self._closed = False

    def take(self, key: Key, now: float) -> Connection | None:
        """An idle connection that may be used, or None."""
        origin = self._origins.get(key)
        while origin is not None and origin.idle:
            connection = origin.idle.pop()
            del self._idle[connection]
            if connection.usable(now):
                return connection
            self.discard(connection)
        return None

    async def open(self, target: Target, key: Key, deadline: float, connect_s: float) -> Connection:
        """A new connection, or one that comes free while this waits for its turn.

        Raises:
            SendError: No connection in time, or none that the guard, the network or TLS lets through.
        """
        if self._closed:
            raise _closed()
        origin = self._origins.setdefault(key, _Origin(key))
        if origin.waiting or not self._reserve(origin):
            granted = await self._wait(origin, deadline)
            if granted is not None:
                return granted
        until = min(deadline, asyncio.get_running_loop().time() + connect_s)
        try:
            connection = await self._connect(target, key, until, self.discard)
        except BaseException:
            self._free(origin)
            raise
        self._register(connection)
        return connection

    def give_back(self, connection: Connection, now: float) -> None:
        """Take a connection back after an exchange, to be used again or closed."""
        if not connection.park(now) or self._closed:
            self.discard(connection)
            return
        origin = self._origins[connection.key]
        turn = self._turn(origin) if self._waiting else None
        if turn is None:
            origin.idle.append(connection)
            self._idle[connection] = None
        elif turn is not origin:
            self.discard(connection)
        else:
            self._next_waiter(origin).set_result(connection)
            self._rotate(origin)

    def discard(self, connection: Connection) -> None:
        """Close a connection, if it is not closed yet, and let its place go, if it still has one."""
        if connection.slot:
            origin = self._origins[connection.key]
            self._let_go(connection)
            self._free(origin)

    def forget_idle(self, key: Key) -> None:
        """Close the idle connections of an origin: one of them was found dead."""
        origin = self._origins.get(key)
        for connection in list(origin.idle) if origin is not None else ():
            self.discard(connection)

    async def aclose(self) -> None:
        """Close everything; requests under way end with ``SendError`` of kind ``CLOSED``."""
        self._closed = True
        for origin in self._waiting.values():
            for waiter in origin.waiters:
                if not waiter.done():
                    waiter.set_exception(_closed())
        for connection in list(self._all):
            connection.abort()
        for _ in range(_CLOSING_TURNS_MAX):
            if not self._all:
                break
            await asyncio.sleep(0)

    def _register(self, connection: Connection) -> None:
        connection.slot = True
        self._all.add(connection)
        if self._closed:
            connection.abort()

    def _reserve(self, origin: _Origin) -> bool:
        if origin.open >= self._limits.connections_per_origin_max:
            return False
        if self._open >= self._limits.connections_max:
            longest_unused = next(iter(self._idle), None)
            if longest_unused is None:
                return False
            loser = self._origins[longest_unused.key]
            self._let_go(longest_unused)
            self._uncount(loser)
        self._origins[origin.key] = origin
        origin.open += 1
        self._open += 1
        return True

    def _let_go(self, connection: Connection) -> None:
        connection.slot = False
        self._all.discard(connection)
        if connection in self._idle:
            del self._idle[connection]
            self._origins[connection.key].idle.remove(connection)
        connection.close()

    def _uncount(self, origin: _Origin) -> None:
        origin.open -= 1
        self._open -= 1
        self._prune(origin)

    def _prune(self, origin: _Origin) -> None:
        if not origin.waiting:
            origin.waiters.clear()
            self._waiting.pop(origin.key, None)
            if not origin.open:
                self._origins.pop(origin.key, None)

    def _free(self, origin: _Origin) -> None:
        """Let a place go and give the leave to open another to whoever has waited for it."""
        turn = self._turn(origin) if self._waiting else None
        self._uncount(origin)
        if turn is not None and self._reserve(turn):
            self._next_waiter(turn).set_result(None)
            self._rotate(turn)

    def _turn(self, leaving: _Origin) -> _Origin | None:
        """The origin that may have a place which ``leaving`` lets go, if one waits for it."""
        if self._open < self._limits.connections_max:
            return leaving if leaving.hopeful else None
        per_origin = self._limits.connections_per_origin_max
        for origin in self._waiting.values():
            if (origin is leaving or origin.open < per_origin) and origin.hopeful:
                return origin
        return None

    def _next_waiter(self, origin: _Origin) -> asyncio.Future[Grant]:
        # `hopeful` has removed those in front that are done.
        return origin.waiters.popleft()

    def _rotate(self, origin: _Origin) -> None:
        if self._waiting.pop(origin.key, None) is not None:
            self._waiting[origin.key] = origin

    async def _wait(self, origin: _Origin, deadline: float) -> Grant:
        if self._waiting_count >= self._limits.waiting_max:
            self._prune(origin)
            raise _none_free()
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[Grant] = loop.create_future()
        timer = loop.call_at(deadline, _expire, waiter)
        origin.waiters.append(waiter)
        origin.waiting += 1
        self._waiting[origin.key] = origin
        self._waiting_count += 1
        try:
            return await waiter
        except asyncio.CancelledError:
            # It may have been given a place in the very moment it was cancelled: somebody else gets that.
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self._refuse(origin, waiter.result(), loop.time())
            raise
        finally:
            timer.cancel()
            self._waiting_count -= 1
            origin.waiting -= 1
            self._prune(origin)

    def _refuse(self, origin: _Origin, granted: Grant, now: float) -> None:
        if granted is None:
            self._free(origin)
        else:
            self.give_back(granted, now)


def _expire(waiter: asyncio.Future[Grant]) -> None:
    if not waiter.done():
        waiter.set_exception(_none_free())


def _none_free() -> SendError:
    return SendError(SendErrorKind.TIMEOUT, "no connection to the sink came free in time", timed_out=True)


def _closed() -> SendError:
    return SendError(SendErrorKind.CLOSED, "the sender is closed")
