"""A healthy sink beside hostile ones: how much later it gets its events, and what that costs in memory."""

from __future__ import annotations

import sys
from pathlib import Path

from paired.figures import latency_ms
from paired.gateway import gateway
from paired.processes import memory_mib
from paired.rows.gateway import deliver
from paired.run import Run

sys.path.insert(0, str(Path(__file__).parents[4]))

from hostile_sinks import hostile_sinks

_HOSTILE = ("hang", "fail", "drip", "flood")
_WARM_UP = 300
_PER_S = 200.0
_EVENTS_MAX = 2_000
_MORE_MS = 10.0
_TIMES = 2.0


def healthy_beside_hostile(run: Run) -> dict[str, float]:
    """Latency of one sink at 200 events a second, alone, and then with four more subscriptions to all events in the same process: to a sink that hangs, one that always answers 500, one that sends a byte a second, and one that sends a body without end."""  # noqa: E501 - it is the report's sentence
    count = min(run.events, _EVENTS_MAX)
    with run.place() as folder, gateway(run, folder) as subject, hostile_sinks() as sinks:
        subject.subscribe(run.receiver.sink())
        deliver(run, subject, _WARM_UP)
        alone, _ = deliver(run, subject, count, _PER_S)
        before = memory_mib(subject.pid, "VmRSS")
        for name in _HOSTILE:
            subject.subscribe(sinks.url(name))
        beside, _ = deliver(run, subject, count, _PER_S)
        attacked = {f"{name}_requests": float(sinks.seen(name)) for name in _HOSTILE}
        most = memory_mib(subject.pid, "VmHWM")
    p50_alone, p99_alone = latency_ms(alone.latencies_us)
    p50_beside, p99_beside = latency_ms(beside.latencies_us)
    return {
        "p50_alone_ms": p50_alone,
        "p99_alone_ms": p99_alone,
        "p50_beside_ms": p50_beside,
        "p99_beside_ms": p99_beside,
        "of_what_is_allowed": p99_beside / max(_TIMES * p99_alone, p99_alone + _MORE_MS),
        "memory_alone_mib": before,
        "memory_most_mib": most,
        **attacked,
    }
