"""One connection to a sink: writes a request, reads its answer, ends in time."""

import asyncio
from collections.abc import Callable
from time import perf_counter
from typing import TypeAlias, cast

from gateway.adapters.http.answer import AnswerReader
from gateway.adapters.http.limits import Limits
from gateway.domain.sending import Answer, SendError, SendErrorKind

#: Scheme, host and port; and whether its address was vetted for a privileged sink.
Key: TypeAlias = tuple[tuple[str, str, int], bool]


class Connection(asyncio.Protocol):
    """A connection that carries one request at a time.

    It has one timer, which is moved only when it fires: a request that ends in time, as nearly all do, costs
    no timer of its own.

    Attributes:
        key: What the pool shares it by.
        exchanges: Requests that it has carried to an answer.
        ended_at: The loop's time when the last one ended, answered or not.
        error: Why there was no answer to it; None: there was.
        slot: Whether the pool counts it as open (the pool's own note).
    """

    __slots__ = (
        *("_answered", "_born", "_deadline", "_limits", "_loop", "_lost", "_parked_at", "_reader", "_timer"),
        *("_timer_at", "_told", "_transport", "ended_at", "error", "exchanges", "key", "slot"),
    )

    def __init__(self, key: Key, limits: Limits, lost: "Callable[[Connection], None]") -> None:
        self.key = key
        self._loop = asyncio.get_running_loop()
        self._limits = limits
        self._lost = lost
        self._reader = AnswerReader(limits)
        self._transport: asyncio.Transport | None = None
        self._told: Callable[[], object] | None = None
        self.error: SendError | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = self._deadline = self._parked_at = 0.0
        self._born = self._loop.time()
        self._answered = self.ended_at = 0.0
        self.exchanges = 0
        self.slot = False

    @property
    def untouched(self) -> bool:
        """Whether nothing at all came back for the present request."""
        return self._reader.received == 0

    def ask(
        self,
        request: bytes,
        deadline: float,
        capture_bytes: int,
        told: Callable[[], object],
        *,
        bodiless: bool = False,
    ) -> None:
        """Send one request, to be answered by a ``deadline`` of the loop's time.

        ``told`` is called when that has ended: then there is an ``error``, or an ``answer``. (No coroutine and no
        future: there would be one for each delivery.)

        Raises:
            SendError: The connection is closed.
        """
        self._reader.begin(capture_bytes=capture_bytes, bodiless=bodiless)
        transport = self._transport
        if transport is None or transport.is_closing():
            raise SendError(SendErrorKind.CLOSED, "the sink closed the connection without an answer")
        self._told = told
        self._deadline = deadline
        if self._timer is None or self._timer_at > deadline:
            self._set_timer(deadline)
        transport.write(request)

    def forget(self) -> None:
        """Tell nobody of the present request any more."""
        self._told = None

    def answer(self, started: float) -> Answer:
        """The answer that has come; ``started`` is of ``time.perf_counter``, from which its duration counts.

        It ends when the answer was there, not when it is looked at.
        """
        self.exchanges += 1
        return self._reader.answer(self._answered - started)

    def now(self) -> float:
        """The loop's time."""
        return self._loop.time()

    def park(self, now: float) -> bool:
        """Note that it is idle from now on; False if it must not be used again."""
        transport = self._transport
        if (
            transport is None
            or transport.is_closing()
            or not self._reader.keep_alive
            # The sink answered before it had read the request: the rest would stand before the next one.
            or transport.get_write_buffer_size() > 0
            or now - self._born >= self._limits.age_s
        ):
            return False
        self._parked_at = now
        return True

    def usable(self, now: float) -> bool:
        """Whether an idle connection may carry another request."""
        transport = self._transport
        fresh = now - self._parked_at <= self._limits.idle_s and now - self._born < self._limits.age_s
        return fresh and transport is not None and not transport.is_closing()

    def close(self) -> None:
        """Close in order (TLS says goodbye, for a bounded time), unless there is something left to send."""
        if self._transport is None:
            return
        if self._transport.get_write_buffer_size() > 0:
            self._transport.abort()
        else:
            self._transport.close()

    def abort(self) -> None:
        """Close at once; whatever is not sent or not read is dropped."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop, behind a TLS handshake where there is one."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Called by the loop."""
        if self._told is None:
            # Nobody asked. What comes here would be taken for the answer to the next request.
            self._reader.dirty = True
            self.abort()
            return
        try:
            done = self._reader.feed(data)
        except SendError as error:
            self._fail(error)
        else:
            if done:
                self._finish()

    def eof_received(self) -> None:
        """Called by the loop, which closes the connection behind it."""
        self._end()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - what the loop passes
        """Called by the loop, once."""
        self._end()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._transport = None
        self._lost(self)

    def _end(self) -> None:
        if self._told is None:
            return
        if self._reader.end():
            self._finish()
        else:
            self._fail(SendError(SendErrorKind.CLOSED, "the sink closed the connection without an answer"))

    def _finish(self) -> None:
        self._answered = perf_counter()
        if self._reader.dirty:
            self.abort()
        self._tell(None)

    def _fail(self, error: SendError) -> None:
        self.abort()
        self._tell(error)

    def _tell(self, error: SendError | None) -> None:
        self.error, self.ended_at = error, self._loop.time()
        told, self._told = self._told, None
        if told is not None:
            told()

    def _set_timer(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = at
        self._timer = self._loop.call_at(at, self._tick)

    def _tick(self) -> None:
        self._timer = None
        now = self._loop.time()
        due = self._parked_at + self._limits.idle_s if self._told is None else self._deadline
        if now < due:
            self._set_timer(due)
        elif self._told is None:
            self._lost(self)
            self.close()
        elif self._reader.status:
            self._reader.cut()
            self._finish()
        else:
            self._fail(SendError(SendErrorKind.TIMEOUT, "the sink did not answer in time", timed_out=True))
