"""The log's own ends: events going in with nobody subscribed, and a subscription that reads it from the beginning."""

from __future__ import annotations

from paired.clock import now_us
from paired.gateway import gateway
from paired.processes import until_idle
from paired.run import Run

_WARM_UP = 300


def ingest_and_catch_up(run: Run) -> dict[str, float]:
    """Events a second into the log, appended and acknowledged; then deliveries a second of `start: beginning`."""
    with run.place() as folder, gateway(run, folder) as subject:
        subject.fill(_WARM_UP)
        until_idle(subject.pid)
        cpu = subject.cpu_s()
        subject.load(run.events)
        subject.publish()
        subject.until_ingested(run.within_s(run.events))
        ended_us = now_us()
        begin_us, _ = subject.published_at()
        until_idle(subject.pid)
        figures = {
            "ingest_per_s": run.events / (ended_us - begin_us) * 1e6,
            "ingest_cpu_us": (subject.cpu_s() - cpu) / run.events * 1e6,
        }
        cpu = subject.cpu_s()
        everything = subject.published
        run.receiver.expect(everything)
        begin_us = now_us()
        subject.subscribe(run.receiver.sink(), start="beginning", max_concurrency=run.at_once)
        receipts = run.receiver.wait(run.within_s(everything))
        until_idle(subject.pid)
        return figures | {
            "catch_up_per_s": everything / (receipts.last_us - begin_us) * 1e6,
            "catch_up_cpu_us": (subject.cpu_s() - cpu) / everything * 1e6,
        }
