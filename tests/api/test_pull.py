"""S10b: a subscription's events as batches of CloudEvents, with long poll; and what a pull-only subscription is."""

import json
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from gateway.api.auth import Principal, principal
from gateway.api.slots import Slots

BATCH = {"content-type": "application/cloudevents-batch+json"}
LETTA = "https://letta/organizations/org-1/agents/agent-1"


def event(number, type_="test.a", **members):
    return {
        "specversion": "1.0",
        "id": f"e{number}",
        "source": "/test",
        "type": type_,
        "data": number,
    } | members


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


def fetch(client, made, **params):
    answer = client.get(stream_of(made), params=params)
    assert answer.status_code == 200, answer.text
    return answer


def ids(answer):
    return [item["id"] for item in answer.json()]


def next_of(answer):
    found = re.fullmatch(
        r'<(/v1/subscriptions/\w+/stream\?after=(\d+)&\S+)>; rel="next"', answer.headers["link"]
    )
    assert found, answer.headers["link"]
    return found[1], int(found[2])


def eventually(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_batches_in_log_order_and_the_way_to_the_next(client):
    made = subscribe(client, types=["test.a"])
    publish(client, event(1))
    publish(client, event(2, "test.b"), event(3), event(4), event(5, "test.b"))
    first = fetch(client, made, limit=2)
    assert first.headers["content-type"] == "application/cloudevents-batch+json; charset=utf-8"
    assert first.headers["cache-control"] == "no-store"
    assert ids(first) == ["e1", "e3"]
    path, after = next_of(first)
    assert after == 4
    second = client.get(path)
    assert ids(second) == ["e4"]
    assert next_of(second)[1] == 6  # also over what is not for it
    third = client.get(next_of(second)[0])
    assert third.json() == []
    assert next_of(third)[1] == 6
    # It changes nothing: the same question has the same answer.
    assert fetch(client, made, limit=2).content == first.content


def test_without_after_it_begins_at_the_start_of_the_subscription(client):
    publish(client, event(1))
    now, beginning = subscribe(client), subscribe(client, config={"start": "beginning"})
    publish(client, event(2))
    assert ids(fetch(client, now)) == ["e2"]
    assert ids(fetch(client, beginning)) == ["e1", "e2"]
    assert ids(fetch(client, now, after=0)) == ["e1", "e2"]  # nothing forbids to look further back


def test_what_is_fetched_is_what_would_be_posted(client):
    """As received, with the contract's URL where the event has none (INTERFACE); a push subscription is read alike."""
    payload = {
        "event_id": "evt_1",
        "event_type": "agent.step.completed",
        "timestamp": "2026-01-01T12:00:00Z",
        "agent_id": "agent-1",
        "organization_id": "org-1",
        "data": {"step_id": "step-1", "status": "completed"},
    }
    made = subscribe(client, sink="http://127.0.0.1:9/hook", config={"start": "beginning"})
    raw = b'{"specversion":"1.0", "id":"x","source":"/s","type":"t","data": {"a":1.0 },"datacontenttype":"text/json"}'
    client.post("/v1/events", content=raw, headers={"content-type": "application/cloudevents+json"})
    publish(client, event(2, "com.letta.agent.step.completed", source=LETTA, data=payload))
    answer = fetch(client, made)
    assert raw in answer.content
    step = answer.json()[1]
    assert step["data"] == payload
    assert step["datacontenttype"] == "application/json"
    assert (
        client.get(step["dataschema"].removeprefix("http://127.0.0.1:8080")).json()["$id"]
        == step["dataschema"]
    )


def test_s1e_facts_are_for_who_names_them(client):
    paused = "com.letta.gateway.subscription.paused"
    every, named = subscribe(client), subscribe(client, types=[paused])
    for made in (every, named):
        client.post(f"/v1/subscriptions/{made['id']}/pause")
    assert fetch(client, every).json() == []
    # Not the one about itself: who gets facts is not told about itself. And a pause does not stop a pull.
    assert [item["subject"] for item in fetch(client, named).json()] == [every["id"]]


def test_s3d_each_position_by_the_filter_in_force_there(client):
    made = subscribe(client, types=["test.a"])
    publish(client, event(1), event(2, "test.b"))
    client.patch(f"/v1/subscriptions/{made['id']}", json={"types": ["test.b"]})
    publish(client, event(3), event(4, "test.b"))
    assert ids(fetch(client, made)) == ["e1", "e4"]


def test_s11a_another_organization_has_no_such_subscription(client):
    mine = subscribe(client, organization="org-1", config={"start": "beginning"})
    others = subscribe(client, organization="org-2")
    publish(client, event(1))
    client.app.dependency_overrides[principal] = lambda: Principal("org-1", writes=True)
    publish(client, event(2))
    assert ids(fetch(client, mine)) == ["e2"]
    for headers in ({}, {"accept": "text/event-stream"}):
        assert client.get(stream_of(others), headers=headers).status_code == 404


@pytest.mark.parametrize("accept", ["*/*", "text/event-stream"])
def test_s3a_a_place_that_the_log_has_not_come_to_is_refused(client, accept):
    made = subscribe(client)
    answer = client.get(stream_of(made), params={"after": 99, "wait": 30}, headers={"accept": accept})
    assert answer.status_code == 409
    assert answer.json()["type"].endswith(":position-ahead")
    assert "older backup" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("params", "where"),
    [
        ({"after": "-1"}, "after"),
        ({"after": str(2**63)}, "after"),
        ({"after": "x"}, "after"),
        ({"limit": "0"}, "limit"),
        ({"limit": "1001"}, "limit"),
        ({"wait": "61"}, "wait"),
        ({"wait": "-1"}, "wait"),
        ({"wait": "nan"}, "wait"),
    ],
)
def test_parameters_have_bounds(client, params, where):
    answer = client.get(stream_of(subscribe(client)), params=params)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [where]


