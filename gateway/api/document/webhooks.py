"""The `webhooks` of the OpenAPI document: what is posted to a sink, by event type, and what its answers mean."""

from collections.abc import Mapping
from typing import Any, Final

from contracts import load
from contracts.titles import type_name
from gateway.api.document.cloudevent import CloudEvent, attribute_headers
from gateway.api.document.components import REF, reference
from gateway.api.document.delivery_headers import CONTENT_TYPES, own_headers
from gateway.api.document.examples import EVENT
from schemas import short_of

Json = dict[str, Any]

_NOT_PARAMETERS: Final = frozenset({"Authorization"})
"""OpenAPI passes over a parameter of this name: it is what security schemes are for."""

_RETRY_AFTER: Final = {
    "description": "Seconds, or an HTTP date: the whole stream waits so long, up to 24 h; longer pauses it.",
    "schema": {"type": "string"},
}
_ANSWERS: Final[Mapping[str, Json]] = {
    "2XX": {"description": "Delivered. The body is kept with the attempt, its beginning, and not looked at."},
    "410": {"description": "Not wanted any more: the subscription is disabled, and a fact says so."},
    "415": {"description": "Not understood: the delivery is exhausted at once, as by any other 4XX."},
    "429": {
        "description": "Too much: the stream waits, and the attempt does not count.",
        "headers": {"Retry-After": _RETRY_AFTER},
    },
    "503": {
        "description": "With `Retry-After` as 429; without it, retried by the schedule as any 5XX.",
        "headers": {"Retry-After": _RETRY_AFTER},
    },
    "3XX": {"description": "Never followed: the delivery is exhausted at once."},
    "4XX": {
        "description": "401, 403, 404, 408 and 409 are retried by the schedule; any other is exhausted at once."
    },
    "5XX": {"description": "Retried by the schedule, as is no answer at all."},
}


def webhooks() -> Json:
    """One entry per event type, and those for other events, for batches, and for the handshake."""
    found = {short_of(name) or name: _of_type(name) for name in load().types()}
    return found | {"other": _other(), "batch": _batch(), "handshake": _handshake()}


def _of_type(type_name_: str) -> Json:
    short = short_of(type_name_) or type_name_
    payload = {"$ref": REF + type_name(type_name_)}
    schema = load().schema(type_name_)
    fixed = {"type": "object", "properties": {"type": {"const": type_name_}, "data": payload}}
    content = {
        "application/json": {"schema": payload, "examples": _examples(short, schema["examples"][0])},
        CONTENT_TYPES["structured"]: {"schema": {"allOf": [reference(CloudEvent), fixed]}},
    }
    return _post(
        f"webhook_{short.replace('.', '_')}",
        schema["description"],
        "Binary mode by default: the body is the payload. Structured mode, where the subscription says so: the "
        "whole CloudEvent, and no `ce-` headers.",
        content,
        _parameters(short, type_name_, binary=True),
    )


def _other() -> Json:
    content = {
        "*/*": {"schema": {}},
        CONTENT_TYPES["structured"]: {"schema": reference(CloudEvent)},
    }
    return _post(
        "webhook_other",
        "An event of another type: somebody's own, or a fact of the gateway.",
        "The body is the event's data as it came, `Content-Type` its `datacontenttype`. Facts go to subscriptions "
        "alone that name their full type.",
        content,
        _parameters(None, None, binary=True),
    )


def _batch() -> Json:
    content = {
        CONTENT_TYPES["batch"]: {
            "schema": {"type": "array", "items": reference(CloudEvent), "minItems": 1},
            "examples": {"one": {"value": [EVENT]}},
        }
    }
    return _post(
        "webhook_batch",
        "Several events at once, for subscriptions with `format: batch`.",
        "2XX settles all of them, any other answer none; 413 or another permanent 4XX splits the batch in halves.",
        content,
        _parameters("batch", None, binary=False),
    )


def _handshake() -> Json:
    asked = {
        "WebHook-Request-Origin": "Who wants to send: a DNS name.",
        "WebHook-Request-Callback": "A URL by which to agree later, once, within 24 h: GET or POST.",
        "WebHook-Request-Rate": "How many a minute are wanted at most.",
    }
    allowed = {
        "WebHook-Allowed-Origin": "The same name, or `*`: without it nothing is sent.",
        "WebHook-Allowed-Rate": "How many a minute may be sent, or `*`.",
    }
    answer = {
        "description": "Agreed, where `WebHook-Allowed-Origin` says so; never by the status alone.",
        "headers": {
            name: {"description": about, "schema": {"type": "string"}} for name, about in allowed.items()
        },
    }
    operation = {
        "operationId": "webhook_handshake",
        "summary": "Whether the sink agrees to be sent events.",
        "description": "CloudEvents Web Hooks 1.0, section 4: only where the subscription or the gateway asks for "
        "it.",
        "tags": ["webhooks"],
        "parameters": [
            _header(name, {"type": "string", "description": about}, required=name.endswith("Origin"))
            for name, about in asked.items()
        ],
        "responses": {"2XX": answer, "default": {"description": "Not agreed (yet)."}},
    }
    return {"options": operation}


def shared_headers() -> Json:
    """The headers that are the same in every webhook, as parameters by name."""
    own = {name: header for name, header in own_headers().items() if name not in _NOT_PARAMETERS}
    found = {name: _header(name, header.schema, required=header.always) for name, header in own.items()}
    # A structured request has no `ce-` headers, so none can be promised for every mode.
    return found | {
        name: _header(name, schema, required=False) for name, (schema, _) in attribute_headers().items()
    }


def _parameters(event_name: str | None, type_name_: str | None, *, binary: bool) -> list[Json]:
    """The headers of a webhook: those of its own in full, references to the rest."""
    fixed = {"X-Letta-Event": own_headers(event_name)["X-Letta-Event"].schema} if event_name else {}
    if type_name_ is not None:
        fixed["ce-type"] = attribute_headers(type_name_)["ce-type"][0]
    names = [name for name in shared_headers() if binary or not name.startswith("ce-")]
    return [
        _header(name, fixed[name], required=name == "X-Letta-Event")
        if name in fixed
        else {"$ref": f"#/components/parameters/{name}"}
        for name in names
    ]


def _post(operation_id: str, summary: str, description: str, content: Json, parameters: list[Json]) -> Json:
    operation = {
        "operationId": operation_id,
        "summary": summary,
        "description": description,
        "tags": ["webhooks"],
        "parameters": parameters,
        "requestBody": {"required": True, "content": content},
        "responses": dict(_ANSWERS),
    }
    return {"post": operation}


def _header(name: str, schema: Mapping[str, Any], *, required: bool) -> Json:
    kept = {key: value for key, value in schema.items() if key != "description"}
    about = {"description": schema["description"]} if "description" in schema else {}
    return {"name": name, "in": "header", "required": required, **about, "schema": kept}


def _examples(short: str, example: Json) -> Json:
    return {short: {"value": example}}
