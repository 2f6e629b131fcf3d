"""`POST /v1/subscriptions/import`: many at once, all or none, with every fault by its place."""

import json

import pytest

from gateway.api.auth import Principal, principal
from gateway.api.subscription_import import BYTES_MAX, ITEMS_MAX
from gateway.domain.signing import check_secret

PATH = "/v1/subscriptions/import"
SINK = "http://127.0.0.1:9/hook"
LINES = {"Content-Type": "application/x-ndjson"}


def resources(count: int) -> list[dict[str, object]]:
    return [
        {
            "sink": f"{SINK}/{number}",
            "types": ["agent.step.completed"],
            "filters": [{"exact": {"partitionkey": f"agent-{number}"}}],
        }
        for number in range(count)
    ]


def ndjson(items: list[dict[str, object]]) -> bytes:
    return b"".join(json.dumps(item).encode() + b"\n" for item in items)


def pointers(answer) -> list[str]:
    return [error["pointer"] for error in answer.json()["errors"]]


def listed(client) -> list[dict[str, object]]:
    return client.get("/v1/subscriptions", params={"limit": 500}).json()["items"]


@pytest.mark.parametrize("lines", [True, False], ids=["ndjson", "array"])
def test_ids_and_secrets_come_in_the_order_of_the_request(client, lines):
    asked = resources(30)
    asked[3]["secret"] = own = "whsec_" + "A" * 40
    asked[4]["organization"] = "org-1"
    answer = (
        client.post(PATH, content=ndjson(asked), headers=LINES) if lines else client.post(PATH, json=asked)
    )
    assert answer.status_code == 201, answer.text
    made = answer.json()["items"]
    assert len({item["id"] for item in made}) == len({item["secret"] for item in made}) == 30
    assert made[3]["secret"] == own
    assert all(check_secret(item["secret"]) is None for item in made)
    found = listed(client)
    assert [item["id"] for item in found] == [item["id"] for item in made]
    assert [item["sink"] for item in found] == [item["sink"] for item in asked]
    assert [item["organization"] for item in found[3:5]] == ["*", "org-1"]
    assert found[7]["config"]["start"] == "now"
    facts = client.get("/v1/events", params={"type": "com.letta.gateway.subscription.created", "limit": 100})
    assert len(facts.json()["items"]) == 30


def test_what_is_only_pulled_has_no_sink_to_judge(client):
    asked = [{"sink": "pull:"}, *resources(1), {"sink": "pull:", "types": ["agent.step.completed"]}]
    assert client.post(PATH, json=asked).status_code == 201
    assert [item["sink"] for item in listed(client)] == ["pull:", f"{SINK}/0", "pull:"]


def test_one_that_is_wrong_keeps_all_out(client):
    asked = [*resources(3), {"sink": SINK, "types": "x"}, {"filters": [{"exact": {}}]}, 7]
    answer = client.post(PATH, json=asked)
    assert answer.status_code == 422
    assert pointers(answer) == ["/3/types", "/4/sink", "/4/filters/0/exact", "/5", "/5/sink"]
    assert "Nothing was imported" in answer.json()["detail"]
    assert listed(client) == []


def test_a_line_that_is_not_json_is_told_with_the_others(client):
    body = ndjson(resources(1)) + b"\n{oops\n" + b'{"sink": ""}\n'
    answer = client.post(PATH, content=body, headers=LINES)
    assert answer.status_code == 422
    assert pointers(answer) == ["/1", "/2/sink"]


def test_every_sink_is_judged(client):
    asked = [*resources(2), {"sink": "http://10.0.0.1/"}, {"sink": "http://10.0.0.1/"}, {"sink": "ftp://x"}]
    answer = client.post(PATH, json=asked)
    assert answer.status_code == 422
    assert pointers(answer) == ["/2/sink", "/3/sink", "/4/sink"]
    assert answer.json()["type"].endswith("sink-refused")
    assert listed(client) == []


def test_a_start_ahead_of_the_log_is_told_by_its_place(client):
    asked = [*resources(2), {"sink": SINK, "config": {"start": 10**6}}]
    answer = client.post(PATH, json=asked)
    assert answer.status_code == 422
    assert pointers(answer) == ["/2/config/start"]
    assert listed(client) == []


def test_the_faults_of_an_answer_are_bounded(client):
    answer = client.post(PATH, json=[{"sink": ""}] * 400)
    assert len(pointers(answer)) == 100
    assert "300 more are not shown" in answer.json()["detail"]


def test_bounds_of_a_request(client):
    assert client.post(PATH, json=[]).json() == {"items": []}
    assert client.post(PATH, json=[{}] * (ITEMS_MAX + 1)).status_code == 413
    assert client.post(PATH, content=b" " * (BYTES_MAX + 1), headers=LINES).status_code == 413
    assert client.post(PATH, json={"sink": SINK}).status_code == 422
    assert client.post(PATH, content=b"[", headers={"Content-Type": "application/json"}).status_code == 400
    assert client.post(PATH, content=b"a,b", headers={"Content-Type": "text/csv"}).status_code == 415


def test_it_is_for_administrators(client, anonymous):
    client.app.dependency_overrides[principal] = lambda: Principal(organization="org-1", writes=True)
    assert client.post(PATH, json=resources(1)).status_code == 403
    client.app.dependency_overrides.clear()
    del anonymous.headers["Authorization"]
    assert anonymous.post(PATH, json=resources(1)).status_code == 401
