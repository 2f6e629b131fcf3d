"""How much longer an agent takes to answer with the emitter attached: `just bench letta`.

Two real Letta servers on the same database and the same scripted model, one of them under `letta-emitter run`
with a real Valkey. Each pair is the same message to an agent of each, in turns of who comes first. What counts
is the median of the pairs' differences, with its 95 % confidence interval from order statistics, which assumes
nothing about how the times are distributed.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import sys
import time
from pathlib import Path

from redis import Redis

TESTS = Path(__file__).parents[1]
sys.path.insert(0, str(TESTS / "letta"))

from environment import TOP, python  # noqa: E402 - the harness lives with the tests that use it, in no package
from harness.api import Letta  # noqa: E402
from harness.pipe import STREAM  # noqa: E402
from harness.processes import wait_until  # noqa: E402
from harness.site import Site, valkey  # noqa: E402

LIMIT_MS = 5.0
LIMIT_SHARE = 0.02
# An agent's context grows with every message; after so many, both servers get new agents.
MESSAGES_PER_AGENT = 25
WARM_UP = 10


def median_interval(sorted_values: list[float], confidence: float = 0.95) -> tuple[float, float]:
    """The order statistics between which the median lies with at least this confidence (binomial)."""
    n = len(sorted_values)
    low = 0
    tail = 0.0
    for k in range(n // 2):
        tail += math.comb(n, k) * 0.5**n
        if tail > (1 - confidence) / 2:
            break
        low = k + 1
    return sorted_values[low], sorted_values[n - 1 - low]


def ask(letta: Letta, agent: str) -> float:
    """Send a message and return what the answer took, in milliseconds."""
    begin = time.perf_counter()
    letta.say(agent, "How are you? [[say Well, thank you.]]").ok()
    return (time.perf_counter() - begin) * 1e3


def measure(without: Letta, with_emitter: Letta, pairs: int) -> list[tuple[float, float]]:
    """The times of each pair, without and with."""
    taken: list[tuple[float, float]] = []
    agents: tuple[str, str] = ("", "")
    for number in range(-WARM_UP, pairs):
        if not agents[0] or (number > 0 and number % MESSAGES_PER_AGENT == 0):
            agents = (
                without.agent("bench", include_base_tools=False)["id"],
                with_emitter.agent("bench", include_base_tools=False)["id"],
            )
        if number % 2:
            plain = ask(without, agents[0])
            emitting = ask(with_emitter, agents[1])
        else:
            emitting = ask(with_emitter, agents[1])
            plain = ask(without, agents[0])
        if number >= 0:
            taken.append((plain, emitting))
    return taken


def run(pairs: int) -> dict[str, float | bool]:
    if "LETTA_VENV" in os.environ:
        os.environ["PYTHONPATH"] = str(TOP)
    with Site(python()) as site:
        redis = valkey(site.folder / "events")
        redis.start()
        try:
            plain = site.server("plain")
            emitter = {
                "LETTA_EMITTER_ENABLED": "1",
                "LETTA_EMITTER_REDIS_URL": redis.url,
                "LETTA_EMITTER_STREAM": STREAM,
                "LETTA_EMITTER_SPOOL_DIR": str(site.folder / "spool"),
            }
            emitting = site.server("emitting", database=plain.database, emitter=emitter)
            plain.start()
            emitting.start()
            taken = measure(Letta(plain.url), Letta(emitting.url), pairs)
            # Each message makes a step, a reply and the end of a run: the measurement is of an emitter at work.
            with Redis.from_url(redis.url) as client:
                due = 3 * (pairs + WARM_UP)
                wait_until(lambda: client.xlen(STREAM) >= due, f"{due} events in Redis", timeout_s=30)
                events = client.xlen(STREAM)
        finally:
            redis.kill()
    differences = sorted(with_ms - without_ms for without_ms, with_ms in taken)
    median_without = statistics.median(without_ms for without_ms, _ in taken)
    difference = statistics.median(differences)
    low, high = median_interval(differences)
    limit = max(LIMIT_SHARE * median_without, LIMIT_MS)
    return {
        "pairs": len(taken),
        "median_without_ms": round(median_without, 2),
        "median_with_ms": round(statistics.median(with_ms for _, with_ms in taken), 2),
        "median_difference_ms": round(difference, 2),
        "interval_low_ms": round(low, 2),
        "interval_high_ms": round(high, 2),
        "limit_ms": round(limit, 2),
        "events_in_redis": events,
        "good": difference <= limit,
    }


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pairs", type=int, default=200, help="agent messages to each of the two servers")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.pairs < 1:
        parser.error("--pairs must be 1 or more")
    result = run(options.pairs)
    shown = {**result, "python": sys.version.split()[0], "cores": os.cpu_count()}
    if options.json:
        print(json.dumps(shown))
    else:
        width = max(map(len, shown))
        for name, value in shown.items():
            print(f"{name:<{width}}  {value}")
    return 0 if result["good"] else 1


if __name__ == "__main__":
    sys.exit(main())
