"""A database file that cannot grow any more: refusals that say so, no crash, and nothing accepted is lost."""

import json
import resource

import pytest
import redis

pytestmark = pytest.mark.skipif(
    not hasattr(resource, "prlimit"), reason="only Linux limits the files of another process"
)


def limit(gateway, size):
    """No file of the gateway grows beyond this; None lifts it. Python ignores SIGXFSZ: writes fail with EFBIG."""
    pid = gateway.process.pid
    _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard if size is None else size, hard))


def fill(gateway, make_event):
    """Publish until it is refused; gives what was accepted and the refusal."""
    accepted = []
    for _ in range(60):
        events = [make_event(data="x" * 30_000) for _ in range(4)]
        answer = gateway.client.post(
            "/v1/events",
            content=json.dumps(events),
            headers={"Content-Type": "application/cloudevents-batch+json"},
        )
        if answer.status_code != 202:
            return accepted, events, answer
        accepted += events
    raise AssertionError("it was never full")


def logged(gateway):
    found, cursor = [], None
    while True:
        given = {"cursor": cursor} if cursor else {}
        page = gateway.client.get("/v1/events", params={"order": "asc", "limit": 100} | given).json()
        found += [item["event"]["id"] for item in page["items"]]
        cursor = page["next"]
        if cursor is None:
            return found


def test_full_and_then_not(make_gateway, valkey, sink, make_event, until):
    gateway = make_gateway(GATEWAY_REDIS_URL=valkey.url).start()
    gateway.subscribe(sink)
    first = make_event()
    gateway.publish(first)
    sink.wait(1)
    files = [path.stat().st_size for path in gateway.data_dir.iterdir() if path.is_file()]
    limit(gateway, max(files) + 400_000)
    accepted, refused, answer = fill(gateway, make_event)
    assert accepted
    assert answer.status_code == 503, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["type"]
    assert "again" in answer.text
    assert gateway.client.get("/healthz").status_code == 200
    # What comes by Redis waits there; nothing of it is acknowledged.
    with redis.Redis.from_url(valkey.url) as client:
        waiting = make_event(data="y" * 30_000)
        client.xadd("letta.events", {"event": json.dumps(waiting)})
        until(lambda: client.xpending("letta.events", "letta-gateway")["pending"] == 1)
    assert gateway.client.get("/v1/events", params={"limit": 1}).status_code == 200
    assert gateway.process.poll() is None
    limit(gateway, None)
    # It goes on by itself, without a restart.
    gateway.publish(*refused)
    wanted = {event["id"] for event in [first, *accepted, *refused, waiting]}
    until(lambda: set(logged(gateway)) == wanted)
    until(lambda: set(sink.ids) == wanted)
    assert len(sink.ids) == len(wanted)
    assert gateway.stop() == 0
    verified = gateway.verify_log()
    assert verified.returncode == 0, verified.stdout + verified.stderr


def test_killed_while_full(make_gateway, valkey, sink, make_event, until):
    gateway = make_gateway(GATEWAY_REDIS_URL=valkey.url).start()
    gateway.subscribe(sink)
    gateway.publish(make_event())
    sink.wait(1)
    files = [path.stat().st_size for path in gateway.data_dir.iterdir() if path.is_file()]
    limit(gateway, max(files) + 200_000)
    accepted, refused, _ = fill(gateway, make_event)
    gateway.kill()
    gateway.start()
    found = logged(gateway)
    assert found[1:] == [event["id"] for event in accepted]
    gateway.publish(*refused)
    until(lambda: set(sink.ids) == set(logged(gateway)))
    assert gateway.stop() == 0
    verified = gateway.verify_log()
    assert verified.returncode == 0, verified.stdout + verified.stderr
