"""Batches on the wire (S10a): what they look like, how they are retried, and what becomes of one that is too much."""

import itertools
import json
import random
import threading

import pytest
from standardwebhooks.webhooks import Webhook

MEDIA_TYPE = "application/cloudevents-batch+json; charset=utf-8"
PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
FULL = {"format": "batch", "batch_events_max": 10, "batch_age_s": 60}


def members(post):
    """The ids of the events in a batch, in order."""
    return [event["id"] for event in json.loads(post.body)]


def ids(events):
    return [event["id"] for event in events]


def test_a_batch_is_an_array_of_structured_events_under_an_id_of_its_own(shared, sink, make_event, kind):
    made = shared.subscribe(sink, types=[kind], config=FULL)
    events = [make_event(traceparent=PARENT, subject=f"s{number}") for number in range(10)]
    positions = shared.publish(*events)
    (post,) = sink.wait(1)
    headers = post.headers
    assert headers["content-type"] == MEDIA_TYPE
    assert headers["x-letta-event"] == "batch"
    assert headers["user-agent"] == "Letta-Webhook/1.0"
    assert not [name for name in headers if name.startswith("ce-")]
    assert headers["x-letta-delivery"] == headers["webhook-id"]
    assert len(headers["traceparent"].split("-")) == 4
    Webhook(made["secret"]).verify(post.body, headers)
    assert json.loads(post.body) == events
    for position in positions:
        delivery = shared.settled(position, "delivered")
        (attempt,) = delivery["attempts"]
        assert attempt["batch"] == headers["webhook-id"] != delivery["id"]


def test_a_contract_is_named_in_a_batch_too(shared, sink, make_letta_event):
    agent = "agent-batched"
    config = FULL | {"batch_events_max": 2}
    shared.subscribe(sink, filters=[{"exact": {"partitionkey": agent}}], config=config)
    shared.publish(make_letta_event(agent), make_letta_event(agent))
    (post,) = sink.wait(1)
    assert [event["dataschema"].rpartition("schemas/")[2] for event in json.loads(post.body)] == [
        "agent.step.completed/versions/1"
    ] * 2


def test_age_ends_a_batch_that_is_not_full(shared, sink, make_event, kind):
    shared.subscribe(sink, types=[kind], config=FULL | {"batch_age_s": 0.3})
    events = [make_event() for _ in range(3)]
    shared.publish(*events)
    (post,) = sink.wait(1)
    assert members(post) == ids(events)


def test_size_ends_a_batch_and_one_that_is_too_large_goes_alone(shared, sink, make_event, kind):
    config = FULL | {"batch_bytes_max": 65_536, "batch_age_s": 0.3, "max_concurrency": 1}
    shared.subscribe(sink, types=[kind], config=config)
    events = [make_event(data="x" * 20_000) for _ in range(7)]
    events.insert(3, make_event(data="y" * 65_000))
    shared.publish(*events)
    posts = sink.wait(4)
    assert list(itertools.chain(*map(members, posts))) == ids(events)
    assert all(len(post.body) <= 65_536 or len(members(post)) == 1 for post in posts)
    assert max(len(members(post)) for post in posts) == 3


def test_a_retry_is_the_same_bytes_under_the_same_id(shared, sink, make_event, kind):
    made = shared.subscribe(sink, types=[kind], config=FULL)
    sink.reply(500, 503)
    events = [make_event() for _ in range(10)]
    (position, *_) = shared.publish(*events)
    first, second, third = sink.wait(3)
    assert first.body == second.body == third.body
    assert len({post.webhook_id for post in (first, second, third)}) == 1
    Webhook(made["secret"]).verify(third.body, third.headers)
    attempts = shared.settled(position, "delivered")["attempts"]
    assert [attempt["status"] for attempt in attempts] == [500, 503, 200]
    assert len(sink.posts) == 3


