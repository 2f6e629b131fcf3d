"""PostgreSQL by asyncpg: one write transaction at a time, readers beside it.

Writes are serialised three times over, each for its own reason: in this process, so that transactions do not
queue on the server; by an advisory lock, because positions must be in commit order whoever writes (S7d); and
behind the lease, so that a process that lost it cannot write at all (S6a).
"""

import asyncio
import importlib
import os
import socket
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar
from urllib.parse import urlsplit
from weakref import WeakSet

from sqlalchemy import Connection, event, text
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from gateway.adapters.sql.lease import Lease
from gateway.adapters.sql.postgres_errors import said, storage_errors
from gateway.errors import DatabaseUnusable, Unavailable

T = TypeVar("T")

_DRIVER = "asyncpg"
_READERS = 4
_WRITERS = 2
"""One for the write transaction, one for the lease, whose renewal must not wait for it."""
_CONNECT_S = 10.0
_STATEMENT_S = 30
_PATIENCE_S = 40.0
"""A server that stands still keeps its own limits no more: after so long the caller hears that it does not answer."""
_END_S = 5.0
_LOCK_S = 10
_SILENCE = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 20_000}
_IDLE_S = 15
"""A process that stopped in the middle of a transaction holds its locks no longer than this."""
_WRITE_LOCK = text("SELECT pg_advisory_xact_lock(7810762148001187)")
"""Any number, the same for every gateway; the lock's name space is the database."""


class PostgresDatabase:
    """A PostgreSQL database, for one gateway at a time."""

    def __init__(self, url: str) -> None:
        self._dsn = "postgresql" + url[url.index("://") :]
        self._name = _name_of(self._dsn)
        self._turn = asyncio.Lock()
        self._running: set[asyncio.Task[Any]] = set()
        self._connections: WeakSet[Any] = WeakSet()
        self.writable = True
        """Whether the last write went through: a full disk can still be read."""
        self._writer = self._engine(_WRITERS, isolation="READ COMMITTED")
        # One state for all statements of a page: what was counted is what is listed.
        self._reader = self._engine(_READERS, isolation="REPEATABLE READ").execution_options(
            postgresql_readonly=True
        )
        self.lease = Lease(self._name, self._beside)

    @property
    def name(self) -> str:
        """Host, port and database."""
        return self._name

    @property
    def identity(self) -> str:
        """See ``Database.identity``."""
        return self._name

    def holds_for_s(self) -> float:
        """See ``Leadership.holds_for_s``."""
        return self.lease.holds_for_s()

    async def until_it_holds(self, for_s: float) -> None:
        """See ``Leadership.until_it_holds``."""
        await self.lease.until_it_holds(for_s)

    async def check(self) -> None:
        """Connect for the first time. Raises ``DatabaseUnusable`` where that is not possible or of no use."""
        try:
            encoding = await self.read(
                lambda connection: connection.execute(text("SHOW server_encoding")).scalar()
            )
        except Unavailable as error:
            cause = error.__cause__
            reason = said(cause) if cause is not None else error.detail
            raise DatabaseUnusable(f"{self._name}: {reason}.") from error
        if encoding != "UTF8":
            raise DatabaseUnusable(
                f"{self._name} has the encoding {encoding}, which cannot hold every text.",
                hint="Make one with: CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0.",
            )

    async def write(self, work: Callable[[Connection], T]) -> T:
        """See ``Database.write``."""
        return await self._to_its_end(self._write(work), _PATIENCE_S)

    async def alter(self, work: Callable[[Connection], T]) -> T:
        """See ``Database.alter``."""

        def at_leisure(connection: Connection) -> T:
            connection.execute(text("SET LOCAL statement_timeout = 0"))
            return work(connection)

        return await self._to_its_end(self._write(at_leisure), None)

    async def erase(self, work: Callable[[Connection], T]) -> T:
        """See ``Database.erase``: here it is the server's, whose vacuum reclaims what is dead."""
        return await self.write(work)

    async def scrub(self) -> bool | None:
        """See ``Database.scrub``: the files are the server's own, and only its own ``VACUUM FULL`` rewrites them."""
        return False

    async def read(self, work: Callable[[Connection], T]) -> T:
        """See ``Database.read``."""
        return await self._to_its_end(self._transact(self._reader, work), _PATIENCE_S)

    async def close(self) -> None:
        """See ``Database.close``."""
        if self._running:
            await asyncio.wait(self._running, timeout=_END_S)
        while self._running:
            # It waits for an answer that does not come.
            for connection in list(self._connections):
                connection.terminate()
            await asyncio.wait(self._running, timeout=_END_S)
        await self._reader.dispose()
        await self._writer.dispose()

    async def _write(self, work: Callable[[Connection], T]) -> T:
        def guarded(connection: Connection) -> T:
            self.lease.fence(connection)
            # A statement of its own: the next one then sees what the holder before committed (S7d).
            connection.execute(_WRITE_LOCK)
            return work(connection)

        try:
            async with self._turn:
                result = await self._transact(self._writer, guarded)
        except Unavailable:
            self.writable = False
            raise
        self.writable = True
        return result

    async def _beside(self, work: Callable[[Connection], T]) -> T:
        """A transaction of the lease's own, beside the write transaction."""
        return await self._to_its_end(self._transact(self._writer, work), _PATIENCE_S)

    async def _transact(self, engine: AsyncEngine, work: Callable[[Connection], T]) -> T:
        with storage_errors():
            async with engine.begin() as connection:
                return await connection.run_sync(work)

    async def _to_its_end(self, work: Coroutine[Any, Any, T], patience_s: float | None) -> T:
        """See it through although the caller may be cancelled: as with a thread, nothing is cut off in its middle."""
        task = asyncio.get_running_loop().create_task(work)
        self._running.add(task)
        task.add_done_callback(self._ended)
        try:
            async with asyncio.timeout(patience_s):
                return await asyncio.shield(task)
        except TimeoutError:
            raise Unavailable("The database does not answer.") from None

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # nobody else asks, where the caller has gone

    def _engine(self, connections: int, *, isolation: str) -> AsyncEngine:
        try:
            driver = importlib.import_module(_DRIVER)
        except ModuleNotFoundError as error:
            raise DatabaseUnusable(
                "PostgreSQL needs the package asyncpg, which is not installed.",
                hint="Install it: pip install 'letta-gateway[gateway,postgres]'.",
            ) from error

        async def connect() -> Any:  # noqa: ANN401 - the driver has no types
            connection = await _connect(driver, self._dsn)
            self._connections.add(connection)
            return connection

        engine = create_async_engine(
            "postgresql+asyncpg://",
            async_creator=connect,
            pool_size=connections,
            max_overflow=0,
            pool_timeout=_CONNECT_S,
            isolation_level=isolation,
            hide_parameters=True,  # they are events, answers and sealed values, and errors show in logs
        )
        event.listen(engine.sync_engine, "checkout", _is_open)
        return engine


