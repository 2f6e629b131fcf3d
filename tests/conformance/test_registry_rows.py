"""CONFORMANCE rows 42 to 44, by their numbers, over a gateway's own API; the rules of row 44 case by case are in
tests/contracts/test_compatibility.py.
"""

import asyncio
import copy
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import jsonschema_rs
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

import contracts
from contracts.examples import EXAMPLES
from gateway.adapters.memory import MemoryContracts, MemoryStore
from gateway.api import registry
from gateway.api.auth import principal
from gateway.api.problems import add_handlers
from gateway.domain.api_tokens import Principal
from gateway.ports import Entry, Kind
from gateway.registry.catalogue import Catalogue
from gateway.registry.registering import Registering
from schemas import build, type_of

URL = "https://gateway.example"
R = "/registry"
STEP = R + "/schemagroups/com.letta/schemas/agent.step.completed"
OWN = R + "/schemagroups/com.example/schemas/order.placed"
ROOT = f"<{URL}/registry>;rel=xregistry-root"


class Services:
    """What the registry's routes need."""

    def __init__(self) -> None:
        store = MemoryStore(now=lambda: 1_767_225_600_000_000, random=bytes)
        self.catalogue = Catalogue(URL)
        self.registering = Registering(
            MemoryContracts(store, fact_source=f"{URL}/gateway"), self.catalogue, contracts.load()
        )
        asyncio.run(self.registering.begin())

    def appended(self) -> None:
        """Nobody waits for the log here."""


@pytest.fixture
def services() -> Services:
    return Services()


@pytest.fixture
def client(services: Services) -> Iterator[TestClient]:
    app = FastAPI()
    app.state.services = services
    add_handlers(app)
    app.include_router(registry.router)
    app.dependency_overrides[principal] = lambda: Principal(None, writes=True)
    with TestClient(app) as found:
        yield found


def test_row_42_the_model_is_there(client: TestClient) -> None:
    model = client.get(R + "/model").json()
    schemas = model["groups"]["schemagroups"]["resources"]["schemas"]
    assert (schemas["singular"], schemas["hasdocument"]) == ("schema", True)


def test_row_42_versions_are_immutable(client: TestClient) -> None:
    before = client.get(STEP + "/versions/1")
    for method in ("PUT", "PATCH", "DELETE", "POST"):
        refused = client.request(method, STEP + "/versions/1", json={})
        assert refused.status_code == 405
        assert refused.json()["type"].endswith("/core/spec.md#action_not_supported")
    narrower = client.get(STEP).json()
    narrower["properties"]["data"]["properties"]["added"] = {"type": "string"}
    assert client.post(STEP, json=narrower).status_code == 201
    after = client.get(STEP + "/versions/1")
    assert (after.content, after.headers["etag"]) == (before.content, before.headers["etag"])
    assert "immutable" in after.headers["cache-control"]


def test_row_42_a_raw_schema_answers_with_its_attributes_and_the_root(client: TestClient) -> None:
    answer = client.get(STEP + "/versions/1")
    assert answer.headers["link"] == ROOT
    assert answer.headers["xregistry-schemaid"] == "agent.step.completed"
    assert answer.headers["xregistry-versionid"] == "1"
    assert answer.headers["xregistry-xid"] == STEP.removeprefix(R) + "/versions/1"
    assert answer.headers["xregistry-format"] == "JsonSchema/draft/2020-12"


def test_row_42_details_give_the_metadata(client: TestClient) -> None:
    details = client.get(STEP + "$details").json()
    assert details["self"] == URL + STEP + "$details"
    assert (details["format"], details["versionscount"]) == ("JsonSchema/draft/2020-12", 1)
    version = client.get(STEP + "/versions/1$details").json()
    assert version["self"] == URL + STEP + "/versions/1$details"


@pytest.mark.parametrize(
    ("method", "path", "status", "kind"),
    [
        ("GET", STEP + "/versions/7", 404, "spec.md#not_found"),
        ("GET", R + "/nothing", 404, "http.md#api_not_found"),
        ("DELETE", R, 405, "spec.md#action_not_supported"),
        ("POST", OWN, 400, "http.md#missing_body"),
    ],
)
def test_row_42_errors_as_the_specification_types_them(
    client: TestClient, method: str, path: str, status: int, kind: str
) -> None:
    answer = client.request(method, path)
    assert answer.status_code == answer.json()["status"] == status
    assert answer.json()["type"] == f"https://github.com/xregistry/spec/blob/main/core/{kind}"
    assert answer.json()["subject"] == path.removeprefix(R) or "/"
    assert answer.headers["link"] == ROOT


