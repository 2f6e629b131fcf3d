"""SQLite: one writer thread, since a second writer would only wait for the first one's lock, and a few readers.

Every call is one short transaction; the file belongs to one process, by a lock beside it.
"""

import asyncio
import contextlib
import fcntl
import logging
import math
import os
import socket
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.exc import DataError, DBAPIError
from sqlalchemy.pool import QueuePool, StaticPool

from gateway.errors import DatabaseInUse, Unavailable

T = TypeVar("T")

_READERS = 3
_BUSY_TIMEOUT_S = 5.0
_SCRUB_WAIT_MS = 50
REWRITTEN_BYTES_MAX = 128 * 1024 * 1024
"""The largest file that is rewritten while it serves: about half a second, in which appends wait."""
_READER_CACHE_KIB = 64 * 1024
_WRITER_CACHE_KIB = 16 * 1024
"""Who writes seldom reads what was written a while ago: a new page in an old one's place, which the processor still
has at hand, costs less than one more from the system. Measured: a tenth less for an event and its attempt."""
_STATEMENTS_KEPT = 256
"""More than there are. A bulk statement is one for each length; to read one of 500 rows anew takes a millisecond."""
_LOGGER = logging.getLogger(__name__)


class SqliteDatabase:
    """A SQLite file in WAL mode with ``synchronous=FULL``: a commit that returned survives a power loss."""

    def __init__(self, path: Path, *, exclusive: bool = True) -> None:
        self._path = path
        self.writable = True
        """Whether the last write went through: a full disk can still be read."""
        self._lock = _take_lock(path) if exclusive else None
        _make_private(path)
        self._writer = _engine(path, writer=True)
        self._reader = _engine(path, writer=False)
        self._write_thread = ThreadPoolExecutor(1, thread_name_prefix="sqlite-writer")
        self._read_threads = ThreadPoolExecutor(_READERS, thread_name_prefix="sqlite-reader")

    @property
    def name(self) -> str:
        """The file."""
        return str(self._path)

    @property
    def identity(self) -> str:
        """See ``Database.identity``."""
        return f"{socket.gethostname()}:{self._path.resolve()}"

    @property
    def engine(self) -> Engine:
        """The writing engine."""
        return self._writer

    def holds_for_s(self) -> float:
        """For ever: the lock beside the file ends with the process."""
        return math.inf

    async def until_it_holds(self, for_s: float) -> None:
        """See ``Leadership.until_it_holds``: at once."""

    async def write(self, work: Callable[[Connection], T]) -> T:
        """See ``Database.write``."""
        return await asyncio.get_running_loop().run_in_executor(self._write_thread, self.write_now, work)

    async def alter(self, work: Callable[[Connection], T]) -> T:
        """See ``Database.alter``."""
        return await self.write(work)

    async def erase(self, work: Callable[[Connection], T]) -> T:
        """See ``Database.erase``."""

        def overwriting(connection: Connection) -> T:
            connection.exec_driver_sql("PRAGMA secure_delete=ON")
            try:
                return work(connection)
            finally:
                connection.exec_driver_sql("PRAGMA secure_delete=FAST")

        return await self.write(overwriting)

    async def scrub(self) -> bool | None:
        """See ``Database.scrub``. A file up to ``REWRITTEN_BYTES_MAX`` is rewritten; no write waits for more."""
        return await asyncio.get_running_loop().run_in_executor(self._write_thread, self._scrub)

    def _scrub(self) -> bool | None:
        # Beside any transaction, which SQLAlchemy's own connections always are in.
        connection = self._writer.raw_connection()
        cursor = connection.cursor()
        try:
            # Whoever reads for long, such as a backup, is not waited for here: appends would wait as well.
            cursor.execute(f"PRAGMA busy_timeout={_SCRUB_WAIT_MS}")
            if not _begun_anew(cursor):
                return None
            rewritten = self._path.stat().st_size <= REWRITTEN_BYTES_MAX and _vacuum(cursor)
            return rewritten if _begun_anew(cursor) else None
        except (sqlite3.Error, OSError) as error:
            raise Unavailable(f"The database cannot be used now: {error}.") from error
        finally:
            cursor.execute(f"PRAGMA busy_timeout={int(_BUSY_TIMEOUT_S * 1_000)}")
            connection.close()

    async def read(self, work: Callable[[Connection], T]) -> T:
        """See ``Database.read``."""
        return await asyncio.get_running_loop().run_in_executor(self._read_threads, self.read_now, work)

    def write_now(self, work: Callable[[Connection], T]) -> T:
        """``write`` for callers that are synchronous themselves."""
        try:
            with _storage_errors(), self._writer.begin() as connection:
                result = work(connection)
        except Unavailable:
            self.writable = False
            raise
        self.writable = True
        return result

    def read_now(self, work: Callable[[Connection], T]) -> T:
        """``read`` for callers that are synchronous themselves."""
        with _storage_errors(), self._reader.begin() as connection:
            return work(connection)

    async def close(self) -> None:
        """See ``Database.close``."""
        await asyncio.to_thread(self.close_now)

    def close_now(self) -> None:
        """Wait for the running transactions, close the file, release the lock."""
        self._write_thread.shutdown(wait=True)
        self._read_threads.shutdown(wait=True)
        self._reader.dispose()
        self._writer.dispose()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _make_private(path: Path) -> None:
    """A new file is its owner's alone, whatever folder it lies in; what SQLite puts beside it gets the same mode."""
    with contextlib.suppress(FileExistsError, FileNotFoundError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


def _engine(path: Path, *, writer: bool) -> Engine:
    url = URL.create("sqlite", database=str(path))
    arguments = {
        "check_same_thread": False,
        "timeout": _BUSY_TIMEOUT_S,
        "cached_statements": _STATEMENTS_KEPT,
    }
    # Parameters are events, answers and sealed values: none of them belongs into an error or a log line.
    if writer:
        engine = create_engine(url, poolclass=StaticPool, connect_args=arguments, hide_parameters=True)
    else:
        engine = create_engine(
            url, poolclass=QueuePool, pool_size=_READERS, connect_args=arguments, hide_parameters=True
        )

    @event.listens_for(engine, "connect")
    def _prepare(dbapi_connection: sqlite3.Connection, _record: object) -> None:
        # The driver must not open transactions on its own: it would begin them late and deferred.
        dbapi_connection.isolation_level = None
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            "temp_store=MEMORY",
            f"cache_size=-{_WRITER_CACHE_KIB if writer else _READER_CACHE_KIB}",
            "wal_autocheckpoint=4000",
            # What is deleted is overwritten wherever that costs no further page: an erasure (S8b) finds less to do.
            "secure_delete=FAST",
        ):
            dbapi_connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writer else "BEGIN")

    return engine


