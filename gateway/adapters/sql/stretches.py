"""Indexes of the log that do not slow down as it grows: each stretch of 2,048 positions has its own part of them.

Ids are random. In an index over the whole log an entry's place may be on any of its pages, and each append writes
a page of every index for nearly every entry: at 300,000 entries it cost four times what it costs at 10,000. With
the stretch in front, what is written now lies together, and what lies behind is never written again. A search
asks one stretch after another, more at a time the longer it finds nothing; a million entries are some 500.
"""

from collections.abc import Iterator
from typing import Final

from sqlalchemy import BigInteger, ColumnElement, Index, literal_column, text

from gateway.adapters.sql.texts import DIALECT, start_of

_BITS: Final = 11
_AT_ONCE_MAX: Final = 64
"""All that one statement finds is sorted before its first row: 64 stretches bound that."""

_GROWTH: Final = 4

STRETCH: Final[ColumnElement[int]] = literal_column(f"(log_entry.position >> {_BITS})", BigInteger)
"""The stretch of a row, spelled as the indexes have it."""


def stretch_index(name: str, column: str, *, rare: bool = False) -> tuple[Index, Index]:
    """An index on a text of the log, by stretches: one for SQLite, one for PostgreSQL (see ``texts.py``).

    ``rare``: few rows have one. SQLite's index is then of these alone: it would have a place for each of the others.
    """
    stretch = text(f"(position >> {_BITS})")
    there = text(f"{column} IS NOT NULL") if rare else None
    return (
        # SQLite ends every entry of an index with the row's number, which is the position.
        Index(name, stretch, column, sqlite_where=there, info={DIALECT: "sqlite"}).ddl_if(dialect="sqlite"),
        Index(f"{name}_start", stretch, start_of(column), "position", info={DIALECT: "postgresql"}).ddl_if(
            dialect="postgresql"
        ),
    )


def stretches(first: int, last: int, *, ascending: bool) -> Iterator[list[int]]:
    """The stretches that hold positions from ``first`` to ``last``, in the order in which to ask them.

    One at the beginning, then four, sixteen, and so on: what is frequent is found at once, what is rare with few
    statements. A list is a power of two long, by repeating its last member, so that few statements are prepared.
    """
    low, high = first >> _BITS, last >> _BITS
    left = range(low, high + 1) if ascending else range(high, low - 1, -1)
    count = 1
    while left:
        part, left = list(left[:count]), left[count:]
        yield part + part[-1:] * (count - len(part))
        count = min(count * _GROWTH, _AT_ONCE_MAX)
