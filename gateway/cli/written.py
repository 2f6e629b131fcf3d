"""A file that a command writes for its user: whole under its name, or not there, with the reason."""

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

from gateway.errors import CommandError

ONES_OWN: Final = 0o600
"""The mode of what has events in it: its owner's alone, as the gateway's own files are."""
_ANYBODYS: Final = 0o666
_PART: Final = ".part"
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


@contextlib.contextmanager
def written(path: Path, option: str, *, mode: int = _ANYBODYS) -> Iterator[IO[bytes]]:
    """A file to write into, which has its name once it is whole and on the disk.

    Args:
        path: Where it is to be; what is no ordinary file, such as ``/dev/stdout``, is written into as it is.
        option: What named the place on the command line, such as ``--output``.
        mode: Of a new file, as far as the umask lets it.

    Raises ``CommandError`` where the system refuses it; then nothing is left behind, and what was there is as it was.
    """
    try:
        if path.exists() and not path.is_file():
            with path.open("wb") as file:
                yield file
        else:
            with _beside(path.resolve(), mode) as file:
                yield file
    except OSError as error:
        if error.errno == errno.EPIPE:
            raise
        raise unwritable(error, path, option) from error


def unwritable(error: OSError, path: Path, option: str) -> CommandError:
    """The error of a place that cannot be written: which, why, and by what option another is chosen."""
    if error.errno in _FULL:
        return CommandError(
            f"{path}: no space is left on the device.", hint=f"Free some, or choose another {option}."
        )
    return CommandError(f"{path}: {error.strerror or error}.", hint=f"Choose another {option}.")


@contextlib.contextmanager
def _beside(path: Path, mode: int) -> Iterator[IO[bytes]]:
    part = path.with_name(path.name + _PART)
    part.unlink(missing_ok=True)
    descriptor = os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
