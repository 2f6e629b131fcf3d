"""Texts that are searched by, of any length and content, on databases that have limits there.

PostgreSQL has room for some 2,700 bytes in an index entry, and an attribute of an event may be as long as the
event; so its indexes hold the beginning of a text, and a search asks for the beginning as well as for the whole.
PostgreSQL cannot hold the character NUL at all; a text that has one is not there.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Column, ColumnElement, Index, Text, TextClause, false, literal, or_, text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

_START_CHARS = 512
"""At most 2,048 bytes of UTF-8: with a position behind them, an index entry."""
_NUL = "\0"
DIALECT = "dialect"


def text_index(name: str, column: str, *further: str) -> tuple[Index, Index]:
    """The index that ``sought`` and ``sought_among`` use: one for SQLite, one for PostgreSQL."""
    return (
        Index(name, column, *further, info={DIALECT: "sqlite"}).ddl_if(dialect="sqlite"),
        Index(f"{name}_start", start_of(column), *further, info={DIALECT: "postgresql"}).ddl_if(
            dialect="postgresql"
        ),
    )


def start_of(column: str) -> TextClause:
    """What PostgreSQL's index on a text holds of it."""
    return text(f'"left"({column}, {_START_CHARS})')


def fits(value: str) -> bool:
    """Whether a column can be this text, which may be anything that somebody has sent."""
    return _NUL not in value


def same(column: Column[Any], value: str) -> ColumnElement[bool]:
    """The column is this text."""
    return column == value if fits(value) else false()


def sought(column: Column[Any], value: str) -> ColumnElement[bool]:
    """The same by a ``text_index``."""
    if not fits(value):
        return false()
    begins_so = _Start(column) == _Start(literal(value, Text()))
    # A short text is its own beginning. To ask for both all the same would make the planner expect far fewer
    # rows than there are, and sort them all where it could read the index in order.
    return begins_so if len(value) < _START_CHARS else begins_so & (column == value)


def sought_among(column: Column[Any], values: Sequence[str]) -> ColumnElement[bool]:
    """The column is one of these texts, by a ``text_index``."""
    return or_(false(), *(sought(column, value) for value in values if fits(value)))


class _Start(FunctionElement[str]):
    """The part of a text that its index holds: of a column, and of what is looked for there."""

    inherit_cache = True
    type = Text()


@compiles(_Start)
def _whole(element: _Start, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401 - SQLAlchemy's own
    return compiler.process(element.clauses, **options)


@compiles(_Start, "postgresql")
def _start(element: _Start, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401 - likewise
    # A number in the text, not a parameter: the planner must see that this is what the index holds.
    return f'"left"({compiler.process(element.clauses, **options)}, {_START_CHARS})'
