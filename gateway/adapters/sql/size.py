"""How large the database is."""

from sqlalchemy import Connection, text

from gateway.adapters.sql.database import Database
from gateway.errors import Unavailable

_POSTGRES = text("SELECT pg_database_size(current_database())")
_SQLITE = text("SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()")


async def size_bytes(database: Database) -> int | None:
    """Bytes on disk, without a write-ahead log; None: it does not say now."""
    try:
        return await database.read(_size)
    except Unavailable:
        return None


def _size(connection: Connection) -> int:
    statement = _SQLITE if connection.dialect.name == "sqlite" else _POSTGRES
    return int(connection.execute(statement).scalar_one())