async def _connect(driver: Any, dsn: str) -> Any:  # noqa: ANN401 - the driver has no types
    try:
        connection = await driver.connect(
            dsn,
            timeout=_CONNECT_S,
            server_settings={
                "application_name": "letta-gateway",
                "statement_timeout": f"{_STATEMENT_S}s",
                "lock_timeout": f"{_LOCK_S}s",
                "idle_in_transaction_session_timeout": f"{_IDLE_S}s",
                "tcp_keepalives_idle": "15",
                "tcp_keepalives_interval": "5",
                "tcp_keepalives_count": "3",
                # Statements are short, and compiling one costs more than running it.
                "jit": "off",
            },
        )
    except ValueError as error:  # what the URL says is not a way to connect
        raise DatabaseUnusable(f"GATEWAY_DATABASE_URL cannot be used: {error}.") from error
    _notice_silence(connection)
    # Stronger settings stay as they are. This one would acknowledge what a power loss takes away.
    if await connection.fetchval("SHOW synchronous_commit") == "off":
        await connection.execute("SET synchronous_commit = on")
    return connection


def _notice_silence(connection: Any) -> None:  # noqa: ANN401 - the driver has no types
    """Let the kernel end a connection whose other end has vanished.

    A time limit of the driver's would not: when it has passed, it asks the vanished server to cancel.
    """
    transport = connection._transport  # noqa: SLF001 - the driver gives its socket to nobody
    peer = transport.get_extra_info("socket")
    if peer is None or peer.family not in {socket.AF_INET, socket.AF_INET6}:
        return
    with socket.socket(fileno=os.dup(peer.fileno())) as same:
        same.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _SILENCE.items():
            if hasattr(socket, name):  # not every system has each of them
                same.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _is_open(connection: Any, _record: object, _proxy: object) -> None:  # noqa: ANN401 - SQLAlchemy's adapter
    """A server that went away has closed its connections: the pool makes a new one, at no cost to the others."""
    if connection.driver_connection.is_closed():
        raise DisconnectionError("the server closed this connection")


def _name_of(dsn: str) -> str:
    parts = urlsplit(dsn)
    return f"postgresql://{parts.netloc.rpartition('@')[2]}{parts.path}"
