"""The named schemas and answers of the OpenAPI document."""

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from contracts import load
from contracts.titles import type_name
from gateway.api.document import answers, bodies
from gateway.api.document.cloudevent import CloudEvent
from gateway.api.document.examples import OF_SHAPE
from gateway.api.document.operations import OPERATIONS
from gateway.errors import PROBLEM_TYPE_BASE, GatewayError

Json = dict[str, Any]
REF: Final = "#/components/schemas/"
PROBLEM: Final = "application/problem+json"
_CLASHING: Final = "Body"
"""Behind the name of a body where an answer has the same one."""

_WITH_RETRY_AFTER: Final = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})


def schema_name(model: type[BaseModel]) -> str:
    """The name of a shape in the document."""
    clashes = model.__module__ == bodies.__name__ and hasattr(answers, model.__name__)
    return model.__name__ + _CLASHING if clashes else model.__name__


def reference(model: type[BaseModel]) -> Json:
    """A reference to a shape."""
    return {"$ref": REF + schema_name(model)}


def schemas() -> Json:
    """Every shape that an operation names, with all that it is made of, and every contract by its type's name."""
    taken = [operation.body for operation in OPERATIONS.values() if operation.body is not None]
    given = [
        answer.model
        for operation in OPERATIONS.values()
        for answer in operation.answers.values()
        if answer.model is not None
    ]
    found = _exported([*given, answers.Problem, CloudEvent], "serialization")
    found |= {
        name + _CLASHING if hasattr(answers, name) else name: schema
        for name, schema in _exported(taken, "validation").items()
    }
    found |= contract_schemas()
    for name, example in OF_SHAPE.items():
        found[name]["examples"] = [example]
    return dict(sorted(found.items()))


def contract_schemas() -> Json:
    """Every contract by its type's name, its newest version."""
    return {type_name(event_type): _contract(event_type) for event_type in load().types()}


def envelope_schema() -> Json:
    """The CloudEvent alone, by its name."""
    [(name, schema)] = _exported([CloudEvent], "serialization").items()
    return {name: schema | {"examples": [OF_SHAPE[name]]}}


def problem_responses() -> Json:
    """The answer to what goes wrong, by status: `Problem404`."""
    kinds = sorted(set(_kinds()), key=lambda kind: (kind.status, kind.slug))
    by_status: dict[int, list[type[GatewayError]]] = {}
    for kind in kinds:
        by_status.setdefault(kind.status, []).append(kind)
    return {f"Problem{status}": _problem(status, group) for status, group in by_status.items()}


def problem_reference(status: int) -> Json:
    """A reference to one of them."""
    return {"$ref": f"#/components/responses/Problem{status}"}


def _kinds() -> Iterator[type[GatewayError]]:
    """Every error of `gateway.errors` that has a type of its own."""
    waiting: list[type[GatewayError]] = [GatewayError]
    while waiting:
        kind = waiting.pop()
        if kind.__module__ != GatewayError.__module__:
            continue
        waiting += kind.__subclasses__()
        if "slug" in vars(kind) and _answered(kind):
            yield kind


def _answered(kind: type[GatewayError]) -> bool:
    """Whether an answer of the API can be it: the rest is of commands and of the start."""
    return kind is GatewayError or kind.status != GatewayError.status


def _problem(status: int, kinds: list[type[GatewayError]]) -> Json:
    rows = [f"`{PROBLEM_TYPE_BASE}{kind.slug}`: {kind.title}." for kind in kinds]
    answer: Json = {
        "description": "\n".join([f"{HTTPStatus(status).phrase}.", *(f"- {row}" for row in rows)]),
        "content": {PROBLEM: {"schema": reference(answers.Problem)}},
    }
    headers: Json = {}
    if status in _WITH_RETRY_AFTER:
        headers["Retry-After"] = {"description": "Seconds.", "schema": {"type": "integer", "minimum": 1}}
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = {"schema": {"type": "string"}, "required": True}
    return answer | ({"headers": headers} if headers else {})


def _exported(models: list[type[BaseModel]], mode: JsonSchemaMode) -> Json:
    _, made = models_json_schema(
        [(model, mode) for model in dict.fromkeys(models)], ref_template=REF + "{model}"
    )
    found: Json = made["$defs"]
    for name, schema in found.items():
        _tidy(schema)
        if mode == "serialization" and name != CloudEvent.__name__:
            _absent_not_null(schema)
    return found


def _absent_not_null(schema: Json) -> None:
    """A member that an answer may lack is never null there."""
    for name, member in schema.get("properties", {}).items():
        if name not in schema.get("required", ()) and "anyOf" in member:
            kept = [branch for branch in member.pop("anyOf") if branch != {"type": "null"}]
            member.update(kept[0] if len(kept) == 1 else {"anyOf": kept})


def _tidy(schema: Any) -> None:  # noqa: ANN401 - any part of a schema
    """Take away what Pydantic adds for people who read no names: titles of members, and defaults of null."""
    if isinstance(schema, dict):
        if isinstance(schema.get("title"), str):
            del schema["title"]
        if schema.get("default", ...) is None:
            del schema["default"]
        if "description" in schema and isinstance(schema["description"], str):
            schema["description"] = " ".join(schema["description"].split())
        for value in schema.values():
            _tidy(value)
    elif isinstance(schema, list):
        for value in schema:
            _tidy(value)


def _contract(event_type: str) -> Json:
    schema = load().schema(event_type)
    return {name: value for name, value in schema.items() if name not in {"$schema", "$id", "title"}}
