"""What an event costs where very many subscriptions do not want it: `just bench fanout`.

Two gateways run as users run them (`letta-gateway dev`, SQLite, signing, every attempt recorded): one with three
subscriptions, one with a hundred thousand of which the same three match. Both are filled through the import,
stopped and started again; then they get the same events in turn, round by round, so that whatever else the machine
does meets both. Rates are medians of the rounds; CPU is user and system time of the gateway's process.

The index alone is measured beside it, in this process: real rows of a real log through the real directory.
"""

import argparse
import asyncio
import contextlib
import json
import multiprocessing
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from typing import Any, Self, cast

import httptools
import httpx
import uvloop
from rich.console import Console
from rich.table import Table

from gateway.adapters.development import secret_keys_path
from gateway.adapters.sql.log import SqlLog
from gateway.adapters.sql.sqlite import SqliteDatabase
from gateway.adapters.sql.subscriptions import SqlSubscriptions
from gateway.adapters.vault import Keyring
from gateway.deliver.directory import Directory
from gateway.deliver.envelopes import event_of

RATIO_MAX = 1.5
MATCHING = 3
BATCH = 100
AGENT = "agent-11111111-2222-4333-8444-555555555555"
ORGANIZATION = "org-11111111-2222-4333-8444-555555555555"
TYPE = "com.letta.agent.step.completed"
THREE, NONE = "three match", "none matches"
_WAIT_S = 600.0


def source(organization: str, agent: str) -> str:
    return f"https://letta/organizations/{organization}/agents/{agent}"


def other(number: int) -> dict[str, Any]:
    """A subscription that wants none of the events, each told apart from them in another way."""
    agent, organization = f"agent-{number:08d}-2222-4333-8444-555555555555", f"org-{number:08d}"
    step = {"types": [TYPE]}
    shapes: tuple[dict[str, Any], ...] = (
        step | {"filters": [{"exact": {"partitionkey": agent}}]},
        step | {"source": source(organization, agent)},
        step | {"filters": [{"prefix": {"source": source(organization, "")}}]},
        step | {"filters": [{"suffix": {"source": agent}}]},
        step | {"filters": [{"any": [{"exact": {"partitionkey": agent}}, {"exact": {"subject": agent}}]}]},
        {"organization": organization},
        {"types": [f"com.example.kind-{number}"], "filters": [{"not": {"exact": {"subject": "x"}}}]},
    )
    return {"sink": f"http://127.0.0.1:9/{number}"} | shapes[number % len(shapes)]


def matching(port: int, number: int) -> dict[str, Any]:
    """One of the three that want every event."""
    filters = [{"exact": {"partitionkey": AGENT}}]
    return {"sink": f"http://127.0.0.1:{port}/{number}", "types": [TYPE], "filters": filters}


def event(number: int, agent: str = AGENT) -> dict[str, Any]:
    data = {
        "event_id": f"evt_{number}",
        "event_type": "agent.step.completed",
        "timestamp": "2026-01-01T12:00:00Z",
        "agent_id": agent,
        "organization_id": ORGANIZATION,
        "data": {"step_id": f"step-{number}", "status": "completed", "usage": {"total_tokens": 1_234}},
    }
    return {
        "specversion": "1.0",
        "id": data["event_id"],
        "source": source(ORGANIZATION, agent),
        "type": TYPE,
        "subject": f"step-{number}",
        "time": data["timestamp"],
        "datacontenttype": "application/json",
        "partitionkey": agent,
        "sequence": f"{number:020d}",
        "data": data,
    }


class Receiver(asyncio.Protocol):
    """Answers every request at once, and counts."""

    def __init__(self, count: "Synchronized[int]") -> None:
        self.parser = httptools.HttpRequestParser(self)
        self.transport: asyncio.Transport | None = None
        self.count = count

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_message_complete(self) -> None:
        self.count.value += 1
        if self.transport is not None:
            self.transport.write(b"HTTP/1.1 204 No Content\r\n\r\n")


def receive(pipe: Any, count: "Synchronized[int]") -> None:
    """Run a receiver until it is killed; its port goes into the pipe."""

    async def serve() -> None:
        server = await asyncio.get_running_loop().create_server(lambda: Receiver(count), "127.0.0.1", 0)
        pipe.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    uvloop.run(serve())


