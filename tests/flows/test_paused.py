"""A stream that stands still costs nothing however much waits for it, and leaves nothing behind (S2a, S3h).

FLOWS_PAUSED is how many events wait; `just large` lets 50,000 wait.
"""

import base64
import os
from collections import defaultdict

import pytest

from gateway.domain.chain import EVENT_KEY_BYTES

PAUSED = int(os.environ.get("FLOWS_PAUSED") or 10_000)
BATCH = 500
KEYS = 7
WITHIN_S = 20 + PAUSED / 50


def counts(gateway):
    """The rows of every table; of the two that have the keys of events, those keys."""
    tables = [name for (name,) in gateway.rows("SELECT name FROM sqlite_master WHERE type = 'table'")]
    found = {name: gateway.rows(f"SELECT count(*) FROM {name}")[0][0] for name in tables}  # noqa: S608 - its own names
    keys = {key for (key,) in gateway.rows("SELECT key FROM event_key")}
    for (hashes,) in gateway.rows("SELECT hashes FROM event_key_recent"):
        keys.update(hashes[at : at + EVENT_KEY_BYTES] for at in range(0, len(hashes), EVENT_KEY_BYTES))
    del found["event_key_recent"]
    return found | {"event_key": len(keys)}


def publish(gateway, make_event, count):
    """Events of several keys in turn, so that each key's are spread over the whole log."""
    events = [make_event(partitionkey=f"key-{number % KEYS}", data={"n": number}) for number in range(count)]
    for start in range(0, count, BATCH):
        gateway.publish(*events[start : start + BATCH])
    return events


@pytest.fixture
def gateway(make_gateway):
    return make_gateway().start()


def test_a_paused_stream_costs_no_row_per_event_and_goes_on_in_order(
    gateway, receiver, sink, make_event, kind, until
):
    disabled = gateway.subscribe(receiver.sink().reply_always(410), types=[kind])
    gateway.publish(make_event())
    until(lambda: gateway.subscription(disabled)["state"] == "disabled")
    ordered = gateway.subscribe(sink, types=[kind], config={"ordering": "partitionkey"})
    free = receiver.sink()
    unordered = gateway.subscribe(free, types=[kind])
    for made in (ordered, unordered):
        gateway.subscription(made, "pause")
    watcher = receiver.sink()
    gateway.subscribe(watcher, types=[f"{kind}.end"])
    before = counts(gateway)
    events = publish(gateway, make_event, PAUSED)
    # Behind it, so that by its arrival the router has passed them all.
    end = make_event(type=f"{kind}.end")
    gateway.publish(end)
    watcher.wait(1)
    position = gateway.client.get("/v1/events", params={"limit": 1}).json()["items"][0]["position"]
    until(lambda: gateway.rows("SELECT min(routed) FROM shard WHERE routed > 0")[0][0] == position)
    after = counts(gateway)
    grown = {name: after[name] - before[name] for name in after if after[name] != before[name]}
    assert grown == {"log_entry": PAUSED + 1, "event_key": PAUSED + 1, "attempt": 1}
    assert before["pending"] == 1  # what was answered with 410 waits for a resume
    assert sink.posts == free.posts == []
    for made in (ordered, unordered):
        gateway.subscription(made, "resume")
    sent = [event["id"] for event in events]
    assert sorted(post.event_id for post in free.wait(PAUSED, within_s=WITHIN_S)) == sorted(sent)
    posts = sink.wait(PAUSED, within_s=WITHIN_S)
    arrived, published = defaultdict(list), defaultdict(list)
    for post in posts:
        arrived[post.headers["ce-partitionkey"]].append(post.event_id)
    for event in events:
        published[event["partitionkey"]].append(event["id"])
    assert arrived == published
    # Order is kept by key, and for that nothing waits for another key.
    assert len(arrived) == KEYS
    until(lambda: counts(gateway)["pending"] == 1)
    assert (len(sink.posts), len(free.posts)) == (PAUSED, PAUSED)


def test_a_deleted_stream_leaves_no_cursor_pending_row_or_secret(
    gateway, receiver, sink, make_event, kind, until
):
    secrets = {
        "header": "header-secret-of-sixteen",
        "token": "bearer-secret-of-sixteen",
        "path": "path-secret",
    }
    made = gateway.subscribe(
        f"{sink.url}?key={secrets['path']}",
        types=[kind],
        config={"ordering": "partitionkey", "retry": [3600]},
        protocolsettings={"headers": {"X-Key": secrets["header"]}},
        sinkcredential={"credentialType": "ACCESSTOKEN", "accessToken": secrets["token"]},
    )
    other = receiver.sink()
    kept = gateway.subscribe(other, types=[kind])
    receiver.sinks[f"/{sink.url.rsplit('/', 1)[1]}?key={secrets['path']}"] = sink.reply_always(500)
    number = gateway.rows("SELECT number FROM subscription WHERE id = ?", made["id"])[0][0]
    # Waiting for a retry, a blocked key, a replay that cannot end, a note on its failures; and then a pause.
    publish(gateway, make_event, 3)
    until(
        lambda: (
            gateway.rows("SELECT count(*) FROM pending WHERE number = ? AND attempts = 1", number) == [(3,)]
        )
    )
    replay = gateway.client.post(f"/v1/subscriptions/{made['id']}/replay", json={"from_position": 1})
    assert replay.status_code == 202, replay.text
    gateway.subscription(made, "pause")
    publish(gateway, make_event, BATCH)
    other.wait(BATCH + 3)
    assert gateway.client.delete(f"/v1/subscriptions/{made['id']}").status_code == 204
    secret = made["secret"]
    assert_gone(
        gateway, made["id"], number, [*secrets.values(), secret, secret.removeprefix("whsec_"), sink.url]
    )
    # And it stays gone when everything is derived from what is stored.
    assert gateway.stop() == 0
    gateway.start()
    last = make_event()
    gateway.publish(last)
    until(lambda: last["id"] in other.ids)
    assert_gone(gateway, made["id"], number, [*secrets.values(), secret])
    assert gateway.subscription(kept)["state"] == "active"
    assert len(sink.posts) <= 6  # three, and what the replay had begun


def assert_gone(gateway, subscription_id, number, secrets):
    for table in ("delivery_cursor", "pending", "stream_note"):
        assert gateway.rows(f"SELECT * FROM {table} WHERE number = ?", number) == []  # noqa: S608 - named above
    assert gateway.rows("SELECT state FROM replay WHERE number = ?", number) == [("cancelled",)]
    assert gateway.rows("SELECT state FROM subscription WHERE number = ?", number) == [("deleted",)]
    assert gateway.rows("SELECT * FROM vault WHERE owner = ?", subscription_id) == []
    # Its number is never used again, so that much is kept of it; and its facts are what happened.
    mentions = {name for name, row in everything(gateway) if subscription_id in repr(row)}
    assert mentions <= {"log_entry", "subscription"}
    spellings = [form for secret in secrets for form in (secret.encode(), base64.b64encode(secret.encode()))]
    for path in sorted(gateway.data_dir.rglob("*")):
        if path.is_file():
            content = path.read_bytes()
            assert not [form for form in spellings if form in content], path


def everything(gateway):
    """Every row of every table."""
    for name in counts(gateway):
        for row in gateway.rows(f"SELECT * FROM {name}"):  # noqa: S608 - its own names
            yield name, row
