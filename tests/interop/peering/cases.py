"""The events that every receiver gets, and what understanding them means."""

import base64
from typing import Any

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TIME = "2026-01-01T12:00:00.123Z"
LETTA_TIME = "2026-01-01T12:00:00.123456Z"  # as the emitter writes it

LETTA = "a Letta event"
EXTENSIONS = "extensions"
NON_ASCII = "non-ASCII"
STRING = "a string"
NULL = "`null`"
BYTES = "bytes"
NOTHING = "no data"

WHAT: dict[str, str] = {
    LETTA: "under its contract, with `dataschema`, `traceparent`, `partitionkey`, `correlationid`, `sequence`",
    EXTENSIONS: "a text, an integer, a boolean and a URI of the producer's own",
    NON_ASCII: "in `subject`, in an extension and in the data",
    STRING: "JSON data that is a string",
    NULL: "JSON data that is `null`",
    BYTES: "`data_base64`, of the type `application/octet-stream`",
    NOTHING: "and so no content type; goes structured in whatever mode",
}

_SPECIAL: dict[str, dict[str, Any]] = {
    EXTENSIONS: {
        "tenant": "blue",
        "attempts": 3,
        "urgent": True,
        "origin": "https://example.com/a?b=c&d",
        "data": {"n": 1, "list": [1.5, None, {"deep": True}]},
    },
    NON_ASCII: {
        "subject": "Grüße/€ 😀",
        "place": "Kraków 100%",
        "data": {"text": "Grüße 😀", "ключ": "значение"},
    },
    STRING: {"data": 'He said "ja" — twice'},
    NULL: {"data": None},
    BYTES: {
        "datacontenttype": "application/octet-stream",
        "data_base64": base64.b64encode(bytes(range(256))).decode(),
    },
    NOTHING: {"datacontenttype": None},
}


def event_of(case: str, *, number: int, source: str) -> dict[str, Any]:
    """The event of a case, with an id of its own."""
    if case == LETTA:
        return _letta(number, source)
    event = {
        "specversion": "1.0",
        "id": f"interop-{number}",
        "source": source,
        "type": "org.example.happened",
        "time": TIME,
        "datacontenttype": "application/json",
    } | _SPECIAL[case]
    # In an attribute null is absent; in `data` it is a value.
    return {name: value for name, value in event.items() if value is not None or name == "data"}


def _letta(number: int, source: str) -> dict[str, Any]:
    # The source says who it is of; the way to the right receiver is the agent's own.
    agent = source.strip("/").replace("/", "-")
    event_id = f"evt_interop{number}"
    return {
        "specversion": "1.0",
        "id": event_id,
        "source": f"https://letta/organizations/org-1/agents/{agent}",
        "type": "com.letta.agent.step.completed",
        "subject": f"step-{number}",
        "time": LETTA_TIME,
        "datacontenttype": "application/json",
        "traceparent": TRACEPARENT,
        "partitionkey": agent,
        "correlationid": f"run-{number}",
        "sequence": f"{number:020d}",
        "data": {
            "event_id": event_id,
            "event_type": "agent.step.completed",
            "timestamp": LETTA_TIME,
            "agent_id": agent,
            "organization_id": "org-1",
            "data": {"step_id": f"step-{number}", "status": "completed", "usage": {"total_tokens": 3}},
        },
    }


def source_of(case: str, source: str) -> str:
    """The `source` that the event of a case has."""
    return str(event_of(case, number=0, source=source)["source"])
