"""`GET /v1/deliveries`: what became of events, over all subscriptions that the caller sees."""

import asyncio
import json

import pytest
from journaled import attempt

from gateway.domain.delivery import Decision
from gateway.domain.pending import PendingDelivery
from gateway.ports import JournalBatch

PATH = "/v1/deliveries"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def publish(client, n: int, organization: str, agent: str) -> int:
    event = {
        "specversion": "1.0",
        "id": f"e{n}",
        "source": f"https://letta/organizations/{organization}/agents/{agent}",
        "type": "com.letta.test",
        "correlationid": f"run-{n}",
        "traceparent": f"00-{TRACE}-00f067aa0ba902b7-01",
        "data": {"organization_id": organization},
    }
    content = {"content-type": "application/cloudevents+json"}
    answer = client.post("/v1/events", content=json.dumps(event), headers=content)
    assert answer.status_code == 202, answer.text
    return answer.json()["positions"][0]


@pytest.fixture
def made(client, services):
    """Two organizations' subscriptions and everybody's; one event of each organization, and what became of them."""
    bodies = [{"organization": "org-1"}, {"organization": "org-2"}, {}]
    ids = [client.post("/v1/subscriptions", json={"sink": "pull:", **body}).json()["id"] for body in bodies]
    one, two = publish(client, 1, "org-1", "agent-1"), publish(client, 2, "org-2", "agent-2")
    attempts = [
        attempt(1, one, decision=Decision.EXHAUSTED, status=422),
        attempt(2, two, decision=Decision.FAILED, counts=True, status=503, next_at_us=9),
        attempt(3, one),
        attempt(3, two, decision=Decision.EXPIRED, status=503),
    ]
    waits = PendingDelivery(2, two, attempts=1, failures=1, next_at_us=9)
    asyncio.run(services.deliveries.commit(JournalBatch(attempts, [waits], (), (), two)))
    return {
        "first": (ids[0], one),
        "second": (ids[1], two),
        "all one": (ids[2], one),
        "all two": (ids[2], two),
    }


def test_what_waited_for_a_subscription_that_was_deleted_is_cancelled_in_every_view(client, made):
    subscription, position = made["second"]

    def views():
        at = client.get(f"/v1/events/{position}/deliveries").json()["items"]
        traced = client.get(f"/v1/events/{position}/trace").json()["deliveries"]
        everyones = client.get(PATH).json()["items"]
        found = [item for item in [*at, *traced, *everyones] if item["subscription"] == subscription]
        found.append(client.get(f"{PATH}/{found[0]['id']}").json())
        return [(item["state"], item["next_at"] is None) for item in found]

    def states(**params):
        items = client.get(PATH, params=params).json()["items"]
        return [item["state"] for item in items if item["subscription"] == subscription]

    assert views() == [("pending", False)] * 4
    assert client.delete(f"/v1/subscriptions/{subscription}").status_code == 204
    assert views() == [("cancelled", True)] * 4
    assert states(state="cancelled") == states(state="cancelled", trace_id=TRACE) == ["cancelled"]
    assert states(state="cancelled", agent_id="agent-2") == ["cancelled"]
    assert states(state="pending") == states(state="undelivered") == []
    explained = client.get(f"/v1/events/{position}/explain", params={"subscription": subscription}).json()
    assert (explained["delivery"]["state"], explained["delivery"]["next_at"]) == ("cancelled", None)


@pytest.fixture
def listed(client, made):
    """The names of the deliveries of a list."""
    named = {place: name for name, place in made.items()}

    def run(headers=None, **params) -> list[str]:
        answer = client.get(PATH, params=params, headers=headers)
        assert answer.status_code == 200, answer.text
        assert answer.json()["next"] is None
        return [named[item["subscription"], item["position"]] for item in answer.json()["items"]]

    return run


def test_of_all_subscriptions_the_latest_events_first(client, listed):
    assert listed() == ["all two", "second", "all one", "first"]
    newest = client.get(PATH).json()["items"][0]
    assert client.get(f"{PATH}/{newest['id']}").json() == newest


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"state": "undelivered"}, ["all two", "second", "first"]),
        ({"state": ["exhausted", "expired"]}, ["all two", "first"]),
        ({"state": "undelivered", "agent_id": "agent-1"}, ["first"]),
        ({"agent_id": "agent-2"}, ["all two", "second"]),
        ({"run_id": "run-1"}, ["all one", "first"]),
        ({"run_id": "run-1", "agent_id": "agent-2"}, []),
        ({"trace_id": TRACE, "status_code": 503}, ["all two", "second"]),
        ({"trace_id": "0" * 32}, []),
        ({"type": "test"}, ["all two", "second", "all one", "first"]),
        ({"type": "com.letta.test", "state": "delivered"}, ["all one"]),
        ({"type": "agent.step.completed"}, []),
        ({"since": "2100-01-01T00:00:00Z"}, []),
        ({"until": "2100-01-01T00:00:00Z", "state": "pending"}, ["second"]),
        ({"until": "2000-01-01T00:00:00Z"}, []),
    ],
)
def test_filters(listed, params, expected):
    assert listed(**params) == expected


def test_an_organization_sees_its_own_subscriptions_deliveries(listed, tokens):
    one, two = (tokens.make(organization=name)[1] for name in ("org-1", "org-2"))
    assert listed(one) == ["first"]
    assert listed(two, state="undelivered") == ["second"]
    assert listed(one, agent_id="agent-2") == listed(one, run_id="run-2") == []
    # Everybody's subscription had its event as well, and is another's.
    assert listed(one, trace_id=TRACE) == ["first"]
    assert listed(tokens.make(organization="org-3")[1]) == []


def test_one_subscription_a_deleted_one_too(client, listed, made, tokens):
    assert listed(subscription=made["all one"][0]) == ["all two", "all one"]
    assert listed(subscription=made["first"][0], state="delivered") == []
    client.delete(f"/v1/subscriptions/{made['first'][0]}")
    assert listed(subscription=made["first"][0]) == ["first"]
    foreign = tokens.make(organization="org-2")[1]
    answers = [
        client.get(PATH, params={"subscription": name}, headers=foreign)
        for name in (made["first"][0], "sub_" + "a" * 26)
    ]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert answers[0].content == answers[1].content


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_pages_part_the_deliveries_of_one_event(client, made, limit):
    found, params = [], {"limit": limit}
    while True:
        answer = client.get(PATH, params=params).json()
        found += [(item["subscription"], item["position"]) for item in answer["items"]]
        if answer["next"] is None:
            break
        params["cursor"] = answer["next"]
    assert found == [made[name] for name in ("all two", "second", "all one", "first")]


def test_a_cursor_belongs_to_its_list(client, made):
    cursor = client.get(PATH, params={"limit": 1}).json()["next"]
    of_one = f"/v1/subscriptions/{made['all one'][0]}/deliveries"
    assert client.get(of_one, params={"cursor": cursor}).status_code == 400
    other = client.get(of_one, params={"limit": 1}).json()["next"]
    assert client.get(PATH, params={"cursor": other}).status_code == 400
    assert client.get(PATH, params={"cursor": "nonsense"}).status_code == 400
