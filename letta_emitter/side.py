"""A process's own side file, for when the shared segment is busy: order is not promised there (S9b)."""

from __future__ import annotations

import fcntl
import os
import threading
import time

from letta_emitter import frames
from letta_emitter.errors import SpoolBusyError
from letta_emitter.folder import Folder
from letta_emitter.spoolfile import CREATE, SpoolFile

_WAIT_S = 0.001


class SideFile:
    """Opened by the first record, closed by `seal`. Safe for threads."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._mutex = threading.Lock()
        self._file: SpoolFile | None = None

    def write(self, frame: bytes, base_sequence: int) -> None:
        """Write one record.

        Raises:
            SpoolBusyError: another thread has it, and did not let go of it in time.
            OSError: it cannot be written.
        """
        if not self._mutex.acquire(timeout=_WAIT_S):
            raise SpoolBusyError("the spool's lock and this process's side file were both busy")
        try:
            if self._file is None:
                self._file = self._open(base_sequence)
            self._file.write(frame)
        finally:
            self._mutex.release()

    def seal(self) -> None:
        """Let go of the file, so that it can be drained and removed; not while another thread writes to it."""
        if self._file is not None and self._mutex.acquire(blocking=False):
            try:
                if self._file is not None:
                    self._file.close()
                    self._file = None
            finally:
                self._mutex.release()

    def reset_after_fork(self) -> None:
        """In a forked child: the file is the parent's."""
        self._mutex = threading.Lock()
        self.seal()

    def _open(self, base_sequence: int) -> SpoolFile:
        """Make the file. Its lock says "still written to", so it is taken before the file has its name."""
        path = self._folder.path / f"side-{time.time_ns():020d}-{os.getpid()}.seg"
        hidden = path.with_name(f".{path.name}")
        file = SpoolFile.open(hidden, 0, CREATE)
        try:
            with file.closed_on_error():
                fcntl.flock(file.descriptor, fcntl.LOCK_EX)
                file.write(frames.header(base_sequence))
                hidden.rename(path)
        except OSError:
            hidden.unlink(missing_ok=True)
            raise
        return file
