"""The page of event types, `docs/events.md`, written from the contracts so that it cannot be out of date."""

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from contracts.store import Contracts, load
from schemas.events import Event
from schemas.names import SHORT_NAMES, type_of

PAGE: Final = "events.md"

_INTRODUCTION: Final = """\
# Event types

Made from the contracts by `contracts.docs`; do not edit.

Each event is a CloudEvent 1.0 whose `data` is the payload below: six members, the last of which is again
called `data`. Required members are marked; every other one may be absent or null. Ids are opaque strings,
never empty. Senders may add members, and values to statuses and reasons: a reader ignores what it does not
know. Each contract is one file per type and version in `contracts/com.letta/`, served by the gateway at the
address that the event's `dataschema` gives.
"""


def events_page(contracts: Contracts | None = None) -> str:
    """Return the page, in Markdown, for the newest version of every contract."""
    contracts = load() if contracts is None else contracts
    return "\n".join(_lines(contracts))


def write_events_page(folder: Path) -> Path:
    """Write the page into a folder of documents and return its path."""
    path = folder / PAGE
    path.write_text(events_page(), encoding="utf-8")
    return path


def _lines(contracts: Contracts) -> Iterator[str]:
    yield _INTRODUCTION
    yield "| short name | what it says |"
    yield "| --- | --- |"
    for short_name in SHORT_NAMES:
        schema = contracts.schema(type_of(short_name))
        yield f"| [`{short_name}`](#{short_name.replace('.', '')}) | {schema['description']} |"
    yield ""
    yield "## Members that every event has"
    yield ""
    members = contracts.schema(type_of(SHORT_NAMES[0]))
    about = {name: {"description": field.description} for name, field in Event.model_fields.items()}
    shared = {name: member | about[name] for name, member in members["properties"].items()}
    yield from _table(members | {"properties": shared}, "")
    for short_name in SHORT_NAMES:
        yield from _section(short_name, contracts)


def _section(short_name: str, contracts: Contracts) -> Iterator[str]:
    type_name = type_of(short_name)
    schema = contracts.schema(type_name)
    yield ""
    yield f"## {short_name}"
    yield ""
    yield schema["description"]
    yield ""
    yield f"Type `{type_name}`, contract version {contracts.latest(type_name)}."
    yield ""
    yield from _table(schema["properties"]["data"], "data.")
    yield ""
    yield "```json"
    yield json.dumps(schema["examples"][0], indent=2, ensure_ascii=False)
    yield "```"


def _table(schema: Mapping[str, Any], prefix: str) -> Iterator[str]:
    yield "| member | type | what it says |"
    yield "| --- | --- | --- |"
    yield from _rows(schema, prefix)


def _rows(schema: Mapping[str, Any], prefix: str) -> Iterator[str]:
    required = schema.get("required", ())
    for name, member in schema["properties"].items():
        mark = ", required" if name in required else ""
        about = member["description"].replace("|", r"\|")
        yield f"| `{prefix}{name}` | {_type(member)}{mark} | {about} |"
        if prefix and "properties" in member:
            yield from _rows(member, f"{prefix}{name}.")


def _type(member: Mapping[str, Any]) -> str:
    declared = member.get("type", "any JSON value")
    kinds = [declared] if isinstance(declared, str) else [kind for kind in declared if kind != "null"]
    if member.get("format") == "date-time":
        return "time"
    if kinds == ["array"]:
        return f"list of {_type(member['items'])}"
    return " or ".join(kinds)


if __name__ == "__main__":
    sys.stdout.write(f"{write_events_page(Path(sys.argv[1] if len(sys.argv) > 1 else 'docs'))}\n")
