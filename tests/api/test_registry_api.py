"""The registry: xRegistry 1.0-rc4 for who reads, and registering for administrators."""

import copy
import json
from typing import Any

import pytest

import contracts
from contracts import rendering
from gateway.ports import NewContract
from gateway.registry.catalogue import Catalogue
from gateway.registry.formats import FORMATS, Format
from gateway.registry.registering import Registering

PUBLIC_URL = "http://127.0.0.1:8080"
R = "/registry"
LETTA = R + "/schemagroups/com.letta/schemas"
STEP = LETTA + "/agent.step.completed"
OWN = R + "/schemagroups/com.example/schemas/order.placed"
TYPE = "com.example.order.placed"
SPEC = "https://github.com/xregistry/spec/blob/main/core/spec.md#"
HTTP = "https://github.com/xregistry/spec/blob/main/core/http.md#"
CLOUDEVENT = {"Content-Type": "application/cloudevents+json"}
ORDER = {
    "title": "order.placed",
    "description": "An order is placed.",
    "type": "object",
    "properties": {"id": {"type": "string", "minLength": 1}, "note": {"type": ["string", "null"]}},
    "required": ["id"],
}


def changed(**members: Any) -> dict[str, Any]:
    """The order's schema with other members in it."""
    schema = copy.deepcopy(ORDER)
    schema["properties"] |= members
    return schema


def register(client, schema: Any = ORDER, path: str = OWN, **request: Any):
    return client.post(path, json=schema, **request)


def event(data: Any, type_: str = TYPE, **attributes: Any) -> dict[str, Any]:
    number = str(abs(hash(json.dumps([data, attributes], sort_keys=True))))
    base = {"specversion": "1.0", "id": number, "source": "/shop", "type": type_}
    return base | attributes | {"data": data}


def publish(client, data: Any, type_: str = TYPE, **attributes: Any):
    content = json.dumps(event(data, type_, **attributes))
    return client.post("/v1/events", content=content, headers=CLOUDEVENT)


# Reading.


def test_everything_leads_to_everything(anonymous):
    """From the root on, each URL that is given is there, and is where it says."""
    waiting, seen = [PUBLIC_URL + R], set()
    while waiting:
        url = waiting.pop()
        if url in seen or not url.startswith(PUBLIC_URL):
            continue
        seen.add(url)
        answer = anonymous.get(url.removeprefix(PUBLIC_URL))
        assert answer.status_code == 200, url
        assert answer.headers["link"] == f"<{PUBLIC_URL}/registry>;rel=xregistry-root"
        found = answer.json()
        if "xid" in found:
            assert found["self"] in {url, url + "$details"}
        members = [found] if "xid" in found else [item for item in found.values() if isinstance(item, dict)]
        for entity in members:
            waiting += [value for name, value in entity.items() if name == "self" or name.endswith("url")]
    assert {
        PUBLIC_URL + STEP + part for part in ("$details", "/meta", "/versions", "/versions/1$details")
    } <= seen
    assert len(seen) == 4 + 8 * 4


def test_collections_have_counts_and_every_member(anonymous):
    root = anonymous.get(R).json()
    assert (root["specversion"], root["registryid"], root["xid"]) == ("1.0-rc4", "letta-gateway", "/")
    assert root["schemagroupscount"] == 1
    group = anonymous.get(R + "/schemagroups").json()["com.letta"]
    assert group["schemascount"] == len(anonymous.get(LETTA).json()) == 8
    schema = anonymous.get(LETTA).json()["agent.step.completed"]
    assert schema["versionscount"] == len(anonymous.get(STEP + "/versions").json()) == 1
    assert "schema" not in schema
    assert "versions" not in schema


