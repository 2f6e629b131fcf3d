"""The gateway with its log on PostgreSQL: the same flows, and one process at a time by a lease (S6a, S7d)."""

import base64
import itertools
import json
import re
import signal
import threading
import uuid
from collections.abc import Callable, Iterator

import pytest

EXPIRE = "UPDATE lease SET expires_at = 0"
STEAL = "UPDATE lease SET epoch = epoch + 1, owner = 'process 1 on another-host'"


@pytest.fixture
def database(postgres_server) -> Iterator[str]:
    name = f"flow_{uuid.uuid4().hex}"
    postgres_server.create(name)
    yield name
    postgres_server.drop(name)


@pytest.fixture
def ask(postgres_server, database) -> Callable[[str], str]:
    return lambda statement: postgres_server.sql(statement, database=database)


@pytest.fixture
def make(make_gateway, postgres_server, database, valkey):
    """Gateways on one database and one Redis, each with a data directory of its own."""
    return lambda: make_gateway(
        GATEWAY_DATABASE_URL=postgres_server.url(database),
        GATEWAY_REDIS_URL=valkey.url,
        GATEWAY_SECRET_KEYS=base64.b64encode(bytes(range(32))).decode(),
    )


def taking_over(gateway, until, ask):
    """Start it behind one that was killed; the 30 s of the lease pass at once."""
    starting = threading.Thread(target=gateway.start)
    starting.start()
    until(lambda: gateway.log.exists() and "Waiting up to" in gateway.said_on_stderr())
    ask(EXPIRE)
    starting.join(timeout=120)
    assert gateway.client.get("/healthz").status_code == 200
    return gateway


def verified(gateway) -> None:
    found = gateway.verify_log()
    assert found.returncode == 0, found.stdout + found.stderr
    assert "Traceback" not in gateway.said_on_stderr(), gateway.said_on_stderr()[-8000:]


def test_events_come_in_by_both_ways_and_are_delivered_and_found(make, sink, make_event):
    gateway = make().start()
    gateway.subscribe(sink)
    events = [make_event() for _ in range(30)]
    positions = gateway.publish(*events[:15])
    gateway.add(*events[15:])
    sink.wait(30)
    assert sorted(sink.ids) == sorted(event["id"] for event in events)
    gateway.settled(positions[0], "delivered")
    ready = gateway.client.get("/readyz")
    assert ready.status_code == 200, ready.text
    listed = gateway.client.get("/v1/events", params={"source": events[0]["source"], "limit": 50}).json()
    assert len(listed["items"]) == 30
    assert gateway.stop() == 0
    verified(gateway)


def test_what_no_column_can_hold_is_refused_and_holds_nothing_up(make, sink, make_event, make_letta_event):
    gateway = make().start()
    gateway.subscribe(sink, config={"max_concurrency": 1})
    impossible = make_letta_event(source="https://letta/organizations/a%00b/agents/agent-1")
    assert (
        gateway.client.post(
            "/v1/events", json=impossible, headers={"Content-Type": "application/cloudevents+json"}
        ).status_code
        == 422
    )
    first, last, long = make_event(), make_event(), make_event(source="/" + uuid.uuid4().hex * 500)
    entries = gateway.add(first, impossible, long, last)
    sink.wait(3)
    assert sink.ids == [first["id"], long["id"], last["id"]]
    assert list(gateway.quarantine()) == [entries[1]]
    for path in ("subscriptions/%00", "quarantine/%00", "events?source=%00", "events?type=%00"):
        assert gateway.client.get(f"/v1/{path}").status_code in {200, 404}
    refused = gateway.client.post("/v1/subscriptions", json={"sink": sink.url, "organization": "a\0b"})
    assert refused.status_code == 422, refused.text


def test_killed_and_started_again_it_goes_on(make, sink, make_event, until, ask):
    gateway = make().start()
    gateway.subscribe(sink, config={"max_concurrency": 1})
    done, out, behind = (make_event() for _ in range(3))
    (position,) = gateway.publish(done)
    gateway.settled(position, "delivered")
    hold = sink.reply_later()
    gateway.publish(out, behind)
    sink.wait(2)
    gateway.kill()
    hold.set()
    taking_over(gateway, until, ask)
    posts = sink.wait(4)
    assert sink.ids[:2] == [done["id"], out["id"]]
    assert sorted(sink.ids[2:]) == sorted([out["id"], behind["id"]])
    again = next(post for post in posts[2:] if post.event_id == out["id"])
    assert (again.webhook_id, again.body) == (posts[1].webhook_id, posts[1].body)
    assert gateway.stop() == 0
    verified(gateway)


