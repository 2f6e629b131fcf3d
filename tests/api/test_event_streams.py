"""Server-sent events: a subscription's stream and the whole log's, over a real server; S10b, WHATWG HTML 9.2."""

import asyncio
import contextlib
import json
import random
import socket
import time
from urllib.parse import urlsplit

import httpx
import pytest

from gateway.api import sse, streams
from gateway.api.auth import Principal, principal
from gateway.cli.sse import parse_events

EVENTS = {"accept": "text/event-stream"}
BATCH = {"content-type": "application/cloudevents-batch+json"}
LETTA = "https://letta/organizations/org-1/agents/agent-1"


def event(number, type_="test.a", **members):
    found = {"specversion": "1.0", "id": f"e{number}", "source": "/test", "type": type_, "data": number}
    return {name: value for name, value in (found | members).items() if value is not None}


def publish(client, *events):
    answer = client.post("/v1/events", content=json.dumps(list(events)), headers=BATCH)
    assert answer.status_code == 202, answer.text
    return answer.json()["positions"]


def subscribe(client, **members):
    answer = client.post("/v1/subscriptions", json={"sink": "pull:"} | members)
    assert answer.status_code == 201, answer.text
    return answer.json()


def stream_of(made):
    return f"/v1/subscriptions/{made['id']}/stream"


