"""The AsyncAPI 3.0 document: what comes by the Redis stream, and what is posted to sinks, message by message.

FastStream would make one of the handler's signature; it knows neither the envelope nor a single header, so this one
is made from the models, the contracts and the headers that a request is built with.
"""

from collections.abc import Mapping
from typing import Any, Final

from contracts import load
from contracts.titles import type_name
from gateway.api.document.cloudevent import CloudEvent, attribute_headers
from gateway.api.document.components import REF, contract_schemas, envelope_schema, reference
from gateway.api.document.delivery_headers import CONTENT_TYPES, own_headers
from gateway.api.document.examples import EVENT
from gateway.settings import Settings
from schemas import SHORT_NAMES, short_of, type_of

Json = dict[str, Any]

VERSION: Final = "3.0.0"
_STREAM: Final[str] = Settings.model_fields["stream"].default
_HTTP: Final = "0.3.0"
"""The version of the HTTP bindings."""

_DATAREF: Final = "https://events.example.com/payloads/dlv_01jgh2v3w4x5y6z7a8b9c0d1e2?sig=c2lnbmF0dXJl"

_ANSWERS: Final[Mapping[str, tuple[int, str]]] = {
    "delivered": (200, "Any 2xx: delivered."),
    "gone": (410, "Not wanted any more: the subscription is disabled, and a fact says so."),
    "tooMany": (
        429,
        "The stream waits as long as `Retry-After` says, up to 24 h; the attempt does not count.",
    ),
    "unavailable": (503, "With `Retry-After` as 429; without it, retried by the schedule as any 5xx."),
}


