"""Opening the database that the settings name."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from gateway.adapters.sql.sqlite import SqliteDatabase
from gateway.errors import DatabaseUnusable
from gateway.settings import Settings

_FILE = "gateway.db"
_SCHEME = "sqlite:///"


@contextlib.contextmanager
def open_database(
    settings: Settings, data_dir: Path, *, must_exist: bool = False
) -> Iterator[SqliteDatabase]:
    """The log's database, for this process alone.

    Raises ``DatabaseUnusable`` or ``DatabaseInUse``, with what to do about it.
    """
    path = data_dir / _FILE
    if settings.database_url is not None:
        url = settings.database_url.get_secret_value()
        if not url.startswith(_SCHEME):
            raise DatabaseUnusable("This version keeps its log in SQLite; PostgreSQL is not available yet.")
        name = url.removeprefix(_SCHEME)
        path = Path(name)
        if not path.name or name == ":memory:" or path.is_dir():
            raise DatabaseUnusable("GATEWAY_DATABASE_URL names no file: a log must be kept in one.")
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
