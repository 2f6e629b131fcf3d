"""Counters that another process can read: one small file per process in the spool folder, locked while it lives."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypedDict

from letta_emitter.folder import FILE_MODE, Folder, write_private
from letta_emitter.reader import exclusive

log = logging.getLogger("letta_emitter")

REPORT_EVERY_S = 60.0
GAP_KEYS_MAX = 64
LOST = ("overflow", "unwritable", "busy", "oversize", "failed", "damaged")
"""Counters of events that never reach Redis."""
LAST_LOSS: Final = "last_loss_at"
"""Beside the counters of ended processes, and merged by the later one: unix seconds."""
_TOOL_PROCESS = "LETTA_TOOL_ID"


class Gap(TypedDict):
    """Events of one organization lost for one reason: how many, and when the first and last (unix seconds)."""

    organization: str | None
    reason: str
    count: int
    first: float
    last: float


class Snapshot(TypedDict):
    """What a process's file holds."""

    pid: int
    started: int
    role: str
    counters: dict[str, int]
    gaps: list[Gap]
    last_error: str | None
    last_loss_at: int
    routes: str | None
    updated: float


@dataclass(slots=True)
class Stats:
    """This process's counters, losses not yet reported as an event, and the log of what went wrong."""

    pid: int = field(default_factory=os.getpid)
    started: int = field(default_factory=time.time_ns)
    role: str = "idle"
    last_error: str | None = None
    last_loss_at: int = 0
    """Unix seconds; 0 for never."""
    routes: str | None = None
    """What became of the webhook routes on Letta's API; None where they are not wanted."""
    _counters: dict[str, int] = field(default_factory=dict)
    _gaps: dict[tuple[str | None, str], Gap] = field(default_factory=dict)
    _quiet_until: dict[str, float] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, name: str, by: int = 1) -> None:
        """Add to a counter."""
        if not by:
            return
        with self._lock:
            self._note(name, self._counters.get(name, 0) + by)

    def set(self, name: str, value: int) -> None:
        """Set a counter that is kept elsewhere."""
        if value:
            with self._lock:
                self._note(name, value)

    def _note(self, name: str, value: int) -> None:
        if name in LOST and value > self._counters.get(name, 0):
            self.last_loss_at = int(time.time())
        self._counters[name] = value

    def get(self, name: str) -> int:
        """Return a counter, 0 if it was never counted."""
        return self._counters.get(name, 0)

    def report(self, kind: str, text: str, *, level: int = logging.ERROR) -> None:
        """Log what went wrong, once per kind and minute; not where stderr becomes part of a tool's result."""
        self.last_error = f"{kind}: {text}"
        if _TOOL_PROCESS in os.environ:
            return
        now = time.monotonic()
        if now >= self._quiet_until.get(kind, 0.0):
            self._quiet_until[kind] = now + REPORT_EVERY_S
            log.log(level, "letta-emitter: %s", text)

    def lost(self, organization: str | None, reason: str) -> None:
        """Remember one lost event for the gap event; organizations beyond a bound are counted together."""
        now = time.time()
        with self._lock:
            key = (organization, reason)
            if key not in self._gaps and len(self._gaps) >= GAP_KEYS_MAX:
                key = (None, reason)
            gap = self._gaps.setdefault(
                key, Gap(organization=key[0], reason=reason, count=0, first=now, last=now)
            )
            gap["count"] += 1
            gap["last"] = now

    def reset_after_fork(self) -> None:
        """In a forked child: begin at nothing, since the parent goes on counting what it has counted."""
        self.pid, self.started, self.role, self.last_error = os.getpid(), time.time_ns(), "idle", None
        self._lock = threading.Lock()
        self._counters, self._gaps, self.last_loss_at, self.routes = {}, {}, 0, None

    @property
    def has_gaps(self) -> bool:
        """Say whether there are losses not yet reported as an event."""
        return bool(self._gaps)

    def take_gaps(self) -> list[Gap]:
        """Take the losses, to report them; `give_back` what could not be."""
        with self._lock:
            gaps, self._gaps = list(self._gaps.values()), {}
        return gaps

    def give_back(self, gaps: Iterable[Gap]) -> None:
        """Put losses back, to be reported later."""
        with self._lock:
            for gap in gaps:
                known = self._gaps.setdefault((gap["organization"], gap["reason"]), gap)
                if known is not gap:
                    known["count"] += gap["count"]
                    known["first"] = min(known["first"], gap["first"])
                    known["last"] = max(known["last"], gap["last"])

    def snapshot(self) -> Snapshot:
        """Return all of it, for the file."""
        with self._lock:
            return Snapshot(
                pid=self.pid,
                started=self.started,
                role=self.role,
                counters=dict(self._counters),
                gaps=list(self._gaps.values()),
                last_error=self.last_error,
                last_loss_at=self.last_loss_at,
                routes=self.routes,
                updated=time.time(),
            )