def eventually(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.fixture
def client(served):
    with served.client() as found:
        yield found


@contextlib.contextmanager
def reading(client, path, **options):
    """The events of an open stream, one after the other: (position, data or None)."""
    options["headers"] = EVENTS | options.get("headers", {})
    with client.stream("GET", path, **options) as answer:
        assert answer.status_code == 200, answer.read()
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert answer.headers["cache-control"] == "no-store"
        yield parse_events(answer.iter_raw(), 1 << 20)


def with_data(events, count):
    found = []
    while len(found) < count:
        one = next(events)
        if one.data is not None:
            found.append(one)
    return found


def ids(events, count):
    return [json.loads(one.data)["id"] for one in with_data(events, count)]


def test_events_as_they_come_with_their_positions(client, served):
    made = subscribe(client, types=["test.a"])
    first = publish(client, event(1), event(2, "test.b"), event(3))
    with reading(client, stream_of(made)) as events:
        opening = next(events)
        assert (opening.id, opening.data, opening.retry_ms) == (str(first[0] - 1), None, 1000)
        got = with_data(events, 2)
        assert [int(one.id) for one in got] == [first[0], first[2]]
        assert [json.loads(one.data)["id"] for one in got] == ["e1", "e3"]
        eventually(lambda: served.services.tail.followers == 1)
        later = publish(client, event(4, "test.b"), event(5))
        (one,) = with_data(events, 1)
        assert (int(one.id), json.loads(one.data)["id"]) == (later[1], "e5")
    eventually(lambda: (served.services.tail.followers, served.services.slots.taken) == (0, 0))


def test_it_resumes_behind_the_last_event_id(client):
    made = subscribe(client, config={"start": "beginning"})
    positions = publish(client, *(event(number) for number in range(1, 5)))
    again = {"last-event-id": str(positions[1])}
    with reading(client, stream_of(made), headers=again, params={"after": 0}) as events:
        assert ids(events, 2) == ["e3", "e4"]
    with reading(client, stream_of(made), params={"after": positions[2]}) as events:
        assert ids(events, 1) == ["e4"]
    with reading(client, stream_of(made), headers={"last-event-id": ""}) as events:
        assert ids(events, 1) == ["e1"]


@pytest.mark.parametrize("value", ["x", "-1", "1.5", "9" * 30, "²", str(2**63)])
def test_a_last_event_id_that_is_none(client, value):
    made = subscribe(client)
    headers = {**EVENTS, "last-event-id": value.encode()}
    answer = client.get(stream_of(made), headers=headers)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "Last-Event-ID"


def test_what_is_not_for_the_client_moves_its_place_on(client, monkeypatch):
    """An `id` alone: a client that comes again does not read over all of that once more."""
    monkeypatch.setattr(streams, "KEEP_ALIVE_S", 0.02)
    made = subscribe(client, types=["test.a"])
    (last,) = publish(client, *(event(number, "test.b") for number in range(1, 10)))[-1:]
    with reading(client, stream_of(made)) as events:
        while (one := next(events)).id != str(last):
            assert one.data is None
        (last,) = publish(client, event(10, "test.b"))
        while (one := next(events)).id != str(last):
            assert one.data is None


def test_a_long_way_over_what_is_not_for_the_client_is_told_on_the_way(client, monkeypatch):
    bounds = streams.PageBounds(events_max=100, bytes_max=1 << 20, rows_max=3)
    monkeypatch.setattr(streams, "_SSE_BOUNDS", bounds)
    made = subscribe(client, types=["test.a"], config={"start": "beginning"})
    publish(client, *(event(number, "test.b") for number in range(10)))
    publish(client, event(10))
    with reading(client, stream_of(made)) as events:
        told = []
        while (one := next(events)).data is None:
            told.append(int(one.id))
        assert told == [0, 3, 6, 9]
        assert one.id == "12"


def test_lines_of_an_event_that_was_published_with_line_ends(client):
    made = subscribe(client)
    raw = b'{\r\n"specversion": "1.0",\n"id": "x",\r"source": "/s", "type": "t", "data": "a\\nb\xe2\x80\xa8c"\n}'
    client.post("/v1/events", content=raw, headers={"content-type": "application/cloudevents+json"})
    with reading(client, stream_of(made)) as events:
        (one,) = with_data(events, 1)
        assert json.loads(one.data)["data"] == "a\nb\u2028c"


def test_reconnects_lose_nothing_and_repeat_nothing(client, monkeypatch):
    """Cut off at any byte, and resumed as a browser would: at the last id that came with its empty line."""
    monkeypatch.setattr(streams, "KEEP_ALIVE_S", 0.01)
    dice = random.Random(7)
    made = subscribe(client, types=["test.a"])
    for number in range(60):
        publish(client, event(number, dice.choice(["test.a", "test.b"])))
    wanted = [item["id"] for item in client.get(stream_of(made), params={"limit": 1000}).json()]
    assert len(wanted) > 10
    got, last = [], None
    while len(got) < len(wanted):
        headers = EVENTS if last is None else EVENTS | {"last-event-id": last}
        taken, budget = b"", dice.randint(1, 900)
        with client.stream("GET", stream_of(made), headers=headers) as answer:
            for chunk in answer.iter_raw():
                taken += chunk
                if len(taken) >= budget:
                    break
        for one in parse_events([taken[:budget]], 1 << 20):
            last = one.id or last
            if one.data is not None:
                got.append(json.loads(one.data)["id"])
    assert got == wanted


def test_two_hundred_clients_are_woken_by_one_read(client, served):
    made = subscribe(client, types=["test.a"])
    log, reads = served.services.log, []
    read = log.read

    async def counted(after, limit):
        reads.append(after)
        return await read(after, limit)

    async def follow(asynchronous, opened):
        async with asynchronous.stream("GET", stream_of(made), headers=EVENTS) as answer:
            assert answer.status_code == 200
            taken = b""
            async for chunk in answer.aiter_raw():
                taken += chunk
                opened.release()
                found = [one for one in parse_events([taken], 1 << 20) if one.data is not None]
                if found:
                    return json.loads(found[0].data)["id"]
        raise AssertionError("it ended")

    async def main():
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(
            base_url=served.url, headers=client.headers, limits=limits, timeout=60, trust_env=False
        ) as asynchronous:
            opened = asyncio.Semaphore(0)
            tasks = [asyncio.create_task(follow(asynchronous, opened)) for _ in range(200)]
            for _ in range(200):
                await opened.acquire()
            while served.services.tail.followers < 200:
                await asyncio.sleep(0.01)
            refused = await asynchronous.get(stream_of(made), headers=EVENTS)
            assert refused.status_code == 429
            await asyncio.to_thread(publish, client, event(1))
            assert await asyncio.gather(*tasks) == ["e1"] * 200

    log.read = counted
    served.services.slots._per_subject_max = 200
    asyncio.run(main())
    # One per client to begin with, and none for the append but the tail's own, with its looks meanwhile.
    assert 200 <= len(reads) < 300
    eventually(lambda: (served.services.tail.followers, served.services.slots.taken) == (0, 0))


def test_a_stream_ends_with_its_subscription(client, served):
    made = subscribe(client)
    with reading(client, stream_of(made)) as events:
        next(events)
        eventually(lambda: served.services.tail.followers == 1)
        client.delete(f"/v1/subscriptions/{made['id']}")
        assert {one.data for one in events} == {None}


def test_a_stream_ends_with_the_gateway_and_is_whole(client, served):
    made = subscribe(client)
    with reading(client, stream_of(made)) as events:
        next(events)
        served.portal.call(served.services.tail.stop)
        # Ended, not cut off: the last word is where to go on.
        assert [one.id for one in events] == ["1"]


def test_a_stream_ends_after_its_time(client, monkeypatch):
    monkeypatch.setattr(streams, "STREAM_S_MAX", 0.0)
    made = subscribe(client)
    with reading(client, stream_of(made)) as events:
        assert [one.data for one in events] == [None, None]


def test_a_client_that_takes_nothing_is_let_go(client, served, monkeypatch):
    monkeypatch.setattr(sse.EventStream.__init__, "__kwdefaults__", {"stalled_s": 0.1})
    made = subscribe(client)
    for first in range(0, 240, 4):  # more than the system's buffers take
        publish(client, *(event(first + more, data="x" * 60_000) for more in range(4)))
    parts = urlsplit(served.url)
    with socket.create_connection((parts.hostname, parts.port)) as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        request = (
            f"GET {stream_of(made)} HTTP/1.1\r\nhost: {parts.netloc}\r\naccept: text/event-stream\r\n"
            f"authorization: {client.headers['authorization']}\r\n\r\n"
        )
        raw.sendall(request.encode())
        assert raw.recv(15).startswith(b"HTTP/1.1 200")
        eventually(lambda: served.services.slots.taken == 0)


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("text/event-stream", "text/event-stream"),
        ("TEXT/Event-Stream;q=0.5, */*;q=0.1", "text/event-stream"),
        ("text/event-stream;q=0", "application/cloudevents-batch+json"),
        ("text/event-stream;q=0.5, application/cloudevents-batch+json", "application/cloudevents-batch+json"),
        ("text/event-stream;q=nan", "application/cloudevents-batch+json"),
        ("*/*", "application/cloudevents-batch+json"),
        ("", "application/cloudevents-batch+json"),
    ],
)
def test_accept_says_which_form(client, accept, media_type):
    made = subscribe(client)
    with client.stream("GET", stream_of(made), headers={"accept": accept}) as answer:
        assert answer.headers["content-type"].startswith(media_type)