def test_a_schema_and_its_details_and_its_meta(anonymous):
    raw = anonymous.get(STEP)
    assert raw.headers["content-type"] == "application/schema+json"
    assert raw.json()["$id"] == PUBLIC_URL + STEP + "/versions/1"
    details = anonymous.get(STEP + "$details").json()
    assert details == {
        "schemaid": "agent.step.completed",
        "versionid": "1",
        "self": PUBLIC_URL + STEP + "$details",
        "xid": STEP.removeprefix(R),
        "epoch": 1,
        "name": "agent.step.completed",
        "description": "A step of an agent is checkpointed.",
        "isdefault": True,
        "createdat": details["createdat"],
        "modifiedat": details["createdat"],
        "ancestorid": "1",
        "contenttype": "application/schema+json",
        "format": "JsonSchema/draft/2020-12",
        "formatvalidated": True,
        "compatibilityvalidated": True,
        "eventtype": "com.letta.agent.step.completed",
        "metaurl": PUBLIC_URL + STEP + "/meta",
        "versionsurl": PUBLIC_URL + STEP + "/versions",
        "versionscount": 1,
    }
    assert anonymous.get(STEP + "/meta").json() == {
        "schemaid": "agent.step.completed",
        "self": PUBLIC_URL + STEP + "/meta",
        "xid": STEP.removeprefix(R) + "/meta",
        "epoch": 1,
        "createdat": details["createdat"],
        "modifiedat": details["createdat"],
        "readonly": False,
        "compatibility": "forward_transitive",
        "defaultversionid": "1",
        "defaultversionurl": PUBLIC_URL + STEP + "/versions/1$details",
        "defaultversionsticky": False,
    }


def test_a_raw_schema_carries_its_attributes_as_headers(anonymous):
    headers = anonymous.get(STEP).headers
    told = {name: value for name, value in headers.items() if name.startswith("xregistry-")}
    assert told == {
        "xregistry-schemaid": "agent.step.completed",
        "xregistry-versionid": "1",
        "xregistry-self": PUBLIC_URL + STEP,
        "xregistry-xid": STEP.removeprefix(R),
        "xregistry-epoch": "1",
        "xregistry-name": "agent.step.completed",
        "xregistry-description": "A%20step%20of%20an%20agent%20is%20checkpointed.",
        "xregistry-isdefault": "true",
        "xregistry-createdat": told["xregistry-createdat"],
        "xregistry-modifiedat": told["xregistry-createdat"],
        "xregistry-ancestorid": "1",
        "xregistry-format": "JsonSchema/draft/2020-12",
        "xregistry-formatvalidated": "true",
        "xregistry-compatibilityvalidated": "true",
        "xregistry-eventtype": "com.letta.agent.step.completed",
        "xregistry-metaurl": PUBLIC_URL + STEP + "/meta",
        "xregistry-versionsurl": PUBLIC_URL + STEP + "/versions",
        "xregistry-versionscount": "1",
    }
    assert headers["content-location"] == PUBLIC_URL + STEP + "/versions/1"
    assert headers["content-disposition"] == "agent.step.completed"
    version = anonymous.get(STEP + "/versions/1").headers
    assert version["xregistry-self"] == PUBLIC_URL + STEP + "/versions/1"
    assert "xregistry-versionscount" not in version


@pytest.mark.parametrize(
    "path", [R, R + "/", R + "/export", LETTA, STEP, STEP + "$details", STEP + "/versions/1"]
)
def test_what_has_not_changed_is_not_sent_again_and_head_has_no_body(anonymous, path):
    answer = anonymous.get(path)
    etag = answer.headers["etag"]
    assert etag.startswith('"')
    for said in (etag, f'"x", W/{etag}', "*"):
        again = anonymous.get(path, headers={"If-None-Match": said})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    assert anonymous.get(path, headers={"If-None-Match": '"x"'}).status_code == 200
    head = anonymous.head(path)
    assert (head.status_code, head.content) == (200, b"")
    assert {**head.headers, "content-length": ""} == {**answer.headers, "content-length": ""}
    assert int(head.headers["content-length"]) == len(answer.content)
    kept = "immutable" in answer.headers["cache-control"]
    assert kept is path.endswith("/versions/1")


def test_the_export_is_the_whole_registry_without_repetitions(anonymous):
    export = anonymous.get(R + "/export")
    assert export.content == anonymous.get(R + "?doc&inline=*,capabilities,modelsource").content
    whole = export.json()
    assert (whole["self"], whole["schemagroupsurl"]) == ("#/", "#/schemagroups")
    assert whole["capabilities"] == anonymous.get(R + "/capabilities").json()
    assert whole["modelsource"] == anonymous.get(R + "/modelsource").json()
    assert "model" not in whole
    schema = whole["schemagroups"]["com.letta"]["schemas"]["agent.step.completed"]
    xid = "/schemagroups/com.letta/schemas/agent.step.completed"
    assert schema.keys() == {
        *("schemaid", "self", "xid", "metaurl", "meta", "versionsurl", "versions", "versionscount")
    }
    assert (schema["self"], schema["metaurl"]) == (f"#{xid}", f"#{xid}/meta")
    assert schema["meta"]["defaultversionurl"] == schema["versions"]["1"]["self"] == f"#{xid}/versions/1"
    assert schema["versions"]["1"]["schema"] == anonymous.get(STEP + "/versions/1").json()
    only = anonymous.get(R + "/export?inline=schemagroups").json()
    assert only["schemagroups"]["com.letta"]["schemasurl"] == PUBLIC_URL + LETTA


