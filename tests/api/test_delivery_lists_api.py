"""`/v1/subscriptions/{id}/deliveries`: what became of a subscription's events."""

import asyncio

import pytest
from journaled import attempt

from gateway.domain.delivery import Decision
from gateway.domain.pending import PendingDelivery
from gateway.ports import JournalBatch

SINK = "http://127.0.0.1:9/hook"


@pytest.fixture
def path(client, services):
    """The deliveries of a subscription: three delivered, one exhausted, one waiting."""
    made = client.post("/v1/subscriptions", json={"sink": SINK}).json()
    for number in range(5):
        event = {"specversion": "1.0", "id": str(number), "source": "/s", "type": "t.a"}
        client.post("/v1/events", json=event, headers={"content-type": "application/cloudevents+json"})
    exhausted = {"decision": Decision.EXHAUSTED, "counts": True, "status": 422}
    failed = {"decision": Decision.FAILED, "counts": True, "status": 503, "next_at_us": 9}
    attempts = [
        attempt(1, 2),
        attempt(1, 3),
        attempt(1, 4),
        attempt(1, 5, **exhausted),
        attempt(1, 6, **failed),
    ]
    waits = PendingDelivery(1, 6, attempts=1, failures=1, next_at_us=9)
    asyncio.run(services.deliveries.commit(JournalBatch(attempts, [waits], (), (), 6)))
    return f"/v1/subscriptions/{made['id']}/deliveries"


@pytest.fixture
def positions(client, path):
    def run(**params) -> list[int]:
        answer = client.get(path, params=params)
        assert answer.status_code == 200, answer.text
        assert answer.json()["next"] is None
        return [item["position"] for item in answer.json()["items"]]

    return run


def test_the_latest_events_first(client, path, positions):
    assert positions() == [6, 5, 4, 3, 2]
    newest = client.get(path).json()["items"][0]
    assert newest["state"] == "pending"
    assert newest["next_at"] == "1970-01-01T00:00:00.000009Z"
    assert [item["status"] for item in newest["attempts"]] == [503]
    assert client.get(f"/v1/deliveries/{newest['id']}").json() == newest


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"state": "pending"}, [6]),
        ({"state": "exhausted"}, [5]),
        ({"state": "delivered"}, [4, 3, 2]),
        ({"state": "expired"}, []),
        ({"state": "undelivered"}, [6, 5]),
        ({"state": ["pending", "delivered"]}, [6, 4, 3, 2]),
        ({"type": "t.a", "state": "undelivered"}, [6, 5]),
        ({"type": ["t.b", "t.c"]}, []),
        ({"agent_id": "agent-1"}, []),
        ({"run_id": "run-1"}, []),
        ({"trace_id": "F" * 32}, []),
        ({"status_code": 503}, [6]),
        ({"status_code": 204, "state": "delivered"}, [4, 3, 2]),
        ({"since": "2000-01-01T00:00:00Z"}, [6, 5, 4, 3, 2]),
        ({"until": "2000-01-01T00:00:00Z"}, []),
        ({"since": "2100-01-01T00:00:00Z"}, []),
        ({"since": "2000-01-01T00:00:00Z", "until": "2100-01-01T00:00:00Z", "state": "exhausted"}, [5]),
    ],
)
def test_filters(positions, params, expected):
    assert positions(**params) == expected


@pytest.mark.parametrize("trace_id", ["", "t" * 32, "f" * 31, "f" * 33, "bat_1", "f" * 32 + "\n"])
def test_what_is_no_trace_id_is_refused(client, path, trace_id):
    for where in (path, "/v1/events", "/v1/events/stream"):
        answer = client.get(where, params={"trace_id": trace_id})
        assert answer.status_code == 422, where
        assert [one["pointer"] for one in answer.json()["errors"]] == ["trace_id"]


def test_since_and_until_are_the_events_appended_at(client, positions):
    at = {position: client.get(f"/v1/events/{position}").json()["appended_at"] for position in (4, 5)}
    assert positions(since=at[4]) == [6, 5, 4]
    assert positions(since=at[4], until=at[5]) == [4]


def test_pages(client, path):
    found, cursor = [], None
    for _ in range(3):
        params = {"limit": 2} | ({} if cursor is None else {"cursor": cursor})
        answer = client.get(path, params=params).json()
        found.append([item["position"] for item in answer["items"]])
        cursor = answer["next"]
    assert found == [[6, 5], [4, 3], [2]]
    assert cursor is None


@pytest.mark.parametrize(
    "params",
    [
        {"state": "lost"},
        {"state": ["pending", ""]},
        {"type": ["t"] * 51},
        {"status_code": 99},
        {"status_code": "x"},
        {"since": "yesterday"},
        {"since": "2026-01-01T00:00:00"},
        {"limit": 0},
        {"cursor": "nonsense"},
    ],
)
def test_what_is_no_list(client, path, params):
    answer = client.get(path, params=params)
    assert answer.status_code in {400, 422}
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["errors"] or "cursor" in params


def test_a_cursor_of_another_list_and_a_subscription_that_is_gone(client, path):
    other = client.get("/v1/subscriptions?limit=1")
    assert other.json()["next"] is None
    events = client.get("/v1/events?limit=1").json()["next"]
    assert client.get(path, params={"cursor": events}).status_code == 400
    client.delete(path.removesuffix("/deliveries"))
    assert client.get(path).status_code == 404


def test_the_deliveries_of_an_event(client, path):
    (item,) = client.get("/v1/events/5/deliveries").json()["items"]
    assert (item["state"], item["subscription"]) == ("exhausted", path.split("/")[3])
