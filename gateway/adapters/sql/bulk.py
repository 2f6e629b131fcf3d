"""Statements that run for hundreds of rows: compiled once, the rows go to the driver as they are.

SQLAlchemy's own way looks each value up in a dictionary that had to be made of its row: half of what such an insert
costs. Values are of the columns' own types here (text, bytes, int, bool, None), which the drivers take unchanged.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Column, Connection, Delete, Dialect, Insert, Row, Table, bindparam, insert, select

from gateway.adapters.sql.lists import parts


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


class Lookup:
    """Finds rows by many values of one column; ``names`` are the columns it gives."""

    def __init__(self, column: Column[Any], names: Sequence[Column[Any]]) -> None:
        self._column = column
        self._columns = tuple(names)
        self._text = lru_cache(maxsize=32)(self._compiled)

    def __call__(self, connection: Connection, values: Sequence[Any]) -> list[Row[Any]]:
        """The rows of those values that there are, in no order."""
        found: list[Row[Any]] = []
        for part in parts(values):
            found += connection.exec_driver_sql(self._text(connection.dialect, len(part)), tuple(part))
        return found

    def _compiled(self, dialect: Dialect, count: int) -> str:
        wanted = [bindparam(f"value_{index}", type_=self._column.type) for index in range(count)]
        return str(select(*self._columns).where(self._column.in_(wanted)).compile(dialect=dialect))


def row_insert(table: Table, columns: Sequence[str]) -> RowStatement:
    """Inserts rows of these columns, which are in the table's order."""
    return RowStatement(insert(table), columns)
