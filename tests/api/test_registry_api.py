"""`/registry`: the contracts as an xRegistry 1.0-rc4 schema registry, read by anybody."""

import pytest
from registry_requests import HTTP, LETTA, OWN, PUBLIC_URL, SPEC, STEP, R, register

from contracts import rendering
from gateway.registry.formats import FORMATS, Format


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


@pytest.mark.parametrize("name", ["typescript", "pydantic"])
def test_types_are_the_texts_of_the_package(anonymous, name):
    for path in (STEP, f"{STEP}/versions/1"):
        answer = anonymous.get(path, params={"format": name})
        found = rendering.render(name, "com.letta.agent.step.completed", 1)
        assert (answer.status_code, answer.text) == (200, found.text)
        assert answer.headers["content-type"] == found.media_type
    whole = anonymous.get(STEP.rpartition("/")[0], params={"format": name})
    assert whole.text == rendering.module(name)


def test_several_lines_of_if_none_match_are_one_list(anonymous):
    etag = anonymous.get(STEP).headers["etag"]
    lines = [("If-None-Match", '"another"'), ("If-None-Match", etag)]
    assert anonymous.get(STEP, headers=lines).status_code == 304
    assert anonymous.get(STEP, headers=lines[:1]).status_code == 200
