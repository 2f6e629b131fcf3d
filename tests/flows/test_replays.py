"""Replays: what was delivered comes again, byte for byte, beside what goes on arriving (S5).

FLOWS_REPLAYED is how many events are replayed; `just large` replays 50,000.
"""

import itertools
import json
import os
import random
import threading
from collections import Counter

REPLAYED = int(os.environ.get("FLOWS_REPLAYED") or 3_000)
BATCH = 500
WITHIN_S = 20 + REPLAYED / 50

TEXTS = ("plain", 'quo"ted', "naïve ☃ 𝄞", "\\u0000 is not NUL", "line\nbreak\ttab", " ", "")


def varied(make_event, chance, number):
    """An event whose bytes no two encoders would agree on."""
    data = {
        "n": number,
        "text": chance.choice(TEXTS) * chance.randint(1, 20),
        "number": chance.choice([0, -1, 1.5, 1e300, 2**53 + 1, 10**30, 0.1 + 0.2]),
        "nested": {"list": [None, True, {}, []], "z": 1, "a": 2},
    }
    return make_event(id=f"event-{number}", data=data)


def published(gateway, events):
    """Publish in batches; gives the positions."""
    positions = []
    for start in range(0, len(events), BATCH):
        positions += gateway.publish(*events[start : start + BATCH])
    return positions


def replayed(posts):
    return [post for post in posts if "x-letta-replay" in post.headers]


def live(posts):
    return [post for post in posts if "x-letta-replay" not in post.headers]


def ask(gateway, made, **asked):
    answer = gateway.client.post(f"/v1/subscriptions/{made['id']}/replay", json=asked)
    assert answer.status_code == (200 if asked.get("dry_run") else 202), answer.text
    return answer.json()


def running(gateway, made):
    return gateway.client.get(f"/v1/subscriptions/{made['id']}/replays").json()["items"]


def test_a_replay_is_complete_and_byte_identical_and_live_events_go_on(
    make_gateway, sink, reply, make_event, kind, until
):
    gateway = make_gateway().start()
    made = gateway.subscribe(sink, types=[kind, f"{kind}.live"], config={"timeout_s": 15})
    chance = random.Random(6)
    events = [varied(make_event, chance, number) for number in range(REPLAYED)]
    positions = published(gateway, events)
    first = {post.webhook_id: post for post in sink.wait(REPLAYED, within_s=WITHIN_S)}
    assert len(first) == REPLAYED
    assert all(json.loads(post.body) == events[int(post.event_id[6:])]["data"] for post in first.values())
    # A dry run counts what is selected, of whatever range, and sends nothing.
    asked = {"from_position": positions[0], "until_position": positions[-1]}
    assert ask(gateway, made, dry_run=True, **asked)["count"] == REPLAYED
    assert ask(gateway, made, dry_run=True, from_position=1)["count"] == REPLAYED
    assert len(sink.posts) == REPLAYED
    # Half-way, the sink lets all that is replayed wait, so that what arrives then arrives beside a replay.
    numbers, gate, half = itertools.count(1), threading.Event(), threading.Event()

    def rule(post):
        if "x-letta-replay" not in post.headers or next(numbers) <= REPLAYED // 2:
            return None
        half.set()
        return reply(hold=gate)

    sink.reply_by(rule)
    before = len(sink.posts)
    replay = ask(gateway, made, **asked)
    assert half.wait(WITHIN_S), f"{len(sink.posts) - before} came"
    more = [make_event(type=f"{kind}.live", id=f"live-{number}") for number in range(200)]
    gateway.publish(*more)
    until(lambda: len(live(list(sink.posts))) == REPLAYED + len(more))
    assert len(replayed(sink.posts)) < REPLAYED
    gate.set()
    until(lambda: len(sink.posts) == 2 * REPLAYED + len(more), within_s=WITHIN_S)
    again = replayed(sink.posts)
    assert {post.headers["x-letta-replay"] for post in again} == {"1"}
    assert Counter(post.webhook_id for post in again) == Counter(first.keys())
    for post in again:
        origin = first[post.webhook_id]
        assert post.body == origin.body
        assert unchanged(post) == unchanged(origin)
    assert Counter(post.event_id for post in live(sink.posts)[REPLAYED:]) == Counter(
        event["id"] for event in more
    )
    until(lambda: running(gateway, made) == [])
    (finished,) = gateway.facts("subscription.replay_finished", made)
    assert finished["data"]["replay"] == replay["id"]
    check_attempts(gateway, positions[0], replay["id"])
    assert gateway.rows("SELECT count(*) FROM pending") == [(0,)]
    assert len(sink.posts) == 2 * REPLAYED + len(more)


