"""What a delivery costs when the log is short, and when it is long."""

from __future__ import annotations

import os
from dataclasses import replace

from paired.gateway import Gateway, gateway
from paired.rows.gateway import WARM_UP, deliver, saturated
from paired.run import Run

SHORT, LONG = 10_000, 1_000_000
_EVENTS_MAX = 10_000
_PAIRS = 5


def growth(run: Run) -> list[dict[str, float]]:
    """A gateway with 10,000 events in its log, and one with 1,000,000, measured at the same time, in turns."""
    part = replace(run, events=min(run.events, _EVENTS_MAX))
    with run.place() as one, run.place() as other, gateway(run, one) as short, gateway(run, other) as long:
        for subject, events in ((short, SHORT), (long, LONG)):
            subject.fill(events)
            subject.subscribe(run.receiver.sink(), max_concurrency=run.at_once)
            deliver(run, subject, WARM_UP)
        # Else the system would write two gigabytes of the long log to the disk while the first pairs are measured.
        os.sync()
        return [_pair(part, short, long) for _ in range(_PAIRS)]


def _pair(run: Run, short: Gateway, long: Gateway) -> dict[str, float]:
    before, after = saturated(run, short), saturated(run, long)
    return {
        "short_per_s": before["deliveries_per_s"],
        "long_per_s": after["deliveries_per_s"],
        "short_cpu_us": before["cpu_us"],
        "long_cpu_us": after["cpu_us"],
        "cpu_ratio": after["cpu_us"] / before["cpu_us"],
        "time_ratio": before["deliveries_per_s"] / after["deliveries_per_s"],
    }
