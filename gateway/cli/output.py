"""What the commands print: tables for people, JSON line by line for programs; colours on a terminal only."""

import json
import os
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from gateway.cli import json_text

#: Piped tables are not folded to a terminal's width: ids stay whole, one record a line.
_PIPED_WIDTH = 400


def results() -> Console:
    """The console for results (stdout)."""
    return _console(error=False)


def diagnostics() -> Console:
    """The console for everything that is not the result (stderr)."""
    return _console(error=True)


def _console(*, error: bool) -> Console:
    stream = sys.stderr if error else sys.stdout
    width = None if stream.isatty() or "COLUMNS" in os.environ else _PIPED_WIDTH
    return Console(stderr=error, highlight=False, markup=False, emoji=False, width=width)


def say(text: str) -> None:
    """Print a line of diagnostics."""
    diagnostics().print(plain(text))


def plain(value: object) -> str:
    """The text of a value, control characters spelled out: what comes over the wire drives no terminal."""
    text = "" if value is None else str(value)
    return "".join(char if char.isprintable() or char in "\n\t" else repr(char)[1:-1] for char in text)


def print_record(record: object) -> None:
    """Print one record as one line of JSON, at once."""
    sys.stdout.write(json_text.encode(record) + "\n")
    sys.stdout.flush()


def print_line(text: str) -> None:
    """Print one line of a long list, at once."""
    sys.stdout.write(plain(text) + "\n")
    sys.stdout.flush()


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows under their headings; ids are folded on a narrow terminal, never cut."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(cell if isinstance(cell, Text) else Text(plain(cell)) for cell in row))
    results().print(table)


def print_details(details: Sequence[tuple[str, object]]) -> None:
    """Print the members of one record, a line each; members without a value are left out."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in details:
        if value not in (None, "", [], {}):
            table.add_row(Text(name), Text(plain(_shown(value))))
    results().print(table)


def _shown(value: Any) -> str:  # noqa: ANN401 - a JSON value
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
