"""`POST /registry/…`: contracts are registered, work at once, and are refused with every reason."""

import copy
import json
from typing import Any

import pytest
from registry_requests import HTTP, ORDER, OWN, PUBLIC_URL, SPEC, STEP, R, register

import contracts
from gateway.ports import NewContract
from gateway.registry.catalogue import Catalogue
from gateway.registry.registering import Registering

TYPE = "com.example.order.placed"
CLOUDEVENT = {"Content-Type": "application/cloudevents+json"}


def changed(**members: Any) -> dict[str, Any]:
    """The order's schema with other members in it."""
    schema = copy.deepcopy(ORDER)
    schema["properties"] |= members
    return schema


def event(data: Any, type_: str = TYPE, **attributes: Any) -> dict[str, Any]:
    number = str(abs(hash(json.dumps([data, attributes], sort_keys=True))))
    base = {"specversion": "1.0", "id": number, "source": "/shop", "type": type_}
    return base | attributes | {"data": data}


def publish(client, data: Any, type_: str = TYPE, **attributes: Any):
    content = json.dumps(event(data, type_, **attributes))
    return client.post("/v1/events", content=content, headers=CLOUDEVENT)


def test_a_type_is_registered_and_works_at_once(client, anonymous):
    assert publish(client, {"free": True}).status_code == 202
    made = register(client, ORDER | {"$id": "https://elsewhere.example/1"})
    assert made.status_code == 201
    url = PUBLIC_URL + OWN + "/versions/1"
    assert made.headers["location"] == made.headers["content-location"] == url
    assert made.headers["xregistry-eventtype"] == TYPE
    assert made.json()["$id"] == url
    assert anonymous.get(OWN + "/versions/1").json() == made.json()
    refused = publish(client, {"id": ""})
    assert (refused.status_code, [item["pointer"] for item in refused.json()["errors"]]) == (
        422,
        ["/data/id"],
    )
    assert publish(client, {"id": "1"}).status_code == 202
    assert anonymous.get(R).json()["schemagroupscount"] == 2


def test_versions_go_on_and_the_newest_is_asked(client, anonymous):
    register(client)
    second = register(client, changed(note={"type": "string"}, extra={"type": "integer"}))
    assert (second.status_code, second.headers["xregistry-versionid"]) == (201, "2")
    assert second.headers["xregistry-ancestorid"] == "1"
    assert anonymous.get(OWN).headers["xregistry-versionid"] == "2"
    assert anonymous.get(OWN + "/versions/1$details").json()["isdefault"] is False
    assert anonymous.get(OWN + "/meta").json()["epoch"] == 2
    assert publish(client, {"id": "1", "note": None}).status_code == 422
    # Who says that it keeps to an older version is judged by that one.
    first = PUBLIC_URL + OWN + "/versions/1"
    assert publish(client, {"id": "1", "note": None}, dataschema=first).status_code == 202
    assert (
        publish(client, {"id": "2", "note": None}, dataschema="https://elsewhere.example/s").status_code
        == 422
    )
    for wrong in (OWN + "/versions/3", STEP + "/versions/1", R + "/anything", R):
        answer = publish(client, {"id": "4"}, dataschema=PUBLIC_URL + wrong)
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/dataschema")


def test_a_dataschema_without_a_version_is_told_to_name_one(client):
    """As sent it would stand for another document with each version (CONFORMANCE 43)."""
    register(client)
    answer = publish(client, {"id": "1"}, dataschema=PUBLIC_URL + OWN)
    assert answer.status_code == 422
    (problem,) = answer.json()["errors"]
    assert problem["pointer"] == "/dataschema"
    assert problem["detail"].endswith(f"name one, such as {PUBLIC_URL}{OWN}/versions/1")


@pytest.mark.parametrize("data", [{"any": "thing"}, None])
def test_an_event_without_a_contract_names_none_of_this_registry(client, data):
    for wrong in (STEP + "/versions/1", STEP, OWN + "/versions/1", R + "/anything", R):
        answer = publish(client, data, "com.example.unknown", dataschema=PUBLIC_URL + wrong)
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/dataschema"), wrong
    for fine in ("https://elsewhere.example/registry/x", PUBLIC_URL + "/registry-of-ours"):
        assert publish(client, data, "com.example.unknown", dataschema=fine).status_code == 202


