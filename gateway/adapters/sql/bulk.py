"""Inserting rows by the hundred: the statement is compiled once, the rows go to the driver as they are.

SQLAlchemy's own way looks each value up in a dictionary that had to be made of its row: half of what such an insert
costs. Values are of the columns' own types here (text, bytes, int, bool, None), which the drivers take unchanged.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Dialect, Table, insert


class RowInsert:
    """Inserts rows of some columns of a table, given in the table's order."""

    def __init__(self, table: Table, columns: Sequence[str]) -> None:
        self._table = table
        self._columns = list(columns)
        self._statement = lru_cache(maxsize=4)(self._compiled)

    def __call__(self, connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
        """Insert them in their order; no row, no statement."""
        if rows:
            # A list: a tuple of tuples would be taken for one row.
            connection.exec_driver_sql(self._statement(connection.dialect), list(rows))

    def _compiled(self, dialect: Dialect) -> str:
        statement = insert(self._table)
        compiled = statement.compile(dialect=dialect, column_keys=self._columns, for_executemany=True)
        if compiled.positiontup != self._columns:
            raise TypeError(f"rows of {self._table.name} are not in the order {self._columns}")
        return str(compiled)