@contextlib.contextmanager
def _storage_errors() -> Iterator[None]:
    try:
        yield
    except DataError as error:
        raise ValueError(f"The database cannot hold this: {error.orig}.") from error
    except DBAPIError as error:
        raise Unavailable(f"The database cannot be used now: {error.orig}.") from error


def _begun_anew(cursor: DBAPICursor) -> bool:
    """Begin the log of writes anew, which has the pages as they were before; False where somebody reads from it."""
    [busy, _, _] = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return not busy


def _vacuum(cursor: DBAPICursor) -> bool:
    """Write the file anew; whether that was possible.

    What is deleted is overwritten where it stands, and may yet have copies in the unused part of a page of an index:
    SQLite leaves one behind where it has moved an entry to another page.
    """
    try:
        cursor.execute("VACUUM")
    except sqlite3.OperationalError as error:  # as much space again is needed for a moment
        _LOGGER.warning("the database file was not rewritten after an erasure: %s", error)
        return False
    return True


def _take_lock(path: Path) -> int:
    lock_path = path.with_suffix(path.suffix + ".lock")
    descriptor = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
        os.close(descriptor)
        by = f" by process {holder}" if holder else ""
        raise DatabaseInUse(f"{path} is in use{by}.") from None
    os.truncate(descriptor, 0)
    os.pwrite(descriptor, str(os.getpid()).encode(), 0)
    return descriptor
