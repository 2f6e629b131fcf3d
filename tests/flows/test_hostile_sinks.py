"""Sinks that hang, fail for ever, drip and flood, beside a healthy one: it gets everything, and memory stays bounded.

How much later it gets it is measured by `just bench hostile`.
"""

from collections import Counter
from pathlib import Path

import pytest
from hostile_sinks import hostile_sinks

EVENTS = 600
BATCH = 20
GROWN_KIB_MAX = 100 * 1024
CONSECUTIVE = 20

# What an attempt at each of them is recorded as: status and error class.
HOSTILE = {
    "hang": (None, "timeout"),
    "fail": (500, "500"),
    "drip": (None, "timeout"),
    "drip-body": (500, "500"),
    "flood": (500, "500"),
    "flood-head": (None, "too_large"),
    "bomb": (500, "500"),
}
ENDED_BY_TIME = {"hang", "drip", "drip-body"}
ANSWER_KEPT_BYTES = 1_024


@pytest.fixture(scope="module")
def hostile():
    with hostile_sinks() as sinks:
        yield sinks


def memory_kib(gateway, name):
    status = Path(f"/proc/{gateway.process.pid}/status").read_text()
    return int(status.partition(f"{name}:")[2].split()[0])


def attempts(gateway, number):
    return Counter(gateway.rows("SELECT status, error_class FROM attempt WHERE number = ?", number))


def test_a_healthy_sink_beside_hostile_ones(make_gateway, hostile, sink, make_event, kind, until):
    gateway = make_gateway().start()
    names = {}
    for name in HOSTILE:
        config = {"retry": [0.2] * 50} | ({"timeout_s": 1} if name in ENDED_BY_TIME else {})
        made = gateway.subscribe(hostile.url(name), types=[kind], config=config)
        names[name] = (made, number_of(gateway, made))
    bombed = gateway.subscribe(hostile.url("kind-bomb"), types=[f"{kind}.bombed"])
    healthy = gateway.subscribe(sink, types=[kind])
    before = memory_kib(gateway, "VmRSS")
    events = [make_event() for _ in range(EVENTS)]
    for start in range(0, EVENTS, BATCH):
        gateway.publish(*events[start : start + BATCH])
        # The healthy one keeps up, so that it stays live, while the others are at their worst.
        sink.wait(start + BATCH)
        assert is_live(gateway, healthy)
    until(lambda: {fact["subject"] for fact in gateway.facts("breaker.opened")} == ids(names))
    for name, (_, number) in names.items():
        # Each POST that went out is recorded, and each as what it was.
        until(lambda number=number, name=name: attempts(gateway, number).total() == hostile.seen(name))
        assert set(attempts(gateway, number)) == {HOSTILE[name]}, name
        assert hostile.seen(name) >= CONSECUTIVE, name
    assert sorted(sink.ids) == sorted(event["id"] for event in events)
    assert len(sink.posts) == EVENTS
    assert is_live(gateway, healthy)
    # A success is a success, whatever is behind it.
    (position,) = gateway.publish(make_event(type=f"{kind}.bombed"))
    (attempt,) = gateway.settled(position, "delivered")["attempts"]
    assert attempt["status"] == 200
    assert set(attempt["response_body"]) == {"\0"}
    kept = gateway.rows("SELECT max(length(response_body)) FROM attempt")
    assert kept == [(ANSWER_KEPT_BYTES,)]
    grown = memory_kib(gateway, "VmHWM") - before
    print(f"grown by {grown} KiB from {before} KiB")
    assert grown < GROWN_KIB_MAX
    assert gateway.subscription(bombed)["state"] == "active"
    # And what hangs holds up no end.
    assert gateway.stop() == 0
    assert "Traceback" not in gateway.said_on_stderr()


def number_of(gateway, made):
    return gateway.rows("SELECT number FROM subscription WHERE id = ?", made["id"])[0][0]


def ids(names):
    return {made["id"] for made, _ in names.values()}


def is_live(gateway, made):
    return gateway.rows("SELECT live FROM delivery_cursor WHERE number = ?", number_of(gateway, made)) == [
        (1,)
    ]
