"""`letta-emitter doctor`: does everything between Letta, Redis and the gateway stand, and what waits or was lost."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime

from letta_emitter.errors import SettingsError
from letta_emitter.folder import Folder
from letta_emitter.progress import Mark, Progress
from letta_emitter.reader import MainReader, SideReader, exclusive
from letta_emitter.settings import EmitterSettings, is_enabled, shown_url
from letta_emitter.stats import LOST, Process, last_loss_at, processes, retired_counters

LOSS_FAILS_S = 24 * 3600
"""How long a loss fails the check: the counters of ended processes stay, and must not fail it for ever."""

_READ_RECORDS = 256
_READ_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at: its name, whether it is as it should be, and a sentence."""

    name: str
    ok: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Depth:
    """What lies in the spool and is not yet published."""

    records: int
    bytes: int
    oldest_age_s: float | None
    disk_bytes: int


@dataclass(frozen=True, slots=True)
class Report:
    """All checks, and the numbers behind them."""

    checks: list[Check]
    depth: Depth | None = None
    counters: dict[str, int] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Say whether every check is."""
        return all(check.ok for check in self.checks)

    def as_json(self) -> dict[str, object]:
        """Return it as JSON values."""
        return {"ok": self.ok, **asdict(self)}


def examine() -> Report:
    """Look at everything; reads only, and waits for nothing longer than a connection's time-out."""
    checks = [_enabled()]
    try:
        settings = EmitterSettings.from_env()
    except SettingsError as error:
        checks.append(Check("settings", ok=False, detail=str(error)))
        return Report([*checks, *_hooks(), *_routes([])])
    checks.append(Check("settings", ok=True, detail=f"stream {settings.stream}, spool {settings.spool_dir}"))
    checks += _hooks()
    checks += _redis(settings)
    folder = Folder(settings.spool_dir)
    depth = measure(folder)
    counters = total_counters(folder)
    checks += [
        _spool(settings, depth),
        _drain(folder, depth),
        _losses(counters, last_loss_at(folder), time.time()),
        *_routes(processes(folder)),
    ]
    return Report(checks, depth, counters)


def _enabled() -> Check:
    try:
        on = is_enabled()
    except SettingsError as error:
        return Check("enabled", ok=False, detail=str(error))
    how = "is set" if on else "is not set: a Letta server emits only with it, or under 'letta-emitter run'"
    return Check("enabled", ok=True, detail=f"LETTA_EMITTER_ENABLED {how}")


def _hooks() -> list[Check]:
    try:
        from letta_emitter import hooks  # noqa: PLC0415 (imports Letta, if it is there)

        return [Check(f"hook {found.name}", ok=found.ok, detail=found.detail) for found in hooks.check()]
    except Exception as error:  # noqa: BLE001 (whatever Letta's own import does, the other checks go on)
        return [Check("hooks", ok=False, detail=f"cannot be looked for: {type(error).__name__}: {error}")]


def _routes(running: list[Process]) -> list[Check]:
    from letta_emitter.routes.checks import look  # noqa: PLC0415 (imports Letta, if they are wanted)

    return [Check(*finding) for finding in look(running)]


def _redis(settings: EmitterSettings) -> list[Check]:
    from redis.exceptions import RedisError  # noqa: PLC0415 (slow to import; the command line stays quick)

    from letta_emitter.publisher import stream_length  # noqa: PLC0415 (likewise)

    where = shown_url(settings.redis_url)
    try:
        length = asyncio.run(stream_length(settings))
    except (RedisError, OSError) as error:
        return [Check("redis", ok=False, detail=f"{where} cannot be used: {error}")]
    full = length >= settings.stream_max
    detail = f"{settings.stream} holds {length} of at most {settings.stream_max} entries"
    if full:
        detail += "; the spool holds until the gateway has read some"
    return [Check("redis", ok=True, detail=f"{where} answers"), Check("stream", ok=not full, detail=detail)]


def measure(folder: Folder) -> Depth:
    """Count what is not yet published."""
    progress = Progress.load(folder)
    records = size = 0
    oldest: int | None = None
    for sequence, length in _unpublished(folder, progress):
        records += 1
        size += length
        oldest = sequence if oldest is None else min(oldest, sequence)
    age = None if oldest is None else max(time.time() - oldest / 1e9, 0.0)
    return Depth(records, size, age, folder.size_bytes())


def _unpublished(folder: Folder, progress: Progress) -> Iterator[tuple[int, int]]:
    main = MainReader(folder, Mark(progress.published.segment, progress.published.sequence))
    readers: list[MainReader | SideReader] = [main]
    for path in folder.sides():
        try:
            readers.append(SideReader(path, progress.sides.get(path.name, 0)))
        except FileNotFoundError:  # released in this moment
            continue
    for reader in readers:
        while records := reader.read(_READ_RECORDS, _READ_BYTES):
            for record in records:
                yield record.sequence, len(record.payload)
        reader.close()


def total_counters(folder: Folder) -> dict[str, int]:
    """Add up what all processes of this spool have counted, living or dead."""
    total = Counter(retired_counters(folder))
    for process in processes(folder):
        total.update(process["stats"]["counters"])
    return dict(sorted(total.items()))


def _spool(settings: EmitterSettings, depth: Depth) -> Check:
    share = depth.disk_bytes / settings.spool_bytes_max
    age = "" if depth.oldest_age_s is None else f", the oldest {depth.oldest_age_s:.1f} s old"
    return Check(
        "spool",
        ok=share < 1,
        detail=f"{depth.records} events ({depth.bytes} bytes) wait{age}; {depth.disk_bytes} bytes on disk, "
        f"{share:.0%} of its bound",
    )


def _drain(folder: Folder, depth: Depth) -> Check:
    with exclusive(folder.drain_lock, wait_s=0) as free:
        pass
    if not free:
        holder = _quietly(folder.drain_lock.read_text) or "?"
        return Check("drain", ok=True, detail=f"held by process {holder.strip()}")
    if depth.records:
        return Check("drain", ok=False, detail="nobody publishes what waits: no emitting process is running")
    return Check("drain", ok=True, detail="no emitting process is running, and nothing waits")


def _quietly(read: Callable[[], str]) -> str | None:
    try:
        return read()
    except OSError:
        return None


def _losses(counters: dict[str, int], last_at: int, now: float) -> Check:
    lost = {name: counters[name] for name in LOST if counters.get(name)}
    if lost:
        totals = ", ".join(f"{name}: {count}" for name, count in lost.items())
        last = datetime.fromtimestamp(last_at, UTC).isoformat() if last_at else "unknown"
        return Check("losses", ok=now - last_at > LOSS_FAILS_S, detail=f"{totals}; the last one: {last}")
    side = counters.get("side_file", 0)
    return Check("losses", ok=True, detail=f"none; {side} events went through a side file")
