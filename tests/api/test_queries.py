"""Query parameters: what a route does not look at is refused by name, and never means everything."""

import pytest

from gateway.api.application import openapi_document


def faults(answer):
    assert answer.status_code == 422, answer.text
    return {one["pointer"]: one["detail"] for one in answer.json()["errors"]}


def test_what_is_not_known_is_refused_with_what_is(client):
    found = faults(client.get("/v1/deliveries?nosuch=1&agent=agent-1&agent_id=a"))
    assert set(found) == {"nosuch", "agent"}
    assert found["agent"].startswith("is not known here; known: `agent_id`, `batch`, `cursor`")


@pytest.mark.parametrize("path", ["/v1/agents/wa/webhook", "/v1/webhook", "/v1/organizations/org-1/webhook"])
def test_a_misspelt_organization_makes_no_webhook(client, path):
    body = {"url": "http://127.0.0.1:9/", "events": [], "enabled": True}
    assert set(faults(client.put(f"{path}?organisation=zz", json=body))) == {"organisation"}
    assert client.get(path).status_code == 404


def test_a_method_that_is_not_there_is_told_before_its_query(client):
    for method, query in (("PUT", "type=x"), ("DELETE", "cursor=a"), ("PATCH", "nosuch=1")):
        assert client.request(method, f"/v1/events?{query}").status_code == 405


def test_of_many_that_are_not_known_some_are_told(client):
    assert len(faults(client.get("/v1/events?" + "&".join(f"x{n}=1" for n in range(1_000))))) == 100


def test_every_list_may_be_asked_for_so_many(client):
    made = client.post("/v1/subscriptions", json={"sink": "pull:"}).json()["id"]
    for path in (f"/v1/subscriptions/{made}/replays", "/v1/secrets/keys", "/v1/tokens", "/v1/quarantine"):
        assert client.get(f"{path}?limit=5").status_code == 200, path


def test_only_what_is_a_list_may_be_repeated(client):
    assert set(faults(client.get("/v1/events?agent_id=a&agent_id=b&type=x&type=y"))) == {"agent_id"}
    assert client.get("/v1/events?type=x&type=y").status_code == 200
    assert client.get("/v1/deliveries?state=pending&state=exhausted").status_code == 200


@pytest.mark.parametrize("query", ["agent_id=", "agent_id", "type=x&type="])
def test_what_has_no_value_is_refused(client, query):
    (found,) = faults(client.get(f"/v1/events?{query}")).values()
    assert found == "has no value: give one, or leave it out"


def test_a_cursor_without_a_value_is_a_cursor_that_no_list_gave_out(client):
    for path in ("/v1/events", "/v1/deliveries", "/v1/subscriptions"):
        answer = client.get(f"{path}?cursor=")
        assert (answer.status_code, answer.json()["title"]) == (400, "Unknown cursor")


def test_who_has_no_token_is_told_nothing_of_it(client):
    answer = client.get("/v1/deliveries?nosuch=1", headers={"Authorization": ""})
    assert answer.status_code == 401


def test_names_are_told_shortened_and_whatever_they_are(client):
    assert set(faults(client.get("/v1/webhook?" + "x" * 3_000 + "=1"))) == {"x" * 100}
    assert faults(client.get("/v1/webhook?%ff=1&%E2%82%AC=2"))


def test_every_parameter_of_the_document_is_known(client):
    # Each route by itself: with what it has, nothing is called unknown.
    asked = 0
    for path, operations in openapi_document("0").get("paths", {}).items():
        for method, operation in operations.items():
            if not path.startswith("/v1") or path.endswith("/stream"):
                continue
            names = [one["name"] for one in operation.get("parameters", ()) if one.get("in") == "query"]
            url = path.replace("{", "").replace("}", "")
            answer = client.request(method, url, params=dict.fromkeys([*names, "unheard-of"], "1"))
            assert set(faults(answer)) == {"unheard-of"}, (method, path)
            asked += 1
    assert asked > 40


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/registry?unheard-of=1", 200),
        ("/healthz?x=1", 200),
        ("/handshake/none?x=1", 404),
        ("/metrics?x=1", 401),
    ],
)
def test_where_others_make_the_url_it_is_ignored(client, path, status):
    assert client.get(path, headers={"Authorization": ""}).status_code == status
