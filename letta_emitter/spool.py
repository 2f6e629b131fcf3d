"""The writing side of the spool (S9b, S9c): append under a short lock, never block, survive kill -9.

There is no state beside the files: a process that finds the active segment longer than it left it reads
what was added, which gives it the last sequence, shows it a torn tail to cut, and the end mark that sends
it to the next segment.
"""

from __future__ import annotations

import os
import threading
import time
from typing import NamedTuple

from letta_emitter import frames, quick
from letta_emitter.errors import EventTooLargeError, SpoolFullError, SpoolUnwritableError
from letta_emitter.folder import FILE_MODE, Folder, Position
from letta_emitter.side import SideFile
from letta_emitter.spoolfile import CREATE, SpoolFile

LOCK_WAIT_S = 0.001
"""How long an append may wait for the shared segment before it goes to a side file."""

SEGMENT_BYTES = 4 * 1024 * 1024
_LOCK_PAUSE_S = 0.00005
_REMEASURE_S = 0.05
_REOPEN_S = 1.0
_LOOK_EVERY_S = 0.25
_SEQUENCE_MEMBER = b'{"sequence":"%020d",'
_STAMP_BYTES_MAX = len(_SEQUENCE_MEMBER % 0)
_HEADER_BYTES = len(frames.header(0))


class Appended(NamedTuple):
    """Where a record went: in the main line, or (`position` None) in this process's side file."""

    sequence: int
    position: Position | None


class _MovedError(Exception):
    """The folder was replaced under us: open it anew."""


def stamp(body: bytes, sequence: int) -> bytes:
    """Put the `sequence` attribute first in a rendered JSON object."""
    return _SEQUENCE_MEMBER % sequence + body[1:]


