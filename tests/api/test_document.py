"""The OpenAPI document: as committed, as served, whole, and not broken without a word."""

import copy
import json
import re
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

import contracts
from contracts.titles import type_name
from gateway.api.application import openapi_document
from gateway.api.document.examples import OF_SHAPE
from gateway.api.document.operations import OPERATIONS
from gateway.api.document.surface import breaks, promises
from gateway.cli import documents
from gateway.errors import GatewayError
from schemas import short_of

FOLDER = Path(__file__).parents[2] / "contracts"
DOCUMENT = openapi_document("0")
ROUTES = [(method, path) for path, operations in DOCUMENT["paths"].items() for method in operations]
GENERATE = "run: just generate"


def operation(method: str, path: str) -> dict[str, Any]:
    return DOCUMENT["paths"][path][method]


def test_the_committed_document_is_the_one_that_the_code_makes() -> None:
    assert (FOLDER / documents.OPENAPI).read_text() == documents.openapi_text(), GENERATE


def test_what_is_served_is_that_document(anonymous) -> None:
    served = anonymous.get("/openapi.json").json()
    committed = json.loads((FOLDER / documents.OPENAPI).read_text())
    assert served["info"].pop("version") == "0"  # the application of these tests is of no release
    committed["info"].pop("version")
    assert served == committed


def test_making_it_twice_makes_the_same(anonymous) -> None:
    assert anonymous.app.openapi() == anonymous.app.openapi() == DOCUMENT


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_every_route_says_what_it_is_and_what_it_answers(method: str, path: str) -> None:
    found = operation(method, path)
    assert found["summary"]
    assert found["description"]
    assert found["tags"]
    if path.startswith("/v1/"):
        assert (method, path) in OPERATIONS, "describe it in gateway/api/document/operations.py"
        assert found["security"] == [{"bearer": []}]
        assert {"401", "403", "500", "503"} <= found["responses"].keys()
    if "{" in path:
        assert "404" in found["responses"]
    for status, answer in found["responses"].items():
        if status >= "400" and "$ref" in answer:
            continue
        assert answer["description"] not in {"", "Successful Response"} or not path.startswith("/v1/"), status
        for media in answer.get("content", {}).values():
            assert (
                media.get("schema")
                or path in {"/payloads/{delivery_id}", "/metrics"}
                or "/stream" in path
                or (not path.startswith("/v1/"))
            )


@pytest.mark.parametrize(("method", "path"), sorted(OPERATIONS))
def test_every_line_describes_a_route_that_there_is(method: str, path: str) -> None:
    assert (method, path) in ROUTES


def test_every_reference_leads_somewhere_and_every_name_is_used() -> None:
    text = json.dumps(DOCUMENT)
    used = set(re.findall(r'"\$ref": "#/components/(\w+)/([^"]+)"', text))
    for kind in ("schemas", "responses", "parameters"):
        there = {(kind, name) for name in DOCUMENT["components"][kind]}
        assert {one for one in used if one[0] == kind} == there


@pytest.mark.parametrize("name", sorted(OF_SHAPE))
def test_every_example_has_the_shape_that_it_shows(name: str) -> None:
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$ref": f"#/components/schemas/{name}",
        "components": DOCUMENT["components"],
    }
    jsonschema_rs.validator_for(schema, validate_formats=True).validate(OF_SHAPE[name])


def test_every_status_of_a_problem_is_described_with_its_types() -> None:
    def below(kind: type[GatewayError]) -> set[type[GatewayError]]:
        inner = {one for one in kind.__subclasses__() if one.__module__ == "gateway.errors"}
        return {kind}.union(*map(below, inner))

    for kind in below(GatewayError):
        if kind.status != 500:
            described = DOCUMENT["components"]["responses"][f"Problem{kind.status}"]["description"]
            assert f"`{kind('It happened.').problem_type}`" in described


@pytest.mark.parametrize("event_type", contracts.load().types())
def test_every_event_type_is_a_webhook_with_its_contract(event_type: str) -> None:
    short = short_of(event_type)
    found = DOCUMENT["webhooks"][short]["post"]
    assert found["requestBody"]["content"]["application/json"]["schema"] == {
        "$ref": f"#/components/schemas/{type_name(event_type)}"
    }
    embedded = DOCUMENT["components"]["schemas"][type_name(event_type)]
    assert contracts.load().schema(event_type).items() >= embedded.items()
    named = {one["name"]: one["schema"] for one in found["parameters"] if "name" in one}
    assert named["X-Letta-Event"]["const"] == short
    assert named["ce-type"]["const"] == event_type
    shared = {one["$ref"].rpartition("/")[2] for one in found["parameters"] if "$ref" in one}
    assert {"webhook-id", "webhook-signature", "X-Letta-Signature", "traceparent", "ce-id"} <= shared
    assert {"2XX", "410", "429", "503"} <= found["responses"].keys()


