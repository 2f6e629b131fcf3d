"""`/v1/quarantine/{id}`: tried once more, or discarded."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from gateway.ports import NewQuarantine

Q = "/v1/quarantine"
FINE = {"specversion": "1.0", "id": "1", "source": "/s", "type": "t.a", "data": {"n": 1}}


@pytest.fixture
def put(client, services):
    """Puts something into quarantine; gives its path."""
    numbers = iter(range(1_000))

    def run(payload, organization=None):
        raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        new = NewQuarantine("test", str(next(numbers)), "malformed", [], raw, organization)
        client.portal.call(services.log.append, [], [new])
        return f"{Q}/{client.get(Q).json()['items'][0]['id']}"

    return run


def test_what_can_be_taken_is_appended_and_says_where_it_came_from(client, put):
    path = put(FINE)
    taken = client.post(path + "/redrive")
    assert taken.status_code == 200, taken.text
    body = taken.json()
    assert (body["state"], body["duplicate"]) == ("redriven", False)
    item = client.get(f"/v1/events/{body['position']}").json()
    assert (item["event"], item["redriven_from"]) == (FINE, body["id"])
    assert [one["redriven_from"] for one in client.get("/v1/events").json()["items"]] == [body["id"]]
    shown = client.get(path).json()
    assert (shown["state"], shown["position"], shown["payload"]) == (
        "redriven",
        body["position"],
        json.dumps(FINE),
    )
    assert client.get(Q).json()["items"] == []
    for state in ("redriven", "all"):
        assert [one["id"] for one in client.get(Q, params={"state": state}).json()["items"]] == [body["id"]]


def test_what_is_still_bad_says_why_now_and_stays(client, put):
    path = put({**FINE, "source": ""})
    refused = client.post(path + "/redrive")
    assert refused.status_code == 422
    assert refused.json()["type"] == "urn:letta-gateway:problem:still-quarantined"
    assert [error["pointer"] for error in refused.json()["errors"]] == ["/source"]
    shown = client.get(path).json()
    assert (shown["state"], shown["errors"]) == ("open", refused.json()["errors"])
    assert client.get("/v1/events").json()["items"] == []


def test_twice_at_once_is_one_event(client, put):
    path = put(FINE)
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: client.post(path + "/redrive"), range(6)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["position"] for answer in answers}) == 1
    assert sorted(answer.json()["duplicate"] for answer in answers) == [False] + [True] * 5
    assert len(client.get("/v1/events").json()["items"]) == 1


def test_discarded_is_gone(client, put):
    path = put(b"nothing")
    assert client.delete(path).status_code == 204
    for answer in (client.get(path), client.delete(path), client.post(path + "/redrive")):
        assert answer.status_code == 404
    assert client.get(Q, params={"state": "all"}).json()["items"] == []


def test_s1c_an_organization_takes_only_its_own_and_as_its_own(client, put, tokens):
    source = "https://letta/organizations/org-1/agents/a"
    event = {**FINE, "source": source, "type": "com.letta.test", "data": {"organization_id": "org-1"}}
    path, one, two = (
        put(event, "org-1"),
        tokens.make(organization="org-1")[1],
        tokens.make(organization="org-2")[1],
    )
    assert client.post(path + "/redrive", headers=two).status_code == 404
    taken = client.post(path + "/redrive", headers=one)
    assert taken.status_code == 200
    position = taken.json()["position"]
    assert client.get(f"/v1/events/{position}", headers=one).status_code == 200
    assert client.get(f"/v1/events/{position}", headers=two).status_code == 404


def test_an_unknown_state(client):
    assert client.get(Q, params={"state": "new"}).status_code == 422
