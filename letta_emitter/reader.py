"""The reading side of the spool: records in order, over segment ends, torn tails and damage."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from letta_emitter import frames
from letta_emitter.folder import Folder
from letta_emitter.progress import Mark

CHUNK_BYTES = 256 * 1024
_LOCK_WAIT_S = 0.1
_LOCK_PAUSE_S = 0.0005


class Record(NamedTuple):
    """One event on its way out."""

    sequence: int
    payload: bytes


class FileReader:
    """Reads the frames of one spool file, in chunks."""

    def __init__(self, path: Path, offset: int = 0) -> None:
        self.path = path
        self.offset = offset
        self.damaged = 0
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._base = offset
        self._buffer = b""

    def next(self) -> frames.Frame | None:
        """Return the next whole frame; None if there is none (yet) at this offset."""
        wanted = CHUNK_BYTES
        while True:
            found = frames.decode(self._buffer, self.offset - self._base)
            if isinstance(found, frames.Frame):
                self.offset = self._base + found.end
                return found
            had = self._base + len(self._buffer) - self.offset
            self._load(wanted)
            if isinstance(found, frames.Damaged) or len(self._buffer) <= had:
                # Once more with fresh bytes: what was read before may have been cut and written anew.
                found = frames.decode(self._buffer, 0)
                if not isinstance(found, frames.Frame):
                    return None
            wanted *= 2

    def step_over(self) -> bool:
        """Go to the next valid frame; only while nobody writes to the file. False if there is none."""
        self._load(max(self.size() - self.offset, 0))
        if isinstance(frames.decode(self._buffer, 0), frames.Frame):
            return True
        later = frames.resync(self._buffer, 0)
        if later is None:
            return False
        self.damaged += 1
        self.offset += later
        return True

    def size(self) -> int:
        """Return the file's size now, in bytes."""
        return os.fstat(self._descriptor).st_size

    def seek(self, offset: int) -> None:
        """Go to an offset where a frame starts."""
        self.offset = self._base = offset
        self._buffer = b""

    def is_gone(self) -> bool:
        """Say whether the file was removed from its folder."""
        return os.fstat(self._descriptor).st_nlink == 0

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._descriptor)

    def _load(self, size: int) -> None:
        self._base = self.offset
        self._buffer = os.pread(self._descriptor, size, self.offset)


class MainReader:
    """Reads the main line after a mark, segment by segment."""

    def __init__(self, folder: Folder, after: Mark) -> None:
        self.mark = after
        self.file: FileReader | None = None
        self._folder = folder
        self._number = after.segment
        self._damaged = 0
        self._hopeless = (-1, -1)

    @property
    def damaged(self) -> int:
        """How many times something unreadable was stepped over."""
        return self._damaged + (self.file.damaged if self.file is not None else 0)

    def read(self, records_max: int, bytes_max: int) -> list[Record]:
        """Return the next records in order, none if there are none now."""
        records: list[Record] = []
        size = 0
        while len(records) < records_max and size < bytes_max:
            frame = self._next_frame()
            if frame is None:
                break
            if frame.kind is frames.Kind.RECORD and frame.sequence > self.mark.sequence:
                self.mark = Mark(self._number, frame.sequence)
                records.append(Record(frame.sequence, frame.payload))
                size += len(frame.payload)
        return records

    def _next_frame(self) -> frames.Frame | None:
        while True:
            file = self.file or self._open()
            if file is None:
                return None
            frame = file.next()
            if frame is not None:
                return frame
            if self._recover(file):
                continue
            later = next((number for number in self._folder.segments() if number > self._number), None)
            if later is None and not file.is_gone():
                return None
            # Final now, but it may have grown between the look into it and the look for a later one.
            frame = file.next()
            if frame is not None:
                return frame
            if file.offset < file.size() and file.step_over():
                continue
            self._leave(later or self._number)

    def _recover(self, file: FileReader) -> bool:
        """Look past what is not a frame, with the writers kept out so that it is not one in the making."""
        state = (file.offset, file.size())
        if state[0] >= state[1] or state == self._hopeless:
            return False
        with exclusive(self._folder.append_lock) as had:
            if had and file.step_over():
                return True
        if had:
            self._hopeless = state  # a torn tail: the next writer cuts it
        return False

    def _open(self) -> FileReader | None:
        numbers = self._folder.segments()
        if not numbers:
            return None
        # No such number and no later one: the folder was emptied and began anew.
        self._number = next((number for number in numbers if number >= self._number), numbers[0])
        try:
            self.file = FileReader(self._folder.segment(self._number))
        except FileNotFoundError:
            return None
        return self.file

    def _leave(self, number: int) -> None:
        if self.file is not None:
            self._damaged += self.file.damaged
            self.file.close()
        self.file = None
        self._number = number

    def close(self) -> None:
        """Let go of the open segment."""
        self._leave(self._number)


class SideReader:
    """Reads one side file. Its writer holds its lock as long as it may write."""

    def __init__(self, path: Path, offset: int) -> None:
        self.file = FileReader(path, offset)

    def read(self, records_max: int, bytes_max: int) -> list[Record]:
        """Return the next records, none if there are none now."""
        records: list[Record] = []
        size = 0
        while len(records) < records_max and size < bytes_max:
            frame = self.file.next()
            if frame is None:
                if self.file.offset < self.file.size() and self.is_final() and self.file.step_over():
                    continue
                break
            if frame.kind is frames.Kind.RECORD:
                records.append(Record(frame.sequence, frame.payload))
                size += len(frame.payload)
        return records

    def is_final(self) -> bool:
        """Say whether its writer is gone."""
        with exclusive(self.file.path, wait_s=0) as had:
            return had

    def is_drained(self) -> bool:
        """Say whether nothing is left to read."""
        offset = self.file.offset
        records = self.read(1, 1)
        self.file.seek(offset)
        return not records

    def close(self) -> None:
        """Let go of the file."""
        self.file.close()


@contextlib.contextmanager
def exclusive(path: Path, wait_s: float = _LOCK_WAIT_S) -> Iterator[bool]:
    """Hold a file's lock for a moment; yields whether it was had within the wait. No file means nobody has it."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        yield True
        return
    deadline = time.monotonic() + wait_s
    had = False
    try:
        while not had:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                had = True
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    break
                time.sleep(_LOCK_PAUSE_S)
        yield had
    finally:
        os.close(descriptor)
