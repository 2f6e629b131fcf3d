"""Which pending rows a command has asked for (S3h), by their keys."""

from collections.abc import Sequence
from functools import lru_cache
from itertools import chain

from sqlalchemy import Connection, Table

from gateway.adapters.sql.lists import parts
from gateway.domain.asking import Asked


class Requested:
    """Finds, of many deliveries, those that were ever asked for by hand: hardly one of those that a journal writes."""

    def __init__(self, table: Table) -> None:
        self._table = table.name
        self._text = lru_cache(maxsize=32)(self._made)

    def __call__(
        self, connection: Connection, keys: Sequence[tuple[int, int]]
    ) -> dict[tuple[int, int], Asked]:
        """By subscription and position. No key, no statement."""
        found = {}
        for part in parts(keys):
            text = self._text(connection.dialect.name, len(part))
            for row in connection.exec_driver_sql(text, tuple(chain.from_iterable(part))):
                found[row.number, row.position] = Asked(row.request, row.next_at)
        return found

    def _made(self, dialect: str, count: int) -> str:
        columns = "there.number, there.position, there.request, there.next_at"
        if dialect == "sqlite":
            # In this order it uses the key, as in ``BulkDelete``.
            values = ", ".join(["(?, ?)"] * count)
            return (
                f"SELECT {columns} FROM (VALUES {values}) AS key CROSS JOIN {self._table} AS there"  # noqa: S608 - names of ours
                " ON there.number = key.column1 AND there.position = key.column2 WHERE there.request > 0"
            )
        values = ", ".join(f"(${2 * n + 1}::BIGINT, ${2 * n + 2}::BIGINT)" for n in range(count))
        return (
            f"SELECT {columns} FROM {self._table} AS there"  # noqa: S608 - likewise
            f" WHERE (there.number, there.position) IN (VALUES {values}) AND there.request > 0"
        )
