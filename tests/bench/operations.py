"""`erase`, `archive`, `rebuild` and `verify-log` on a large log: `just bench operations`, or with `--events 50000`.

Makes a log of so many events with an attempt for each, runs the commands on it as an operator would, one after the
other, measures time and peak memory of whatever did the work, verifies each result, and writes
docs/operations-benchmarks.md. A run of fewer events than a million is printed instead. It takes about 4 GB of disk.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "report"))

from paired.machine import machine  # noqa: E402 - the report's modules lie in no package that is installed

from gateway.adapters.development import with_development_secrets  # noqa: E402
from gateway.adapters.sql.deliveries import SqlDeliveries  # noqa: E402
from gateway.adapters.sql.log import SqlLog  # noqa: E402
from gateway.adapters.sql.migrate import upgrade  # noqa: E402
from gateway.adapters.sql.opening import open_database  # noqa: E402
from gateway.adapters.sql.subscriptions import SqlSubscriptions  # noqa: E402
from gateway.adapters.vault import Keyring  # noqa: E402
from gateway.domain.delivery import Decision  # noqa: E402
from gateway.domain.subscription import SubscriptionSpec  # noqa: E402
from gateway.ports import AttemptRecord, CursorUpdate, JournalBatch, NewEntry  # noqa: E402
from gateway.settings import load_settings  # noqa: E402

PAGE = HERE.parents[1] / "docs" / "operations-benchmarks.md"
MILLION = 1_000_000
BATCH = 500
ORGANIZATIONS = 10
AGENTS = 1_000
RESPONSE = b'{"ok": true}'
SOURCE = "http://127.0.0.1/gateway"


_METHOD = """\
## Method

- Time is the whole command's, its start included. Peak memory is that of the process that does the work: the
  command's own where it opens the database, by `wait4`; the gateway's where it asks one, as `VmHWM`, begun anew
  before each command.
- A gateway rests after each step of an erasure or an archiving for as long as the step took, so that others have
  their turn: with nobody else there, half of that time is rest.
- Checked: how many positions are sound, erased and archived, by `verify-log` with and without the files; that a
  rebuild finds the subscription with nothing to be sent again; that an erasure says as many events as there were.