class StatsFile:
    """Where `Stats` are written. Its lock, held as long as the process lives, tells a living one from a dead one."""

    def __init__(self, folder: Folder, stats: Stats) -> None:
        self._stats = stats
        self._folder = folder
        self._descriptor = -1
        self._written: dict[str, Any] = {}

    def write(self) -> None:
        """Bring the file up to date, if anything changed.

        Raises:
            OSError: it cannot be written.
        """
        snapshot = self._stats.snapshot()
        content = {name: value for name, value in snapshot.items() if name != "updated"}
        if content == self._written:
            return
        if self._descriptor < 0:
            self._open()
        text = json.dumps(snapshot, separators=(",", ":")).encode()
        os.pwrite(self._descriptor, text, 0)
        os.ftruncate(self._descriptor, len(text))
        self._written = content

    def _open(self) -> None:
        self._folder.create()
        path = self._folder.path / f"stats-{self._stats.started:020d}-{self._stats.pid}.json"
        hidden = path.with_name(f".{path.name}")
        descriptor = os.open(hidden, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        os.write(descriptor, b"{}")
        hidden.rename(path)  # visible only once it is locked, or it would be taken for a dead process's
        self._descriptor = descriptor

    def close(self) -> None:
        """Let go of the file, so that its counters are folded into the retired ones."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class Process(TypedDict):
    """A process seen in the folder."""

    alive: bool
    stats: Snapshot


def processes(folder: Folder) -> list[Process]:
    """Read the counters of all processes whose files are still there."""
    found: list[Process] = []
    for path in folder.stats():
        stored = _load(path)
        if stored is not None:
            found.append(Process(alive=not _is_free(path), stats=stored))
    return found


def retired_counters(folder: Folder) -> dict[str, int]:
    """Return what processes that have ended counted in all."""
    return {name: value for name, value in _retired(folder).items() if name != LAST_LOSS}


def last_loss_at(folder: Folder) -> int:
    """Return when a process of this spool, living or dead, last lost an event: unix seconds, 0 for never."""
    living = (process["stats"].get(LAST_LOSS, 0) for process in processes(folder))
    return max(_retired(folder).get(LAST_LOSS, 0), *living, 0)


def _retired(folder: Folder) -> dict[str, int]:
    try:
        stored = json.loads(folder.retired.read_bytes())
        return {str(name): int(value) for name, value in stored.items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}


def retire(folder: Folder) -> list[tuple[Snapshot, Gap]]:
    """Fold the counters of dead processes into the retired ones, and return the losses they did not report.

    Called by the holder of the drain only. A crash in the middle may count twice; a gap's id makes its
    event collapse.
    """
    orphaned: list[tuple[Snapshot, Gap]] = []
    for path in folder.stats():
        if not _is_free(path):
            continue
        stored = _load(path)
        if stored is not None:
            totals = _retired(folder)
            for name, value in stored["counters"].items():
                totals[name] = totals.get(name, 0) + value
            totals[LAST_LOSS] = max(totals.get(LAST_LOSS, 0), stored.get(LAST_LOSS, 0))
            write_private(folder.retired, json.dumps(totals).encode())
            orphaned += [(stored, gap) for gap in stored["gaps"]]
        path.unlink(missing_ok=True)
    return orphaned


def _is_free(path: Path) -> bool:
    with exclusive(path, wait_s=0) as had:
        return had


def _load(path: Path) -> Snapshot | None:
    for _ in range(3):  # it is rewritten in place, so it may be caught half written
        try:
            stored = json.loads(path.read_bytes())
        except FileNotFoundError:
            return None
        except ValueError:
            time.sleep(0.002)
            continue
        return stored if isinstance(stored, dict) and "counters" in stored else None  # type: ignore[return-value]
    return None
