"""Opening the database that the settings name, for this process alone."""

import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import anyio

from gateway.adapters.sql.database import Database
from gateway.adapters.sql.migrate import has_log, upgrade
from gateway.adapters.sql.postgres import PostgresDatabase
from gateway.adapters.sql.sqlite import SqliteDatabase
from gateway.errors import DatabaseUnusable
from gateway.settings import POSTGRES_SCHEMES, Settings

_FILE = "gateway.db"
_SQLITE = "sqlite:///"

Waiting = Callable[[str], None]


@contextlib.asynccontextmanager
async def open_database(
    settings: Settings, data_dir: Path, *, must_exist: bool = False, waiting: Waiting | None = None
) -> AsyncIterator[Database]:
    """The log's database, for this process alone.

    Args:
        settings: Name the database.
        data_dir: Has the file where they name none.
        must_exist: Do not make a log where there is none.
        waiting: Is told what is waited for where another process may have died with the database in its hands.
            Without it, a database in use is refused at once.

    Raises ``DatabaseUnusable`` or ``DatabaseInUse``, with what to do about it; at the end ``LeaseLost``, if that
    was why it ended.
    """
    url = None if settings.database_url is None else settings.database_url.get_secret_value()
    if url is not None and url.partition("://")[0] in POSTGRES_SCHEMES:
        async with _postgres(url, must_exist=must_exist, waiting=waiting) as database:
            yield database
    else:
        with _sqlite(data_dir / _FILE if url is None else _path_of(url), must_exist=must_exist) as database:
            yield database


@contextlib.asynccontextmanager
async def _postgres(url: str, *, must_exist: bool, waiting: Waiting | None) -> AsyncIterator[Database]:
    database = PostgresDatabase(url)
    try:
        await database.check()
        if not await has_log(database):
            if must_exist:
                raise DatabaseUnusable(f"There is no log at {database.name}.")
            # The lease is a row of the log's own tables. Whoever makes them first, makes them alone.
            await upgrade(database)
        async with database.lease.held(waiting):
            yield database
    finally:
        with anyio.CancelScope(shield=True):
            await database.close()


@contextlib.contextmanager
def _sqlite(path: Path, *, must_exist: bool) -> Iterator[Database]:
    if must_exist and not path.exists():
        raise DatabaseUnusable(f"There is no log at {path}.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        database = SqliteDatabase(path)
    except OSError as error:
        raise DatabaseUnusable(f"{path}: {error.strerror or error}.") from error
    try:
        yield database
    finally:
        database.close_now()


def _path_of(url: str) -> Path:
    name = url.removeprefix(_SQLITE)
    path = Path(name)
    if not url.startswith(_SQLITE) or not path.name or name == ":memory:" or path.is_dir():
        raise DatabaseUnusable("GATEWAY_DATABASE_URL names no file: a log must be kept in one.")
    return path
