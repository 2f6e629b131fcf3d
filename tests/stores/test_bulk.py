"""Rows that go in hundreds to a statement: what SQLite's driver is given is what the columns say."""

from collections.abc import Iterator

import pytest
from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    create_engine,
    event,
    text,
)

from gateway.adapters.sql.bulk import BulkInsert, Lookup

NAMES = ("position", "name", "raw", "flag", "note", "more")
META = MetaData()
TABLE = Table(
    "bulk",
    META,
    Column("position", Integer, primary_key=True),
    Column("name", Text, nullable=False),
    Column("raw", LargeBinary),
    Column("flag", Boolean),
    Column("note", Text),
    Column("more", LargeBinary),
    Column("kept", Text, server_default="always"),
)
ROWS = [
    (1, "a", b"\0\xff", True, None, None),
    (2, "b", None, False, None, None),
    (3, "c", b"", None, None, None),
]
UNUSUAL = (4, "d", b"x", True, "said", b"\1")


@pytest.fixture
def connection() -> Iterator[Connection]:
    engine = create_engine("sqlite://")
    with engine.begin() as opened:
        META.create_all(opened)
        yield opened
    engine.dispose()


def stored(connection: Connection) -> list[tuple[object, ...]]:
    columns = ", ".join(f"{name}, typeof({name})" for name in NAMES)
    found = connection.execute(text(f"SELECT {columns} FROM bulk ORDER BY position"))  # noqa: S608 - names of ours
    return [tuple(row) for row in found]


def expected(rows: list[tuple[object, ...]]) -> list[tuple[object, ...]]:
    kinds = {int: "integer", str: "text", bytes: "blob", bool: "integer", type(None): "null"}
    return [
        tuple(
            shown
            for value in row
            for shown in (int(value) if type(value) is bool else value, kinds[type(value)])
        )
        for row in rows
    ]


@pytest.mark.parametrize(
    "rows", [ROWS, [*ROWS, UNUSUAL], [UNUSUAL], ROWS[:1]], ids=["usual", "one not", "not", "one"]
)
@pytest.mark.parametrize("seldom", [(), ("note", "more")], ids=["all columns", "some seldom"])
def test_each_value_is_stored_as_its_column_says(connection, rows, seldom):
    BulkInsert(TABLE, NAMES, seldom=seldom)(connection, rows)
    assert stored(connection) == expected(rows)


def test_what_hardly_a_row_has_is_left_out_of_the_statement_where_none_has_it(connection):
    statements: list[str] = []
    event.listen(connection, "before_cursor_execute", lambda *given: statements.append(given[2]))
    insert = BulkInsert(TABLE, NAMES, seldom=("note", "more"))
    insert(connection, ROWS)
    insert(connection, [UNUSUAL])
    usual, other = [said for said in statements if said.startswith("INSERT")][-2:]
    assert "note" not in usual
    assert "more" not in usual
    assert "note" in other


def test_only_what_is_null_by_itself_may_be_left_out():
    with pytest.raises(TypeError, match="name"):
        BulkInsert(TABLE, NAMES, seldom=("name",))
    with pytest.raises(TypeError, match="kept"):
        BulkInsert(TABLE, (*NAMES, "kept"), seldom=("kept",))


@pytest.mark.parametrize("row", [(1, "a"), (*UNUSUAL, "too much")])
def test_a_row_of_another_width_is_refused(connection, row):
    with pytest.raises(TypeError, match="a row has"):
        BulkInsert(TABLE, NAMES, seldom=("note", "more"))(connection, [row])


def test_bytes_are_found_by_bytes(connection):
    BulkInsert(TABLE, NAMES)(connection, ROWS)
    lookup = Lookup(TABLE.c.raw, (TABLE.c.raw, TABLE.c.position))
    found = [tuple(row) for row in lookup(connection, [b"\0\xff", b"nowhere", b""])]
    assert sorted(found) == [(b"", 3), (b"\0\xff", 1)]