# What was promised.


def test_nothing_is_broken_that_was_not_announced() -> None:
    promised = set((FOLDER / documents.PROMISES).read_text().splitlines())
    announced = {
        line.partition(" # ")[0].strip(): line.partition(" # ")[2].strip()
        for line in (FOLDER / documents.BREAKS).read_text().splitlines()
        if line.strip() and not line.startswith("#")
    }
    assert all(announced.values()), "say why, behind ` # `"
    found = breaks(promised, promises(DOCUMENT))
    unannounced = [line for line in found if line not in announced]
    assert not unannounced, (
        "mend it, or announce it in contracts/openapi-breaks.txt and the changelog:\n"
        + "\n".join(unannounced)
    )
    assert set(announced) <= set(found), "announced, and not so"


def changed(path: str, value: Any = ...) -> dict[str, Any]:
    """The document with one thing set, or taken away."""
    found = copy.deepcopy(DOCUMENT)
    *parents, last = path.split("|")
    place = found
    for part in parents:
        place = place[int(part)] if isinstance(place, list) else place[part]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return found


BROKEN = {
    "a path": changed("paths|/v1/tokens"),
    "a method": changed("paths|/v1/tokens|get"),
    "a parameter": changed("paths|/v1/events|get|parameters", []),
    "a member of an answer": changed("components|schemas|Delivery|properties|state"),
    "a member of an answer inside another": changed("components|schemas|EventName|properties|type"),
    "an answer": changed("paths|/v1/tokens|post|responses|201"),
    "a header of an answer": changed("paths|/v1/tokens|post|responses|201|headers|Location"),
    "a member of a body": changed("components|schemas|Config|properties|retry"),
    "a media type of a body": changed("paths|/v1/events|post|requestBody|content|*/*"),
    "a webhook": changed("webhooks|agent.run.completed"),
    "a header of a webhook": changed("webhooks|agent.run.completed|post|parameters", []),
    "what was always there is optional": changed("components|schemas|Delivery|required", []),
    "a body has to have another member": changed("components|schemas|Config|required", ["retry"]),
    "a body has to be there": changed(
        "paths|/v1/subscriptions/{subscription_id}/resume|post|requestBody|required", value=True
    ),
    "an answer may be null now": changed(
        "components|schemas|Delivery|properties|id", {"type": ["string", "null"]}
    ),
    "an answer has another value": changed(
        "components|schemas|State|enum", [*DOCUMENT["components"]["schemas"]["State"]["enum"], "forgotten"]
    ),
    "a body takes a value less": changed(
        "components|schemas|Config|properties|format", {"enum": ["binary", "structured"]}
    ),
    "a parameter has to be given": changed(
        "paths|/v1/tokens|get|parameters", [{"name": "limit", "in": "query", "required": True}]
    ),
}
SOUND = {
    "nothing": DOCUMENT,
    "a path more": changed("paths|/v1/new", {"get": operation("get", "/v1/tokens")}),
    "a path more that asks for much": changed(
        "paths|/v1/new",
        {
            "post": {
                "parameters": [{"name": "x", "in": "query", "required": True}],
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": {"type": "object", "required": ["a"]}}},
                },
                "responses": {},
            }
        },
    ),
    "a member more in an answer": changed("components|schemas|Delivery|properties|new", {"type": "string"}),
    "a member more in a body": changed("components|schemas|Config|properties|new", {"type": "string"}),
    "an answer is narrower": changed("components|schemas|Attempt|properties|detail", {"type": "string"}),
    "a body is wider": changed(
        "components|schemas|SubscriptionChange|properties|name", {"type": ["string", "null", "integer"]}
    ),
    "another problem": changed("paths|/v1/tokens|get|responses|418", {"description": "A teapot."}),
    "words": changed("components|schemas|Delivery|description", "Other words."),
    "a shape that nobody is given": changed("components|schemas|Alone", {"type": "object"}),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_break_is_found(name: str) -> None:
    assert breaks(promises(DOCUMENT), promises(BROKEN[name]))


@pytest.mark.parametrize("name", SOUND)
def test_what_breaks_nobody_is_let_through(name: str) -> None:
    assert breaks(promises(DOCUMENT), promises(SOUND[name])) == []
