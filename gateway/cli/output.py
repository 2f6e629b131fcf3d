"""What the commands print: tables for people, JSON line by line for programs; colours on a terminal only."""

import json
import os
import sys
from collections.abc import Iterable, Sequence
from typing import Any, Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text

#: What is piped is not folded, whatever COLUMNS says: ids stay whole, one record a line.
_PIPED_WIDTH = 1_000_000
#: On a narrower terminal a table of many columns would have some of no width at all.
_WIDTH_MIN = 40


def results() -> Console:
    """The console for results (stdout)."""
    return _console(error=False)


def diagnostics() -> Console:
    """The console for everything that is not the result (stderr)."""
    return _console(error=True)


def _console(*, error: bool) -> Console:
    stream = sys.stderr if error else sys.stdout
    # Who wants no colours (no-color.org) wants no bold and no dim either: there is nothing to tell them from.
    colours: Literal["auto"] | None = None if os.environ.get("NO_COLOR") else "auto"
    console = Console(stderr=error, highlight=False, markup=False, emoji=False, color_system=colours)
    console.width = max(console.width, _WIDTH_MIN) if stream.isatty() else _PIPED_WIDTH
    return console


def say(text: str) -> None:
    """Print a line of diagnostics."""
    diagnostics().print(plain(text))


def plain(value: object) -> str:
    """The text of a value, control characters spelled out: what comes over the wire drives no terminal."""
    text = "" if value is None else str(value)
    return "".join(char if char.isprintable() or char in "\n\t" else repr(char)[1:-1] for char in text)


def print_record(record: object) -> None:
    """Print one record as one line of JSON, at once."""
    sys.stdout.write(json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n")
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
    """Print the members of one record, a line each; members without a value are left out.

    A line that is too long is the terminal's to wrap: a secret, which is shown once, is copied from it in one piece.
    """
    given = [(name, plain(_shown(value))) for name, value in details if value not in (None, "", [], {})]
    width = max((len(name) for name, _ in given), default=0)
    console = results()
    for name, text in given:
        indented = text.replace("\n", "\n" + " " * (width + 1))
        console.print(Text(f"{name:<{width}} ", style="bold") + Text(indented), soft_wrap=True)


def _shown(value: Any) -> str:  # noqa: ANN401 - a JSON value
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
