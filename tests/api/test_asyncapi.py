"""The AsyncAPI document: as committed, every example in its shape, and every type in every place where it goes by."""

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

import contracts
from gateway.api.document.asyncapi import asyncapi_document
from gateway.cli import documents
from gateway.settings import Settings
from schemas import short_of

FILE = Path(__file__).parents[2] / "contracts" / documents.ASYNCAPI
DOCUMENT = asyncapi_document("0")
MESSAGES = DOCUMENT["components"]["messages"]


def valid(schema: dict[str, Any], value: Any) -> bool:
    rooted = {"$schema": "https://json-schema.org/draft/2020-12/schema", "allOf": [schema]}
    return jsonschema_rs.validator_for(
        rooted | {"components": DOCUMENT["components"]}, validate_formats=True
    ).is_valid(value)


def test_the_committed_document_is_the_one_that_the_code_makes() -> None:
    assert FILE.read_text() == documents.asyncapi_text(), "run: just generate"


def test_the_stream_is_the_one_that_is_read() -> None:
    assert DOCUMENT["channels"][Settings.model_fields["stream"].default]["address"] == "letta.events"


@pytest.mark.parametrize("event_type", contracts.load().types())
def test_every_type_comes_by_the_stream_and_goes_to_sinks(event_type: str) -> None:
    short = short_of(event_type)
    assert short in DOCUMENT["channels"]["letta.events"]["messages"]
    assert set(DOCUMENT["channels"][f"webhook.{short}"]["messages"]) == {
        "binary",
        "structured",
        "thin",
    }
    assert DOCUMENT["operations"][f"deliver.{short}"]["action"] == "send"
    for name in (
        f"stream.{short}",
        f"webhook.{short}.binary",
        f"webhook.{short}.structured",
        f"webhook.{short}.thin",
    ):
        assert MESSAGES[name]["name"] == event_type


@pytest.mark.parametrize("name", sorted(MESSAGES))
def test_every_example_has_the_shape_that_it_shows(name: str) -> None:
    for example in MESSAGES[name].get("examples", ()):
        assert valid(MESSAGES[name]["payload"], example["payload"])


def test_the_shape_of_one_type_is_not_that_of_another() -> None:
    run = MESSAGES["stream.agent.run.completed"]["examples"][0]["payload"]
    assert not valid(MESSAGES["stream.agent.job.completed"]["payload"], run)
    assert not valid(MESSAGES["stream.agent.run.completed"]["payload"], run | {"data": {}})
    assert not valid(MESSAGES["stream.agent.run.completed"]["payload"], run | {"specversion": "0.3"})


def test_what_is_thin_is_not_what_is_whole() -> None:
    whole = MESSAGES["webhook.agent.run.completed.structured"]
    thin = MESSAGES["webhook.agent.run.completed.thin"]
    sent = thin["examples"][0]["payload"]
    assert not valid(whole["payload"], sent)
    assert not valid(thin["payload"], whole["examples"][0]["payload"])
    assert not valid(thin["payload"], sent | {"data": None})
    assert not valid(thin["payload"], {name: value for name, value in sent.items() if name != "dataref"})
    assert not valid(MESSAGES["webhook.agent.job.completed.thin"]["payload"], sent)


def test_every_reference_leads_somewhere() -> None:
    def references(part: Any) -> list[str]:
        if isinstance(part, dict):
            found = [part["$ref"]] if isinstance(part.get("$ref"), str) else []
            return found + [one for inner in part.values() for one in references(inner)]
        return [one for inner in part for one in references(inner)] if isinstance(part, list) else []

    for reference in references(json.loads(FILE.read_text())):
        place: Any = DOCUMENT
        for part in reference.removeprefix("#/").split("/"):
            place = place[part.replace("~1", "/").replace("~0", "~")]
        assert isinstance(place, dict)
