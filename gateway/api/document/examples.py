"""An example of each object that people meet first; a test holds each to its shape."""

from collections.abc import Mapping
from typing import Any, Final

from contracts.examples import EXAMPLES
from schemas import source_of, type_of

_STEP: Final = EXAMPLES["agent.step.completed"]
_AT: Final = "2026-01-01T12:00:02.000000Z"
_ID: Final = "dlv_aaaaaaaaaaaqaaaaaaaaaaaba4bqcaya"

EVENT: Final[Mapping[str, Any]] = {
    "specversion": "1.0",
    "id": _STEP["event_id"],
    "source": source_of("https://letta", _STEP["organization_id"], _STEP["agent_id"]),
    "type": type_of("agent.step.completed"),
    "subject": _STEP["data"]["step_id"],
    "time": _STEP["timestamp"],
    "datacontenttype": "application/json",
    "partitionkey": _STEP["agent_id"],
    "correlationid": _STEP["data"]["run_id"],
    "sequence": "01767268801250000000",
    "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "data": _STEP,
}
_ATTEMPT: Final = {
    "id": "att_2b6fq4w3v5s7x2y4",
    "number": 1,
    "round": 0,
    "cause": "live",
    "batch": None,
    "replay": None,
    "decision": "delivered",
    "started_at": _AT,
    "duration_ms": 12.5,
    "status": 200,
    "error_class": None,
    "detail": None,
    "next_at": None,
    "revision": 1,
    "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
    "span_id": "b7ad6b7169203331",
    "response_headers": [["Content-Type", "text/plain"]],
    "response_body": "ok",
    "response_body_base64": None,
}
_SUBSCRIPTION: Final = {
    "id": "sub_7w2k5q3n6r4t8v1x",
    "name": "Steps to the data team",
    "types": ["agent.step.completed"],
    "sink": "https://example.com/hooks",
    "protocol": "HTTP",
    "config": {"format": "binary", "signing": ["v1"], "start": "now"},
    "organization": "org-1",
    "state": "active",
    "revision": 1,
    "created_at": _AT,
    "updated_at": _AT,
}

OF_SHAPE: Final[Mapping[str, Mapping[str, Any]]] = {
    "CloudEvent": EVENT,
    "Accepted": {"accepted": 2, "duplicates": 1, "positions": [41, 42, 7]},
    "LogItem": {"position": 42, "appended_at": _AT, "hash": "5f" * 32, "event": EVENT},
    "Attempt": _ATTEMPT,
    "Delivery": {
        "id": _ID,
        "subscription": _SUBSCRIPTION["id"],
        "position": 42,
        "event": {"id": EVENT["id"], "source": EVENT["source"], "type": EVENT["type"]},
        "state": "delivered",
        "round": 0,
        "next_at": None,
        "first_delivered_at": _AT,
        "attempts": [_ATTEMPT],
    },
    "Subscription": _SUBSCRIPTION,
    "SubscriptionChange": {"config": {"max_per_second": 20}, "description": None},
    "NewSubscriptionBody": {
        "sink": "https://example.com/hooks",
        "types": ["agent.step.completed", "agent.run.completed"],
        "filters": [{"exact": {"partitionkey": _STEP["agent_id"]}}],
    },
    "ReplayRequest": {"since": "2026-01-01T00:00:00Z", "only": "failed"},
    "WebhookChange": {"url": "https://example.com/hooks", "events": ["agent.run.completed"], "enabled": True},
    "Webhook": {
        "id": _SUBSCRIPTION["id"],
        "url": "https://example.com/hooks",
        "events": ["agent.run.completed"],
        "enabled": True,
        "state": "active",
        "agent_id": _STEP["agent_id"],
        "organization": "org-1",
        "created_at": _AT,
        "updated_at": _AT,
    },
    "NewTokenBody": {"name": "the data team", "organization": "org-1", "read_only": True},
    "NewErasure": {"agent_id": _STEP["agent_id"], "dry_run": True},
    "Problem": {
        "type": "urn:letta-gateway:problem:invalid-request",
        "title": "Some members are not valid",
        "status": 422,
        "detail": "The subscription is not valid.",
        "errors": [{"pointer": "/config/timeout_s", "detail": "must be a number from 0.1 to 15"}],
    },
}
"""By the name of the shape in the document."""