def test_what_a_receiver_logs_of_a_batch_leads_to_its_events(shared, sink, make_event, kind):
    """Whoever is called out has the `webhook-id` or the `traceparent` of a POST, and nothing of the agent's step."""
    config = FULL | {"batch_events_max": 4}
    shared.subscribe(sink, types=[kind], config=config)
    sink.reply(413)
    positions = shared.publish(*(make_event(traceparent=PARENT) for _ in range(4)))
    whole, *halves = sink.wait(3)
    for position in positions:
        shared.settled(position, "delivered")
    for post in (whole, *halves):
        trace_id = post.headers["traceparent"].split("-")[1]
        assert trace_id not in PARENT
        for asked in ({"batch": post.webhook_id}, {"trace_id": trace_id}):
            found = shared.client.get("/v1/events", params={**asked, "order": "asc"}).json()["items"]
            assert [item["event"]["id"] for item in found] == members(post)
            listed = shared.client.get("/v1/deliveries", params=asked).json()["items"]
            assert [item["event"]["id"] for item in listed] == members(post)[::-1]


def test_a_frozen_batch_outlives_the_process(restartable, sink, make_event, kind, until):
    """Whatever else has come meanwhile, it is sent again as it was."""
    restartable.subscribe(sink, types=[kind], config=FULL | {"retry": [1.0] * 20, "batch_age_s": 0.2})
    sink.reply_always(500)
    first = [make_event() for _ in range(10)]
    restartable.publish(*first)
    (before,) = sink.wait(1)
    restartable.kill()
    sent = len(sink.posts)
    restartable.start()
    more = [make_event() for _ in range(5)]
    restartable.publish(*more)
    sink.reply_always(200)
    until(
        lambda: (
            {name for post in list(sink.posts)[sent:] for name in members(post)} == {*ids([*first, *more])}
        )
    )
    again = [post for post in sink.posts[sent:] if first[0]["id"] in members(post)]
    assert {(post.webhook_id, post.body) for post in again} == {(before.webhook_id, before.body)}


@pytest.mark.parametrize("status", [413, 400])
def test_what_no_retry_would_change_is_split_until_it_goes(shared, sink, reply, make_event, kind, status):
    events = [make_event() for _ in range(8)]
    poison = events[5]["id"]
    sink.reply_by(lambda post: reply(status) if poison in members(post) else None)
    shared.subscribe(sink, types=[kind], config=FULL | {"batch_events_max": 8})
    positions = shared.publish(*events)
    for position, event in zip(positions, events, strict=True):
        expected = "exhausted" if event["id"] == poison else "delivered"
        assert shared.settled(position, expected)["attempts"][0]["status"] == status
    # In halves, in halves, and so on, to the one that is at fault; the others' halves went at once.
    assert sorted(len(members(post)) for post in sink.posts) == [1, 1, 2, 2, 4, 4, 8]
    assert len({post.webhook_id for post in sink.posts}) == 7
    delivered = [name for post in sink.posts if poison not in members(post) for name in members(post)]
    assert sorted(delivered) == sorted(name for name in ids(events) if name != poison)


def test_batches_in_order_go_one_at_a_time(shared, sink, reply, make_event, kind, until):
    """One in flight, so that first arrivals are in log order whatever the receiver answers."""
    chance, lock, at_once = random.Random(10), threading.Lock(), []

    def rule(post):
        with lock:
            at_once.append(members(post))
            return reply(500) if chance.random() < 0.4 else None

    sink.reply_by(rule)
    config = FULL | {
        "batch_events_max": 7,
        "batch_age_s": 0.2,
        "ordering": "partitionkey",
        "retry": [0.05] * 99,
    }
    shared.subscribe(sink, types=[kind], config=config)
    events = [make_event(partitionkey=f"key-{number % 3}") for number in range(100)]
    for start in range(0, 100, 20):
        shared.publish(*events[start : start + 20])
    until(lambda: {name for batch in list(at_once) for name in batch} == {*ids(events)})
    arrived = list(dict.fromkeys(name for batch in at_once for name in batch))
    assert arrived == ids(events)
    # A batch is there again until it is taken, and the next one begins behind it.
    distinct = (batch for batch, _ in itertools.groupby(at_once))
    assert list(itertools.chain.from_iterable(distinct)) == ids(events)