def test_a_second_one_is_refused_while_the_first_lives(make, sink, make_event):
    first, second = make().start(), make()
    with pytest.raises(AssertionError, match="is in use by process"):
        second.start()
    assert second.process.wait(timeout=10) == 1
    assert re.search(r"Waiting up to (2\d|30) s to see which", second.said_on_stderr())
    assert "Traceback" not in second.said_on_stderr()
    refused = first.verify_log()
    assert refused.returncode == 1
    assert "is in use by process" in refused.stderr
    first.subscribe(sink)
    first.publish(make_event())
    sink.wait(1)
    assert first.stop() == 0
    second.start()  # the lease was given back: at once
    assert second.stop() == 0


def test_a_restart_of_the_database_is_waited_for(make, postgres_server, sink, make_event, until):
    """Nothing that was accepted is lost, nothing is appended twice; nobody has to do anything."""
    gateway = make().start()
    gateway.subscribe(sink)
    accepted, refusals, ended = [], [], threading.Event()

    def publish() -> None:
        while not ended.is_set():
            event = make_event()
            answer = gateway.client.post(
                "/v1/events",
                content=json.dumps(event),
                headers={"Content-Type": "application/cloudevents+json"},
            )
            (accepted if answer.status_code == 202 else refusals).append((event["id"], answer.status_code))

    publishing = threading.Thread(target=publish)
    publishing.start()
    try:
        for way_down in (postgres_server.stop, postgres_server.crash):
            begun = len(accepted)
            until(lambda begun=begun: len(accepted) > begun + 20)
            way_down()
            try:
                until(lambda: gateway.client.get("/readyz").status_code == 503)
                waiting = make_event()
                gateway.add(waiting)
                accepted.append((waiting["id"], 202))
                assert gateway.client.get("/healthz").status_code == 200
            finally:
                postgres_server.start()
            until(lambda: gateway.client.get("/readyz").status_code == 200)
    finally:
        ended.set()
        publishing.join(timeout=30)
    assert refusals
    assert {status for _, status in refusals} == {503}
    wanted = {event_id for event_id, _ in accepted}
    until(lambda: wanted <= set(sink.ids))
    # Beside what was accepted only what may have been committed without the answer having been known.
    assert set(sink.ids) - wanted <= {event_id for event_id, _ in refusals}
    assert gateway.process.poll() is None
    assert gateway.stop() == 0
    verified(gateway)


def test_one_that_lost_the_lease_ends_and_says_so(make, sink, make_event, ask):
    gateway = make().start()
    gateway.subscribe(sink)
    gateway.publish(make_event())
    sink.wait(1)
    ask(STEAL)
    answer = gateway.client.post(
        "/v1/events",
        content=json.dumps(make_event()),
        headers={"Content-Type": "application/cloudevents+json"},
    )
    assert answer.status_code == 503, answer.text
    assert gateway.ended() == 1
    said = gateway.said_on_stderr()
    assert "was taken over by process 1 on another-host" in said
    assert "Traceback" not in said, said[-8000:]


def test_one_that_stood_still_cannot_write_when_it_wakes(make, sink, make_event, until, ask):
    """Frozen beyond its lease, in the middle of traffic; another goes on, and the log is one chain."""
    first, second = make().start(), make()
    first.subscribe(sink)
    first.publish(*(make_event() for _ in range(20)))
    sink.wait(20)
    # What is published from here on comes by Redis: the frozen one has it read, perhaps, and not appended.
    events = [make_event() for _ in range(200)]
    first.add(*events[:100])
    first.signal(signal.SIGSTOP)
    try:
        taking_over(second, until, ask)
        second.add(*events[100:])
    finally:
        first.signal(signal.SIGCONT)
    assert first.ended() == 1
    assert "was taken over by process" in first.said_on_stderr()
    sink.wait(220)
    wanted = {event["id"] for event in events}
    until(lambda: wanted <= set(sink.ids))
    assert second.stop() == 0
    verified(second)
    positions = ask("SELECT min(position), max(position), count(*) FROM log_entry").split("|")
    assert positions[1:] == [positions[2], positions[2]], positions


def test_a_lost_connection_is_no_lost_lease(make, sink, make_event, ask):
    gateway = make().start()
    gateway.subscribe(sink)
    ask(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
        "AND application_name = 'letta-gateway' AND datname = current_database()"
    )
    for number in itertools.count():
        answer = gateway.client.post(
            "/v1/events",
            content=json.dumps(make_event()),
            headers={"Content-Type": "application/cloudevents+json"},
        )
        if answer.status_code == 202:
            break
        assert number < 20, answer.text
    sink.wait(1)
    assert gateway.stop() == 0
    verified(gateway)
