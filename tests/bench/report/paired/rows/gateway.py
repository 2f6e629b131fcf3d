"""The gateway, end to end: from Redis stream to receipt, through the log (SQLite FULL), signed, every attempt kept."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from paired.environments import NotInstalledError
from paired.figures import latency_ms
from paired.gateway import Gateway, gateway
from paired.processes import until_idle
from paired.receiver import Receipts, check_signatures
from paired.run import Run

WARM_UP = 4_000
_PACED_S = 2.0
_SUBSCRIPTIONS = 100
_PACED_EVENTS_MIN = 200


def end_to_end(run: Run) -> dict[str, float]:
    """Deliveries a second and their cost with everything enqueued at once; then latency at half and at full load."""
    with _warm(run) as subject:
        figures = saturated(run, subject)
        rate = figures["deliveries_per_s"]
        for load, share in (("half", 0.5), ("full", 1.0)):
            receipts, _ = deliver(run, subject, _paced(run, rate * share), rate * share)
            p50, p99 = latency_ms(receipts.latencies_us)
            figures |= {f"p50_{load}_ms": p50, f"p99_{load}_ms": p99}
    return figures


def interpreted(run: Run) -> dict[str, float]:
    """The same with everything enqueued at once, from the sources, where the row above has the hot path compiled."""
    if run.compiled is None:
        raise NotInstalledError("The gateway was measured so itself: nothing was compiled.")
    with _warm(run, interpreted=True) as subject:
        return saturated(run, subject)


@contextmanager
def _warm(run: Run, *, interpreted: bool = False) -> Iterator[Gateway]:
    with run.place() as folder, gateway(run, folder, interpreted=interpreted) as subject:
        subject.subscribe(run.receiver.sink(), max_concurrency=run.at_once)
        deliver(run, subject, WARM_UP)
        yield subject


def saturated(run: Run, subject: Gateway) -> dict[str, float]:
    """Enqueue everything at once and wait for the last receipt; the cost includes what is written after it."""
    subject.load(run.events)
    until_idle(subject.pid)
    cpu, redis_cpu, receiver_cpu = subject.cpu_s(), subject.redis_cpu_s(), run.receiver.cpu_s()
    receipts, begin_us = _publish(run, subject, run.events, None)
    until_idle(subject.pid)
    return {
        "deliveries_per_s": run.events / (receipts.last_us - begin_us) * 1e6,
        "cpu_us": (subject.cpu_s() - cpu) / run.events * 1e6,
        "redis_cpu_us": (subject.redis_cpu_s() - redis_cpu) / run.events * 1e6,
        "receiver_cpu_us": (run.receiver.cpu_s() - receiver_cpu) / run.events * 1e6,
        "signatures_checked": check_signatures(receipts, run.secret),
    }


def _paced(run: Run, rate: float) -> int:
    return min(run.events, max(_PACED_EVENTS_MIN, int(rate * _PACED_S)))


def deliver(run: Run, subject: Gateway, count: int, rate: float | None = None) -> tuple[Receipts, int]:
    """Publish so many and wait until each has arrived; returns the receipts and when the first was published."""
    subject.load(count)
    return _publish(run, subject, count, rate)


def _publish(run: Run, subject: Gateway, count: int, rate: float | None) -> tuple[Receipts, int]:
    run.receiver.expect(count)
    subject.publish(rate)
    begin_us, _ = subject.published_at()
    return run.receiver.wait(run.within_s(count)), begin_us


def fan_out(run: Run) -> dict[str, float]:
    """Each event to 100 subscriptions: deliveries a second, and what one delivery costs when an event makes many."""
    with run.place() as folder, gateway(run, folder) as subject:
        for number in range(_SUBSCRIPTIONS):
            subject.subscribe(run.receiver.sink(f"hook/{number}"))
        events = max(2, run.events // _SUBSCRIPTIONS)
        for count in (2, events):
            subject.load(count)
            until_idle(subject.pid)
            run.receiver.expect(count * _SUBSCRIPTIONS)
            cpu = subject.cpu_s()
            subject.publish()
            begin_us, _ = subject.published_at()
            receipts = run.receiver.wait(run.within_s(count * _SUBSCRIPTIONS))
        until_idle(subject.pid)
        deliveries = events * _SUBSCRIPTIONS
        return {
            "deliveries_per_s": deliveries / (receipts.last_us - begin_us) * 1e6,
            "cpu_us": (subject.cpu_s() - cpu) / deliveries * 1e6,
            "subscriptions": _SUBSCRIPTIONS,
            "events": events,
        }