def test_no_such_subscription(client):
    made = subscribe(client)
    client.delete(f"/v1/subscriptions/{made['id']}")
    assert client.get(stream_of(made)).status_code == 404
    assert client.get("/v1/subscriptions/sub_x/stream").status_code == 404


def test_a_long_poll_is_woken_by_the_append(client, services):
    made = subscribe(client, types=["test.a"])
    _, after = next_of(fetch(client, made))
    with ThreadPoolExecutor(4) as threads:
        waiting = [threads.submit(fetch, client, made, after=after, wait=60) for _ in range(4)]
        eventually(lambda: services.tail.followers == 4)
        publish(client, event(1, "test.b"))
        publish(client, event(2))
        for answer in waiting:
            assert ids(answer.result()) == ["e2"]
            assert next_of(answer.result())[1] == after + 2
    assert (services.tail.followers, services.slots.taken) == (0, 0)


def test_a_long_poll_that_gets_nothing_moves_on_all_the_same(client):
    made = subscribe(client, types=["test.a"])
    publish(client, event(1, "test.b"))
    answer = fetch(client, made, wait=0.05)
    assert answer.json() == []
    assert next_of(answer)[1] == 2
    assert "wait=0.05" in answer.headers["link"]


def test_a_long_poll_ends_with_its_subscription(client, services):
    made = subscribe(client)
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(client.get, stream_of(made), params={"wait": 60})
        eventually(lambda: services.tail.followers == 1)
        client.delete(f"/v1/subscriptions/{made['id']}")
        assert waiting.result().status_code == 404


def test_a_long_poll_is_answered_when_the_gateway_ends(client, services):
    made = subscribe(client)
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(fetch, client, made, wait=60)
        eventually(lambda: services.tail.followers == 1)
        client.portal.call(services.tail.stop)
        assert waiting.result().json() == []
    assert fetch(client, made, wait=60).json() == []


