"""The spool as the drain sees it: what is to be published next, what Redis has had, what may be forgotten."""

from __future__ import annotations

import contextlib
import os
import time
from collections import deque
from dataclasses import dataclass, replace

from letta_emitter.folder import Folder
from letta_emitter.progress import Mark, Progress, RedisIdentity
from letta_emitter.reader import MainReader, Record, SideReader

RETAIN_S = 60.0
"""How long Redis must have had a record before the spool forgets it (S9d)."""

BATCH_BYTES_MAX = 128 * 1024
_SAVE_EVERY_S = 0.1
_SYNC_EVERY_S = 0.5
_CHECKPOINT_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class Batch:
    """Records to publish together, from the main line (`side` None) or from one side file."""

    records: list[Record]
    side: str | None
    again: int
    """How many of them another Redis has had before."""


@dataclass(slots=True)
class _Side:
    reader: SideReader
    published_at: float


@dataclass(slots=True)
class _Checkpoint:
    created_at: float
    published_at: float
    mark: Mark


class Backlog:
    """Owned by whoever holds the drain lock. Times are of the monotonic clock, given by the caller."""

    def __init__(self, folder: Folder, bytes_max: int, now: float, retain_s: float = RETAIN_S) -> None:
        self.folder = folder
        self.progress = Progress.load(folder)
        self.released_early = 0
        self._bytes_max = bytes_max
        self._retain_s = retain_s
        self._main = MainReader(folder, self.progress.published)
        self._sides: dict[str, _Side] = {}
        self._pending: Batch | None = None
        # Nobody knows when its predecessor published these, so they stay for the whole time again.
        self._checkpoints = deque([_Checkpoint(now, now, self.progress.published)])
        self._highest = self.progress.published.sequence
        self._unsaved = False
        self._saved_at = now
        self._synced_at = now - _SYNC_EVERY_S  # what is there may have waited already: the first tick is due
        self._synced: dict[str, int] = {}
        self._damaged_before = 0

    @property
    def damaged(self) -> int:
        """How many times something unreadable was stepped over."""
        sides = sum(side.reader.file.damaged for side in self._sides.values())
        return self._damaged_before + self._main.damaged + sides

    def next(self, records_max: int) -> Batch | None:
        """Return what is to be published next: the same as before until it is confirmed by `published`."""
        if self._pending is None:
            records = self._main.read(records_max, BATCH_BYTES_MAX)
            if records:
                again = sum(record.sequence <= self._highest for record in records)
                self._pending = Batch(records, None, again)
            else:
                self._pending = self._next_of_sides(records_max)
        return self._pending

    def _next_of_sides(self, records_max: int) -> Batch | None:
        for path in self.folder.sides():
            name = path.name
            if name not in self._sides:
                with contextlib.suppress(FileNotFoundError):
                    reader = SideReader(path, self.progress.sides.get(name, 0))
                    self._sides[name] = _Side(reader, time.monotonic())
            if name in self._sides:
                records = self._sides[name].reader.read(records_max, BATCH_BYTES_MAX)
                if records:
                    return Batch(records, name, 0)
        return None

    def published(self, batch: Batch, now: float) -> None:
        """Take note that Redis has this batch."""
        self._pending = None
        self._unsaved = True
        if batch.side is not None:
            side = self._sides[batch.side]
            side.published_at = now
            offsets = self.progress.sides | {batch.side: side.reader.file.offset}
            self.progress = replace(self.progress, sides=offsets)
            return
        mark = self._main.mark
        self._highest = max(self._highest, mark.sequence)
        self.progress = replace(self.progress, published=mark)
        last = self._checkpoints[-1] if self._checkpoints else None
        if last is None or now - last.created_at >= _CHECKPOINT_EVERY_S:
            self._checkpoints.append(_Checkpoint(now, now, mark))
        else:
            last.published_at, last.mark = now, mark

    def another_redis(self, identity: RedisIdentity, now: float) -> bool:
        """Begin again at the oldest record that is still held, if this Redis is not the one that had them (S9d).

        Returns whether there was another one before.
        """
        if identity == self.progress.redis:
            return False
        had_one = self.progress.redis is not None
        self._damaged_before = self.damaged
        self._main.close()
        for side in self._sides.values():
            side.reader.close()
        self._sides.clear()
        self._pending = None
        self._checkpoints.clear()
        released = self.progress.released
        self._main = MainReader(self.folder, released)
        self.progress = Progress(published=released, released=released, redis=identity)
        self._unsaved = True
        self.save(now)
        return had_one

    def tick(self, now: float) -> None:
        """Release what is old enough, bring the rest to disk, and write down how far we are.

        Raises:
            OSError: the folder cannot be written.
        """
        self._release(now)
        self._release_sides(now)
        if now - self._synced_at >= _SYNC_EVERY_S:
            self._synced_at = now
            self._sync()
        if self._unsaved and now - self._saved_at >= _SAVE_EVERY_S:
            self.save(now)

    def save(self, now: float) -> None:
        """Write down how far we are.

        Raises:
            OSError: it cannot be written.
        """
        if self._unsaved:
            self.progress.save(self.folder)
            self._unsaved = False
            self._saved_at = now

    def _release(self, now: float) -> None:
        """Move the released mark on; near its bound the spool gives up copies before it loses events."""
        old = now - self._retain_s
        crowded = False
        mark = self.progress.released
        while self._checkpoints:
            due = self._checkpoints[0].published_at <= old
            if not due and not crowded:
                crowded = self.folder.size_bytes() > self._bytes_max * 3 // 4
                if not crowded:
                    break
            self.released_early += not due
            mark = self._checkpoints.popleft().mark
        if mark.sequence > self.progress.released.sequence:
            self.progress = replace(self.progress, released=mark)
            self._unsaved = True
            self.save(now)  # before anything is deleted
            self._delete_before(mark.segment)

    def _delete_before(self, segment: int) -> None:
        numbers = self.folder.segments()
        if segment in numbers:  # the newest is never deleted: it knows the last sequence
            for number in numbers:
                if number < segment:
                    self.folder.segment(number).unlink(missing_ok=True)

    def _release_sides(self, now: float) -> None:
        for name, side in list(self._sides.items()):
            if self._pending is not None and self._pending.side == name:
                continue
            if now - side.published_at < self._retain_s or not side.reader.is_final():
                continue
            if not side.reader.is_drained():
                continue
            self._damaged_before += side.reader.file.damaged
            side.reader.close()
            (self.folder.path / name).unlink(missing_ok=True)
            del self._sides[name]
            kept = {other: offset for other, offset in self.progress.sides.items() if other != name}
            self.progress = replace(self.progress, sides=kept)
            self._unsaved = True

    def _sync(self) -> None:
        """Bring what was appended since the last time to disk, so that a power loss costs at most a second (S9b)."""
        current: dict[str, int] = {}
        for path in (*map(self.folder.segment, self.folder.segments()), *self.folder.sides()):
            with contextlib.suppress(FileNotFoundError):
                size = path.stat().st_size
                current[path.name] = size
                if self._synced.get(path.name) != size:
                    _sync_file(str(path))
        if current.keys() - self._synced.keys():
            _sync_file(str(self.folder.path))  # the new names as well
        self._synced = current

    def close(self, now: float) -> None:
        """Write down how far we are, and let go of all files."""
        with contextlib.suppress(OSError):
            self.save(now)
        self._main.close()
        for side in self._sides.values():
            side.reader.close()


def _sync_file(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        getattr(os, "fdatasync", os.fsync)(descriptor)  # macOS has no fdatasync
    finally:
        os.close(descriptor)
