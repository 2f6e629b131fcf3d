"""What comes in by Redis: bad entries go to quarantine with a reason, and never hold up the good one behind them."""

import asyncio
import json

import pytest
import redis
from faststream.redis import RedisBroker

STREAM = "letta.events"


@pytest.fixture
def stream(shared):
    with redis.Redis.from_url(shared.said["redis_url"]) as client:
        yield client


def broken_contract(event):
    event["data"]["data"].pop("status")
    event["data"]["timestamp"] = 5
    return json.dumps(event)


BAD = {
    "not JSON": (lambda _e, _l: {"event": "{not json"}, "malformed", {""}),
    "no event at all": (lambda _e, _l: {"some": "thing", "else": "here"}, "malformed", {""}),
    "not an object": (lambda _e, _l: {"event": "[1]"}, "malformed", {""}),
    "not UTF-8": (lambda _e, _l: {"event": b'{"specversion": "1.0", "id": "\xff"}'}, "malformed", {""}),
    "attributes missing": (
        lambda e, _l: {"event": json.dumps({"specversion": "1.0", "id": e["id"]})},
        "malformed",
        {"/source", "/type"},
    ),
    "empty": (lambda _e, _l: {"event": b""}, "malformed", {""}),
    "a broken frame": (lambda _e, _l: {"__data__": b"\x89BIN\x0d\x0a\x1a\x0a\x00\x01"}, "malformed", {""}),
    "contract broken": (
        lambda _e, letta: {"event": broken_contract(letta)},
        "contract-broken",
        {"/data/data/status", "/data/timestamp"},
    ),
    "reserved type": (
        lambda e, _l: {"event": json.dumps(e | {"type": "com.letta.gateway.subscription.deleted"})},
        "reserved-name",
        {"/type"},
    ),
    "organizations disagree": (
        lambda _e, letta: {
            "event": json.dumps(letta | {"source": "https://letta/organizations/org-2/agents/agent-1"})
        },
        "organization-mismatch",
        {"/source", "/data/organization_id"},
    ),
    "too large": (
        lambda e, _l: {"event": json.dumps(e | {"data": "x" * 70_000})},
        "too-large",
        {""},
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_a_bad_entry_is_put_aside_and_the_next_one_delivered(
    shared, sink, stream, make_event, make_letta_event, kind, what, until
):
    make, reason, pointers = BAD[what]
    shared.subscribe(sink, types=[kind])
    entry_id = stream.xadd(STREAM, make(make_event(), make_letta_event())).decode()
    good = make_event()
    shared.add(good)
    sink.wait(1, within_s=5)
    assert sink.ids == [good["id"]]
    record = shared.quarantine()[entry_id]
    assert record["reason"] == reason
    assert {error["pointer"] for error in record["errors"]} == pointers, record["errors"]
    assert all(error["detail"] for error in record["errors"])
    assert record["origin"] == f"redis:{STREAM}"
    whole = shared.client.get(f"/v1/quarantine/{record['id']}").json()
    assert "payload" in whole or "payload_base64" in whole
    # It is acknowledged: nothing waits for a second look.
    until(lambda: stream.xpending(STREAM, "letta-gateway")["pending"] == 0)


def test_string_data_passes_as_it_is(shared, sink, make_event, kind):
    """FastStream's own parser would take this for a frame of its own and drop the envelope."""
    shared.subscribe(sink, types=[kind])
    event = make_event(data="a plain string")
    shared.add(event)
    (post,) = sink.wait(1)
    assert json.loads(post.body) == "a plain string"
    assert post.headers["ce-id"] == event["id"]


@pytest.mark.parametrize("name", ["event", "cloudevent", "data", "__data__", "anything"])
def test_one_field_by_any_name(shared, sink, stream, make_event, kind, name):
    shared.subscribe(sink, types=[kind])
    event = make_event()
    stream.xadd(STREAM, {name: json.dumps(event)})
    sink.wait(1)
    assert sink.ids == [event["id"]]


@pytest.mark.parametrize("form", ["dict", "bytes", "str"])
@pytest.mark.parametrize("maxlen", [None, 100_000])
def test_what_faststream_publishes_passes(shared, sink, make_event, kind, form, maxlen):
    shared.subscribe(sink, types=[kind])
    event = make_event(data="text" if form == "str" else {"n": 1})
    text = json.dumps(event)
    message = {"dict": event, "bytes": text.encode(), "str": text}[form]

    async def publish():
        async with RedisBroker(shared.said["redis_url"]) as broker:
            await broker.publish(message, stream=STREAM, maxlen=maxlen)

    asyncio.run(publish())
    (post,) = sink.wait(1)
    assert post.headers["ce-id"] == event["id"]
    assert json.loads(post.body) == event["data"]


def test_good_and_bad_in_one_batch(shared, sink, stream, make_event, kind):
    """Every good one in stream order, every bad one by itself."""
    shared.subscribe(sink, types=[kind], config={"max_concurrency": 1})
    events = [make_event() for _ in range(40)]
    with stream.pipeline(transaction=True) as pipe:
        for index, event in enumerate(events):
            pipe.xadd(STREAM, {"event": json.dumps(event)})
            if index % 4 == 0:
                pipe.xadd(STREAM, {"event": f"bad {kind}"})
        added = [entry_id.decode() for entry_id in pipe.execute()]
    sink.wait(40)
    assert sink.ids == [event["id"] for event in events]
    assert len(shared.quarantine().keys() & set(added)) == 10


def test_the_same_event_twice_is_delivered_once(shared, sink, make_event, kind):
    """By source and id, whichever way it comes (S7c)."""
    shared.subscribe(sink, types=[kind], config={"max_concurrency": 1})
    twice, last = make_event(), make_event()
    (position,) = shared.publish(twice)
    shared.add(twice, twice, last)
    sink.wait(2)
    assert sink.ids == [twice["id"], last["id"]]
    assert shared.publish(last, twice)[1] == position
