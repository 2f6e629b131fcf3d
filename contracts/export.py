"""JSON Schemas (2020-12) from the event models, the same bytes on every Pydantic and Python.

Pydantic's own output is the source, so that a constraint in a model cannot be forgotten here; it is then
written anew with our key order, references inlined, and a closed list of keywords: one that is not on it
stops the export, since nobody has decided what it should look like.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from contracts.examples import EXAMPLES
from schemas.events import MODELS, Event

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
GROUP: Final = "com.letta"

_KEPT: Final = ("const", "format", "minLength", "items", "properties", "required")
_DROPPED: Final = frozenset(
    {"title", "default", "description", "type", "anyOf", "$ref", "$defs", "additionalProperties"}
)


class UnknownKeywordError(TypeError):
    """A model uses a JSON Schema keyword that the export has no rule for."""


def contract_of(short_name: str) -> dict[str, Any]:
    """Return the contract that a type's model stands for now."""
    model = MODELS[short_name]
    exported = model.model_json_schema(mode="validation")
    definitions = exported.get("$defs", {})
    shape = _schema(exported, definitions, root=True)
    return {
        "$schema": DIALECT,
        "$id": relative_path(short_name, model.contract_version),
        "title": short_name,
        "description": _sentence(model),
        "type": shape["type"],
        "properties": shape["properties"],
        "required": list(
            shape["properties"]
        ),  # all six: a model fills in its own event_type, a sender must not
        "examples": [EXAMPLES[short_name]],
    }


def relative_path(short_name: str, version: int) -> str:
    """Return where the file of a contract stands, below the folder `contracts`."""
    return f"{GROUP}/{short_name}/{version}.json"


def file_bytes(contract: Mapping[str, Any]) -> bytes:
    """Write a contract the way its file has it: indented UTF-8 with a final newline."""
    return (json.dumps(contract, indent=2, ensure_ascii=False) + "\n").encode()


def _sentence(model: type[Event]) -> str:
    return " ".join((model.__doc__ or "").split())


def _schema(
    exported: Mapping[str, Any], definitions: Mapping[str, Any], *, root: bool = False
) -> dict[str, Any]:
    reference = exported.get("$ref")
    if reference is not None:
        target = definitions[reference.removeprefix("#/$defs/")]
        exported = {**target, **{key: value for key, value in exported.items() if key != "$ref"}}
    branches = exported.get("anyOf")
    if branches is not None:
        return _nullable(exported, branches, definitions)
    unknown = exported.keys() - set(_KEPT) - _DROPPED
    if exported.get("additionalProperties", True) is not True:
        unknown |= {"additionalProperties"}
    if unknown:
        raise UnknownKeywordError(f"no rule for the JSON Schema keywords {sorted(unknown)}")
    schema: dict[str, Any] = {}
    if "type" in exported:
        schema["type"] = exported["type"]
    if "description" in exported and not root:
        schema["description"] = " ".join(exported["description"].split())
    for keyword in _KEPT:
        if keyword in exported:
            schema[keyword] = _value(keyword, exported[keyword], definitions)
    return schema


def _value(keyword: str, value: Any, definitions: Mapping[str, Any]) -> Any:  # noqa: ANN401  (a keyword's own type)
    if keyword == "properties":
        return {name: _schema(inner, definitions) for name, inner in value.items()}
    if keyword == "items":
        return _schema(value, definitions)
    return value


def _nullable(
    exported: Mapping[str, Any], branches: list[Any], definitions: Mapping[str, Any]
) -> dict[str, Any]:
    shapes = [branch for branch in branches if branch != {"type": "null"}]
    if len(shapes) != 1 or len(branches) != 2:  # noqa: PLR2004  (a shape and null)
        raise UnknownKeywordError(f"anyOf is known for one shape or null, not {branches}")
    about = {"description": exported["description"]} if "description" in exported else {}
    schema = _schema({**shapes[0], **about}, definitions)
    return {**schema, "type": [schema["type"], "null"]} if "type" in schema else schema


def exported() -> dict[str, bytes]:
    """Return the files that the models stand for now, by relative path."""
    return {
        relative_path(short_name, model.contract_version): file_bytes(contract_of(short_name))
        for short_name, model in MODELS.items()
    }