"""


def now_us() -> int:
    return time.time_ns() // 1_000


def entry(number: int) -> NewEntry:
    """About 900 bytes, as a step of an agent is."""
    agent, organization, run = (
        f"agent-{number % AGENTS}",
        f"org-{number % ORGANIZATIONS}",
        f"run-{number // 8}",
    )
    source, event_id = f"https://letta/organizations/{organization}/agents/{agent}", f"evt_{number:026d}"
    event = {
        "specversion": "1.0",
        "id": event_id,
        "source": source,
        "type": "com.letta.agent.step.completed",
        "subject": f"step-{number}",
        "time": "2026-01-01T12:00:00Z",
        "datacontenttype": "application/json",
        "partitionkey": agent,
        "correlationid": run,
        "sequence": f"{number:020d}",
        "traceparent": f"00-{number:032x}-{number + 1:016x}-01",
        "data": {
            "event_id": event_id,
            "event_type": "agent.step.completed",
            "timestamp": "2026-01-01T12:00:00Z",
            "agent_id": agent,
            "organization_id": organization,
            "data": {
                "step_id": f"step-{number}",
                "status": "completed",
                "model": "gpt-4o-mini",
                "usage": {"prompt_tokens": number % 5_000, "completion_tokens": number % 700},
            },
        },
    }
    return NewEntry(
        event["type"],
        source,
        event_id,
        json.dumps(event).encode(),
        subject=f"step-{number}",
        organization=organization,
        agent_id=agent,
        run_id=run,
        trace_id=f"{number:032x}",
    )


def attempt(number: int, position: int, row_hash: bytes) -> AttemptRecord:
    return AttemptRecord(
        id=f"att_{position:026d}",
        number=number,
        position=position,
        hash6=row_hash[:6],
        attempt=1,
        round=0,
        cause="first",
        decision=Decision.DELIVERED,
        counts=False,
        started_at_us=now_us(),
        duration_us=4_000,
        revision=1,
        trace_id=f"{position:032x}",
        span_id=f"{position:016x}",
        status=200,
        response_headers=(("Content-Type", "application/json"),),
        response_body=RESPONSE,
    )


async def fill(folder: Path, events: int) -> None:
    """A subscription, the events, and an attempt for each: what a gateway leaves that has delivered them all."""
    settings = with_development_secrets(load_settings({}), folder)
    async with open_database(settings, folder) as database:
        await upgrade(database)
        log = SqlLog(database, now=now_us, random=os.urandom)
        deliveries = SqlDeliveries(database)
        subscriptions = SqlSubscriptions(
            database, Keyring(settings.secret_keys_raw), fact_source=SOURCE, now=now_us, random=os.urandom
        )
        made = await subscriptions.create(
            SubscriptionSpec(sink="http://127.0.0.1:9/", types=("com.letta.agent.step.completed",)),
            organization="*",
            privileged=True,
            secret="whsec_" + "A" * 40,
        )
        for start in range(0, events, BATCH):
            appended = await log.append([entry(number) for number in range(start, start + BATCH)])
            attempts = [
                attempt(made.number, item.position, item.entry.row_hash) for item in appended if item.entry
            ]
            last = appended[-1].position
            await deliveries.commit(
                JournalBatch(attempts, (), (), (CursorUpdate(made.number, last, live=True),), last)
            )


@dataclass
class Row:
    """One command as it went."""

    what: str
    seconds: float
    peak_mib: float
    result: str


@dataclass
class Bench:
    folder: Path
    rows: list[Row] = field(default_factory=list)

    def note(self, row: Row) -> None:
        self.rows.append(row)
        print(f"{row.what}: {row.seconds:.1f} s, {row.peak_mib:.0f} MiB, {row.result}", file=sys.stderr)

    def alone(self, what: str, *arguments: str) -> dict[str, Any]:
        """Run a command that opens the database itself; it does the work, so its own peak is what counts."""
        begin = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-m", "gateway", *arguments, "--json", "--data-dir", str(self.folder)],
            stdout=subprocess.PIPE,
        )
        assert process.stdout is not None
        said = process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0, f"{what} failed: {said.decode()}"
        found: dict[str, Any] = json.loads(said)
        told = ", ".join(f"{name} {value:,}" for name, value in found.items() if type(value) is int and value)
        self.note(Row(what, time.monotonic() - begin, used.ru_maxrss / 1024, told))
        return found

    def served(self, gateway: subprocess.Popen[str], what: str, *arguments: str) -> dict[str, Any]:
        """Run a command that asks the gateway, which does the work: its peak since the command began."""
        Path(f"/proc/{gateway.pid}/clear_refs").write_text("5")
        begin = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-m", "gateway", *arguments, "--json", "--data-dir", str(self.folder)],
            capture_output=True,
            text=True,
            check=False,
        )
        seconds = time.monotonic() - begin
        assert done.returncode == 0, f"{what} failed: {done.stderr}"
        status = Path(f"/proc/{gateway.pid}/status").read_text()
        peak_mib = int(status.split("VmHWM:")[1].split()[0]) / 1024
        found: dict[str, Any] = json.loads(done.stdout)
        told = ", ".join(
            f"{name} {found[name]:,}" for name in ("events", "archives", "attempts") if found.get(name)
        )
        self.note(Row(what, seconds, peak_mib, told))
        return found


def start(folder: Path) -> subprocess.Popen[str]:
    gateway = subprocess.Popen(
        [sys.executable, "-m", "gateway", "dev", "--port", "0", "--data-dir", str(folder), "--json"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert gateway.stdout is not None
    assert gateway.stdout.readline(), "the gateway did not start"
    return gateway


def run(bench: Bench, events: int) -> None:
    """What an operator may do with such a log, each checked by what follows."""
    sound = bench.alone("`verify-log`", "verify-log")
    assert (sound["ok"], sound["checked"]) == (True, events + 1)
    rebuilt = bench.alone("`rebuild`", "rebuild")
    assert (rebuilt["subscriptions"], rebuilt["pending"]) == (1, 0)

    gateway = start(bench.folder)
    of_one = events // ORGANIZATIONS
    erased = bench.served(
        gateway, f"`erase --organization`: {of_one:,} events", "erase", "--organization", "org-3", "--yes"
    )
    assert erased["events"] == of_one
    until = events * 9 // 10
    archived = bench.served(gateway, f"`archive --before {until + 1}`", "archive", "--before", str(until + 1))
    assert (archived["state"], archived["archived_until"]) == ("finished", until)
    agent = bench.served(
        gateway, "`erase --agent`, through all archives", "erase", "--agent", "agent-14", "--yes"
    )
    assert agent["events"] == events // AGENTS
    bench.served(gateway, "`archive restore`: one archive", "archive", "restore", "1")
    gateway.terminate()
    assert gateway.wait(timeout=120) == 0

    sound = bench.alone("`verify-log`, most of it archived", "verify-log")
    assert sound["ok"]
    gone = of_one + events // AGENTS
    sound = bench.alone(
        "`verify-log --archive`: log and files", "verify-log", "--archive", str(bench.folder / "archive")
    )
    assert (sound["ok"], sound["erased"]) == (True, gone), sound
    rebuilt = bench.alone("`rebuild`, most of it archived", "rebuild")
    assert (rebuilt["subscriptions"], rebuilt["pending"]) == (1, 0)


def page(bench: Bench, events: int, sizes: dict[str, int], filled_s: float) -> str:
    found = machine(bench.folder)
    rows = "\n".join(
        f"| {row.what} | {row.seconds:.1f} | {row.peak_mib:.0f} | {row.result} |" for row in bench.rows
    )
    about = "\n".join(f"| {name} | {value} |" for name, value in found.items())
    return "\n".join(
        [
            "# Operations on a large log",
            "",
            f"Made by `just bench operations` on {datetime.now(UTC):%Y-%m-%d}, in one run at low priority, on the",
            "machine named below, which is small, shared and busy: times say of which order, memory is what counts.",
            "",
            f"A log of {events:,} events of about 900 bytes, of {ORGANIZATIONS} organizations and {AGENTS:,} agents,",
            "with one subscription, and for each event an attempt with its answer:",
            f"{sizes['database'] / 2**30:.1f} GiB of SQLite, filled in {filled_s:.0f} s. In this order:",
            "",
            "| command | seconds | peak memory, MiB | result, checked |",
            "| --- | --- | --- | --- |",
            rows,
            "",
            (
                f"The archives hold {sizes['events']:,} positions in {sizes['files']} files, "
                f"{sizes['archives'] / 2**20:.0f} MiB together."
            ),
            "",
            _METHOD,
            "## Machine",
            "",
            "| | |",
            "| --- | --- |",
            about,
            "",
        ]
    )


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=MILLION, help="of the log; a multiple of 1,000")
    parser.add_argument(
        "--folder", type=Path, help="where the log is made; default: a new folder, removed at the end"
    )
    options = parser.parse_args()
    if options.events < AGENTS or options.events % AGENTS:
        parser.error(f"--events is a multiple of {AGENTS}")
    os.nice(10)
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        bench = Bench(Path(name) / "data")
        begin = time.monotonic()
        asyncio.run(fill(bench.folder, options.events))
        filled_s = time.monotonic() - begin
        database = (bench.folder / "gateway.db").stat().st_size
        print(f"{options.events:,} events in {filled_s:.0f} s, {database / 2**20:.0f} MiB", file=sys.stderr)
        run(bench, options.events)
        files = list((bench.folder / "archive").glob("*.gz"))
        sizes = {
            "database": database,
            "files": len(files),
            "archives": sum(path.stat().st_size for path in files),
            "events": options.events * 9 // 10,
        }
        text = page(bench, options.events, sizes, filled_s)
    if options.events < MILLION:
        print(text)
    else:
        PAGE.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
