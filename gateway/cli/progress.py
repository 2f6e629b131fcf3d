"""Bars for long work: on a terminal only, on stderr, gone when the work is done."""

import contextlib
from collections.abc import Callable, Iterator

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

from gateway.cli.output import diagnostics, say
from gateway.errors import NoServer

Advance = Callable[[int], None]
"""Told how much is done."""


@contextlib.contextmanager
def bar(what: str, total: int) -> Iterator[Advance]:
    """A bar of something whose end is known; `what` is done with each, such as `archived`."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with _shown(columns, what, total) as advance:
        yield advance


@contextlib.contextmanager
def counting(what: str) -> Iterator[Advance]:
    """A count of something whose end is not known."""
    columns = (SpinnerColumn(), TextColumn("{task.completed:,.0f} {task.description}"), TimeElapsedColumn())
    with _shown(columns, what, None) as advance:
        yield advance


@contextlib.contextmanager
def _shown(columns: tuple[object, ...], what: str, total: int | None) -> Iterator[Advance]:
    console = diagnostics()
    if not console.is_terminal:
        yield lambda _done: None
        return
    with Progress(*columns, console=console, transient=True) as progress:  # type: ignore[arg-type]
        task = progress.add_task(what, total=total)

        def advance(done: int) -> None:
            progress.update(task, completed=done)

        yield advance


@contextlib.contextmanager
def goes_on(what: str) -> Iterator[None]:
    """Ctrl-C ends the waiting and not the work, nor does the gateway's end: say so."""
    try:
        yield
    except KeyboardInterrupt:
        say(f"{what} goes on by itself.")
        raise
    except NoServer:
        say(f"{what} goes on by itself when the gateway is back.")
        raise