def test_inlining_writes_what_is_asked_for(anonymous):
    group = anonymous.get(
        R + "/schemagroups/com.letta", params={"inline": "schemas.versions,schemas.meta"}
    ).json()
    schema = group["schemas"]["agent.step.completed"]
    assert schema["meta"]["compatibility"] == "forward_transitive"
    assert "schema" not in schema["versions"]["1"]
    assert schema["self"] == PUBLIC_URL + STEP + "$details"
    version = anonymous.get(STEP + "/versions/1$details", params={"inline": "schema"}).json()
    assert version["schema"] == anonymous.get(STEP + "/versions/1").json()
    assert anonymous.get(STEP + "$details?inline").json()["versions"]["1"]["schema"]["title"]
    doc = anonymous.get(LETTA + "?doc&inline=*").json()["agent.step.completed"]
    assert doc["versions"]["1"]["self"] == "#/agent.step.completed/versions/1"
    for wrong in ("nothing", "schemas.nothing", "*.schemas", "schemas.schema.type"):
        answer = anonymous.get(R + "/schemagroups/com.letta", params={"inline": wrong})
        assert (answer.status_code, answer.json()["type"]) == (400, SPEC + "bad_inline")


def test_the_model_has_every_attribute_that_is_served(anonymous):
    model = anonymous.get(R + "/model").json()
    group = model["groups"]["schemagroups"]
    schema = group["resources"]["schemas"]
    assert (schema["maxversions"], schema["hasdocument"], schema["setversionid"]) == (0, True, False)
    served = {
        "attributes": anonymous.get(R + "?inline=*,capabilities,model,modelsource").json(),
        "group": anonymous.get(R + "/schemagroups/com.letta?inline=schemas").json(),
        "version": anonymous.get(STEP + "/versions/1$details?inline=schema").json(),
        "schema": anonymous.get(STEP + "$details?inline=*").json(),
        "meta": anonymous.get(STEP + "/meta").json(),
    }
    assert served["attributes"].keys() == model["attributes"].keys()
    assert served["group"].keys() == group["attributes"].keys()
    assert served["version"].keys() == schema["attributes"].keys()
    assert served["schema"].keys() == schema["attributes"].keys() | schema["resourceattributes"].keys()
    assert served["meta"].keys() == schema["metaattributes"].keys()
    assert anonymous.get(R + "/capabilities").json()["specversions"] == ["1.0-rc4"]


@pytest.mark.parametrize(
    ("path", "subject"),
    [
        (R + "/schemagroups/com.nothing", "/schemagroups/com.nothing"),
        (R + "/schemagroups/com.nothing/schemas/a", "/schemagroups/com.nothing/schemas/a"),
        (LETTA + "/nothing", "/schemagroups/com.letta/schemas/nothing"),
        (LETTA + "/nothing/meta", "/schemagroups/com.letta/schemas/nothing/meta"),
        *(
            (f"{STEP}/versions/{number}", f"{STEP.removeprefix(R)}/versions/{number}")
            for number in ("0", "2", "01", "x", "-1", "%C2%B2", "99999999999999999999")
        ),
    ],
)
def test_what_is_not_there_is_told_as_the_specification_types_it(anonymous, path, subject):
    answer = anonymous.get(path)
    assert answer.status_code == 404
    problem = answer.json()
    assert problem["type"] == SPEC + "not_found"
    assert answer.headers["link"] == f"<{PUBLIC_URL}/registry>;rel=xregistry-root"
    if "%" not in path:
        assert problem["subject"] == subject
        assert problem["title"] == f"The targeted entity ({subject}) cannot be found."