class Spool:
    """One process's hand on the host's spool folder. Opened by the first append; safe for threads and after a fork."""

    def __init__(self, folder: Folder, *, bytes_max: int, segment_bytes: int = SEGMENT_BYTES) -> None:
        self.folder = folder
        self.torn_bytes = 0
        self._bytes_max = bytes_max
        self._segment_bytes = min(segment_bytes, max(bytes_max // 8, 4096))
        self._mutex = threading.Lock()
        self._lock_descriptor = -1
        self._active: SpoolFile | None = None
        self._side = SideFile(folder)
        self._sequence = 0
        self._other_bytes = 0
        self._measured_at = 0.0
        self._looked_at = 0.0
        self._reopen_at = 0.0

    def append(self, body: bytes, *, stamped: bool = False, wait_s: float = LOCK_WAIT_S) -> Appended:
        """Write one rendered event and return.

        Args:
            body: a structured CloudEvent: one JSON object without leading space.
            stamped: it has a `sequence` already, which is kept.
            wait_s: how long to wait for others before the side file is used.

        Raises:
            SpoolError: it was not taken; its kind says why.
        """
        if len(body) > frames.PAYLOAD_BYTES_MAX - _STAMP_BYTES_MAX:
            raise EventTooLargeError(
                f"the event has {len(body)} bytes, a spool record at most {frames.PAYLOAD_BYTES_MAX}"
            )
        deadline = time.monotonic() + wait_s
        try:
            if self._mutex.acquire(timeout=wait_s):
                try:
                    appended = self._append_main(body, stamped=stamped, deadline=deadline)
                finally:
                    self._mutex.release()
                if appended is not None:
                    return appended
            return self._append_side(body, stamped=stamped)
        except OSError as error:
            raise SpoolUnwritableError(
                f"the spool at {self.folder.path} cannot be written: {error}"
            ) from error

    # The main line.

    def _append_main(self, body: bytes, *, stamped: bool, deadline: float) -> Appended | None:
        for _ in range(2):
            if self._lock_descriptor < 0:
                self._open_lock()
            if not self._lock(deadline):
                return None
            try:
                active = self._current()
                appended = self._write_record(active, body, stamped=stamped)
            except _MovedError:
                self._forget()
                continue
            finally:
                if self._lock_descriptor >= 0:
                    quick.unlock(self._lock_descriptor)
            self._side.seal()
            return appended
        raise SpoolUnwritableError(f"the spool at {self.folder.path} is being replaced again and again")

    def _open_lock(self) -> None:
        now = time.monotonic()
        if now < self._reopen_at:
            raise SpoolUnwritableError(f"the spool at {self.folder.path} could not be opened a moment ago")
        self._reopen_at = now + _REOPEN_S
        self.folder.create()
        self._lock_descriptor = os.open(
            self.folder.append_lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE
        )
        self._reopen_at = 0.0

    def _lock(self, deadline: float) -> bool:
        while not quick.try_lock(self._lock_descriptor):
            if time.monotonic() >= deadline:
                return False
            time.sleep(_LOCK_PAUSE_S)
        return True

    def _current(self) -> SpoolFile:
        """Return the active segment, up to date. The lock is held, so whatever is incomplete in it is torn."""
        active = self._active
        if active is None:
            active = self._open_last()
        now = time.monotonic()
        if now - self._looked_at >= _LOOK_EVERY_S:
            self._looked_at = now
            if os.fstat(active.descriptor).st_nlink == 0 and not active.closed:
                raise _MovedError
        size = quick.size(active.descriptor)
        if size != active.end:
            self._catch_up(active, size)
        while active.closed:
            active = self._open_next(active)
        return active

    def _open_last(self) -> SpoolFile:
        numbers = self.folder.segments()
        if not numbers:
            return self._create(1)
        if len(numbers) > 1:  # its header may be torn: the one before it knows the last sequence too
            self._open(numbers[-2]).close()
        active = self._open(numbers[-1])
        return self._use(active)

    def _open_next(self, closed: SpoolFile) -> SpoolFile:
        """Go on behind a closed segment. Others may be several ahead, and what they left may be gone already."""
        later = [number for number in self.folder.segments() if number > closed.number]
        return self._use(self._open(later[-1])) if later else self._create(closed.number + 1)

    def _open(self, number: int) -> SpoolFile:
        file = SpoolFile.open(self.folder.segment(number), number)
        with file.closed_on_error():
            self._catch_up(file, quick.size(file.descriptor))
            if file.end == 0:  # whoever made it died before its header was whole
                file.write(frames.header(self._sequence))
        return file

    def _create(self, number: int) -> SpoolFile:
        try:
            file = SpoolFile.open(self.folder.segment(number), number, CREATE)
        except FileNotFoundError as error:
            # The folder was removed, and a segment was full before that was seen.
            raise _MovedError from error
        with file.closed_on_error():
            file.write(frames.header(self._sequence))
        return self._use(file)

    def _use(self, file: SpoolFile) -> SpoolFile:
        if self._active is not None:
            self._active.close()
        self._active = file
        self._measure()
        return file

    def _catch_up(self, file: SpoolFile, size: int) -> None:
        self.torn_bytes += file.catch_up(size)
        self._sequence = max(self._sequence, file.sequence)

    def _write_record(self, active: SpoolFile, body: bytes, *, stamped: bool) -> Appended:
        sequence, frame = self._frame(body, stamped=stamped)
        self._make_room(len(frame))
        if active.end > _HEADER_BYTES and active.end + len(frame) > self._segment_bytes:
            active.write(frames.encode(frames.Kind.END, self._sequence))
            active.closed = True
            active = self._open_next(active)
        active.write(frame)
        self._sequence = active.sequence = sequence
        return Appended(sequence, Position(active.number, active.end))

    def _append_side(self, body: bytes, *, stamped: bool) -> Appended:
        """Write where nobody else writes. The order against the main line is not promised."""
        sequence, frame = self._frame(body, stamped=stamped)
        self._make_room(len(frame))
        self._side.write(frame, self._sequence)
        self._sequence = sequence
        self._other_bytes += len(frame)
        return Appended(sequence, None)

    def _frame(self, body: bytes, *, stamped: bool) -> tuple[int, bytes]:
        sequence = max(self._sequence + 1, time.time_ns())
        payload = body if stamped else stamp(body, sequence)
        return sequence, frames.encode(frames.Kind.RECORD, sequence, payload)

    def _make_room(self, wanted: int) -> None:
        """Refuse what would go over the bound; the oldest records are the ones that stay."""
        if self._used_bytes() + wanted <= self._bytes_max:
            return
        if time.monotonic() - self._measured_at >= _REMEASURE_S:
            self._measure()
        if self._used_bytes() + wanted > self._bytes_max:
            raise SpoolFullError(
                f"the spool at {self.folder.path} is at its bound of {self._bytes_max} bytes"
            )

    def _used_bytes(self) -> int:
        active = self._active
        return self._other_bytes + (active.end if active is not None else 0)

    def _measure(self) -> None:
        active = self._active
        self._other_bytes = self.folder.size_bytes() - (active.end if active is not None else 0)
        self._measured_at = time.monotonic()

    def _forget(self) -> None:
        if self._lock_descriptor >= 0:
            os.close(self._lock_descriptor)
        if self._active is not None:
            self._active.close()
        self._lock_descriptor = -1
        self._active = None

    def close(self) -> None:
        """Let go of all files; the next append opens them again."""
        with self._mutex:
            self._forget()
        self._side.seal()

    def reset_after_fork(self) -> None:
        """In a forked child: drop what belongs to the parent. Closing does not unlock the parent's locks."""
        self._mutex = threading.Lock()
        self._forget()
        self._side.reset_after_fork()
