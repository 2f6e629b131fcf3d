"""What the routes take as bodies, roughly: near enough to what is right that a part of what is made of it gets far.

The OpenAPI document leaves bodies open, for the routes read them strictly and say all that is wrong at once.
"""

from typing import Any

TEXT = {"type": "string", "maxLength": 60}
SINKS = {"enum": ["http://127.0.0.1:9/", "http://[::1]:9/?a=b", "pull:"]}
SINK = {"anyOf": [SINKS, SINKS, {"enum": ["https://10.0.0.1/", "http://127.1/#a"]}, TEXT]}
TYPES = ["agent.step.completed", "com.letta.agent.run.completed", "fuzz"]
ATTRIBUTES = {"type": "object", "additionalProperties": TEXT, "minProperties": 1, "maxProperties": 3}
FILTER: dict[str, Any] = {
    "anyOf": [
        *(
            {
                "type": "object",
                "properties": {name: ATTRIBUTES},
                "required": [name],
                "additionalProperties": False,
            }
            for name in ("exact", "prefix", "suffix")
        ),
        {"type": "object", "properties": {"all": {"type": "array", "maxItems": 3}}, "required": ["all"]},
        {"type": "object", "properties": {"not": {"type": "object"}}, "required": ["not"]},
    ]
}
NUMBER = {"anyOf": [{"enum": [1, 2, 5]}, {"enum": [1, 2, 5]}, {"enum": [1, 2, 5]}, {"type": "number"}]}
CONFIG = {
    "type": "object",
    "properties": {
        "format": {"enum": ["binary", "structured", "batch"]},
        "ordering": {"enum": ["none", "partitionkey"]},
        "payload": {"enum": ["full", "thin"]},
        "retry": {"type": "array", "items": NUMBER, "maxItems": 5},
        "start": {
            "anyOf": [
                {"enum": ["now", "beginning"]},
                {"type": "integer"},
                {"type": "string", "format": "date-time"},
            ]
        },
        **dict.fromkeys(
            ("max_concurrency", "max_per_second", "timeout_s", "batch_events_max", "batch_age_s"), NUMBER
        ),
    },
}
SUBSCRIPTION = {
    "type": "object",
    "required": ["sink"],
    "properties": {
        "sink": SINK,
        "source": TEXT,
        "types": {"type": "array", "items": {"anyOf": [{"enum": TYPES}, TEXT]}, "maxItems": 4},
        "filters": {"type": "array", "items": FILTER, "maxItems": 3},
        "config": CONFIG,
        "name": TEXT,
        "description": TEXT,
        "labels": {"anyOf": [{"const": {"team": "blue"}}, {"type": "object", "maxProperties": 3}]},
        "organization": {"anyOf": [{"const": "org-1"}, TEXT]},
        "secret": {"anyOf": [{"const": "whsec_" + "A" * 32}, {"const": "whsec_" + "B" * 64}, TEXT]},
        "protocolsettings": {
            "anyOf": [
                {"const": {"headers": {"X-Team": "blue"}}},
                {"type": "object", "properties": {"headers": {"type": "object", "maxProperties": 3}}},
            ]
        },
        "sinkcredential": {
            "type": "object",
            "properties": {
                "credentialtype": {"enum": ["ACCESSTOKEN", "ACCESSTOKEN", "OAUTH2CLIENTCREDENTIALS"]},
                "accesstoken": {"anyOf": [{"const": "a-bearer-token"}, TEXT]},
            },
            "required": ["credentialtype", "accesstoken"],
        },
    },
}
EVENT = {
    "type": "object",
    "required": ["specversion", "id", "source", "type"],
    "properties": {
        "specversion": {"enum": ["1.0", "1.0", "1.0", "0.3"]},
        "id": {"anyOf": [{"type": "string", "pattern": "^[a-z0-9]{1,20}$"}, TEXT]},
        "source": {"anyOf": [{"enum": ["/fuzz", "https://letta/organizations/org-1/agents/agent-1"]}, TEXT]},
        "type": {"anyOf": [{"enum": ["fuzz", "fuzz.known"]}, {"enum": TYPES}, TEXT]},
        "subject": {"anyOf": [{"enum": ["a", "b"]}, TEXT]},
        "time": {"anyOf": [{"type": "string", "format": "date-time"}, TEXT]},
        "datacontenttype": {"enum": ["application/json", "application/json; charset=utf-8", "x"]},
        "traceparent": {"anyOf": [{"const": f"00-{'1' * 32}-{'2' * 16}-01"}, TEXT]},
        "partitionkey": TEXT,
        "expirytime": {"anyOf": [{"type": "string", "format": "date-time"}, TEXT]},
        "data_base64": TEXT,
        "data": {},
    },
}
REPLAY = {
    "type": "object",
    "properties": {
        "from_position": {"type": "integer"},
        "until_position": {"type": "integer"},
        "since": {"anyOf": [{"type": "string", "format": "date-time"}, TEXT]},
        "until": {"anyOf": [{"type": "string", "format": "date-time"}, TEXT]},
        "only": {"enum": ["all", "failed", "x"]},
        "dry_run": {"type": "boolean"},
    },
}
ONE = "/v1/subscriptions/{subscription_id}"
JSON = "application/json"
BODIES: dict[tuple[str, str], dict[str, Any]] = {
    ("/v1/events", "post"): {
        "application/cloudevents+json": EVENT,
        "application/cloudevents-batch+json": {"type": "array", "items": EVENT, "maxItems": 4},
        JSON: {},
    },
    ("/v1/subscriptions", "post"): {JSON: SUBSCRIPTION},
    ("/v1/subscriptions/import", "post"): {JSON: {"type": "array", "items": SUBSCRIPTION, "maxItems": 3}},
    (ONE, "put"): {JSON: SUBSCRIPTION},
    (ONE, "patch"): {JSON: {**SUBSCRIPTION, "required": []}},
    (f"{ONE}/resume", "post"): {
        JSON: {"type": "object", "properties": {"from": {"enum": ["now", "cursor", "x"]}}}
    },
    (f"{ONE}/rotate-secret", "post"): {JSON: {"type": "object", "properties": {"secret": TEXT}}},
    (f"{ONE}/replay", "post"): {JSON: REPLAY},
    ("/v1/tokens", "post"): {
        JSON: {
            "type": "object",
            "properties": {
                "name": TEXT,
                "admin": {"type": "boolean"},
                "organization": TEXT,
                "read_only": {"type": "boolean"},
                "expires_at": {"anyOf": [{"type": "string", "format": "date-time"}, TEXT]},
            },
        }
    },
}


def with_bodies(document: dict[str, Any]) -> dict[str, Any]:
    """The OpenAPI document with bodies where its routes read one."""
    for (path, method), kinds in BODIES.items():
        content = {kind: {"schema": schema} for kind, schema in kinds.items()}
        document["paths"][path][method]["requestBody"] = {"content": content}
    for operations in document["paths"].values():
        for operation in operations.values():
            operation.pop("security", None)  # or a part of the requests would come without a token
    for path in [path for path in document["paths"] if path.endswith("/stream")]:
        del document["paths"][path]  # answers that go on; `test_parsers.py` has what they read
    del document["webhooks"]  # what the gateway sends
    _drop_examples(document)
    return document


def _drop_examples(part: Any) -> None:
    """Schemathesis would run those instead of what it makes."""
    if isinstance(part, dict):
        part.pop("examples", None)
    for inner in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        _drop_examples(inner)