def test_what_breaks_older_versions_is_refused_with_every_place(client, anonymous):
    register(client)
    schema = changed(note={"type": ["string", "null", "integer"]})
    schema["required"] = []
    refused = register(client, schema)
    assert refused.status_code == 409
    problem = refused.json()
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.headers["link"].endswith("rel=xregistry-root")
    assert problem["type"] == SPEC + "compatibility_violation"
    assert (problem["subject"], problem["args"]) == (OWN.removeprefix(R), {"compat": "forward_transitive"})
    assert [item["pointer"] for item in problem["errors"]] == ["/properties/id", "/properties/note/type"]
    assert all(item["detail"].endswith("(version 1)") for item in problem["errors"])
    assert anonymous.get(OWN + "$details").json()["versionscount"] == 1


def test_the_same_again_makes_no_version(client):
    register(client)
    for schema in (ORDER, ORDER | {"$id": "x"}, dict(reversed(ORDER.items()))):
        again = register(client, schema)
        assert (again.status_code, again.headers["xregistry-versionid"]) == (200, "1")
        assert "location" not in again.headers


@pytest.mark.parametrize(
    "how", [{"params": {"compatibility": "none"}}, {"headers": {"xRegistry-meta.compatibility": "None"}}]
)
def test_what_versions_promise_is_set_once(client, anonymous, how):
    assert register(client, **how).status_code == 201
    assert anonymous.get(OWN + "/meta").json()["compatibility"] == "none"
    assert register(client, {"type": "string"}).status_code == 201
    late = register(client, {"type": "integer"}, params={"compatibility": "full_transitive"})
    assert (late.status_code, late.json()["type"]) == (400, SPEC + "invalid_attribute")
    assert anonymous.get(OWN + "/versions/1$details").json()["compatibilityvalidated"] is True


def test_full_asks_both_ways(client):
    register(client, params={"compatibility": "full_transitive"})
    assert register(client, changed(extra={"type": "string"})).status_code == 201
    refused = register(client, changed(note={"type": "string"}, extra={"type": "string"}))
    assert refused.json()["args"] == {"compat": "full_transitive"}


def test_what_cannot_be_a_contract_is_refused_with_every_reason(client):
    wrong = register(client, {"typ": "object", "properties": {"a": {"$ref": "https://elsewhere.example"}}})
    assert (wrong.status_code, wrong.json()["type"]) == (400, SPEC + "format_violation")
    assert sorted(item["pointer"] for item in wrong.json()["errors"]) == ["/properties/a/$ref", "/typ"]
    for schema in (True, [], {"pattern": "("}, {"description": "x" * 70_000}):
        answer = register(client, schema)
        assert (answer.status_code, answer.json()["type"]) == (400, SPEC + "format_violation")
    pattern = register(client, {"properties": {"a": {"pattern": "("}}})
    assert [item["pointer"] for item in pattern.json()["errors"]] == ["/properties/a/pattern"]
    empty = client.post(OWN)
    assert (empty.status_code, empty.json()["type"]) == (400, HTTP + "missing_body")
    assert client.post(OWN, content=b"{").status_code == 400
    mode = register(client, params={"compatibility": "backward"})
    assert (mode.status_code, mode.json()["type"]) == (400, SPEC + "compatibility_unknown")


@pytest.mark.parametrize(
    ("headers", "kind"),
    [
        ({"xRegistry-schemaid": "other"}, "mismatched_id"),
        ({"xRegistry-versionid": "7"}, "mismatched_id"),
        ({"xRegistry-format": "Avro/1.9"}, "invalid_attribute"),
        ({"xRegistry-owner": "me"}, "unknown_attribute"),
        ({"xRegistry-schemaurl": "https://elsewhere.example"}, "unknown_attribute"),
    ],
)
def test_attributes_in_headers(client, headers, kind):
    answer = register(client, headers=headers)
    assert (answer.status_code, answer.json()["type"]) == (400, SPEC + kind)
    fine = {"xRegistry-schemaid": "order.placed", "xRegistry-versionid": "1", "xRegistry-epoch": "9"}
    assert register(client, headers=fine | {"xRegistry-name": "ignored"}).status_code == 201


def test_who_may_register(anonymous, tokens):
    for made in (tokens.make(organization="org-1"), tokens.make(read_only=True)):
        assert register(anonymous, headers=made[1]).status_code == 403
    refused = anonymous.post(OWN, json=ORDER)
    assert refused.status_code == 401
    assert refused.headers["link"].endswith("rel=xregistry-root")
    token, headers = tokens.make()
    assert register(anonymous, headers=headers).status_code == 201
    said = anonymous.get(
        "/v1/events", params={"type": "com.letta.gateway.contract.registered"}, headers=headers
    )
    [item] = said.json()["items"]
    assert item["event"]["data"]["by"] == token
    assert (item["event"]["subject"], item["event"]["data"]["compatibility"]) == (TYPE, "forward_transitive")


