"""`/v1/erasures`: what is asked, answered and refused; who may is in `test_organization_matrix.py`."""

import pytest

from gateway.domain.erasure import Scope, Target

EVENT = {
    "specversion": "1.0",
    "id": "e1",
    "source": "/s",
    "type": "t",
    "partitionkey": "agent-1",
    "datacontenttype": "application/json",
    "data": {},
}


def publish(client, *ids: str) -> None:
    events = [EVENT | {"id": event_id} for event_id in ids]
    headers = {"Content-Type": "application/cloudevents-batch+json"}
    assert client.post("/v1/events", json=events, headers=headers).status_code == 202


def test_a_dry_run_counts_and_commands_nothing(client):
    publish(client, "e1", "e2")
    answer = client.post("/v1/erasures", json={"agent_id": "agent-1", "dry_run": True})
    assert (answer.status_code, answer.json()) == (200, {"events": 2, "quarantined": 0, "archives": 0})
    assert client.get("/v1/erasures").json() == {"items": [], "next": None}


def test_a_command_is_accepted_and_shown_without_the_name(client, services):
    publish(client, "e1", "e2")
    answer = client.post("/v1/erasures", json={"agent_id": "agent-1"})
    record = answer.json()
    assert answer.status_code == 202
    assert answer.headers["Location"] == f"/v1/erasures/{record['id']}"
    assert (record["state"], record["scope"], record["until_position"], record["events"]) == (
        "running",
        "agent",
        2,
        0,
    )
    while not client.portal.call(services.erasures.step, record["id"]).finished:
        pass
    done = client.get(answer.headers["Location"]).json()
    assert (done["state"], done["events"], done["rewritten"]) == ("finished", 2, True)
    assert done["finished_at"] >= done["requested_at"]
    assert "agent-1" not in str(client.get("/v1/erasures").json())


def test_they_are_paged_the_latest_first(client, services):
    made = [client.portal.call(services.erasures.request, Target(Scope.AGENT, "a")).id for _ in range(5)]
    seen, cursor = [], None
    while True:
        page = client.get("/v1/erasures", params={"limit": 2} | ({"cursor": cursor} if cursor else {})).json()
        seen += [item["id"] for item in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert seen == made[::-1]


@pytest.mark.parametrize(
    "body", [{}, {"agent_id": "a", "organization_id": "o"}, {"agent_id": 1}, {"agent": "a"}, []]
)
def test_what_is_no_erasure_is_refused_by_its_members(client, body):
    answer = client.post("/v1/erasures", json=body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["errors"]


@pytest.mark.parametrize(
    ("path", "status"),
    [("/v1/erasures/ers_none", 404), ("/v1/erasures?cursor=x", 400), ("/v1/erasures?limit=0", 422)],
)
def test_what_is_not_there(client, path, status):
    assert client.get(path).status_code == status


def test_it_is_in_the_openapi_document(client):
    paths = client.get("/openapi.json").json()["paths"]
    assert {"post", "get"} <= set(paths["/v1/erasures"])
    assert "requestBody" in paths["/v1/erasures"]["post"]
