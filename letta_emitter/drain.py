"""The thread that brings the spool to Redis. Whoever holds the host's drain lock publishes; the others stand by.

The lock is the kernel's (`flock`), so it is free the moment its holder dies, however it dies.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import threading
import time
from collections.abc import Callable

from letta_emitter.backlog import RETAIN_S, Backlog
from letta_emitter.bell import Bell
from letta_emitter.folder import FILE_MODE, Folder
from letta_emitter.settings import EmitterSettings
from letta_emitter.stats import Gap, Snapshot, Stats, StatsFile, retire

STANDBY_S = 0.25
HOUSEKEEPING_S = 0.25
_JOIN_GRACE_S = 0.2

GapReporter = Callable[[list[tuple[Snapshot, Gap]]], None]
"""Told about losses that a dead process did not report; also the reminder to report one's own."""


class Drain:
    """One thread with an event loop of its own. Nothing starts before `start`; nothing is raised out of it."""

    def __init__(
        self,
        settings: EmitterSettings,
        folder: Folder,
        stats: Stats,
        *,
        report_gaps: GapReporter,
        retain_s: float = RETAIN_S,
    ) -> None:
        self.bell = Bell()
        self._settings = settings
        self._folder = folder
        self._stats = stats
        self._stats_file = StatsFile(folder, stats)
        self._report_gaps = report_gaps
        self._retain_s = retain_s
        self._thread: threading.Thread | None = None
        self._descriptor = -1
        self._kept_house_at = 0.0

    @property
    def is_running(self) -> bool:
        """Say whether the thread lives."""
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        """Start the thread, if it is not running.

        Raises:
            RuntimeError: no thread can be had (the interpreter is ending, or the system is out of them).
        """
        if not self.is_running:
            self.bell.stop_at = None
            self._thread = threading.Thread(target=self._main, name="letta-emitter", daemon=True)
            self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """Let it publish what it can within the time, if it is connected, and wait for its end."""
        if self._thread is not None and self._thread.is_alive():
            self.bell.stop(time.monotonic() + timeout_s)
            self._thread.join(timeout_s + _JOIN_GRACE_S)

    def reset_after_fork(self) -> None:
        """In a forked child: the thread is not there, and the parent's lock is not ours."""
        self._thread = None
        self.bell = Bell()
        self._release_lock()
        self._stats_file.close()

    # The thread.

    def _main(self) -> None:
        try:
            with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
                runner.run(self._run())
        except Exception as error:  # noqa: BLE001 (nothing may be printed by the threading module)
            self._stats.report("drain", f"the drain has ended: {error!r}")
        finally:
            self._stats.role = "idle"
            with contextlib.suppress(OSError):
                self._stats_file.write()
            self._stats_file.close()

    async def _run(self) -> None:
        while True:  # once at least: a process that emits and ends at once has something to publish
            try:
                if self._take_lock():
                    await self._hold()
            except Exception as error:  # noqa: BLE001 (whatever it is, it is tried again and Letta goes on)
                self._stats.report("drain", f"the drain failed and starts again: {error!r}")
            finally:
                self._release_lock()
            self._keep_house(None)
            if self.bell.is_stopping:
                return
            self.bell.pause(STANDBY_S)

    async def _hold(self) -> None:
        backlog = Backlog(
            self._folder, self._settings.spool_bytes_max, time.monotonic(), retain_s=self._retain_s
        )
        try:
            self._keep_house(backlog)
            # Imported here, in the thread: FastStream and redis take the better part of a second.
            from letta_emitter.pump import Pump  # noqa: PLC0415

            await Pump(self._settings, backlog, self._stats, self.bell, keep_house=self._keep_house).run()
        finally:
            backlog.close(time.monotonic())

    def _take_lock(self) -> bool:
        self._stats.role = "standby"
        try:
            self._folder.create()
            descriptor = os.open(self._folder.drain_lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        except OSError as error:
            self._stats.report("unwritable", f"the spool at {self._folder.path} cannot be used: {error}")
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        self._stats.role = "drain"
        with contextlib.suppress(OSError):  # only for people and `doctor`: who it is
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        return True

    def _release_lock(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _keep_house(self, backlog: Backlog | None) -> bool:
        """Do what is due now and then; returns whether the lock in the folder is still the one held."""
        now = time.monotonic()
        if now - self._kept_house_at < HOUSEKEEPING_S:
            return True
        self._kept_house_at = now
        try:
            if backlog is not None and not self._lock_is_ours():
                return False
            orphaned: list[tuple[Snapshot, Gap]] = []
            if backlog is not None:
                backlog.tick(now)
                orphaned = retire(self._folder)
                self._stats.set("damaged", backlog.damaged)
                self._stats.set("released_early", backlog.released_early)
            if orphaned or self._stats.has_gaps:
                self._report_gaps(orphaned)
            self._stats_file.write()
        except OSError as error:
            self._stats.report("unwritable", f"the spool at {self._folder.path} cannot be used: {error}")
        return True

    def _lock_is_ours(self) -> bool:
        """Say whether nobody has removed the folder and made it anew."""
        try:
            return os.fstat(self._descriptor).st_ino == self._folder.drain_lock.stat().st_ino
        except OSError:
            return False
