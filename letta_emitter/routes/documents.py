"""The routes in Letta's OpenAPI document: bodies, answers and problems, shortly; the gateway's own has all of it."""

from __future__ import annotations

from typing import Any, Final

from letta_emitter.routes import problems
from schemas import SHORT_NAMES

Json = dict[str, Any]

_EVENTS: Final[Json] = {
    "type": "array",
    "items": {"type": "string", "enum": list(SHORT_NAMES)},
    "minItems": 1,
}
_CHANGE: Final[Json] = {
    "type": "object",
    "required": ["url"],
    "properties": {
        "url": {"type": "string", "format": "uri", "description": "Where events are posted to."},
        "events": _EVENTS | {"description": "By their short names; left out, all that there are."},
        "enabled": {
            "type": "boolean",
            "description": "`false` pauses it; what happens meanwhile is sent later.",
        },
        "secret": {
            "type": "string",
            "description": "`whsec_…`; left out, one is made, or the one there is stays.",
        },
    },
}
_WEBHOOK: Final[Json] = {
    "type": "object",
    "required": [
        "id",
        "url",
        "events",
        "enabled",
        "state",
        "agent_id",
        "organization",
        "created_at",
        "updated_at",
    ],
    "properties": {
        "id": {"type": "string", "description": "Of the subscription underneath, at the gateway."},
        "url": {"type": "string"},
        "events": {"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "null"}]},
        "enabled": {"type": "boolean"},
        "state": {"type": "string"},
        "agent_id": {"type": "string"},
        "organization": {"type": "string"},
        "created_at": {"type": "string", "format": "date-time"},
        "updated_at": {"type": "string", "format": "date-time"},
        "secret": {"type": "string", "description": "In the answer that made it, this once."},
    },
}
_PAGE: Final[Json] = {
    "type": "object",
    "required": ["items", "next"],
    "properties": {
        "items": {"type": "array", "items": {"type": "object"}},
        "next": {
            "anyOf": [{"type": "string"}, {"type": "null"}],
            "description": "The `cursor` of the next page.",
        },
    },
}
_PROBLEM: Final[Json] = {
    "application/problem+json": {
        "schema": {
            "type": "object",
            "required": ["type", "title", "status"],
            "properties": {
                "type": {"type": "string"},
                "title": {"type": "string"},
                "status": {"type": "integer"},
                "detail": {"type": "string"},
            },
        }
    }
}


def _answer(about: str, schema: Json | None = None) -> Json:
    told: Json = {"description": about}
    return told if schema is None else told | {"content": {"application/json": {"schema": schema}}}


def _operation(
    name: str, summary: str, answers: dict[int, Json], status: int, **more: object
) -> dict[str, Any]:
    """What a route is declared with. The problems are those that no line of Letta's own document has."""
    failed = {
        kind.status: {"description": kind.title, "content": _PROBLEM}
        for kind in (problems.UNREACHABLE, problems.BUSY, problems.TIMEOUT)
    }
    missing = {404: {"description": "No such agent (as Letta says it), or it has no webhook (a problem)"}}
    return {
        "operation_id": name,
        "summary": summary,
        "status_code": status,
        "responses": missing | failed | answers,
        **more,
    }


PUT: Final = _operation(
    "put_agent_webhook",
    "Set the webhook of an agent",
    {200: _answer("Changed.", _WEBHOOK), 201: _answer("Made.", _WEBHOOK)},
    200,
    openapi_extra={"requestBody": {"required": True, "content": {"application/json": {"schema": _CHANGE}}}},
)
GET: Final = _operation(
    "retrieve_agent_webhook", "The webhook of an agent", {200: _answer("The webhook.", _WEBHOOK)}, 200
)
DELETE: Final = _operation(
    "delete_agent_webhook", "Remove the webhook of an agent", {204: _answer("It is gone.")}, 204
)
TEST: Final = _operation(
    "test_agent_webhook",
    "Send a test event to the webhook of an agent",
    {202: _answer("It is sent by and by.", {"type": "object"})},
    202,
)
DELIVERIES: Final = _operation(
    "list_agent_webhook_deliveries",
    "What became of the events for the webhook of an agent",
    {200: _answer("A page.", _PAGE)},
    200,
)
RETRY: Final = _operation(
    "retry_agent_webhook_delivery",
    "One more attempt for the webhook of an agent",
    {202: _answer("One more attempt is made now.", {"type": "object"})},
    202,
)
