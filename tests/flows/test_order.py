"""Order per key (S4) at a receiver that fails at random, and with a gateway that is killed in the middle.

FLOWS_SEED chooses another run; the seed that was used is printed.
"""

import itertools
import os
import random
import threading
from collections import defaultdict

import pytest

SEED = int(os.environ.get("FLOWS_SEED") or 20_260_101)
RETRY = [0.05] * 100
WITHIN_S = 90.0


class Hostile:
    """Answers as its dice say: a success, an error, a wait, a hang beyond the timeout, a connection that ends."""

    def __init__(self, reply, chance):
        self.reply = reply
        self.chance = chance
        self.lock = threading.Lock()
        self.answers = defaultdict(int)
        # Beyond any timeout of these tests, and bounded, so that no thread stays.
        self.never = threading.Event()

    def __call__(self, _post):
        with self.lock:
            dice = self.chance.random()
        for name, share, answer in (
            ("500", 0.12, self.reply(500)),
            ("close", 0.08, self.reply(close=True)),
            ("hang", 0.01, self.reply(hold=self.never)),
            ("429", 0.004, self.reply(429, {"Retry-After": "1"})),
        ):
            if dice < share:
                self.answers[name] += 1
                return answer
            dice -= share
        return None


def by_key(pairs):
    found = defaultdict(list)
    for key, event_id in pairs:
        found[key].append(event_id)
    return dict(found)


def first_arrivals(posts):
    """Each event at its first arrival, by key."""
    seen = {}
    for post in list(posts):
        seen.setdefault(post.event_id, post.headers["ce-partitionkey"])
    return by_key((key, event_id) for event_id, key in seen.items())


def keyed(make_event, keys):
    return [make_event(partitionkey=key) for key in keys]


@pytest.mark.parametrize("seed", [SEED, SEED + 1])
def test_first_arrivals_of_a_key_are_in_log_order_at_a_hostile_receiver(
    shared, sink, reply, make_event, kind, until, seed
):
    print(f"FLOWS_SEED={seed}")
    chance = random.Random(seed)
    hostile = Hostile(reply, random.Random(seed + 1))
    sink.reply_by(hostile)
    config = {"ordering": "partitionkey", "retry": RETRY, "timeout_s": 0.5, "max_concurrency": 8}
    shared.subscribe(sink, types=[kind], config=config)
    events = keyed(make_event, [f"key-{chance.randrange(12)}" for _ in range(400)])
    for start in range(0, 400, 50):
        shared.publish(*events[start : start + 50])
    until(lambda: len(set(sink.ids)) == 400, within_s=WITHIN_S)
    hostile.never.set()
    assert first_arrivals(sink.posts) == by_key((event["partitionkey"], event["id"]) for event in events)
    assert {"500", "close"} <= hostile.answers.keys()
    assert len({post.webhook_id for post in sink.posts}) == 400


def test_while_one_key_fails_for_long_the_others_go_on(shared, sink, reply, make_event, kind, until):
    """More than the lane keeps in memory stands behind the head: it is found in the log again (S4b)."""
    healthy = threading.Event()
    sink.reply_by(
        lambda post: None if healthy.is_set() or post.headers["ce-partitionkey"] != "stuck" else reply(500)
    )
    config = {"ordering": "partitionkey", "retry": [0.4] * 100, "max_concurrency": 4}
    shared.subscribe(sink, types=[kind], config=config)
    keys = itertools.cycle(["stuck", "one", "two", "stuck", "three"])
    events = keyed(make_event, itertools.islice(keys, 600))
    expected = by_key((event["partitionkey"], event["id"]) for event in events)
    for start in range(0, 600, 100):
        shared.publish(*events[start : start + 100])
    others = {key: ids for key, ids in expected.items() if key != "stuck"}
    until(lambda: {key: ids for key, ids in first_arrivals(sink.posts).items() if key != "stuck"} == others)
    # Only the head was tried, again and again; 240 wait behind it.
    until(lambda: sum(post.headers["ce-partitionkey"] == "stuck" for post in list(sink.posts)) >= 2)
    assert first_arrivals(sink.posts)["stuck"] == expected["stuck"][:1]
    assert len(expected["stuck"]) == 240
    healthy.set()
    until(lambda: len(set(sink.ids)) == 600, within_s=WITHIN_S)
    assert first_arrivals(sink.posts) == expected


def test_an_exhausted_head_releases_its_key(shared, sink, reply, make_event, kind):
    events = keyed(make_event, ["key"] * 4)
    config = {"ordering": "partitionkey", "retry": [0.1]}
    shared.subscribe(sink, types=[kind], config=config)
    sink.reply_by(lambda post: reply(500) if post.event_id == events[1]["id"] else None)
    positions = shared.publish(*events)
    posts = sink.wait(5)
    assert [post.event_id for post in posts] == [events[index]["id"] for index in (0, 1, 1, 2, 3)]
    assert shared.settled(positions[1], "exhausted")["attempts"][-1]["status"] == 500


def test_a_kill_in_the_middle_keeps_the_order_of_first_arrivals(
    make_gateway, sink, reply, make_event, kind, until
):
    print(f"FLOWS_SEED={SEED}")
    chance = random.Random(SEED)
    hostile, healthy = Hostile(reply, random.Random(SEED + 1)), threading.Event()

    def rule(post):
        if post.headers["ce-partitionkey"] == "stuck":
            return None if healthy.is_set() else reply(500)
        return hostile(post)

    sink.reply_by(rule)
    gateway = make_gateway().start()
    config = {"ordering": "partitionkey", "retry": [0.3] * 100, "timeout_s": 1, "max_concurrency": 8}
    gateway.subscribe(sink, types=[kind], config=config)
    keys = [f"key-{chance.randrange(8)}" if chance.random() < 0.6 else "stuck" for _ in range(600)]
    events = keyed(make_event, keys)
    expected = by_key((event["partitionkey"], event["id"]) for event in events)
    for start in range(0, 600, 100):
        gateway.publish(*events[start : start + 100])
    until(lambda: len(set(sink.ids)) > 100, within_s=WITHIN_S)
    gateway.kill()
    before = len(set(sink.ids))
    assert before < 600 - len(expected["stuck"]), "it was killed in the middle"
    gateway.start()
    others = 600 - len(expected["stuck"])
    until(lambda: len(set(sink.ids)) == others + 1, within_s=WITHIN_S)
    assert first_arrivals(sink.posts)["stuck"] == expected["stuck"][:1]
    healthy.set()
    until(lambda: len(set(sink.ids)) == 600, within_s=WITHIN_S)
    hostile.never.set()
    assert first_arrivals(sink.posts) == expected
    assert len({post.webhook_id for post in sink.posts}) == 600
    until(lambda: gateway.rows("SELECT count(*) FROM pending") == [(0,)])
