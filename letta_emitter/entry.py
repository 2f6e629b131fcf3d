"""How both commands begin: Ctrl-C that ends quietly while they load, and standard streams that can be used.

It imports nothing that takes time: what it is for is what comes before the rest is there.
"""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
from collections.abc import Iterator
from types import FrameType

_INTERRUPTED = 1
"""A command ends with 0, 1 or 2 and nothing else, also where nothing of it has begun."""

_STRICT = frozenset({"strict", "surrogateescape"})
"""How a stream fails at a character that its encoding does not have, or writes what is no text."""


@contextlib.contextmanager
def loading(program: str) -> Iterator[None]:
    """The time in which modules are imported: Ctrl-C ends the process there and then, with a line.

    An exception would come out of the middle of somebody's module, and some of those make another one of it.
    """
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield  # who ignores it for us, as nohup and a shell's background do, means that
        return

    def end(_number: int, _frame: FrameType | None) -> None:
        os.write(2, f"{program}: Interrupted.\n".encode())
        os._exit(_INTERRUPTED)

    signal.signal(signal.SIGINT, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def prepare_streams() -> None:
    """Let stdin, stdout and stderr be there, and take every character.

    One that was closed is opened the wrong way round: reading or writing is an error that can be told, and no file or
    connection of ours gets its number. No child inherits it. stderr alone is given up: there is nobody to tell.
    """
    if sys.stdin is None:
        _open(0, os.O_WRONLY)
        sys.stdin = io.open(0, encoding="utf-8", closefd=False)  # noqa: SIM115, UP020 - for the whole process
    if sys.stdout is None:
        _open(1, os.O_RDONLY)
        sys.stdout = io.open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115, UP020 - likewise
    if sys.stderr is None:
        _open(2, os.O_WRONLY)
        sys.stderr = io.open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115, UP020 - likewise
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors in _STRICT:
            stream.reconfigure(errors="backslashreplace")


def let_go_of_output() -> None:
    """Drop what is buffered for stdout and cannot be written: the interpreter would fail at it again as it ends."""
    try:
        sys.stdout.flush()
    except OSError:
        with contextlib.suppress(OSError):  # of no file: nobody flushes it
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _open(number: int, flags: int) -> None:
    opened = os.open(os.devnull, flags)
    if opened != number:
        os.dup2(opened, number, inheritable=False)
        os.close(opened)
