"""Rows by one statement, in a read transaction of its own."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row

from gateway.adapters.sql.database import Database


async def rows_of(database: Database, statement: Any) -> Sequence[Row[Any]]:  # noqa: ANN401 - a SELECT
    """All that it finds."""
    return await database.read(lambda connection: connection.execute(statement).all())


async def first_of(database: Database, statement: Any) -> Row[Any] | None:  # noqa: ANN401 - a SELECT
    """The first that it finds."""
    rows = await rows_of(database, statement.limit(1))
    return rows[0] if rows else None
