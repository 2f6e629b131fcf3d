"""Statements that run for hundreds of rows: compiled once, the rows go to the driver as they are.

SQLAlchemy's own way looks each value up in a dictionary that had to be made of its row: half of what such an insert
costs. Values are of the columns' own types here (text, bytes, int, bool, None), which the drivers take unchanged.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Delete, Dialect, Insert, Table, insert


class RowStatement:
    """A statement whose parameters are the values of a row, in the order of ``names``."""

    def __init__(self, statement: Insert | Delete, names: Sequence[str]) -> None:
        self._statement = statement
        self._names = list(names)
        self._text = lru_cache(maxsize=4)(self._compiled)

    def __call__(self, connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
        """Run it for each row, in their order; no row, no statement."""
        if rows:
            # A list: a tuple of tuples would be taken for one row.
            connection.exec_driver_sql(self._text(connection.dialect), list(rows))

    def _compiled(self, dialect: Dialect) -> str:
        keys = self._names if isinstance(self._statement, Insert) else None
        compiled = self._statement.compile(dialect=dialect, column_keys=keys, for_executemany=True)
        if compiled.positiontup != self._names:
            raise TypeError(f"the parameters of {compiled} are not in the order {self._names}")
        return str(compiled)


def row_insert(table: Table, columns: Sequence[str]) -> RowStatement:
    """Inserts rows of these columns, which are in the table's order."""
    return RowStatement(insert(table), columns)