def test_paths_and_methods_that_there_are_not(anonymous, client):
    unknown = anonymous.get(R + "/endpoints")
    assert (unknown.status_code, unknown.json()["type"]) == (404, HTTP + "api_not_found")
    for method, path in (("PUT", STEP), ("DELETE", STEP), ("PATCH", STEP + "/meta"), ("POST", R + "/model")):
        answer = client.request(method, path, json={})
        assert (answer.status_code, answer.json()["type"]) == (405, SPEC + "action_not_supported")
        assert answer.json()["args"] == {"action": method}
        assert {"GET", "HEAD"} <= set(answer.headers["allow"].split(", "))
    assert register(client, path=OWN + "$details").status_code == 405


def test_the_root_is_there_with_a_slash_and_without(anonymous, client):
    plain, slashed = (anonymous.get(path, params={"inline": "model"}) for path in (R, R + "/"))
    assert (slashed.status_code, slashed.content) == (200, plain.content)
    assert {**slashed.headers, "date": ""} == {**plain.headers, "date": ""}
    assert anonymous.get(R + "/", params={"inline": "nothing"}).status_code == 400
    assert client.post(R + "/", json={}).json()["args"] == {"action": "POST"}
    # Of what is below, one spelling is the place.
    assert anonymous.get(STEP + "/").status_code == anonymous.get(R + "//").status_code == 404
    assert R + "/" not in anonymous.get("/openapi.json").json()["paths"]


def test_another_format_is_a_function_of_contracts(anonymous, monkeypatch):
    unknown = anonymous.get(STEP, params={"format": "cobol"})
    assert (unknown.status_code, unknown.json()["errors"][0]["pointer"]) == (422, "format")

    def render(typed) -> str:
        return "\n".join(f"{item.event_type} {item.version} {item.schema['$id']}" for item in typed)

    monkeypatch.setitem(FORMATS, "lines", Format("text/plain; charset=utf-8", render))
    line = f"com.letta.agent.step.completed 1 {PUBLIC_URL}{STEP}/versions/1"
    for path in (STEP, STEP + "/versions/1"):
        answer = anonymous.get(path, params={"format": "lines"})
        assert (answer.text, answer.headers["content-type"]) == (line, "text/plain; charset=utf-8")
        assert answer.headers["etag"] != anonymous.get(path).headers["etag"]
    assert anonymous.get(LETTA, params={"format": "lines"}).text.count("\n") == 7


# Registering.


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


@pytest.mark.parametrize(
    "how",
    [
        {"params": {"compatibility": ["none", "full_transitive"]}},
        {"params": {"compatibility": ["none", "none"]}},
        {"params": {"compatibility": "none"}, "headers": {"xRegistry-meta.compatibility": "full_transitive"}},
        {"headers": [("xRegistry-meta.compatibility", "none"), ("xRegistry-meta.compatibility", "none")]},
    ],
)
def test_what_versions_promise_is_said_once(client, anonymous, how):
    refused = register(client, **how)
    assert (refused.status_code, refused.json()["type"]) == (400, SPEC + "invalid_attribute")
    assert "give it once" in refused.json()["title"]
    assert anonymous.get(OWN).status_code == 404


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


@pytest.mark.parametrize("name", ["typescript", "pydantic"])
def test_types_are_the_texts_of_the_package(anonymous, name):
    for path in (STEP, f"{STEP}/versions/1"):
        answer = anonymous.get(path, params={"format": name})
        found = rendering.render(name, "com.letta.agent.step.completed", 1)
        assert (answer.status_code, answer.text) == (200, found.text)
        assert answer.headers["content-type"] == found.media_type
    whole = anonymous.get(STEP.rpartition("/")[0], params={"format": name})
    assert whole.text == rendering.module(name)


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


def test_several_lines_of_if_none_match_are_one_list(anonymous):
    etag = anonymous.get(STEP).headers["etag"]
    lines = [("If-None-Match", '"another"'), ("If-None-Match", etag)]
    assert anonymous.get(STEP, headers=lines).status_code == 304
    assert anonymous.get(STEP, headers=lines[:1]).status_code == 200


def test_a_body_that_is_too_large_is_told_no_setting_of_events(client):
    answer = register(client, {"description": "x" * 300_000})
    assert answer.status_code == 413
    assert "262144" in answer.json()["detail"]
    assert "GATEWAY_EVENT" not in answer.text


def test_details_cannot_be_posted_and_say_what_can_be_asked(client):
    answer = register(client, path=OWN + "$details")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")
