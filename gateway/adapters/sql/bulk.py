"""Statements that run for hundreds of rows: compiled once, the values go to the driver as they are.

SQLAlchemy's own way looks each value up in a dictionary that had to be made of its row: half of what such an insert
costs. Values are of the columns' own types here (text, bytes, int, bool, None), which the drivers take unchanged.

SQLite's driver lets go of the interpreter's lock for each *execution*, and waits to get it back: beside an event loop
that is busy, that wait is what a row costs when each row is an execution of its own. So rows go in hundreds to a
statement there.

And of each value that is neither a whole number, a text nor a ``bytearray``, it asks first whether somebody has said
how to adapt it (``need_adapt`` in CPython's ``_sqlite/cursor.c``), which takes longer than to bind it, and holds the
interpreter's lock. So bytes and truth values go there as their like, and what hardly a row has is left out.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any, Final, TypeVar

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Dialect,
    LargeBinary,
    Row,
    Table,
    bindparam,
    insert,
    select,
)

from gateway.adapters.sql.lists import parts

T = TypeVar("T")
_BINDABLE: Final[dict[type, Callable[[Any], Any]]] = {LargeBinary: bytearray, Boolean: int}
"""What SQLite's driver takes at once in place of a column's own type."""

_ROWS_MAX: Final = 500
"""Rows of one statement: what a full transaction has. 22 columns each stay below SQLite's 32,766 parameters."""


class BulkInsert:
    """Inserts rows of these columns, which are in the table's order.

    Args:
        table: The table.
        names: Its columns, those that the rows have. Values are of the columns' own types; nobody asks again here.
        repeated: Some may be there already, and stay as they are. (For SQLite alone.)
        seldom: Columns that may be null, and are in all but a few rows.
    """

    def __init__(
        self, table: Table, names: Sequence[str], *, repeated: bool = False, seldom: Sequence[str] = ()
    ) -> None:
        self._statement = insert(table).prefix_with("OR IGNORE") if repeated else insert(table)
        self._parts = parts if repeated else _usual_parts
        self._names = list(names)
        unfit = [name for name in seldom if not _is_null_by_itself(table.c[name])]
        if unfit:
            raise TypeError(f"where {unfit} are left out, they are not null")
        self._seldom = [self._names.index(name) for name in seldom]
        self._usual = [index for index, name in enumerate(names) if name not in seldom]
        self._bindable = [_BINDABLE.get(type(table.c[name].type)) for name in names]
        self._text = lru_cache(maxsize=64)(self._compiled)

    def __call__(self, connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
        """Insert them in their order; no row, no statement."""
        dialect = connection.dialect
        if dialect.name != "sqlite":
            if rows:
                # A list: a tuple of tuples would be taken for one row.
                connection.exec_driver_sql(self._text(dialect, 1, usual=False), list(rows))
            return
        for part in self._parts(rows):
            columns = list(zip(*part, strict=True))
            if len(columns) != len(self._names):
                raise TypeError(f"a row has {len(columns)} values and not {len(self._names)}")
            usual = all(columns[index].count(None) == len(part) for index in self._seldom)
            taken = self._usual if usual else range(len(columns))
            values = zip(*[self._bound(index, columns[index]) for index in taken], strict=True)
            text = self._text(dialect, len(part), usual=usual)
            connection.exec_driver_sql(text, tuple(chain.from_iterable(values)))

    def _bound(self, index: int, column: Sequence[Any]) -> Iterable[Any]:
        """The values of a column as SQLite's driver takes them without a question."""
        bindable = self._bindable[index]
        if bindable is None:
            return column
        if None in column:
            return [None if value is None else bindable(value) for value in column]
        return map(bindable, column)

    def _compiled(self, dialect: Dialect, count: int, *, usual: bool) -> str:
        names = [self._names[index] for index in self._usual] if usual else self._names
        compiled = self._statement.compile(dialect=dialect, column_keys=names, for_executemany=True)
        if compiled.positiontup != names:
            raise TypeError(f"the parameters of {compiled} are not in the order {names}")
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
        self._bindable = _BINDABLE.get(type(column.type))
        self._text = lru_cache(maxsize=32)(self._compiled)

    def __call__(self, connection: Connection, values: Sequence[Any]) -> list[Row[Any]]:
        """The rows of those values that there are, in no order."""
        found: list[Row[Any]] = []
        sqlite = connection.dialect.name == "sqlite"
        for part in parts(values):
            bound = map(self._bindable, part) if sqlite and self._bindable is not None else part
            found += connection.exec_driver_sql(self._text(connection.dialect, len(part)), tuple(bound))
        return found

    def _compiled(self, dialect: Dialect, count: int) -> str:
        wanted = [bindparam(f"value_{index}", type_=self._column.type) for index in range(count)]
        return str(select(*self._columns).where(self._column.in_(wanted)).compile(dialect=dialect))


def _is_null_by_itself(column: Column[Any]) -> bool:
    return bool(column.nullable) and column.default is None and column.server_default is None


def _usual_parts(rows: Sequence[T]) -> Iterator[Sequence[T]]:
    """The rows in parts of 500, 256, 128, …, 1: each length is a statement of its own, so there are ten of them."""
    start = 0
    while (left := len(rows) - start) > 0:
        length = _ROWS_MAX if left >= _ROWS_MAX else 1 << (left.bit_length() - 1)
        yield rows[start : start + length]
        start += length
