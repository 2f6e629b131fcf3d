"""What the tests of the registry ask for, and the contract that they register."""

from typing import Any

PUBLIC_URL = "http://127.0.0.1:8080"
R = "/registry"
LETTA = R + "/schemagroups/com.letta/schemas"
STEP = LETTA + "/agent.step.completed"
OWN = R + "/schemagroups/com.example/schemas/order.placed"
SPEC = "https://github.com/xregistry/spec/blob/main/core/spec.md#"
HTTP = "https://github.com/xregistry/spec/blob/main/core/http.md#"
ORDER = {
    "title": "order.placed",
    "description": "An order is placed.",
    "type": "object",
    "properties": {"id": {"type": "string", "minLength": 1}, "note": {"type": ["string", "null"]}},
    "required": ["id"],
}


def register(client, schema: Any = ORDER, path: str = OWN, **request: Any):
    return client.post(path, json=schema, **request)
