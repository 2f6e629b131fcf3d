"""A Redis at its memory limit: it refuses XADD, and the XGROUP CREATE of every start; it is drained all the same."""

import json
import signal

import pytest
import redis

STREAM = "letta.events"
GROUP, CONSUMER = "letta-gateway", "ingest"
MEMORY_BYTES_MAX = 6 * 1024 * 1024


@pytest.fixture
def stream(valkey):
    with redis.Redis.from_url(valkey.url) as client:
        yield client


@pytest.fixture
def put(stream, make_event):
    """Add events until Redis is full, or as many as are asked for; gives the ids of those it took."""

    def add(count=20_000):
        taken = []
        for _ in range(count):
            event = make_event(data="x" * 2000)
            try:
                stream.xadd(STREAM, {"event": json.dumps(event)})
            except redis.exceptions.OutOfMemoryError:
                return taken
            taken.append(event["id"])
        assert count < 20_000, "it was never full"
        return taken

    return add


def fill(stream, put):
    """Fill up to a limit and set a lower one; gives the ids of what was taken."""
    stream.config_set("maxmemory-policy", "noeviction")
    stream.config_set("maxmemory", MEMORY_BYTES_MAX)
    taken = put()
    assert len(taken) > 1000, "more than two batches"
    # Far enough below that no buffer which is freed meanwhile makes room: it is full at the gateway's start too.
    stream.config_set("maxmemory", MEMORY_BYTES_MAX - 1024 * 1024)
    with pytest.raises(redis.exceptions.OutOfMemoryError):
        stream.xgroup_create(STREAM, "another", id="0")
    return taken


def logged(gateway):
    found, cursor = [], None
    while True:
        given = {"cursor": cursor} if cursor else {}
        page = gateway.client.get("/v1/events", params={"order": "asc", "limit": 500} | given).json()
        found += [item["event"]["id"] for item in page["items"]]
        cursor = page["next"]
        if cursor is None:
            return found


def drained(stream):
    """Nothing waits to be acknowledged, and of the stream at most its last node is left."""
    return stream.xlen(STREAM) <= 100 and stream.xpending(STREAM, GROUP)["pending"] == 0


def goes_on(gateway, stream, put, until, before):
    """All of it is in the log, in order and once; the stream takes entries again and they are read."""
    until(lambda: gateway.client.get("/readyz").status_code == 200)
    until(lambda: len(logged(gateway)) >= len(before))
    assert logged(gateway) == before
    until(lambda: drained(stream))
    after = put(300)
    assert len(after) == 300, "it is full again"
    until(lambda: len(logged(gateway)) >= len(before) + len(after))
    assert logged(gateway) == before + after
    return before + after


def test_full_at_the_first_start(make_gateway, valkey, stream, put, until):
    """There is no group yet, and none can be made before there is room."""
    taken = fill(stream, put)
    gateway = make_gateway(GATEWAY_REDIS_URL=valkey.url).start()
    goes_on(gateway, stream, put, until, taken)
    assert gateway.stop() == 0
    verified = gateway.verify_log()
    assert verified.returncode == 0, verified.stdout + verified.stderr


def test_full_at_a_restart(make_gateway, valkey, stream, put, until):
    """The group exists, an earlier process left entries pending, and the stream filled up meanwhile."""
    gateway = make_gateway(GATEWAY_REDIS_URL=valkey.url).start()
    first = put(20)
    until(lambda: logged(gateway) == first)
    until(lambda: stream.xpending(STREAM, GROUP)["pending"] == 0)
    gateway.kill()
    pending = put(700)
    assert len(stream.xreadgroup(GROUP, CONSUMER, {STREAM: ">"}, count=600)[0][1]) == 600
    taken = first + pending + fill(stream, put)
    gateway.start()
    found = goes_on(gateway, stream, put, until, taken)
    # And once more, with nothing to do: what was taken is not taken again.
    assert gateway.stop() == 0
    gateway.start()
    until(lambda: gateway.client.get("/readyz").status_code == 200)
    assert logged(gateway) == found
    assert gateway.stop() == 0
    verified = gateway.verify_log()
    assert verified.returncode == 0, verified.stdout + verified.stderr


def test_full_after_a_lost_connection(make_gateway, valkey, stream, put, until):
    """The gateway's process stays, its connections do not."""
    gateway = make_gateway(GATEWAY_REDIS_URL=valkey.url).start()
    until(lambda: gateway.client.get("/readyz").status_code == 200)
    valkey.stop()
    until(lambda: gateway.client.get("/readyz").status_code == 503)
    gateway.signal(signal.SIGSTOP)
    try:
        valkey.start()
        taken = fill(stream, put)
    finally:
        gateway.signal(signal.SIGCONT)
    goes_on(gateway, stream, put, until, taken)
    assert gateway.stop() == 0
    verified = gateway.verify_log()
    assert verified.returncode == 0, verified.stdout + verified.stderr
