"""Who may act for a log that several processes can reach: one row, 30 s by the database's clock (S6a).

The holder renews it every 5 s. Each of its write transactions first locks the row and looks at the epoch, so a
process that was taken for dead and was only slow cannot write any more: the next holder has counted it on. A
lease that ran out while the database was away is still its holder's as long as nobody has taken it.

``FOR KEY SHARE`` in the writer's transaction stands in the way of a take-over, which locks ``FOR UPDATE``, and
not of a renewal, which changes no key: the three never wait for each other otherwise.
"""

import asyncio
import contextlib
import logging
import math
import os
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import anyio
from sqlalchemy import BigInteger, Connection, Row, literal_column, select, text, update
from sqlalchemy.dialects.postgresql import insert

from gateway.adapters.sql.models import Lease as LeaseRow
from gateway.errors import DatabaseInUse, LeaseLost, Unavailable

T = TypeVar("T")
_LOGGER = logging.getLogger(__name__)
_LEASE = LeaseRow.__table__  # type: ignore[attr-defined]

LASTS_S = 30
RENEW_S = 5.0
_LASTS_US = LASTS_S * 1_000_000
_RETRY_S = 1.0
_FREED_S = 120.0
_LOOK_S = 0.5
_RELEASE_S = 3.0
_NAME = "gateway"
_END_SILENT = text(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
    " AND application_name = 'letta-gateway' AND pid <> pg_backend_pid() AND state = 'active'"
    " AND wait_event = 'ClientRead' AND state_change < clock_timestamp() - interval '10 seconds'"
)
# Not now(): that is when the transaction began, before it waited for a lock.
_CLOCK: Any = literal_column("(extract(epoch FROM clock_timestamp()) * 1000000)::bigint", BigInteger)


class _Transact(Protocol):
    def __call__(self, work: Callable[[Connection], T], /) -> Awaitable[T]: ...


@dataclass(frozen=True, slots=True)
class Held:
    """Another process has the lease, by the database's clock for so long; ``expires_at`` moves when it renews."""

    owner: str
    left_s: float
    expires_at: int


class Lease:
    """The one lease of a database, as this process holds it or not."""

    def __init__(self, name: str, transact: _Transact) -> None:
        self._name = name
        self._transact = transact
        self._owner = f"process {os.getpid()} on {socket.gethostname()}"
        self._epoch: int | None = None
        self._until = -math.inf
        self._renewed = asyncio.Event()
        self._lost: LeaseLost | None = None
        self._lost_signal = asyncio.Event()

    def holds_for_s(self) -> float:
        """See ``Leadership.holds_for_s``. Measured from before the renewal was sent, so never too long."""
        return -math.inf if self._lost is not None else self._until - _running_s()

    async def until_it_holds(self, for_s: float) -> None:
        """See ``Leadership.until_it_holds``."""
        while self.holds_for_s() < for_s:
            if self._lost is not None:
                raise self._lost
            await self._renewed.wait()

    def fence(self, connection: Connection) -> None:
        """At the beginning of a write transaction: nobody else has the lease, nor gets it before the commit.

        Without effect before the lease is first taken: what makes the tables comes before there is a row.
        """
        if self._lost is not None:
            raise self._lost
        if self._epoch is None:
            return
        row = connection.execute(_mine().with_for_update(read=True, key_share=True)).one_or_none()
        self._check(row)

    @contextlib.asynccontextmanager
    async def held(self, waiting: Callable[[str], None] | None = None) -> AsyncIterator[None]:
        """Take the lease, keep it, give it back.

        Args:
            waiting: Is told, once, that a lease is waited for whose holder may be dead. Without it, or where the
                holder turns out to live, ``DatabaseInUse`` is raised.

        Raises:
            LeaseLost: Another process took it over; what ran inside was cancelled.
        """
        await self._take(waiting)
        with anyio.CancelScope() as scope:
            keeping = asyncio.get_running_loop().create_task(self._keep(scope))
            try:
                yield
            finally:
                keeping.cancel()
                with anyio.CancelScope(shield=True):
                    await asyncio.wait([keeping])
                    await self._release()
        if self._lost is not None:
            raise self._lost

    async def _take(self, waiting: Callable[[str], None] | None) -> None:
        seen: Held | None = None
        began = _running_s()
        while True:
            asked_at = _running_s()
            try:
                found = await self._transact(lambda connection: take(connection, self._owner))
            except Unavailable:
                # One that stands still in the middle of a transaction has the row; the server ends that in a while.
                if waiting is None or asked_at - began > _FREED_S:
                    raise
                with contextlib.suppress(Unavailable):
                    await self._transact(end_silent)
                await anyio.sleep(_LOOK_S)
                continue
            if isinstance(found, int):
                self._epoch = found
                self._is_renewed(asked_at)
                return
            if waiting is None:
                raise DatabaseInUse(
                    f"{self._name} is in use by {found.owner}.",
                    hint=f"Stop it first; if it was killed, try again in {math.ceil(found.left_s)} s.",
                )
            if seen is not None and found.expires_at != seen.expires_at:
                raise DatabaseInUse(f"{self._name} is in use by {found.owner}.")
            if seen is None:
                waiting(
                    f"{self._name} is, or was, in use by {found.owner}. "
                    f"Waiting up to {math.ceil(found.left_s)} s to see which."
                )
            seen = found
            await anyio.sleep(_LOOK_S)

    async def _keep(self, scope: anyio.CancelScope) -> None:
        """Renew until cancelled; end what runs under the lease when it is lost."""
        wait_s, away = RENEW_S, False
        while self._lost is None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._lost_signal.wait(), wait_s)
            try:
                await self._renew()
            except LeaseLost:
                break
            except Unavailable as error:
                if not away:
                    _LOGGER.warning("the lease on the database cannot be renewed, trying again: %s", error)
                wait_s, away = _RETRY_S, True
            else:
                wait_s, away = RENEW_S, False
        _LOGGER.error("%s", self._lost)
        scope.cancel()

    async def _renew(self) -> None:
        asked_at = _running_s()
        self._check(await self._transact(lambda connection: renew(connection, self._epoch)))
        self._is_renewed(asked_at)

    def _check(self, row: Row[Any] | None) -> None:
        if row is not None and row.epoch == self._epoch:
            return
        by = f" by {row.owner}" if row is not None else ""
        self._lost = LeaseLost(f"{self._name} was taken over{by} while this gateway did not renew its lease.")
        self._lost_signal.set()
        self._renewed.set()
        raise self._lost

    def _is_renewed(self, asked_at: float) -> None:
        self._until = asked_at + LASTS_S
        self._renewed.set()
        self._renewed = asyncio.Event()

    async def _release(self) -> None:
        """Let the next one in at once; if the database is away, it waits until the lease runs out."""
        if self._lost is not None:
            return
        with contextlib.suppress(Unavailable), anyio.move_on_after(_RELEASE_S):
            await self._transact(lambda connection: release(connection, self._epoch))
        self._until = -math.inf


