"""What tracing costs: `just bench tracing`, or `just bench tracing --rounds 20 --events 5000`.

Three gateways run at once, each with its own Redis and log: the code before it had tracing (`base`), this code
with tracing off, and this code exporting by OTLP the one event in ten that its producer samples. In each round each of
them delivers the same events, in turns and in another order, while the other two have nothing to do; ratios are taken
within a round. An interval is of 95 %, by bootstrap over the rounds. The exporter's other end reads no span.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import json
import multiprocessing
import statistics
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

HERE = Path(__file__).resolve().parent
TOP = HERE.parents[1]
sys.path.insert(0, str(HERE / "report"))

from paired.figures import interval  # noqa: E402 - the report's modules lie in no package that is installed
from paired.gateway import Gateway, gateway  # noqa: E402
from paired.machine import machine  # noqa: E402
from paired.receiver import receiving  # noqa: E402
from paired.rows.gateway import deliver, saturated  # noqa: E402
from paired.run import Run  # noqa: E402

BASE, OFF, ON = "base", "off", "on"
SAMPLED_EVERY = 10
OFF_LOSS_MAX, ON_LOSS_MAX = 0.01, 0.15
FIGURES = {"deliveries_per_s": "throughput", "cpu_us": "processor time a delivery"}
_TRACED_FIRST = "otel/setup.py"
_WARM_UP = 500


class _Collector(asyncio.Protocol):
    """Answers each request with 200, whatever is in it."""

    def __init__(self) -> None:
        self._left = 0
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end].lower()
            length = int(head.partition(b"content-length:")[2].split(b"\r\n")[0] or 0)
            if len(self._buffer) < end + 4 + length:
                return
            self._buffer = self._buffer[end + 4 + length :]
            self._transport.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n"
            )


def _collect(pipe: Connection) -> None:
    async def main() -> None:
        server = await asyncio.get_running_loop().create_server(_Collector, "127.0.0.1", 0)
        pipe.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(main())


@contextlib.contextmanager
def collector() -> Iterator[str]:
    """The other end of an exporter, in a process of its own."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_collect, args=(theirs,), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{ours.recv()}"
    finally:
        process.terminate()
        process.join()


def before_tracing(revision: str | None, folder: Path) -> Path | None:
    """The code of a revision, by default of the last one without tracing; None where there is no history."""
    git = ["git", "-C", str(TOP)]
    if revision is None:
        added = subprocess.run(
            [*git, "log", "--diff-filter=A", "--format=%H", "--", _TRACED_FIRST],
            capture_output=True,
            text=True,
            check=False,
        ).stdout.split()
        if not added:
            return None
        revision = f"{added[-1]}^"
    packed = subprocess.run([*git, "archive", revision], capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(folder, filter="data")
    return folder


def measure(sides: dict[str, Gateway], run: Run) -> list[dict[str, dict[str, float]]]:
    """One dictionary a round: what each side did in it."""
    names = list(sides)
    for name in names:
        sides[name].subscribe(run.receiver.sink(), max_concurrency=run.at_once)
        deliver(run, sides[name], _WARM_UP)
    rounds = []
    for number in range(run.rounds):
        shift = number % len(names)
        order = names[shift:] + names[:shift]
        order = order[::-1] if number % 2 else order
        rounds.append({name: saturated(run, sides[name]) for name in order})
        shown = ", ".join(f"{name} {rounds[-1][name]['deliveries_per_s']:,.0f}/s" for name in names)
        print(f"round {number + 1}: {shown}", file=sys.stderr)
    return rounds


def compared(rounds: list[dict[str, dict[str, float]]], over: str, under: str) -> dict[str, list[float]]:
    """Each figure of one side divided by the other's: mean, and its interval."""
    return {
        name: list(interval([measured[over][name] / measured[under][name] for measured in rounds]))
        for name in FIGURES
    }


def run_it(options: argparse.Namespace) -> dict[str, object]:
    with (
        tempfile.TemporaryDirectory(dir=options.folder) as folder,
        receiving() as receiver,
        collector() as endpoint,
        contextlib.ExitStack() as running,
    ):
        top = Path(folder)
        run = Run(receiver, top, options.events, options.rounds, options.bytes)
        run.tag = 1
        base = None if options.no_base else before_tracing(options.base, top / "code")
        exported = {
            "OTEL_TRACES_EXPORTER": "otlp",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        }
        environments = {OFF: {"PYTHONPATH": str(TOP)}, ON: {"PYTHONPATH": str(TOP), **exported}}
        if base is not None:
            environments = {BASE: {"PYTHONPATH": str(base)}, **environments}
        sides = {}
        for name, environment in environments.items():
            (top / name).mkdir()
            made = gateway(run, top / name, environment=environment, sampled_every=SAMPLED_EVERY)
            sides[name] = running.enter_context(made)
        rounds = measure(sides, run)
        found: dict[str, object] = {
            "machine": machine(top),
            "events": options.events,
            "rounds": rounds,
            "on_divided_by_off": compared(rounds, ON, OFF),
        }
        if base is not None:
            found["off_divided_by_base"] = compared(rounds, OFF, BASE)
        return found


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=5_000, help="deliveries of one side in one round")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--bytes", type=int, default=600, help="size of the body")
    parser.add_argument("--base", help="the revision to compare with; default: the last one without tracing")
    parser.add_argument("--no-base", action="store_true", help="only off and on")
    parser.add_argument("--folder", type=Path, help="where data is put (a local disk); default: a new folder")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = run_it(options)
    if options.json:
        print(json.dumps(found))
        return 0
    asked = {
        "off_divided_by_base": f"off, beside the code without tracing (asked: at least {1 - OFF_LOSS_MAX:.2f})",
        "on_divided_by_off": f"on with one event in {SAMPLED_EVERY} sampled (asked: above {1 - ON_LOSS_MAX:.2f})",
    }
    rounds: list[dict[str, dict[str, float]]] = found["rounds"]  # type: ignore[assignment] - made above
    for side in rounds[0]:
        rate, cpu_us = (statistics.median(one[side][name] for one in rounds) for name in FIGURES)
        print(f"{side:<5} {rate:>8,.0f} deliveries/s  {cpu_us:>6.0f} us each")
    for name, what in asked.items():
        if name not in found:
            print(f"{what}: there is no history to take the code from")
            continue
        print(what)
        for figure, (mean, low, high) in found[name].items():  # type: ignore[attr-defined] - made above
            print(f"  {FIGURES[figure]:<28} {mean:.3f}  ({low:.3f} - {high:.3f})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