def asyncapi_document(version: str) -> Json:
    """The document of a version of the gateway."""
    types = [type_of(short) for short in SHORT_NAMES]
    return {
        "asyncapi": VERSION,
        "id": "urn:letta-gateway",
        "info": {
            "title": "letta-gateway",
            "version": version,
            "description": "An event gateway for AI agents: CloudEvents in by a Redis stream, signed webhooks "
            "out, at least once. The HTTP API is described in openapi.json.",
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": _servers(),
        "channels": _channels(types),
        "operations": _operations(types),
        "components": {"schemas": _schemas(), "messages": _messages(types)},
    }


def _servers() -> Json:
    host = {"host": {"description": "Host and port."}}
    return {
        "redis": {
            "host": "{host}",
            "protocol": "redis",
            "description": "`GATEWAY_REDIS_URL`; what the emitter knows as `LETTA_EMITTER_REDIS_URL`.",
            "variables": host,
        },
        "sink": {
            "host": "{host}",
            "protocol": "https",
            "description": "A subscription's sink; plain HTTP in development alone.",
            "variables": host,
        },
    }


def _channels(types: list[str]) -> Json:
    stream: Json = {
        "address": _STREAM,
        "title": "The Redis stream",
        "description": "One structured CloudEvent an entry: in FastStream's binary frame, in the field "
        "`__data__`, as the emitter writes it; or as plain JSON in the field `event`. `GATEWAY_STREAM` names it.",
        "servers": [_to("servers", "redis")],
        "messages": {
            name: _to("components", "messages", f"stream.{name}") for name in [*map(_short, types), "other"]
        },
    }
    sinks = {
        f"webhook.{_short(name)}": _sink(_short(name), ["binary", "structured", "thin"]) for name in types
    }
    sinks["webhook.other"] = _sink("other", ["binary", "structured", "thin"])
    sinks["webhook.batch"] = _sink("batch", ["batch"])
    sinks["webhook.answers"] = {
        "address": None,
        "title": "What a sink answers",
        "servers": [_to("servers", "sink")],
        "messages": {name: _to("components", "messages", f"answer.{name}") for name in _ANSWERS},
    }
    return {_STREAM: stream} | sinks


def _sink(name: str, modes: list[str]) -> Json:
    return {
        "address": None,
        "title": f"Webhook: {name}",
        "description": "The URL is the subscription's `sink`, the mode its `config.format`; "
        "with `config.payload: thin` what has data is sent thin, whatever the format says of a single event.",
        "servers": [_to("servers", "sink")],
        "messages": {
            mode: _to(
                "components", "messages", "webhook.batch" if mode == "batch" else f"webhook.{name}.{mode}"
            )
            for mode in modes
        },
    }


def _operations(types: list[str]) -> Json:
    receive: Json = {
        "action": "receive",
        "channel": _to("channels", _STREAM),
        "title": "Take events in",
        "description": "Appended to the log in stream order, deduplicated by `(source, id)`, then acknowledged; "
        "what cannot be taken goes to quarantine.",
    }
    names = [*map(_short, types), "other", "batch"]
    return {"ingest": receive} | {f"deliver.{name}": _delivery(f"webhook.{name}") for name in names}


def _delivery(channel: str) -> Json:
    return {
        "action": "send",
        "channel": _to("channels", channel),
        "title": "Deliver, signed, at least once",
        "description": "Retried on the schedule of the subscription; `webhook-id` is the same on every attempt.",
        "bindings": {"http": {"method": "POST", "bindingVersion": _HTTP}},
        "reply": {
            "channel": _to("channels", "webhook.answers"),
            "messages": [_to("channels", "webhook.answers", "messages", name) for name in _ANSWERS],
        },
    }


def _messages(types: list[str]) -> Json:
    found: Json = {}
    for event_type in types:
        short = _short(event_type)
        contract = load().schema(event_type)
        payload = contract["examples"][0]
        envelope = _envelope_example(event_type, payload)
        about = {"title": short, "summary": contract["description"]}
        found[f"stream.{short}"] = _on_stream(event_type, about, envelope)
        found[f"webhook.{short}.binary"] = _binary(event_type, about, payload)
        found[f"webhook.{short}.structured"] = _structured(event_type, about, envelope)
        found[f"webhook.{short}.thin"] = _thin(event_type, about, envelope)
    other = {
        "title": "other",
        "summary": "An event of another type: somebody's own, or a fact of the gateway.",
    }
    found["stream.other"] = _on_stream(None, other, None)
    found["webhook.other.binary"] = _binary(None, other, None)
    found["webhook.other.structured"] = _structured(None, other, None)
    found["webhook.other.thin"] = _thin(None, other, None)
    found["webhook.batch"] = {
        "name": "batch",
        "title": "batch",
        "summary": "Several events at once, for subscriptions with `format: batch`; each as it would be alone, "
        "structured or thin.",
        "contentType": CONTENT_TYPES["batch"],
        "headers": _headers("batch", None, binary=False),
        "payload": {"type": "array", "items": reference(CloudEvent), "minItems": 1},
        "examples": [{"name": "one", "payload": [EVENT]}],
    }
    for name, (status, about_it) in _ANSWERS.items():
        found[f"answer.{name}"] = _answer(name, status, about_it)
    return found


def _on_stream(event_type: str | None, about: Json, example: Json | None) -> Json:
    headers = {
        "type": "object",
        "description": "In FastStream's frame; a plain entry has none, and nothing depends on them.",
        "properties": {
            "correlation_id": {"type": "string", "pattern": "^[0-9]{20}$", "description": "The sequence."},
            "content-type": {"type": "string", "const": "application/cloudevents+json"},
        },
    }
    return _named(event_type, about) | {
        "contentType": "application/cloudevents+json",
        "headers": headers,
        "correlationId": {"location": "$message.payload#/correlationid", "description": "The run."},
        "payload": _event(event_type),
        **_examples(example),
    }


def _binary(event_type: str | None, about: Json, example: Json | None) -> Json:
    payload: Json = {} if event_type is None else {"$ref": REF + type_name(event_type)}
    shown = {} if event_type is None else {"contentType": "application/json"}
    return _named(event_type, about) | {
        **shown,
        "headers": _headers(None if event_type is None else _short(event_type), event_type, binary=True),
        "correlationId": {"location": "$message.header#/webhook-id", "description": "The delivery."},
        "payload": payload or {"description": "The event's data as it came, of its own content type."},
        **_examples(example),
    }


def _structured(event_type: str | None, about: Json, example: Json | None) -> Json:
    return _named(event_type, about) | {
        "contentType": CONTENT_TYPES["structured"],
        "headers": _headers(None if event_type is None else _short(event_type), None, binary=False),
        "correlationId": {"location": "$message.header#/webhook-id", "description": "The delivery."},
        "payload": _event(event_type),
        **_examples(example),
    }


def _thin(event_type: str | None, about: Json, example: Json | None) -> Json:
    """As structured, but for the data: a link to exactly their bytes."""
    if example is not None:
        example = {name: value for name, value in example.items() if name != "data"} | {"dataref": _DATAREF}
    fixed = {} if event_type is None else {"type": {"const": event_type}}
    without = {"anyOf": [{"required": ["data"]}, {"required": ["data_base64"]}]}
    return _structured(event_type, about, example) | {
        "title": f"{about['title']}, thin",
        "description": "For subscriptions with `payload: thin`. GET `dataref`, without a token, within 30 days: "
        "the answer is the event's data, of the type `datacontenttype`.",
        "payload": {
            "allOf": [
                reference(CloudEvent),
                {"type": "object", "properties": fixed, "required": ["dataref"], "not": without},
            ]
        },
    }


def _answer(name: str, status: int, about: str) -> Json:
    headers: Json = {"type": "object", "properties": {}}
    if name in {"tooMany", "unavailable"}:
        headers["properties"]["Retry-After"] = {
            "type": "string",
            "description": "Seconds, or an HTTP date.",
        }
    return {
        "name": name,
        "title": name,
        "summary": about,
        "headers": headers,
        "payload": {"description": "Not looked at; its beginning is kept with the attempt."},
        "bindings": {"http": {"statusCode": status, "bindingVersion": _HTTP}},
    }


def _named(event_type: str | None, about: Json) -> Json:
    return {"name": event_type or "other", **about}


def _event(event_type: str | None) -> Json:
    """The envelope, and of a known type its data."""
    if event_type is None:
        return reference(CloudEvent)
    fixed = {"type": {"const": event_type}, "data": {"$ref": REF + type_name(event_type)}}
    return {
        "allOf": [
            reference(CloudEvent),
            {"type": "object", "properties": fixed, "required": ["data"]},
        ]
    }


def _headers(event_name: str | None, event_type: str | None, *, binary: bool) -> Json:
    parts: list[Json] = [{"$ref": f"{REF}DeliveryHeaders"}]
    fixed: Json = {}
    if event_name is not None:
        fixed["X-Letta-Event"] = {"const": event_name}
    if binary:
        parts.append({"$ref": f"{REF}AttributeHeaders"})
        if event_type is not None:
            fixed["ce-type"] = {"const": event_type}
    return {"type": "object", "allOf": [*parts, {"properties": fixed}] if fixed else parts}


def _schemas() -> Json:
    own = own_headers()
    attributes = attribute_headers()
    return {
        "DeliveryHeaders": {
            "type": "object",
            "description": "What every POST to a sink has, in whatever mode.",
            "properties": {name: header.schema for name, header in own.items()},
            "required": [name for name, header in own.items() if header.always],
        },
        "AttributeHeaders": {
            "type": "object",
            "description": "Binary mode: the event's attributes and extensions, percent-encoded where a header "
            "needs it; `Content-Type` is `datacontenttype`.",
            "properties": {name: schema for name, (schema, _) in attributes.items()},
            "required": [name for name, (_, always) in attributes.items() if always],
            "patternProperties": {"^ce-[a-z0-9]+$": {"type": "string"}},
        },
        **envelope_schema(),
        **contract_schemas(),
    }


def _envelope_example(event_type: str, payload: Json) -> Json:
    """The payload in an envelope as the emitter makes it."""
    kept = {name: EVENT[name] for name in ("specversion", "source", "datacontenttype")}
    return kept | {
        "id": payload["event_id"],
        "type": event_type,
        "time": payload["timestamp"],
        "data": payload,
    }


def _examples(example: Json | None) -> Json:
    return {} if example is None else {"examples": [{"name": "example", "payload": example}]}


def _short(event_type: str) -> str:
    return short_of(event_type) or event_type


def _to(*parts: str) -> Json:
    return {"$ref": "#/" + "/".join(part.replace("~", "~0").replace("/", "~1") for part in parts)}
