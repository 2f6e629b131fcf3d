"""An agent that brings in too much: HTTP says so, the stream takes it and sends it later, and nobody else notices."""

import json

import pytest

RATE, BURST = 4, 40
OVER = 8


@pytest.fixture
def gateway(make_gateway):
    return make_gateway(GATEWAY_AGENT_EVENTS_PER_SECOND=str(RATE)).start()


def post(gateway, event):
    return gateway.client.post(
        "/v1/events", json=event, headers={"Content-Type": "application/cloudevents+json"}
    )


def test_over_http_the_agent_is_told_to_wait(gateway, make_letta_event, make_event):
    gateway.publish(*(make_letta_event("agent-many") for _ in range(BURST)))
    over = make_letta_event("agent-many")
    answer = post(gateway, over)
    assert answer.status_code == 429, answer.text
    assert int(answer.headers["Retry-After"]) >= 1
    problem = answer.json()
    assert problem["type"] == "urn:letta-gateway:problem:rate-exceeded"
    assert "GATEWAY_AGENT_EVENTS_PER_SECOND" in problem["detail"]
    assert gateway.client.get("/v1/events", params={"subject": over["subject"]}).json()["items"] == []
    # A batch is all or nothing, and says which of its events were in the way.
    batch = [make_letta_event("agent-few"), make_letta_event("agent-many")]
    refused = gateway.client.post(
        "/v1/events", json=batch, headers={"Content-Type": "application/cloudevents-batch+json"}
    )
    assert refused.status_code == 429
    assert [item["pointer"] for item in refused.json()["errors"]] == ["/1"]
    # Another agent, one of the same name elsewhere, and what names none are not held up.
    for event in (batch[0], make_letta_event("agent-many", organization="org-2"), make_event()):
        assert post(gateway, event).status_code == 202


@pytest.mark.parametrize(
    "config",
    [{}, {"ordering": "partitionkey"}, {"format": "batch", "batch_age_s": 0.05}],
    ids=["plain", "ordered", "batches"],
)
def test_by_redis_all_is_stored_and_only_its_deliveries_are_late(
    gateway, receiver, until, make_letta_event, config
):
    sink = receiver.sink()
    gateway.subscribe(sink, config=config)
    many = [make_letta_event("agent-many") for _ in range(BURST + OVER)]
    few = make_letta_event("agent-few")
    gateway.add(*many, few)
    wanted = [event["id"] for event in (*many, few)]

    def arrived() -> list[str]:
        posts = list(sink.posts)
        if "format" not in config:
            return [post.event_id for post in posts]
        return [event["id"] for post in posts for event in _members(post)]

    until(lambda: few["id"] in arrived())
    log = gateway.client.get("/v1/events", params={"organization_id": "org-1", "limit": 100}).json()["items"]
    assert {item["event"]["id"] for item in log} >= set(wanted)
    until(lambda: len(arrived()) >= len(wanted))
    came = arrived()
    assert sorted(came) == sorted(wanted), "each once"
    assert came.index(few["id"]) < came.index(many[-1]["id"])
    assert came[-1] == many[-1]["id"]
    if "ordering" in config:
        assert [event_id for event_id in came if event_id != few["id"]] == [event["id"] for event in many]
    for post_ in sink.posts:
        assert "x-letta-replay" not in post_.headers
    counted = [("delivered", len(wanted))]
    until(lambda: gateway.rows("SELECT decision, count(*) FROM attempt GROUP BY decision") == counted)


def _members(post):
    return json.loads(post.body)


def test_nothing_held_is_lost_by_kill_9(make_gateway, receiver, valkey, until, make_letta_event):
    gateway = make_gateway(GATEWAY_AGENT_EVENTS_PER_SECOND="1", GATEWAY_REDIS_URL=valkey.url).start()
    sink = receiver.sink()
    gateway.subscribe(sink)
    events = [make_letta_event("agent-many") for _ in range(10 + 20)]
    gateway.add(*events)
    until(lambda: len(sink.posts) >= 11)
    until(lambda: gateway.rows("SELECT count(*) FROM pending") != [(0,)])
    gateway.kill()
    gateway.env.pop("GATEWAY_AGENT_EVENTS_PER_SECOND")
    gateway.start()
    ids = {event["id"] for event in events}
    until(lambda: gateway.rows("SELECT count(*) FROM log_entry WHERE kind = 'event'") == [(30,)])
    until(lambda: set(sink.ids) >= ids, within_s=60)