def test_long_polls_have_a_bound(client, services, monkeypatch):
    monkeypatch.setattr(services.slots, "_per_subject_max", 1)
    made, other = subscribe(client), subscribe(client)
    with ThreadPoolExecutor(2) as threads:
        waiting = threads.submit(fetch, client, made, wait=60)
        eventually(lambda: services.slots.taken == 1)
        refused = client.get(stream_of(made), params={"wait": 60})
        assert refused.status_code == 429
        assert refused.json()["type"].endswith(":too-many-streams")
        assert refused.headers["retry-after"] == "5"
        assert fetch(client, made).json() == []  # who does not wait takes no place
        waiting_too = threads.submit(fetch, client, other, wait=60)
        eventually(lambda: services.slots.taken == 2)
        publish(client, event(1))
        assert ids(waiting.result()) == ids(waiting_too.result()) == ["e1"]
    assert services.slots.taken == 0


def test_places_are_counted_by_subject_and_in_all():
    slots = Slots(streams_max=3, per_subject_max=2)
    first, _ = slots.take("a"), slots.take("a")
    with pytest.raises(Exception, match="2 streams are open on this"):
        slots.take("a")
    slots.take("b")
    with pytest.raises(Exception, match="3 streams open already"):
        slots.take("b")
    first.release()
    first.release()
    assert slots.taken == 2
    with slots.take("b"):
        assert slots.taken == 3
    assert slots.taken == 2


def test_a_poll_whose_client_has_gone_gives_its_place_back(served):
    with served.client() as client:
        made = subscribe(client)
        gone = threading.Event()

        def give_up():
            with served.client() as other:
                other.timeout = 0.2
                with pytest.raises(Exception, match="timed out"):
                    other.get(stream_of(made), params={"wait": 60})
                gone.set()

        threading.Thread(target=give_up).start()
        eventually(lambda: served.services.slots.taken == 1 or gone.is_set())
        eventually(lambda: gone.is_set() and served.services.slots.taken == 0)


def test_a_pull_only_subscription_looks_like_any_other(client):
    made = subscribe(client, name="mine")
    # The shape of the answer does not change: the secret signs once it is given a sink to post to.
    assert made["secret"].startswith("whsec_")
    path = f"/v1/subscriptions/{made['id']}"
    shown = client.get(path).json()
    assert (shown["sink"], shown["state"], shown["protocol"]) == ("pull:", "active", "HTTP")
    assert client.put(path, json=shown).json()["revision"] == 1
    assert client.patch(path, json={"sink": "http://10.0.0.1/"}).status_code == 422
    pushed = client.patch(path, json={"sink": "http://127.0.0.1:9/", "config": {"retry": [1]}})
    assert pushed.json()["sink"] == "http://127.0.0.1:9/"
    refused = client.patch(path, json={"sink": "pull:"})
    assert [error["pointer"] for error in refused.json()["errors"]] == ["/config/retry"]
    assert client.patch(path, json={"sink": "pull:", "config": None}).json()["sink"] == "pull:"
    created = client.get("/v1/events", params={"type": "com.letta.gateway.subscription.created"}).json()
    assert created["items"][0]["event"]["data"]["sink_origin"] == "pull:"


@pytest.mark.parametrize(
    "members",
    [
        {"config": {"retry": [1]}},
        {"config": {"timeout_s": 1}},
        {"config": {"max_concurrency": 1}},
        {"config": {"format": "structured"}},
        {"protocolsettings": {"headers": {"X-A": "b"}}},
        {"sinkcredential": {"credentialtype": "ACCESSTOKEN", "accesstoken": "abc"}},
        {"sink": "pull:here"},
    ],
)
def test_what_makes_no_sense_without_a_post_is_refused(client, members):
    answer = client.post("/v1/subscriptions", json={"sink": "pull:"} | members)
    assert answer.status_code == 422
