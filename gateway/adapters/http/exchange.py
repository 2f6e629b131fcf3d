"""One request on its way over a connection, up to the answer, for whoever awaits it and for whoever is told."""

import asyncio
from collections.abc import Callable
from typing import NamedTuple

from gateway.adapters.http.connection import Connection, Key
from gateway.adapters.http.guard import Target
from gateway.adapters.http.pool import Pool
from gateway.domain.sending import Answer, SendErrorKind

#: How long after a request a connection that had been idle may turn out to have been closed meanwhile.
_STALE_S = 0.1


class Call(NamedTuple):
    """What is asked of whom, and until when.

    Attributes:
        target: Where to.
        key: What connections to it are shared by.
        request: The whole request, as it is written.
        bodiless: Whether an answer to it has no body, whatever its headers say.
        capture_bytes: How much of the answer's body is kept.
        connect_s: How long a new connection may take.
        started: Of ``time.perf_counter``, whence the answer's duration counts: uvloop's clock has milliseconds, and
            stands still within a turn of the loop.
        began: The loop's time.
        deadline: The loop's time by which it is over.
    """

    target: Target
    key: Key
    request: bytes
    bodiless: bool
    capture_bytes: int
    connect_s: float
    started: float
    began: float
    deadline: float


class Exchange:
    """A request that is written.

    A connection that had been idle and is closed without a byte of an answer is replaced once by a new one. The sink
    may have read the request all the same; delivery is at least once.

    Attributes:
        stale: Once ``answer`` has raised, whether the request is to be sent ``again``.
    """

    __slots__ = ("_call", "_connection", "_pool", "stale")

    def __init__(self, pool: Pool, call: Call, connection: Connection, told: Callable[[], object]) -> None:
        """Write it; whatever that raises, the connection is let go: ``SendError`` where it turns out to be closed.

        ``told`` is called when there is an ``answer``, or why there is none. Whoever waits no longer is to ``abort``.
        """
        self._pool, self._call, self._connection = pool, call, connection
        self.stale = False
        try:
            connection.ask(call.request, call.deadline, call.capture_bytes, told, bodiless=call.bodiless)
        except BaseException:
            self._give_up()
            raise

    def answer(self) -> Answer:
        """What came, once that was told; the connection is free from here on.

        Raises:
            SendError: There is no status.
        """
        connection = self._connection
        error = connection.error
        if error is None:
            try:
                answer = connection.answer(self._call.started)
            except BaseException:
                self._give_up()
                raise
            self._pool.give_back(connection, connection.now())
            return answer
        # Closed before a sink can have worked on it: else that would be a second attempt, and nobody would see it.
        at_once = connection.ended_at - self._call.began < _STALE_S
        untouched = connection.exchanges > 0 and connection.untouched and at_once
        self._pool.discard(connection)
        self.stale = untouched and error.kind is SendErrorKind.CLOSED
        raise error

    def abort(self) -> None:
        """Close the connection at once, whatever is under way on it; nobody is told of that any more."""
        self._connection.forget()
        self._give_up()

    def _give_up(self) -> None:
        # In this order: a request that is half written must not be finished by an orderly close.
        self._connection.abort()
        self._pool.discard(self._connection)

    async def again(self) -> Answer:
        """Send it over a connection that nobody has used, by the same deadline.

        Raises:
            SendError: There is no status.
        """
        return await sent_anew(self._pool, self._call)


class Awaited:
    """For whoever awaits the end of an exchange: what is told, and the wait for it."""

    def __init__(self) -> None:
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def told(self) -> None:
        """It has ended."""
        if not self._ended.done():
            self._ended.set_result(None)

    async def answer(self, exchange: Exchange) -> Answer:
        """The answer, once there is one.

        Raises:
            SendError: There is no status.
        """
        try:
            await self._ended
        except BaseException:
            exchange.abort()
            raise
        return exchange.answer()


async def sent_anew(pool: Pool, call: Call) -> Answer:
    """Send it over a new connection: one that was idle was found dead, and others may be as dead."""
    pool.forget_idle(call.key)
    connection = await pool.open(call.target, call.key, call.deadline, call.connect_s)
    while connection.exchanges:  # it came from another request, not new
        pool.discard(connection)
        connection = await pool.open(call.target, call.key, call.deadline, call.connect_s)
    awaited = Awaited()
    return await awaited.answer(Exchange(pool, call, connection, awaited.told))