def unchanged(post):
    """What is the same on every attempt: everything but its time, its signature over that, its span and its mark."""
    changing = {"webhook-timestamp", "webhook-signature", "traceparent", "x-letta-replay"}
    return {name: value for name, value in post.headers.items() if name not in changing}


def check_attempts(gateway, position, replay):
    """Attempt numbers go on, in a round of its own, in the trace of the first (S5b)."""
    (delivery,) = gateway.deliveries(position)
    one, two = delivery["attempts"]
    assert (one["number"], one["round"], one["cause"]) == (1, 0, "first")
    assert (two["number"], two["round"], two["cause"]) == (2, 1, "replay")
    assert (two["replay"], delivery["state"]) == (replay, "delivered")
    assert one["trace_id"] == two["trace_id"]
    assert one["span_id"] != two["span_id"]


def test_only_failed_is_exactly_what_was_exhausted_or_refused(
    make_gateway, sink, reply, make_event, kind, until
):
    gateway = make_gateway().start()
    made = gateway.subscribe(sink, types=[kind], config={"retry": []})
    answers = {0: 500, 1: 400, 2: 302, 3: 500}
    sink.reply_by(lambda post: reply(answers.get(number_of(post) % 9, 200)))
    events = [make_event(id=f"event-{number}") for number in range(180)]
    positions = gateway.publish(*events)
    sink.wait(180)
    unsent = make_event(id="event-unsent")
    # Somewhere that no name leads to: never sent, and refused.
    patched = gateway.client.patch(
        f"/v1/subscriptions/{made['id']}", json={"sink": "http://nowhere.invalid/hook"}
    )
    assert patched.status_code == 200, patched.text
    positions += gateway.publish(unsent)
    gateway.settled(positions[-1], "refused")
    gateway.client.patch(f"/v1/subscriptions/{made['id']}", json={"sink": sink.url})
    failed = [event["id"] for number, event in enumerate(events) if number % 9 in answers]
    until(lambda: failed_ones(gateway) == len(failed) + 1)
    asked = {"from_position": 1, "only": "failed"}
    assert ask(gateway, made, dry_run=True, **asked)["count"] == len(failed) + 1
    # What fails after the command is not of this replay; nor is what had been delivered by then.
    sink.posts.clear()
    sink.rule = None
    ask(gateway, made, **asked)
    until(lambda: running(gateway, made) == [])
    assert sorted(sink.ids) == sorted([*failed, unsent["id"]])
    assert len(replayed(sink.posts)) == len(failed) + 1
    assert failed_ones(gateway) == 0
    assert ask(gateway, made, dry_run=True, **asked)["count"] == 0
    ask(gateway, made, **asked)
    until(lambda: running(gateway, made) == [])
    assert len(sink.posts) == len(failed) + 1


def number_of(post):
    return int(post.event_id.removeprefix("event-"))


def failed_ones(gateway):
    """Deliveries whose last attempt left nothing to try."""
    return gateway.rows(
        "SELECT count(*) FROM attempt a WHERE decision IN ('exhausted', 'refused') AND attempt = "
        "(SELECT max(attempt) FROM attempt b WHERE b.number = a.number AND b.position = a.position)"
    )[0][0]
