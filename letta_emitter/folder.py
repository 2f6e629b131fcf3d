"""The names in a spool folder, and making it so that nobody else reads it."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

FOLDER_MODE = 0o700
FILE_MODE = 0o600

_SEGMENT = re.compile(r"^(\d{10})\.seg$")
_SIDE = re.compile(r"^side-[0-9a-z-]+\.seg$")
_STATS = re.compile(r"^stats-[0-9a-z-]+\.json$")


class Position(NamedTuple):
    """A place in the main line of the spool: a segment's number and a byte offset in it."""

    segment: int
    offset: int


class Folder:
    """One spool folder: paths and listings, no state."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.append_lock = path / "append.lock"
        self.drain_lock = path / "drain.lock"
        self.progress = path / "progress.json"
        self.retired = path / "retired.json"

    def create(self) -> None:
        """Make the folder, and take it from others if it was open to them.

        Raises:
            OSError: it cannot be made, or is not ours.
        """
        self.path.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        if self.path.stat().st_mode & 0o077:
            self.path.chmod(FOLDER_MODE)

    def segment(self, number: int) -> Path:
        """Return the path of a main segment."""
        return self.path / f"{number:010d}.seg"

    def segments(self) -> list[int]:
        """Return the numbers of the main segments, ascending."""
        return sorted(int(found[1]) for name in self._names() if (found := _SEGMENT.match(name)))

    def sides(self) -> list[Path]:
        """Return the side files, oldest first."""
        return [self.path / name for name in sorted(self._names()) if _SIDE.match(name)]

    def stats(self) -> list[Path]:
        """Return the counters' files, one per process that has used the spool and is not yet retired."""
        return [self.path / name for name in sorted(self._names()) if _STATS.match(name)]

    def _names(self) -> list[str]:
        try:
            return os.listdir(self.path)  # noqa: PTH208 (names, without a Path object for each)
        except FileNotFoundError:
            return []

    def size_bytes(self) -> int:
        """Return the bytes of all segments and side files."""
        total = 0
        for path in (*map(self.segment, self.segments()), *self.sides()):
            try:
                total += path.stat().st_size
            except FileNotFoundError:  # released in this moment
                continue
        return total


def write_private(path: Path, content: bytes) -> None:
    """Replace a small file atomically, readable by its owner only."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, FILE_MODE)
    try:
        os.write(descriptor, content)
    finally:
        os.close(descriptor)
    fresh.replace(path)
