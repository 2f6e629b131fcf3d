"""Letta's own view: the webhook of an agent, an organization, or all of them, and the subscription underneath."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from schemas import SHORT_NAMES

CLOUDEVENT = {"Content-Type": "application/cloudevents+json"}
URL, OTHER, LOOPBACK = "https://93.184.216.34/hook", "https://93.184.216.34/other", "http://127.0.0.1:9/hook"
AGENT = "/v1/agents/agent-1/webhook"
KINDS = (AGENT, "/v1/organizations/org-1/webhook", "/v1/webhook")
S = "/v1/subscriptions"


@pytest.fixture
def one(tokens):
    return tokens.make(organization="org-1")[1]


@pytest.fixture
def two(tokens):
    return tokens.make(organization="org-2")[1]


def put(client, path=AGENT, headers=None, **members):
    return client.put(path, json={"url": URL} | members, headers=headers)


def pointers(answer):
    return [error["pointer"] for error in answer.json()["errors"]]


@pytest.mark.parametrize("path", KINDS)
def test_made_read_replaced_and_removed(client, path):
    assert client.get(path).status_code == 404
    made = put(client, path, events=["agent.step.completed"])
    assert made.status_code == 201, made.text
    body = made.json()
    assert body["secret"].startswith("whsec_")
    assert (body["url"], body["events"], body["enabled"]) == (URL, ["agent.step.completed"], True)
    read = client.get(path)
    assert (read.status_code, read.headers["etag"]) == (200, made.headers["etag"])
    assert read.json() == {name: value for name, value in body.items() if name != "secret"}
    again = put(client, path, url=OTHER, events=["agent.run.completed"])
    assert again.status_code == 200
    assert "secret" not in again.json()
    assert (again.json()["id"], again.json()["url"]) == (body["id"], OTHER)
    assert again.json()["events"] == ["agent.run.completed"]
    assert client.put(path, json=client.get(path).json()).status_code == 200
    assert client.delete(path).status_code == 204
    assert client.get(path).status_code == client.delete(path).status_code == 404
    fresh = put(client, path)
    assert fresh.status_code == 201
    assert fresh.json()["id"] != body["id"]
    assert fresh.json()["events"] == list(SHORT_NAMES)


def test_an_ordinary_subscription_is_underneath(client, one):
    made = put(client, headers=one, events=["agent.step.completed"]).json()
    found = client.get(f"{S}/{made['id']}").json()
    assert (found["sink"], found["organization"], found["state"]) == (URL, "org-1", "active")
    assert found["types"] == ["agent.step.completed"]
    assert found["name"] == "Webhook of agent agent-1"
    assert [item["id"] for item in client.get(S).json()["items"]] == [made["id"]]


def test_it_survives_what_is_done_to_the_subscription(client):
    made = put(client).json()
    path = f"{S}/{made['id']}"
    body = {"name": "mine", "labels": {"a": "b"}, "types": ["a.b"], "filters": [], "config": {"timeout_s": 3}}
    assert client.patch(path, json=body).status_code == 200
    found = client.get(AGENT).json()
    assert (found["id"], found["events"]) == (made["id"], ["a.b"])
    assert client.put(path, json={"sink": OTHER}).status_code == 200
    assert client.get(AGENT).json()["events"] is None
    assert client.patch(path, json={"config": {"timeout_s": 3}}).status_code == 200
    again = put(client, events=["agent.step.failed"])
    assert (again.status_code, again.json()["id"]) == (200, made["id"])
    under = client.get(path).json()
    assert under["config"]["timeout_s"] == 3
    [either] = under["filters"]
    assert either["any"][0] == {"exact": {"partitionkey": "agent-1"}}
    assert client.delete(path).status_code == 204
    assert client.get(AGENT).status_code == 404


def test_enabled_is_whether_the_stream_goes_on(client):
    made = put(client, enabled=False).json()
    assert (made["enabled"], made["state"]) == (False, "paused")
    assert put(client, enabled=True).json()["state"] == "active"
    assert put(client, enabled=False).json()["state"] == "paused"
    assert client.post(f"{S}/{made['id']}/resume").status_code == 200
    assert client.get(AGENT).json()["enabled"] is True
    # Left out, it is enabled: a PUT says all there is.
    assert client.post(f"{S}/{made['id']}/pause").status_code == 200
    assert put(client).json()["enabled"] is True


def test_the_same_again_says_nothing_twice(client, services):
    put(client)
    etag, head = client.get(AGENT).headers["etag"], client.portal.call(services.log.head).position
    assert put(client).headers["etag"] == etag
    assert client.portal.call(services.log.head).position == head


def test_a_secret_of_ones_own_and_another_one_later(client, services):
    own, later = "whsec_" + "A" * 40, "whsec_" + "B" * 40
    made = put(client, secret=own).json()
    assert made["secret"] == own
    changed = put(client, secret=later)
    assert changed.status_code == 200
    assert "secret" not in changed.json()
    record = client.portal.call(services.subscriptions.get, made["id"])
    assert [secret.text for secret in record.secrets] == [own, later]


def test_every_fault_at_once(client):
    answer = client.put(AGENT, json={"url": "", "events": ["agent.step.started"], "enabled": 3, "x": 1})
    assert answer.status_code == 422
    assert sorted(pointers(answer)) == ["/enabled", "/events/0", "/url", "/x"]
    assert "`agent.step.completed`" in answer.text
    assert client.get(AGENT).status_code == 404


def test_a_url_that_is_not_allowed(client, one):
    refused = put(client, headers=one, url=LOOPBACK)
    assert (refused.status_code, pointers(refused)) == (422, ["/url"])
    assert refused.json()["type"].endswith(":sink-refused")
    put(client, headers=one)
    assert put(client, headers=one, url=LOOPBACK).status_code == 422
    assert put(client, url=LOOPBACK).status_code == 201  # the administrator's own


def test_two_organizations_that_name_the_same_agent_have_one_webhook_each(client, one, two):
    first, second = put(client, headers=one).json(), put(client, headers=two, url=OTHER).json()
    assert first["id"] != second["id"]
    assert (first["organization"], second["organization"]) == ("org-1", "org-2")
    assert client.get(AGENT, headers=one).json()["url"] == URL
    assert client.get(AGENT, headers=two).json()["url"] == OTHER
    assert client.get(AGENT).status_code == 404  # an administrator's own is that of all organizations
    named = client.get(AGENT, params={"organization": "org-1"})
    assert named.json()["id"] == first["id"]
    for verb in ("GET", "PUT", "DELETE"):
        answer = client.request(verb, AGENT, params={"organization": "org-1"}, json={"url": URL}, headers=two)
        assert answer.status_code == 404, verb
    assert client.delete(AGENT, headers=two).status_code == 204
    assert client.get(AGENT, headers=one).status_code == 200


def test_an_organization_has_its_own_and_none_of_another_and_not_that_of_all(client, one, two):
    own = "/v1/organizations/org-1/webhook"
    assert put(client, own, headers=one).status_code == 201
    assert put(client, own).status_code == 200  # an administrator sees the same one
    assert put(client, own, headers=two).status_code == 404
    assert put(client, "/v1/webhook", headers=one).status_code == 403
    assert put(client, "/v1/organizations/*/webhook", headers=one).status_code == 404
    everyone = put(client, "/v1/organizations/*/webhook")
    assert (everyone.status_code, pointers(everyone)) == (422, ["organization_id"])


@pytest.mark.parametrize("id_", ["a" * 257, "%00", "%0A", "%E2%80%AE", ""])
def test_what_can_be_no_id_is_said_to_be_none(client, id_):
    for path, name in ((f"/v1/agents/{id_}", "agent_id"), (f"/v1/organizations/{id_}", "organization_id")):
        for verb in ("GET", "PUT", "DELETE"):
            answer = client.request(verb, f"{path}/webhook", json={"url": URL})
            assert (answer.status_code, pointers(answer)) == (422, [name]), (verb, path)
    answer = put(client, f"{AGENT}?organization=a%0Ab")
    assert (answer.status_code, pointers(answer)) == (422, ["organization"])


def test_an_id_with_a_slash_has_a_webhook(client):
    path = "/v1/agents/a%2Fb%2Fwebhook/webhook"
    made = put(client, path)
    assert made.status_code == 201
    assert made.json()["agent_id"] == "a/b/webhook"
    assert client.get(path).json()["id"] == made.json()["id"]
    assert client.get(f"{path}/deliveries").json()["items"] == []
    assert client.post(f"{path}/test").status_code == 202
    assert client.delete(path).status_code == 204
    assert put(client, "/v1/organizations/a%2Fb/webhook").json()["organization"] == "a/b"


def test_two_editors_do_not_overwrite_each_other(client):
    read = put(client)
    condition = {"If-Match": read.headers["etag"]}
    assert put(client, headers=condition, url=OTHER).status_code == 200
    assert put(client, headers=condition).status_code == 412
    assert client.delete(AGENT, headers=condition).status_code == 412
    assert client.get(AGENT).json()["url"] == OTHER
    assert put(client, "/v1/agents/agent-2/webhook", headers=condition).status_code == 412


def test_one_that_is_there_is_not_made_again(client):
    condition = {"If-None-Match": "*"}
    made = put(client, headers=condition)
    assert made.status_code == 201
    assert put(client, headers=condition, url=OTHER).status_code == 412
    assert client.get(AGENT).json()["url"] != OTHER
    assert client.get(AGENT, headers={"If-None-Match": made.headers["etag"]}).status_code == 304


def test_many_puts_at_once_make_one_and_leave_what_one_of_them_asked_for(client):
    wanted = [(f"{URL}/{n}", SHORT_NAMES[n % len(SHORT_NAMES)], n % 2 == 0) for n in range(24)]

    def ask(item):
        url, event, enabled = item
        return put(client, url=url, events=[event], enabled=enabled)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, wanted))
    assert sorted(answer.status_code for answer in answers) == [200] * 23 + [201]
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len(client.get(S).json()["items"]) == 1
    found = client.get(AGENT).json()
    assert (found["url"], found["events"][0], found["enabled"]) in wanted


def publish(client, agent="agent-1", organization="org-1", **members):
    event = {
        "specversion": "1.0",
        "id": f"{agent}-{organization}",
        "source": f"https://letta/organizations/{organization}/agents/{agent}",
        "type": "com.letta.test",
        "data": {"organization_id": organization},
    }
    answer = client.post("/v1/events", content=json.dumps(event | members), headers=CLOUDEVENT)
    assert answer.status_code == 202, answer.text
    return answer.json()["positions"][0]


def test_a_test_event_is_for_this_webhook_alone(client):
    made = put(client).json()
    answer = client.post(AGENT + "/test")
    assert answer.status_code == 202
    event = client.get(f"/v1/events/{answer.json()['position']}").json()["event"]
    assert event["data"]["subscription_id"] == made["id"]
    for verb, path in (("post", "/test"), ("get", "/deliveries"), ("post", "/deliveries/dlv_x/retry")):
        answer = client.request(verb, "/v1/agents/agent-2/webhook" + path)
        assert answer.status_code == 404


def test_explain_says_whose_agent_it_is(client):
    put(client)
    put(client, "/v1/agents/agent-2/webhook")
    position = publish(client)
    failing = {}
    for path in (AGENT, "/v1/agents/agent-2/webhook"):
        params = {"subscription": client.get(path).json()["id"]}
        explained = client.get(f"/v1/events/{position}/explain", params=params).json()
        failing[path] = {clause["rule"] for clause in explained["clauses"] if not clause["matches"]}
    assert failing == {AGENT: {"types"}, "/v1/agents/agent-2/webhook": {"types", "any"}}