# The whole log.


def test_the_log_is_followed_from_now_on_in_the_shape_of_the_list(client):
    publish(client, event(1))
    with reading(client, "/v1/events/stream") as events:
        assert next(events).id == "1"
        (position,) = publish(client, event(2))
        (one,) = with_data(events, 1)
        assert int(one.id) == position
        assert json.loads(one.data) == client.get(f"/v1/events/{position}").json()
    with reading(client, "/v1/events/stream", headers={"last-event-id": "0"}) as events:
        assert [json.loads(one.data)["event"]["id"] for one in with_data(events, 2)] == ["e1", "e2"]
    with reading(client, "/v1/events/stream", params={"after": 1}) as events:
        assert [json.loads(one.data)["position"] for one in with_data(events, 1)] == [2]


def test_a_place_ahead_of_the_log(client):
    assert client.get("/v1/events/stream", headers={"last-event-id": "7"}).status_code == 409
    assert client.get("/v1/events/stream", params={"after": "x"}).status_code == 422


TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
QUERIES = [
    {},
    {"type": "agent.step.completed"},
    {"type": ["test.a", "com.letta.gateway.subscription.created"]},
    {"type": "com.letta.gateway.subscription.paused"},
    {"source": "/test"},
    {"subject": "s1"},
    {"agent_id": "agent-1"},
    {"agent_id": "agent-2"},
    {"organization_id": "org-1"},
    {"run_id": "run-1"},
    {"trace_id": "4bf92f3577b34da6a3ce929d0e0e4736"},
    {"agent_id": "agent-1", "type": "agent.run.completed"},
]


def letta(number, name, agent, subject, *, source=LETTA, **members):
    short = {
        "agent.step.completed": "step_id",
        "agent.run.completed": "run_id",
        "agent.job.completed": "job_id",
    }
    payload = {
        "event_id": f"evt_{number}",
        "event_type": name,
        "timestamp": "2026-01-01T12:00:00Z",
        "agent_id": agent,
        "organization_id": "org-1",
        "data": {short[name]: subject, "status": "completed"},
    }
    return event(number, f"com.letta.{name}", source=source, data=payload, subject=subject, **members)


@pytest.mark.parametrize("organization", [None, "org-1", "org-2"])
def test_s11a_the_stream_has_what_the_list_has(client, served, database, organization):
    """The same filters give the same entries, whether they are searched in columns or read as they come."""
    subscribe(client, organization="org-1")
    subscribe(client)
    publish(
        client,
        event(1),
        event(2, subject="s1", correlationid="run-1"),
        event(3, traceparent=TRACE),
        event(4, traceparent=TRACE[:-1] + "x"),
        letta(5, "agent.step.completed", "agent-1", "s1", correlationid="run-1", traceparent=TRACE),
        letta(6, "agent.run.completed", "agent-1", "run-1"),
        letta(7, "agent.job.completed", "agent-2", "job-1", source="https://letta/organizations/org-1"),
        letta(8, "agent.job.completed", None, "job-2", source="https://letta/organizations/org-1"),
        event(9, "test.b"),
        event(10, data=None),
    )
    erased = "UPDATE log_entry SET envelope = NULL, subject = NULL, agent_id = NULL, run_id = NULL, trace_id = NULL"
    served.portal.call(
        database.write,
        lambda connection: connection.exec_driver_sql(f"{erased} WHERE event_id IN ('e2', 'e5')"),
    )
    served.app.dependency_overrides[principal] = lambda: Principal(organization, writes=True)
    for query in QUERIES:
        listed = client.get("/v1/events", params={**query, "order": "asc", "limit": 500}).json()["items"]
        with reading(client, "/v1/events/stream", params=query, headers={"last-event-id": "0"}) as events:
            got = [json.loads(one.data) for one in with_data(events, len(listed))]
            assert got == listed, query
            # Nothing more comes: the next thing said is that there is nothing.
            served.portal.call(served.services.tail.stop)
            assert {one.data for one in events} == {None}, query
        served.services.tail.stopped = False
    if organization is None:
        assert len(listed) == 1