@pytest.mark.parametrize("short", sorted(EXAMPLES))
def test_row_43_the_dataschema_is_there_and_validates_the_data(
    client: TestClient, services: Services, short: str
) -> None:
    dataschema = services.catalogue.dataschema_of(type_of(short), 1)
    assert dataschema is not None
    assert dataschema.startswith(URL)
    answer = client.get(dataschema.removeprefix(URL))
    assert answer.status_code == 200
    assert answer.json()["$id"] == dataschema
    assert jsonschema_rs.is_valid(answer.json(), EXAMPLES[short])
    assert not jsonschema_rs.is_valid(answer.json(), {})
    again = client.get(dataschema.removeprefix(URL), headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304
    assert "immutable" in answer.headers["cache-control"]


def test_row_43_the_dataschema_is_the_one_that_was_in_force(client: TestClient, services: Services) -> None:
    before = services.catalogue.dataschema_of("com.example.order.placed", 1)
    client.post(OWN, json={"type": "object"})
    client.post(OWN, json={"type": "object", "required": ["id"]})
    of = [services.catalogue.dataschema_of("com.example.order.placed", position) for position in (1, 2, 3)]
    first, second = (f"{URL}{OWN}/versions/{number}" for number in (1, 2))
    assert (before, of) == (None, [None, first, second])


@pytest.mark.parametrize(
    ("claimed", "goes_out"),
    [
        (None, None),
        (f"{URL}{OWN}/versions/1", None),
        (f"{URL}{OWN}/versions/7", None),
        (f"{URL}/registryelse", f"{URL}/registryelse"),
        ("https://elsewhere.example/s", "https://elsewhere.example/s"),
    ],
)
def test_row_43_what_broke_its_contract_goes_out_under_none(
    client: TestClient, services: Services, claimed: str | None, goes_out: str | None
) -> None:
    client.post(OWN, json={"type": "object"})
    envelope = build(
        {"id": "1", "source": "/s", "type": "com.example.order.placed", "dataschema": claimed}, {}
    )
    entry = Entry(9, Kind.EVENT, envelope.type, "/s", "1", None, 0, b"", envelope.raw)
    assert services.catalogue.as_sent(entry, envelope) == (envelope, f"{URL}{OWN}/versions/1")
    sent, added = services.catalogue.as_sent(replace(entry, contract_broken=True), envelope)
    assert (sent.dataschema, added) == (goes_out, None)


FIRST = {
    "type": "object",
    "properties": {
        "id": {"type": "string"},
        "count": {"type": "integer", "minimum": 1},
        "note": {"type": ["string", "null"]},
        "state": {"enum": ["open", "closed"]},
    },
    "required": ["id", "state"],
}


def version(**members: Any) -> dict[str, Any]:
    schema: dict[str, Any] = copy.deepcopy(FIRST)
    schema["properties"] |= members
    return schema


def without(name: str) -> dict[str, Any]:
    schema = version()
    del schema["properties"][name]
    schema["required"] = [other for other in schema["required"] if other != name]
    return schema


@pytest.mark.parametrize(
    ("schema", "pointers"),
    [
        (without("note"), ["/properties/note"]),
        (
            without("id") | {"properties": {**without("id")["properties"], "key": {"type": "string"}}},
            ["/properties/id", "/properties/id"],
        ),
        (version() | {"required": ["id"]}, ["/properties/state"]),
        (version(id={"type": ["string", "integer"]}), ["/properties/id/type"]),
        (version(count={"type": "integer", "minimum": 0}), ["/properties/count/minimum"]),
        (version(state={"enum": ["open", "closed", "lost"]}), ["/properties/state/enum"]),
    ],
    ids=["removed", "renamed", "optional", "type widened", "range widened", "value added"],
)
def test_row_44_what_breaks_readers_is_refused_with_each_path(
    client: TestClient, schema: Any, pointers: list[str]
) -> None:
    assert client.post(OWN, json=FIRST).status_code == 201
    answer = client.post(OWN, json=schema)
    assert answer.status_code == 409
    assert answer.json()["type"].endswith("#compatibility_violation")
    assert [item["pointer"] for item in answer.json()["errors"]] == pointers


@pytest.mark.parametrize(
    "schema",
    [
        version(extra={"type": "string"}),
        version(note={"type": "string"}),
        version(count={"type": "integer", "minimum": 2}),
    ],
    ids=["optional added", "type narrowed", "range narrowed"],
)
def test_row_44_what_readers_can_go_on_with_is_taken(client: TestClient, schema: Any) -> None:
    assert client.post(OWN, json=FIRST).status_code == 201
    assert client.post(OWN, json=schema).status_code == 201
    assert json.loads(client.get(OWN).content)["$id"] == URL + OWN + "/versions/2"


def test_row_44_a_break_is_a_new_type(client: TestClient) -> None:
    assert client.post(OWN, json=FIRST).status_code == 201
    assert client.post(OWN + ".v2", json={"type": "object"}).status_code == 201