def test_names(client):
    for group, name in (("com.letta", "gateway.x"), ("com.letta", "emitter.gap"), ("com.letta.gateway", "x")):
        answer = register(client, path=f"{R}/schemagroups/{group}/schemas/{name}")
        assert (answer.status_code, answer.json()["type"]) == (403, "urn:letta-gateway:problem:reserved-name")
    for group, name in (("-x", "a"), ("com.example", "a b"), ("com.example", "x" * 129), ("é", "a")):
        answer = register(client, path=f"{R}/schemagroups/{group}/schemas/{name}")
        assert (answer.status_code, answer.json()["type"]) == (400, SPEC + "malformed_id")
    # An id may say the group again, and is the same type then; and a type has one place.
    assert (
        register(client, path=f"{R}/schemagroups/com.example/schemas/{TYPE}").headers["xregistry-eventtype"]
        == TYPE
    )
    again = register(client)
    assert (again.status_code, f"/schemas/{TYPE}" in again.json()["detail"]) == (409, True)
    other = register(client, path=f"{R}/schemagroups/Com.Example/schemas/other")
    assert (other.status_code, "com.example" in other.json()["title"]) == (400, True)


def test_a_contract_of_ours_may_be_narrowed_and_keeps_its_number(client, anonymous):
    schema = contracts.load().schema("com.letta.agent.step.completed")
    wider = copy.deepcopy(schema)
    del wider["properties"]["data"]["properties"]["usage"]
    refused = client.post(STEP, json=wider)
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (
        409,
        "/properties/data/properties/usage",
    )
    narrow = copy.deepcopy(schema)
    narrow["properties"]["data"]["properties"]["team"] = {"type": "string"}
    made = client.post(STEP, json=narrow)
    assert (made.status_code, made.headers["location"]) == (201, PUBLIC_URL + STEP + "/versions/2")
    assert anonymous.get(STEP + "/versions/1").json()["$id"].endswith("/versions/1")


def test_what_is_stored_is_there_after_a_restart(client, anonymous, services):
    register(client)
    register(client, changed(note={"type": "string"}))
    again = Registering(services.registering._store, Catalogue(PUBLIC_URL), contracts.load())
    client.portal.call(again.begin)
    assert again.catalogue.at("com.example", "order.placed").version("2").body() == anonymous.get(OWN).content
    assert again.catalogue.root == services.catalogue.root


def test_two_at_once_get_two_numbers(client, services):
    """What another process has registered meanwhile is seen, and nothing is numbered twice."""
    register(client)
    store = services.registering._store
    meanwhile = NewContract(
        TYPE,
        "com.example",
        "order.placed",
        json.dumps(ORDER | {"title": "other"}).encode(),
        "forward_transitive",
    )
    client.portal.call(store.add, meanwhile, 2)
    assert register(client, changed(note={"type": "string"})).status_code == 409
    assert register(client, changed(note={"type": "string"})).headers["xregistry-versionid"] == "3"


@pytest.mark.parametrize(
    ("name", "said"), [("typescript", "  amount?: number;"), ("pydantic", 'extra="allow"')]
)
def test_types_of_what_was_registered_are_printed_or_open(client, name, said):
    path = "/registry/schemagroups/org.example/schemas/paid"
    schema = {"type": "object", "properties": {"amount": {"type": "number"}}}
    assert client.post(path, json=schema).status_code == 201
    for place in (path, path.rpartition("/")[0]):
        answer = client.get(place, params={"format": name})
        assert answer.status_code == 200
        assert "OrgExamplePaidEvent" in answer.text
        assert said in answer.text


def test_types_of_a_version_of_a_letta_event_are_those_in_force(client):
    newer = client.get(STEP).json()
    newer["properties"]["data"]["properties"]["cost"] = {"type": "number"}
    assert client.post(STEP, json=newer).status_code == 201
    of_both = [client.get(f"{STEP}{at}", params={"format": "typescript"}).text for at in ("", "/versions/1")]
    assert ["cost?: number;" in text for text in of_both] == [True, False]
    assert "export type LettaEvent =" in of_both[0]


def test_a_body_that_is_too_large_is_told_no_setting_of_events(client):
    answer = register(client, {"description": "x" * 300_000})
    assert answer.status_code == 413
    assert "262144" in answer.json()["detail"]
    assert "GATEWAY_EVENT" not in answer.text


def test_details_cannot_be_posted_and_say_what_can_be_asked(client):
    answer = register(client, path=OWN + "$details")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")