@contextlib.contextmanager
def receiver() -> Iterator[tuple[int, "Synchronized[int]"]]:
    context = multiprocessing.get_context("spawn")
    count, (ours, theirs) = context.Value("q", 0, lock=False), multiprocessing.Pipe()
    process = context.Process(target=receive, args=(theirs, count), daemon=True)
    process.start()
    try:
        yield ours.recv(), cast("Synchronized[int]", count)
    finally:
        process.kill()
        process.join()


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + _WAIT_S
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {_WAIT_S:.0f} s"
        time.sleep(0.005)


@dataclass
class Gateway:
    """A gateway in a folder; a context manager around each of its lives."""

    folder: Path
    subscriptions: int
    events: int = 0
    import_s: float = 0.0
    import_cpu_s: float = 0.0
    ready_s: float = 0.0
    ready_cpu_s: float = 0.0
    rss_mb: float = 0.0
    rates: dict[str, list[float]] = field(default_factory=dict)
    cpu_us: dict[str, list[float]] = field(default_factory=dict)
    router_us: list[float] = field(default_factory=list)

    def __enter__(self) -> Self:
        begin = time.perf_counter()
        arguments = ["dev", "--port", "0", "--data-dir", str(self.folder), "--json"]
        kept = {name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "gateway", *arguments],
            stdout=subprocess.PIPE,
            text=True,
            env=kept,
            start_new_session=True,
        )
        assert self.process.stdout is not None
        said = json.loads(self.process.stdout.readline())
        self.http = httpx.Client(
            base_url=said["url"], headers={"Authorization": f"Bearer {said['token']}"}, timeout=120
        )
        until(lambda: self.http.get("/readyz").status_code == httpx.codes.OK, "ready")
        self.ready_s, self.ready_cpu_s = time.perf_counter() - begin, self.cpu_s()
        self.rss_mb = self.memory_mb()
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)

    def forget(self) -> None:
        """Forget what was measured to warm up."""
        self.rates.clear()
        self.cpu_us.clear()

    def fill(self, wanted: Sequence[dict[str, Any]]) -> None:
        """Import them, and wait until the router has passed their facts."""
        begin, cpu = time.perf_counter(), self.cpu_s()
        for start in range(0, len(wanted), 500):
            part = wanted[start : start + 500]
            self.http.post("/v1/subscriptions/import", json=part).raise_for_status()
        until(lambda: self.routed(0), "the router passes what was imported")
        self.import_s, self.import_cpu_s = time.perf_counter() - begin, self.cpu_s() - cpu

    def measure(self, what: str, events: int, agent: str, done: Callable[[int], bool]) -> None:
        """Publish that many events and note rate and CPU, until all that they lead to is done."""
        bodies = [
            json.dumps([event(self.events + start + one, agent) for one in range(BATCH)]).encode()
            for start in range(0, events, BATCH)
        ]
        self.events += events
        headers = {"Content-Type": "application/cloudevents-batch+json"}
        begin, cpu = time.perf_counter(), self.cpu_s()
        for body in bodies:
            self.http.post("/v1/events", content=body, headers=headers).raise_for_status()
        until(lambda: done(events), what)
        taken, cpu = time.perf_counter() - begin, self.cpu_s() - cpu
        self.rates.setdefault(what, []).append(events / taken)
        self.cpu_us.setdefault(what, []).append(cpu / events * 1e6)

    def routed(self, _events: int) -> bool:
        """Whether the router has passed everything; asked for now and then, since the asking costs it something."""
        time.sleep(0.02)
        return self.http.get("/readyz").json().get("lag_events") == 0

    def memory_mb(self) -> float:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024

    def cpu_s(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def router_us(folder: Path, agent: str, rows: int) -> Iterator[float]:
    """CPU per event of what the router does before any lane, in microseconds: read, parse, find; each time anew."""
    database = SqliteDatabase(folder / "gateway.db")
    log = SqlLog(database, now=lambda: 0, random=os.urandom)
    keyring = Keyring.parse(secret_keys_path(folder).read_text())
    subscriptions = SqlSubscriptions(database, keyring, fact_source="/", now=lambda: 0, random=os.urandom)
    with asyncio.Runner() as runner:
        head = runner.run(log.head()).position
        directory = Directory(subscriptions)
        runner.run(directory.load(head))

        async def route() -> int:
            found, position = 0, head - rows
            while entries := await log.read(position, 500):
                for entry in map(event_of, entries):
                    if entry.envelope is not None and directory.routable(entry):
                        attributes = entry.envelope.attributes
                        found += sum(
                            1 for _ in directory.index.matching(attributes, entry.entry.organization)
                        )
                position = entries[-1].position
            return found

        assert runner.run(route()) == (MATCHING * rows if agent == AGENT else 0)
        while True:
            begin = time.process_time()
            runner.run(route())
            yield (time.process_time() - begin) / rows * 1e6
    # Closed with the process: a generator that is not run to its end has no other.


def compare(few: Gateway, many: Gateway, options: argparse.Namespace) -> None:
    """Give both the same events in turn; the first round warms them up."""
    with receiver() as (port, count):
        wanted = [matching(port, number) for number in range(MATCHING)]
        for gateway in (few, many):
            with gateway:
                gateway.fill([*wanted, *map(other, range(gateway.subscriptions - MATCHING))])
        with few, many:
            for number in range(options.rounds + 1):
                for gateway in (few, many) if number % 2 else (many, few):
                    before = count.value

                    def arrived(events: int, before: int = before) -> bool:
                        return count.value >= before + MATCHING * events

                    gateway.measure(NONE, options.events, "agent-of-nobody", gateway.routed)
                    gateway.measure(THREE, options.events, AGENT, arrived)
                if number == 0:
                    for gateway in (few, many):
                        gateway.forget()
    # The rows of the last measurement are the log's end: those that three subscriptions want.
    routers = [router_us(gateway.folder, AGENT, options.events) for gateway in (few, many)]
    for _ in range(options.rounds):
        for gateway, router in zip((few, many), routers, strict=True):
            gateway.router_us.append(next(router))


def ratio(pairs: Iterable[tuple[float, float]]) -> float:
    """Of each round by itself, so that what the machine did meanwhile cancels out."""
    return round(statistics.median(high / low for high, low in pairs), 2)


def report(few: Gateway, many: Gateway) -> dict[str, Any]:
    def one(gateway: Gateway) -> dict[str, Any]:
        return {
            "subscriptions": gateway.subscriptions,
            "import, s": round(gateway.import_s, 1),
            "import, CPU s": round(gateway.import_cpu_s, 1),
            "start, s": round(gateway.ready_s, 1),
            "start, CPU s": round(gateway.ready_cpu_s, 1),
            "memory after start, MB": round(gateway.rss_mb),
            **{f"{what}, events/s": round(statistics.median(gateway.rates[what])) for what in (THREE, NONE)},
            **{f"{what}, CPU µs": round(statistics.median(gateway.cpu_us[what])) for what in (THREE, NONE)},
            "router alone, CPU µs": round(statistics.median(gateway.router_us), 1),
        }

    return {
        "few": one(few),
        "many": one(many),
        "ratio": {
            **{
                f"{what}, events/s": ratio(zip(few.rates[what], many.rates[what], strict=True))
                for what in (THREE, NONE)
            },
            **{
                f"{what}, CPU µs": ratio(zip(many.cpu_us[what], few.cpu_us[what], strict=True))
                for what in (THREE, NONE)
            },
            "router alone, CPU µs": ratio(zip(many.router_us, few.router_us, strict=True)),
        },
        "python": sys.version.split()[0],
        "cores": os.cpu_count(),
    }


def show(found: dict[str, Any], title: str) -> None:
    table = Table(title=title)
    for column in ("", "few", "many", "ratio"):
        table.add_column(column, justify="left" if not column else "right")
    for name, value in found["few"].items():
        ratio = found["ratio"].get(name)
        table.add_row(name, f"{value:,}", f"{found['many'][name]:,}", "" if ratio is None else f"{ratio:.2f}")
    Console().print(table)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--subscriptions", type=int, default=100_000)
    parser.add_argument("--events", type=int, default=2_000, help="events of a round")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        few = Gateway(Path(folder) / "few", MATCHING)
        many = Gateway(Path(folder) / "many", options.subscriptions)
        compare(few, many, options)
    found = report(few, many)
    found["good"] = found["ratio"][f"{THREE}, events/s"] <= RATIO_MAX
    if options.json:
        print(json.dumps(found))
    else:
        show(found, "what an event costs where few of many subscriptions want it")
    return 0 if found["good"] else 1


if __name__ == "__main__":
    sys.exit(main())
