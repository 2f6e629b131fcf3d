"""From the log line of a receiver to the events of a batch: by the `webhook-id`, or by the trace of its POST."""

import asyncio
import json

import pytest
from journaled import attempt

from gateway.ports import JournalBatch
from otel.origin import batch_trace

BATCH = "bat_" + "a" * 32
TRACE = batch_trace(BATCH).trace_id
CONTENT = {"content-type": "application/cloudevents+json"}


def publish(client, n: int, organization: str) -> int:
    event = {
        "specversion": "1.0",
        "id": f"e{n}",
        "source": f"https://letta/organizations/{organization}/agents/agent-{n}",
        "type": "com.letta.test",
        "traceparent": f"00-{n:032x}-00f067aa0ba902b7-01",
        "data": {"organization_id": organization},
    }
    answer = client.post("/v1/events", content=json.dumps(event), headers=CONTENT)
    assert answer.status_code == 202, answer.text
    return answer.json()["positions"][0]


@pytest.fixture
def posted(client, services):
    """One organization's subscription had two of its events in a batch; the positions of these."""
    made = client.post("/v1/subscriptions", json={"sink": "pull:", "organization": "org-1"})
    assert made.status_code == 201, made.text
    positions = [publish(client, n, "org-1") for n in (1, 2, 3)][:2]
    attempts = [attempt(1, position, trace_id=TRACE, span_id="5" * 16, batch=BATCH) for position in positions]
    asyncio.run(services.deliveries.commit(JournalBatch(attempts, (), (), (), positions[-1])))
    return positions


@pytest.mark.parametrize("asked", [{"batch": BATCH}, {"trace_id": TRACE}, {"trace_id": TRACE.upper()}])
def test_either_leads_to_events_and_deliveries(client, posted, asked):
    page = client.get("/v1/events", params={**asked, "order": "asc"}).json()
    assert [item["position"] for item in page["items"]] == posted
    for path in ("/v1/deliveries", f"/v1/subscriptions/{_subscription(client)}/deliveries"):
        page = client.get(path, params=asked).json()
        assert [item["position"] for item in page["items"]] == posted[::-1]
        assert {item["attempts"][0]["batch"] for item in page["items"]} == {BATCH}


def test_pages_go_on(client, posted):
    first = client.get("/v1/events", params={"batch": BATCH, "limit": 1}).json()
    second = client.get("/v1/events", params={"batch": BATCH, "limit": 1, "cursor": first["next"]}).json()
    assert [page["items"][0]["position"] for page in (first, second)] == posted[::-1]
    assert second["next"] is None


def test_to_another_organization_it_is_as_if_it_never_was(anonymous, tokens, posted):
    own, foreign = (tokens.make(organization=name)[1] for name in ("org-1", "org-2"))
    for path in ("/v1/events", "/v1/deliveries"):
        for asked in ({"batch": BATCH}, {"trace_id": TRACE}):
            assert len(anonymous.get(path, params=asked, headers=own).json()["items"]) == 2
            never = anonymous.get(path, params={"batch": "bat_never"}, headers=foreign)
            assert anonymous.get(path, params=asked, headers=foreign).content == never.content
    assert posted


@pytest.mark.parametrize("path", ["/v1/events", "/v1/deliveries"])
def test_a_batch_says_which_trace(client, path):
    answer = client.get(path, params={"batch": BATCH, "trace_id": TRACE})
    assert answer.status_code in {400, 422}
    assert "goes without `trace_id`" in answer.json()["detail"]


def _subscription(client) -> str:
    return client.get("/v1/subscriptions").json()["items"][0]["id"]
