"""`/v1/events`: what is taken, what is refused and why, and how the log is read back."""

import base64
import json

import pytest

from gateway.ingest.door import DoorPolicy

STRUCTURED = {"content-type": "application/cloudevents+json"}
BATCH = {"content-type": "application/cloudevents-batch+json"}


def event(number: int = 1, **members):
    found = {
        "specversion": "1.0",
        "id": f"e{number}",
        "source": "/test",
        "type": "test.happened",
        "data": {"n": number},
    }
    return {name: value for name, value in (found | members).items() if value is not None}


def step(**members):
    payload = {
        "event_id": "evt_1",
        "event_type": "agent.step.completed",
        "timestamp": "2026-01-01T12:00:00Z",
        "agent_id": "agent-1",
        "organization_id": "org-1",
        "data": {"step_id": "step-1", "status": "completed"},
    }
    source = "https://letta/organizations/org-1/agents/agent-1"
    return event(type="com.letta.agent.step.completed", source=source, data=payload) | members


def post(client, body, headers=STRUCTURED):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return client.post("/v1/events", content=raw, headers=headers)


def problem(answer, status: int, slug: str):
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["status"] == status
    assert body["type"].endswith(f":{slug}"), body
    assert body["detail"]
    return body["errors"]


def test_structured_binary_and_batched_are_taken(client):
    assert post(client, event(1)).json() == {"accepted": 1, "duplicates": 0, "positions": [1]}
    binary = {
        "content-type": "application/json",
        "ce-id": "e2",
        "ce-source": "/test",
        "ce-type": "test.happened",
        "ce-specversion": "1.0",
    }
    answer = post(client, b'{"n": 2}', binary)
    assert (answer.status_code, answer.json()["positions"]) == (202, [2])
    assert post(client, [event(3), event(1), event(4), event(3)], BATCH).json() == {
        "accepted": 2,
        "duplicates": 2,
        "positions": [3, 1, 4, 3],
    }
    assert post(client, [], BATCH).json() == {"accepted": 0, "duplicates": 0, "positions": []}


def test_what_is_stored_is_what_was_received(client):
    raw = b'{ "specversion":"1.0","id":"x" , "source":"/a","type":"t","data": {"b": 1.0, "\\u00e9": [ ] }}'
    position = post(client, raw).json()["positions"][0]
    assert raw in client.get(f"/v1/events/{position}").content


@pytest.mark.parametrize(
    ("body", "headers", "status", "slug", "pointer"),
    [
        (b"{not json", STRUCTURED, 400, "malformed-event", ""),
        (event(id=None), STRUCTURED, 400, "malformed-event", "/id"),
        (event(source=""), STRUCTURED, 400, "malformed-event", "/source"),
        (event(specversion="0.3"), STRUCTURED, 400, "malformed-event", "/specversion"),
        (event(extra={"a": 1}), STRUCTURED, 400, "malformed-event", "/extra"),
        (b"\xff\xfe", STRUCTURED, 400, "malformed-event", None),
        (b'{"specversion":"1.0","specversion":"1.0"}', STRUCTURED, 400, "malformed-event", None),
        ([event(1), event(2, id=None)], BATCH, 400, "malformed-event", "/1/id"),
        (event(), BATCH, 400, "malformed-event", None),
        (b"{}", {"content-type": "application/json"}, 400, "malformed-event", None),
        (event(), {"content-type": "application/cloudevents+avro"}, 415, "unsupported-format", None),
        (b"x" * 70_000, STRUCTURED, 413, "too-large", None),
        ([event(n) for n in range(11)], BATCH, 413, "too-large", None),
        (event(type="com.letta.gateway.subscription.created"), STRUCTURED, 403, "reserved-name", "/type"),
        (event(source="http://127.0.0.1:8080/gateway"), STRUCTURED, 403, "reserved-name", "/source"),
        (event(source="http://127.0.0.1:8080/gateway?x"), STRUCTURED, 403, "reserved-name", "/source"),
        (step(source="/elsewhere"), STRUCTURED, 422, "invalid-request", "/source"),
        (
            step(source="https://letta/organizations/org-2/agents/agent-1"),
            STRUCTURED,
            422,
            "invalid-request",
            "/data/organization_id",
        ),
        (
            step(data={**step()["data"], "data": {"status": "completed"}}),
            STRUCTURED,
            422,
            "contract-broken",
            "/data/data/step_id",
        ),
        (step(data=None), STRUCTURED, 422, "contract-broken", None),
    ],
)
def test_bad_input_is_refused_with_the_member_that_is_wrong(client, body, headers, status, slug, pointer):
    errors = problem(post(client, body, headers), status, slug)
    if pointer is not None:
        assert pointer in {error["pointer"] for error in errors}
    assert all(error["detail"] for error in errors)
    # The next good one goes through, at the first position: nothing of the bad one was kept.
    assert post(client, event(99)).json()["positions"] == [1]


