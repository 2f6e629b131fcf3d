"""One open file of the spool, as the process that writes to it knows it."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from letta_emitter import frames, quick
from letta_emitter.folder import FILE_MODE

CREATE = os.O_CREAT | os.O_EXCL
"""For `open`: the file must be new."""


@dataclass(slots=True)
class SpoolFile:
    """Its valid length, the last sequence in it, and whether it has its end mark."""

    number: int
    descriptor: int
    end: int = 0
    sequence: int = 0
    closed: bool = False

    @classmethod
    def open(cls, path: Path, number: int, flags: int = 0) -> Self:
        """Open it for appending; nothing is read yet.

        Raises:
            OSError: it cannot be.
        """
        flags |= os.O_RDWR | os.O_APPEND | os.O_CLOEXEC
        return cls(number, os.open(path, flags, FILE_MODE))

    def write(self, frame: bytes) -> None:
        """Write a whole frame or nothing: what did not fit is cut off again.

        Raises:
            OSError: it cannot be written, or there is no space for all of it.
        """
        written = quick.write(self.descriptor, frame)
        if written == len(frame):
            self.end += written
            return
        os.ftruncate(self.descriptor, self.end)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def catch_up(self, size: int) -> int:
        """Read what others have added, and cut what one of them left torn; returns the bytes cut.

        The spool's lock is held, so whatever is not whole at the end is torn.
        """
        if size < self.end:
            self.end = 0
        tail = frames.scan_tail(self._read(self.end, size), self.end, self.sequence)
        if tail.end < size:
            os.ftruncate(self.descriptor, tail.end)
        self.end, self.sequence, self.closed = tail
        return size - tail.end

    @contextlib.contextmanager
    def closed_on_error(self) -> Iterator[None]:
        """Let go of it if what is done here fails: on a full disk that happens at every event."""
        try:
            yield
        except BaseException:
            self.close()
            raise

    def _read(self, start: int, end: int) -> bytes:
        parts: list[bytes] = []
        while start < end:
            part = os.pread(self.descriptor, end - start, start)
            if not part:
                break
            parts.append(part)
            start += len(part)
        return b"".join(parts)

    def close(self) -> None:
        """Let go of it, and of its lock if it has one."""
        os.close(self.descriptor)
