"""Redis away, killed, emptied or robbed of its group: the gateway goes on, in stream order, losing nothing."""

import json
import signal

import pytest
import redis

STREAM = "letta.events"
GROUP, CONSUMER = "letta-gateway", "ingest"


@pytest.fixture
def gateway(make_gateway, valkey):
    return make_gateway(GATEWAY_REDIS_URL=valkey.url).start()


@pytest.fixture
def stream(valkey):
    with redis.Redis.from_url(valkey.url) as client:
        yield client


def put(stream, *events):
    return [stream.xadd(STREAM, {"event": json.dumps(event)}).decode() for event in events]


def ids(events):
    return [event["id"] for event in events]


def ready(gateway):
    return gateway.client.get("/readyz").status_code == 200


def test_down_when_the_gateway_starts(make_gateway, make_valkey, sink, make_event, until):
    """The API serves and delivers meanwhile, and says what is missing."""
    valkey = make_valkey()
    gateway = make_gateway(GATEWAY_REDIS_URL=valkey.url).start()
    gateway.subscribe(sink)
    over_http = make_event()
    gateway.publish(over_http)
    sink.wait(1)
    assert gateway.client.get("/healthz").status_code == 200
    assert gateway.client.get("/readyz").status_code == 503
    valkey.start()
    with redis.Redis.from_url(valkey.url) as client:
        over_redis = make_event()
        put(client, over_redis)
    sink.wait(2)
    assert sink.ids == ids([over_http, over_redis])
    until(lambda: ready(gateway))


def test_killed_in_mid_stream(gateway, valkey, stream, sink, make_event, until):
    """What Redis acknowledged arrives once, in order; while it is away, HTTP goes on."""
    gateway.subscribe(sink, config={"max_concurrency": 1})
    events = [make_event() for _ in range(900)]
    put(stream, *events[:300])
    sink.wait(1)
    valkey.kill()
    meanwhile = make_event(source="/meanwhile")
    gateway.publish(meanwhile)
    until(lambda: meanwhile["id"] in sink.ids)
    until(lambda: not ready(gateway))
    valkey.start()
    put(stream, *events[300:])
    # The last second of an append-only file that is synced each second may be lost to a power cut, not to a kill.
    sink.wait(901)
    assert [event_id for event_id in sink.ids if event_id != meanwhile["id"]] == ids(events)
    until(lambda: ready(gateway))
    until(lambda: stream.xpending(STREAM, GROUP)["pending"] == 0)


def test_frozen(gateway, valkey, stream, sink, make_event, until):
    """A Redis that takes connections and answers nothing: the gateway notices, serves on, and goes on after it."""
    gateway.subscribe(sink, config={"max_concurrency": 1})
    events = [make_event() for _ in range(3)]
    put(stream, events[0])
    sink.wait(1)
    valkey._process.send_signal(signal.SIGSTOP)
    try:
        until(lambda: not ready(gateway), within_s=30)
        gateway.publish(events[1])
        sink.wait(2)
    finally:
        valkey._process.send_signal(signal.SIGCONT)
    put(stream, events[2])
    sink.wait(3)
    assert sink.ids == ids(events)
    until(lambda: ready(gateway))


def test_wiped(gateway, valkey, stream, sink, make_event):
    """An empty Redis comes back in its place, with smaller entry ids even."""
    gateway.subscribe(sink, config={"max_concurrency": 1})
    before, after = [make_event() for _ in range(3)], [make_event() for _ in range(3)]
    put(stream, *before)
    sink.wait(3)
    valkey.stop()
    valkey.wipe()
    valkey.start()
    for number, event in enumerate(after, start=1):
        stream.xadd(STREAM, {"event": json.dumps(event)}, id=f"{number}-1")
    sink.wait(6)
    assert sink.ids == ids(before + after)


def test_its_place_is_taken_away(gateway, stream, sink, make_event, until):
    """Whatever somebody does to the stream, the reader makes its place again; what is added after that comes."""
    gateway.subscribe(sink, config={"max_concurrency": 1})
    expected = []

    def goes_on():
        events = [make_event() for _ in range(3)]
        put(stream, *events)
        expected.extend(ids(events))
        sink.wait(len(expected))
        assert sink.ids == expected
        until(lambda: ready(gateway))
        until(lambda: stream.xpending(STREAM, GROUP)["pending"] == 0)

    goes_on()
    stream.delete(STREAM)
    goes_on()
    stream.xgroup_destroy(STREAM, GROUP)
    goes_on()
    stream.xgroup_delconsumer(STREAM, GROUP, CONSUMER)
    goes_on()
    stream.flushall()
    goes_on()
    stream.delete(STREAM)
    stream.set(STREAM, "no stream")
    until(lambda: not ready(gateway))
    stream.delete(STREAM)
    goes_on()


def test_what_a_dead_consumer_left_comes_first_and_in_order(
    make_gateway, valkey, stream, sink, make_event, until
):
    """S7a: a process that died between reading and appending; newer entries wait behind what it had."""
    gateway = make_gateway(GATEWAY_REDIS_URL=valkey.url)
    stream.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
    events = [make_event() for _ in range(1_300)]
    added = put(stream, *events)
    for _ in range(2):
        assert stream.xreadgroup(GROUP, CONSUMER, {STREAM: ">"}, count=300)
    # One that is pending and no longer in the stream has nothing left to take.
    stream.xdel(STREAM, added[10])
    gateway.start()
    gateway.subscribe(sink, config={"start": "beginning", "max_concurrency": 4})
    wanted = ids(events[:10] + events[11:])

    def logged():
        found, cursor = [], None
        while True:
            page = gateway.client.get(
                "/v1/events", params={"order": "asc", "limit": 500} | ({"cursor": cursor} if cursor else {})
            ).json()
            found += [item["event"]["id"] for item in page["items"]]
            cursor = page["next"]
            if cursor is None:
                return found

    until(lambda: len(logged()) >= len(wanted))
    assert logged() == wanted
    sink.wait(len(wanted))
    assert sorted(sink.ids) == sorted(wanted)
    until(lambda: stream.xpending(STREAM, GROUP)["pending"] == 0)


def test_the_stream_is_trimmed_behind_what_is_appended(gateway, stream, sink, make_event, until):
    """Never past it: what is not in the log yet stays, however long the stream gets."""
    gateway.subscribe(sink, config={"max_concurrency": 1})
    events = [make_event() for _ in range(1_000)]
    with stream.pipeline(transaction=False) as pipe:
        for event in events[:700]:
            pipe.xadd(STREAM, {"event": json.dumps(event)})
        pipe.execute()
    # Trimming is approximate: whole nodes go, 100 entries each unless set otherwise.
    until(lambda: stream.xlen(STREAM) < 200)
    sink.wait(700)
    gateway.kill()
    put(stream, *events[700:])
    assert stream.xlen(STREAM) >= 300
    gateway.start()
    until(lambda: len(set(sink.ids)) == 1_000)
    # In order; a kill may repeat what was not journaled yet, and then the first arrival counts.
    assert list(dict.fromkeys(sink.ids)) == ids(events)
    until(lambda: stream.xlen(STREAM) < 200)