def test_a_batch_is_all_or_nothing_and_names_all_faults(client):
    errors = problem(
        post(client, [event(1), step(source="/a"), event(2), step(source="/b")], BATCH),
        422,
        "invalid-request",
    )
    assert [error["pointer"] for error in errors] == ["/1/source", "/3/source"]
    assert client.get("/v1/events").json()["items"] == []


def test_a_step_is_found_by_what_it_is_about(client):
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    body = step(
        subject="step-1",
        correlationid="run-1",
        traceparent=f"00-{trace}-00f067aa0ba902b7-01",
        partitionkey="agent-1",
    )
    assert post(client, body).status_code == 202
    post(client, event(5))
    for query in (
        "type=agent.step.completed",
        "type=com.letta.agent.step.completed",
        "agent_id=agent-1",
        "organization_id=org-1",
        "run_id=run-1",
        f"trace_id={trace}",
        "subject=step-1",
        "source=https://letta/organizations/org-1/agents/agent-1",
    ):
        items = client.get(f"/v1/events?{query}").json()["items"]
        assert [item["event"]["id"] for item in items] == ["e1"], query
    assert client.get("/v1/events?agent_id=agent-2").json() == {"items": [], "next": None}


def test_pages_go_through_everything_once_in_either_order(client):
    for number in range(1, 8):
        post(client, event(number))
    for order, expected in (("asc", [1, 2, 3, 4, 5, 6, 7]), ("desc", [7, 6, 5, 4, 3, 2, 1])):
        seen, cursor = [], ""
        while cursor is not None:
            page = client.get(f"/v1/events?order={order}&limit=3{cursor and '&cursor='}{cursor}").json()
            seen += [item["position"] for item in page["items"]]
            cursor = page["next"]
            assert cursor is None or cursor.replace("-", "").replace("_", "").isalnum()
        assert seen == expected
    foreign = client.get("/v1/events?order=asc&limit=3").json()["next"]
    problem(client.get(f"/v1/events?order=desc&cursor={foreign}"), 400, "invalid-cursor")
    problem(client.get("/v1/events?cursor=nonsense"), 400, "invalid-cursor")


def test_since_and_until_are_times_of_appending(client):
    post(client, event(1))
    first = client.get("/v1/events/1").json()["appended_at"]
    assert len(client.get("/v1/events", params={"since": first}).json()["items"]) == 1
    assert client.get("/v1/events", params={"until": first}).json()["items"] == []
    assert client.get("/v1/events", params={"since": "2999-01-01T00:00:00Z"}).json()["items"] == []
    problem(client.get("/v1/events?since=yesterday"), 422, "invalid-request")
    problem(client.get("/v1/events?since=2026-01-01T00:00:00"), 422, "invalid-request")


def test_facts_show_only_where_they_are_named(client):
    client.post("/v1/subscriptions", json={"sink": "http://127.0.0.1:9/"})
    post(client, event(1))
    assert [item["position"] for item in client.get("/v1/events").json()["items"]] == [2]
    fact = client.get("/v1/events?type=com.letta.gateway.subscription.created").json()["items"]
    assert [item["position"] for item in fact] == [1]
    assert fact[0]["event"]["data"]["sink_origin"] == "http://127.0.0.1:9"


@pytest.mark.parametrize("position", ["0", "99", "-1", "x", "9" * 40, "9" * 5000, "٣", "²"])
def test_no_such_position(client, position):
    problem(client.get(f"/v1/events/{position}"), 404, "not-found")
    problem(client.get(f"/v1/events/{position}/deliveries"), 404, "not-found")


def test_a_forged_cursor_is_no_error_of_the_gateway(client):
    forged = base64.urlsafe_b64encode(b'["events-desc",99999999999999999999999]').decode().rstrip("=")
    problem(client.get(f"/v1/events?cursor={forged}"), 400, "invalid-cursor")


def test_to_the_microsecond(client):
    for number in range(1, 20):
        post(client, event(number))
    for number in range(1, 20):
        at = client.get(f"/v1/events/{number}").json()["appended_at"]
        first = client.get("/v1/events", params={"since": at, "order": "asc", "limit": 1}).json()["items"][0]
        assert first["appended_at"] == at


def test_warned_and_taken(services, client):
    policy = DoorPolicy(fact_source="/x", event_bytes_max=65_536, contract_policy="warn")
    services.door._policy = policy
    assert post(client, step(data={**step()["data"], "data": {}})).status_code == 202
