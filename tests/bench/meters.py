"""What counting and telling of a delivery costs: `just bench meters`.

    python tests/bench/meters.py [--rounds 7] [--number 100000] [--json]

Processor time of one call, the least of several rounds: nanoseconds. Beside it what the `prometheus_client` package
takes for one count and one observation of the same (docs/decisions/0022-metrics.md).
"""

import argparse
import io
import json
import logging
import time
from collections.abc import Callable

from prometheus_client import CollectorRegistry
from prometheus_client import Counter as PeerCounter
from prometheus_client import Histogram as PeerHistogram

from gateway.adapters.logs import Redaction, handler_for
from gateway.deliver.account import LOGGER, Account
from gateway.deliver.meters import DeliveryMeters
from gateway.deliver.posting import Ended
from gateway.domain.delivery import Decision
from gateway.domain.pending import PendingDelivery
from gateway.domain.retry import DELIVERED, Answered, Settlement
from gateway.domain.sending import Answer
from gateway.ingest.meters import IngestMeters
from gateway.ports import Appended, Entry, Event, Kind, NewEntry
from otel.metrics import SECONDS, Counter, Durations
from otel.traceparent import TraceParent
from schemas import parse_structured

RAW = json.dumps(
    {
        "specversion": "1.0",
        "id": "evt_1",
        "source": "https://letta/organizations/org-1/agents/agent-1",
        "type": "com.letta.agent.step.completed",
        "time": "2026-01-01T12:00:00.123456Z",
        "data": {},
    }
).encode()
AT_US = 1_767_268_800_500_000
TRACE = TraceParent("a" * 32, "b" * 16, sampled=True)


def least_ns(call: Callable[[], object], *, rounds: int, number: int) -> float:
    found = []
    for _ in range(rounds):
        begun = time.process_time_ns()
        for _ in range(number):
            call()
        found.append((time.process_time_ns() - begun) / number)
    return min(found)


def cases() -> dict[str, tuple[Callable[[], object], int]]:
    """Each with the share of the rounds that it is measured by: what writes lines is slow."""
    envelope = parse_structured(RAW)
    entry = Entry(1, Kind.EVENT, envelope.type, envelope.source, "evt_1", "org-1", AT_US, bytes(32), RAW)
    event = Event(entry, envelope)
    delivery = PendingDelivery(1, 1)
    answer = Answer(200, (), b"", truncated=False, duration_s=0.01)
    ended = Ended(Answered(200), TRACE, AT_US + 4_000, AT_US + 9_000, answer)
    failed = Settlement(Decision.FAILED, counts=True, next_at=1.0, error_class="503")

    class Record:
        id = "sub_1"

    class Current:
        record = Record()

    current = Current()
    quiet, loud = Account(DeliveryMeters(), "failed"), Account(DeliveryMeters(), "all")
    meters = IngestMeters()
    entries = [
        NewEntry(envelope.type, envelope.source, "evt_1", RAW, trace_id="a" * 32, parsed=envelope)
    ] * 100
    appended, events = [Appended(1, duplicate=False, entry=entry)] * 100, [event] * 100
    for style in ("json", "text"):
        logger = logging.getLogger(f"{LOGGER.name}.{style}")
        logger.addHandler(handler_for(style, Redaction(()), io.StringIO()))
        logger.propagate = False

    def tell(account: Account, settlement: Settlement, style: str = "json") -> Callable[[], object]:
        LOGGER.handlers[:] = logging.getLogger(f"{LOGGER.name}.{style}").handlers
        return lambda: account.attempt(current, event, delivery, ended=ended, settlement=settlement)  # type: ignore[arg-type]

    ours_count = Counter("count", "-", ["outcome", "class"], known=[("delivered", "2xx")])
    durations, trace_id = Durations(), TRACE.trace_id
    registry = CollectorRegistry()
    count = PeerCounter("count", "-", ["outcome", "class"], registry=registry).labels("delivered", "2xx")
    spread = PeerHistogram("spread", "-", registry=registry, buckets=SECONDS)
    LOGGER.propagate, LOGGER.level = False, logging.INFO
    return {
        "delivered: counted, timed thrice": (tell(quiet, DELIVERED), 1),
        "appended: counted and timed, of a batch of 100, each": (
            lambda: meters.appended(entries, appended, (), events),
            100,
        ),
        "failed: counted, and a line as JSON": (tell(quiet, failed), 10),
        "delivered: counted, and a line as JSON": (tell(loud, DELIVERED), 10),
        "ours: one count": (lambda: ours_count.add("delivered", "2xx"), 1),
        "ours: one observation": (lambda: durations.observe(300_000), 1),
        "ours: one with an exemplar": (lambda: durations.observe(300_000, trace_id, AT_US, TRACE.span_id), 1),
        "prometheus_client: one count": (count.inc, 1),
        "prometheus_client: one observation": (lambda: spread.observe(0.3), 1),
        "prometheus_client: one with an exemplar": (lambda: spread.observe(0.3, {"trace_id": "a" * 32}), 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--number", type=int, default=100_000)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    found = {
        name: least_ns(call, rounds=given.rounds, number=max(1, given.number // share))
        / (share if share == 100 else 1)
        for name, (call, share) in cases().items()
    }
    if given.json:
        print(json.dumps(found))
        return
    for name, ns in found.items():
        print(f"{name:<55} {ns:>8.0f} ns")


if __name__ == "__main__":
    main()
