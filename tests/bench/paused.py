"""What very many paused subscriptions cost those that are not: `just bench paused`.

Two gateways run as users run them (`letta-gateway dev`, SQLite, signing, every attempt recorded): one with three
subscriptions, one with the same three and a hundred thousand that are paused and would want every event as well. They
are made through the import, and paused in the database between two lives of their gateway, since what is measured is
that they stand, and not the commands. Both get the same events in turn, round by round; then both are left alone.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sqlite3
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fanout import AGENT, MATCHING, THREE, Gateway, matching, ratio, receiver, show

if TYPE_CHECKING:
    from multiprocessing.sharedctypes import Synchronized

RATIO_MAX = 1.2
IDLE_MAX = 0.01
IDLE_S = 20.0


def stop_all_but_few(gateway: Gateway) -> None:
    """Pause what was made after the first three; the gateway does not run."""
    with contextlib.closing(sqlite3.connect(gateway.folder / "gateway.db")) as database, database:
        few = (MATCHING,)
        database.execute("UPDATE subscription SET state = 'paused' WHERE number > ?", few)
        database.execute("UPDATE delivery_cursor SET live = 0 WHERE number > ?", few)


def idle(gateways: tuple[Gateway, ...]) -> list[float]:
    """The part of a core that each takes while nothing happens."""
    before = [gateway.cpu_s() for gateway in gateways]
    time.sleep(IDLE_S)
    return [(gateway.cpu_s() - cpu) / IDLE_S for gateway, cpu in zip(gateways, before, strict=True)]


def publish(gateway: Gateway, events: int, count: Synchronized[int]) -> None:
    before = count.value
    gateway.measure(THREE, events, AGENT, lambda events: count.value >= before + MATCHING * events)


def compare(few: Gateway, many: Gateway, options: argparse.Namespace) -> tuple[list[float], list[float]]:
    """Returns the part of a core that both take while idle, and their memory at the end in MB."""
    with receiver() as (port, count):
        for gateway in (few, many):
            with gateway:
                gateway.fill([matching(port, number) for number in range(gateway.subscriptions)])
        stop_all_but_few(many)
        with few, many:
            for number in range(options.rounds + 1):
                for gateway in (few, many) if number % 2 else (many, few):
                    publish(gateway, options.events, count)
                if number == 0:
                    for gateway in (few, many):
                        gateway.forget()
            return idle((few, many)), [gateway.memory_mb() for gateway in (few, many)]


def report(few: Gateway, many: Gateway, resting: list[float], memory: list[float]) -> dict[str, Any]:
    def one(gateway: Gateway, part: float, memory_mb: float) -> dict[str, Any]:
        return {
            "active subscriptions": MATCHING,
            "paused subscriptions": gateway.subscriptions - MATCHING,
            "start, s": round(gateway.ready_s, 1),
            "start, CPU s": round(gateway.ready_cpu_s, 1),
            "memory after start, MB": round(gateway.rss_mb),
            "memory at the end, MB": round(memory_mb),
            "idle, % of a core": round(100 * part, 2),
            "events/s": round(statistics.median(gateway.rates[THREE])),
            "CPU µs per event": round(statistics.median(gateway.cpu_us[THREE])),
        }

    return {
        "few": one(few, resting[0], memory[0]),
        "many": one(many, resting[1], memory[1]),
        "ratio": {
            "events/s": ratio(zip(few.rates[THREE], many.rates[THREE], strict=True)),
            "CPU µs per event": ratio(zip(many.cpu_us[THREE], few.cpu_us[THREE], strict=True)),
        },
    }


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--paused", type=int, default=100_000)
    parser.add_argument("--events", type=int, default=2_000, help="events of a round")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        few = Gateway(Path(folder) / "few", MATCHING)
        many = Gateway(Path(folder) / "many", MATCHING + options.paused)
        resting, memory = compare(few, many, options)
    found = report(few, many, resting, memory)
    found["good"] = found["ratio"]["CPU µs per event"] <= RATIO_MAX and resting[1] <= resting[0] + IDLE_MAX
    if options.json:
        print(json.dumps(found))
    else:
        show(found, "what an event costs beside very many paused subscriptions")
    return 0 if found["good"] else 1


if __name__ == "__main__":
    sys.exit(main())