def end_silent(connection: Connection) -> None:
    """End sessions of gateways that stand still in the middle of a statement.

    A client that is stopped between a statement's parts keeps its locks: to the server it is neither idle in its
    transaction nor at work in a statement, so neither of those limits ends it.
    """
    connection.execute(_END_SILENT)


def take(connection: Connection, owner: str) -> int | Held:
    """Take a lease that is free or has run out: the new epoch; else who has it."""
    row = connection.execute(_with_clock()).one_or_none()
    if row is None:
        nobody = {"name": _NAME, "owner": "", "epoch": 0, "expires_at": 0}
        connection.execute(insert(_LEASE).values(nobody).on_conflict_do_nothing())
        row = connection.execute(_with_clock()).one()
    if row.expires_at > row.clock:
        return Held(row.owner, (row.expires_at - row.clock) / 1_000_000, row.expires_at)
    # Only now the lock, which waits for a transaction of the holder before: a live one is never held up.
    row = connection.execute(_with_clock().with_for_update()).one()
    if row.expires_at > row.clock:
        return Held(row.owner, (row.expires_at - row.clock) / 1_000_000, row.expires_at)
    epoch = int(row.epoch) + 1
    connection.execute(_change(owner=owner, epoch=epoch, expires_at=_CLOCK + _LASTS_US))
    return epoch


def renew(connection: Connection, epoch: int | None) -> Row[Any] | None:
    """Prolong the lease if it is still of this epoch; gives the row as it is."""
    connection.execute(_change(expires_at=_CLOCK + _LASTS_US).where(_LEASE.c.epoch == epoch))
    return connection.execute(_mine()).one_or_none()


def release(connection: Connection, epoch: int | None) -> None:
    """End a lease of this epoch now."""
    connection.execute(_change(expires_at=0).where(_LEASE.c.epoch == epoch))


def _mine() -> Any:  # noqa: ANN401 - a SELECT of the table
    return select(_LEASE.c.epoch, _LEASE.c.owner).where(_LEASE.c.name == _NAME)


def _with_clock() -> Any:  # noqa: ANN401 - likewise
    return select(_LEASE, _CLOCK.label("clock")).where(_LEASE.c.name == _NAME)


def _change(**values: object) -> Any:  # noqa: ANN401 - an UPDATE of the table
    return update(_LEASE).where(_LEASE.c.name == _NAME).values(**values)


def _running_s() -> float:
    """Seconds of a clock that goes on while the machine sleeps, where there is one."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
