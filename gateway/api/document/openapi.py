"""The OpenAPI document: what FastAPI knows of the routes, and what only `operations.py` knows, in one."""

import re
from typing import Any, Final

from gateway.api.document.cloudevent import CloudEvent, attribute_headers
from gateway.api.document.components import (
    problem_reference,
    problem_responses,
    reference,
    schemas,
)
from gateway.api.document.operations import HEADERS, JSON, OPERATIONS, Operation
from gateway.api.document.webhooks import shared_headers, webhooks
from gateway.api.problems import GUARDED

Json = dict[str, Any]

_BEARER: Final = {
    "type": "http",
    "scheme": "bearer",
    "description": "A token of `/v1/tokens`, or the first administrator token.",
}
_TAGS: Final = {
    "events": "CloudEvents in, and the log out.",
    "subscriptions": "Who is sent what, and how (CloudEvents Subscriptions API).",
    "streams": "Events for who fetches them, and what can be asked of a stream.",
    "deliveries": "What became of an event for a subscription.",
    "webhooks": "Letta's own view of a subscription, and what is posted to it.",
    "quarantine": "What could not be taken into the log.",
    "handshake": "The consent of a sink (CloudEvents Web Hooks).",
    "payloads": "The data of thin events.",
    "archives": "Closed ranges of the log, in files and back.",
    "erasures": "Everything of an agent or an organization, gone.",
    "tokens": "Who may get in.",
    "secrets": "Which keys what is stored is sealed under.",
    "registry": "The contracts, by xRegistry 1.0-rc4.",
    "service": "Liveness, readiness, figures.",
}
_IF_MATCH: Final = {
    "name": "If-Match",
    "in": "header",
    "required": False,
    "description": "Change it only if it is still the version with this ETag; else 412.",
    "schema": {"type": "string"},
}
_LAST_EVENT_ID: Final = {
    "name": "Last-Event-ID",
    "in": "header",
    "required": False,
    "description": "Where a client of server-sent events goes on: the position that it had last.",
    "schema": {"type": "string", "pattern": "^[0-9]+$"},
}
_STREAMS: Final = ("/v1/events/stream", "/v1/subscriptions/{subscription_id}/stream")
_REGISTERED: Final = "/registry/schemagroups/{group}/schemas/{name}"
_PAYLOAD: Final = "/payloads/{delivery_id}"
_MADE_BY_FASTAPI: Final = ("HTTPValidationError", "ValidationError")


def complete(document: Json) -> Json:
    """Complete the document that FastAPI makes, in place, and return it."""
    components = document.setdefault("components", {})
    made = components.setdefault("schemas", {})
    for name in _MADE_BY_FASTAPI:
        made.pop(name, None)  # every fault is a problem here
    made.update(schemas())
    components["responses"] = problem_responses()
    components["parameters"] = shared_headers()
    components.setdefault("securitySchemes", {})["bearer"] = _BEARER
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            _describe(path, method, operation)
    document["webhooks"] = webhooks()
    used = {
        tag for group in document["paths"].values() for one in group.values() for tag in one.get("tags", ())
    }
    document["tags"] = [
        {"name": name, "description": about}
        for name, about in _TAGS.items()
        if name in used or name == "webhooks"
    ]
    return document


def _describe(path: str, method: str, operation: Json) -> None:
    known = OPERATIONS.get((method, path), Operation({}))
    responses = operation["responses"]
    validated = responses.pop("422", None) is not None
    for status, answer in known.answers.items():
        told: Json = {"description": answer.description}
        if answer.model is not None:
            told["content"] = {JSON: {"schema": reference(answer.model)}}
        if answer.media_types:
            told["content"] = {name: {"schema": schema} for name, schema in answer.media_types.items()}
        if answer.headers:
            told["headers"] = {name: _header(name) for name in answer.headers}
        responses[str(status)] = told
    _take(path, method, operation, known)
    # A route's own sentence about a problem gives way: one status is answered the same way everywhere.
    for status in _problems(path, operation, known, validated=validated) - set(known.answers):
        responses[str(status)] = problem_reference(status)
    operation["responses"] = dict(sorted(responses.items()))
    if path.startswith(GUARDED):
        operation["security"] = [{"bearer": []}]


def _take(path: str, method: str, operation: Json, known: Operation) -> None:
    """What it takes besides the parameters of its signature."""
    parameters = operation.setdefault("parameters", [])
    if known.body is not None:
        schema: Json = reference(known.body)
        if path.endswith("/import"):
            schema = {"type": "array", "items": schema}
        content = {kind: {"schema": schema} for kind in known.media_types}
        operation["requestBody"] = {"required": known.body_required, "content": content}
    if (method, path) == ("post", "/v1/events"):
        operation["requestBody"] = _cloudevents()
        parameters += [
            {
                "name": name,
                "in": "header",
                "required": False,
                "description": f"Binary mode. {schema.get('description', '')}".strip(),
                "schema": {key: value for key, value in schema.items() if key != "description"},
            }
            for name, (schema, _) in attribute_headers().items()
        ]
    if known.conditional:
        parameters.append(_IF_MATCH)
    if (method, path) == ("post", _REGISTERED):
        schema = {
            "type": ["object", "boolean"],
            "description": "A JSON Schema 2020-12, no remote `$ref` in it.",
        }
        operation["requestBody"] = {"required": True, "content": {JSON: {"schema": schema}}}
    if path in _STREAMS:
        parameters.append(_LAST_EVENT_ID)
    if path == _PAYLOAD:
        operation["responses"]["200"] = {
            "description": "Exactly the bytes of the data, of its own type.",
            "content": {"*/*": {"schema": {}}},
        }
    if not parameters:
        del operation["parameters"]


def _problems(path: str, operation: Json, known: Operation, *, validated: bool) -> set[int]:
    """The statuses that follow from what a route is: guarded, of one thing, with a body, with conditions."""
    # 403 everywhere: in development, for a `Host` that is not this machine (S11c).
    found = {403, 500, *known.problems}
    if path.startswith(GUARDED):
        found |= {401, 422, 503}  # 422 for a query that it does not know
    if re.search(r"\{\w+\}", path):
        found.add(404)
    names = {parameter["name"] for parameter in operation.get("parameters", ())}
    if "cursor" in names:
        found.add(400)
    if validated or _LAST_EVENT_ID["name"] in names:
        found.add(422)
    if known.body is not None:
        found |= {400, 413, 415, 422}
    if known.conditional:
        found.add(412)
    return found


def _cloudevents() -> Json:
    event = reference(CloudEvent)
    batch = {"type": "array", "items": event}
    return {
        "required": False,
        "description": "In binary mode the body is the data, and the attributes are in `ce-` headers.",
        "content": {
            "application/cloudevents+json": {"schema": event},
            "application/cloudevents-batch+json": {"schema": batch},
            "*/*": {"schema": {}},
        },
    }


def _header(name: str) -> Json:
    return {"description": HEADERS[name], "schema": {"type": "string"}}
