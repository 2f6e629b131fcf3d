"""Statements that run for hundreds of rows: compiled once, the values go to the driver as they are.

SQLAlchemy's own way looks each value up in a dictionary that had to be made of its row: half of what such an insert
costs. Values are of the columns' own types here (text, bytes, int, bool, None), which the drivers take unchanged.

SQLite's driver lets go of the interpreter's lock for each *execution*, and waits to get it back: beside an event loop
that is busy, that wait is what a row costs when each row is an execution of its own. So rows go in hundreds to a
statement there.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any, Final, TypeVar

from sqlalchemy import (
    Column,
    Connection,
    Dialect,
    Row,
    Table,
    bindparam,
    insert,
    select,
)

from gateway.adapters.sql.lists import parts

T = TypeVar("T")
_ROWS_MAX: Final = 500
"""Rows of one statement: what a full transaction has. 22 columns each stay below SQLite's 32,766 parameters."""


class BulkInsert:
    """Inserts rows of these columns, which are in the table's order.

    ``repeated``: some may be there already, and stay as they are. (For SQLite alone.)
    """

    def __init__(self, table: Table, names: Sequence[str], *, repeated: bool = False) -> None:
        self._statement = insert(table).prefix_with("OR IGNORE") if repeated else insert(table)
        self._parts = parts if repeated else _usual_parts
        self._names = list(names)
        self._text = lru_cache(maxsize=32)(self._compiled)

    def __call__(self, connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
        """Insert them in their order; no row, no statement."""
        dialect = connection.dialect
        if dialect.name != "sqlite":
            if rows:
                # A list: a tuple of tuples would be taken for one row.
                connection.exec_driver_sql(self._text(dialect, 1), list(rows))
            return
        for part in self._parts(rows):
            values = tuple(chain.from_iterable(part))
            connection.exec_driver_sql(self._text(dialect, len(part)), values)

    def _compiled(self, dialect: Dialect, count: int) -> str:
        compiled = self._statement.compile(dialect=dialect, column_keys=self._names, for_executemany=True)
        if compiled.positiontup != self._names:
            raise TypeError(f"the parameters of {compiled} are not in the order {self._names}")
        text = str(compiled)
        if count == 1:
            return text
        head, separator, row = text.rpartition(" VALUES ")
        return head + separator + ", ".join([row] * count)


class BulkDelete:
    """Deletes the rows of which two columns, both whole numbers, have these values."""

    def __init__(self, table: Table, first: Column[Any], second: Column[Any]) -> None:
        self._table, self._first, self._second = table.name, first.name, second.name
        self._text = lru_cache(maxsize=32)(self._made)

    def __call__(self, connection: Connection, keys: Sequence[tuple[int, int]]) -> None:
        """Delete those that there are; no key, no statement."""
        for part in parts(keys):
            text = self._text(connection.dialect.name, len(part))
            connection.exec_driver_sql(text, tuple(chain.from_iterable(part)))

    def _made(self, dialect: str, count: int) -> str:
        if dialect == "sqlite":
            # Of a list of pairs alone it makes a scan of the whole table; joined in this order it uses the key.
            values = ", ".join(["(?, ?)"] * count)
            return (
                f"DELETE FROM {self._table} WHERE rowid IN (SELECT there.rowid FROM (VALUES {values}) AS key"  # noqa: S608 - names of ours
                f" CROSS JOIN {self._table} AS there"
                f" ON there.{self._first} = key.column1 AND there.{self._second} = key.column2)"
            )
        values = ", ".join(f"(${2 * n + 1}::BIGINT, ${2 * n + 2}::BIGINT)" for n in range(count))
        return f"DELETE FROM {self._table} WHERE ({self._first}, {self._second}) IN (VALUES {values})"  # noqa: S608 - likewise


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


def _usual_parts(rows: Sequence[T]) -> Iterator[Sequence[T]]:
    """The rows in parts of 500, 256, 128, …, 1: each length is a statement of its own, so there are ten of them."""
    start = 0
    while (left := len(rows) - start) > 0:
        length = _ROWS_MAX if left >= _ROWS_MAX else 1 << (left.bit_length() - 1)
        yield rows[start : start + length]
        start += length
