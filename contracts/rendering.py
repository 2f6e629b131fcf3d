"""Contracts as types of other languages: one text per contract, and one module of all of them.

The texts were made by well-kept generators (`just generate-types`) and are committed beside the contracts, so that
nobody needs a generator to have them. Whoever serves a contract in another format asks `render`.
"""

import ast
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from contracts.export import relative_path
from contracts.store import HOME, load
from contracts.titles import type_name
from schemas.names import TYPE_PREFIX

_ABOUT: Final = (
    "The events of a Letta server, as letta-gateway delivers them; printed by `letta-gateway contracts"
)


@dataclass(frozen=True, slots=True)
class Format:
    """A language that contracts are rendered in.

    Attributes:
        suffix: Of the file beside the contract's.
        media_type: Of the text.
        join: Makes one module of the texts of many types.
    """

    suffix: str
    media_type: str
    join: Callable[[Mapping[str, str]], str]


@dataclass(frozen=True, slots=True)
class Rendered:
    """A contract in a format."""

    text: str
    media_type: str


def render(
    format_name: str, event_type: str, version: int | None = None, home: Path = HOME
) -> Rendered | None:
    """Return a contract as a type of another language; None where there is no such format, type or version.

    Args:
        format_name: One of `FORMATS`.
        event_type: The full type.
        version: The contract's version; None for the newest.
        home: The folder with the texts.
    """
    chosen = FORMATS.get(format_name)
    wanted = load().latest(event_type) if version is None else version
    if chosen is None or wanted is None or not event_type.startswith(TYPE_PREFIX):
        return None
    if wanted not in load().versions(event_type):
        return None
    path = home / text_path(event_type, wanted, format_name)
    return Rendered(path.read_text(encoding="utf-8"), chosen.media_type) if path.is_file() else None


def text_path(event_type: str, version: int, format_name: str) -> str:
    """Return where the text of a contract stands, below the folder `contracts`."""
    place = relative_path(event_type.removeprefix(TYPE_PREFIX), version)
    return place.removesuffix(".json") + FORMATS[format_name].suffix


@cache
def module(format_name: str) -> str:
    """Return the newest version of every contract as one module, with a union of them all.

    Raises:
        KeyError: There is no such format.
    """
    chosen = FORMATS[format_name]
    found = {event_type: render(format_name, event_type) for event_type in load().types()}
    return chosen.join({event_type: one.text for event_type, one in found.items() if one is not None})


def _typescript(texts: Mapping[str, str]) -> str:
    """A module without imports: the payloads, their union, and the CloudEvents around them."""
    payloads = [type_name(event_type) for event_type in texts]
    events = [f'CloudEvent<"{event_type}", {type_name(event_type)}>' for event_type in texts]
    return "\n".join(
        [
            f"// {_ABOUT} typescript`.",
            "",
            *(text.strip() + "\n" for text in texts.values()),
            "/** What a webhook in binary mode has as its body, told apart by `event_type`. */",
            f"export type LettaEvent =\n{_members(payloads)};",
            "",
            _CLOUD_EVENT,
            "/** What a webhook in structured mode has as its body, told apart by `type`. */",
            f"export type LettaCloudEvent =\n{_members(events)};",
            "",
        ]
    )


def _members(names: Sequence[str]) -> str:
    return "\n".join(f"  | {name}" for name in names)


_CLOUD_EVENT: Final = """\
/** A CloudEvent 1.0 (JSON format) with its extensions: `data` is what its `type` says. */
export interface CloudEvent<Type extends string, Data> {
  specversion: "1.0";
  /** Identifies the event together with `source`. */
  id: string;
  source: string;
  type: Type;
  /** The id of the step, run, message, job or tool. */
  subject?: string;
  /** When it happened (RFC 3339). */
  time?: string;
  datacontenttype?: string;
  /** The address of the contract that `data` keeps. */
  dataschema?: string;
  /** What order is kept by: the agent, else the job. */
  partitionkey?: string;
  /** The run that it belongs to. */
  correlationid?: string;
  /** The id of the event that led to it. */
  causationid?: string;
  /** The place within its source, 20 digits, compared as a string. */
  sequence?: string;
  traceparent?: string;
  tracestate?: string;
  data: Data;
  [extension: string]: unknown;
}
"""


def _pydantic(texts: Mapping[str, str]) -> str:
    """A module: what the texts import, once; their classes; the union, and what reads it."""
    imports: dict[str, set[str]] = {
        "typing": {"Annotated", "TypeAlias"},
        "pydantic": {"Field", "TypeAdapter"},
    }
    bodies = []
    for text in texts.values():
        tree = ast.parse(text)
        taken = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
        for node in taken:
            imports.setdefault(node.module or "", set()).update(alias.name for alias in node.names)
        last = max(node.end_lineno or 0 for node in taken)
        bodies.append("\n".join(text.splitlines()[last:]).strip() + "\n")
    imports.pop("__future__", None)
    members = "\n    | ".join(type_name(event_type) for event_type in texts)
    ours = {name: f"from {name} import {', '.join(sorted(names))}" for name, names in sorted(imports.items())}
    return "\n".join(
        [
            f'"""{_ABOUT} pydantic`."""',
            "",
            "from __future__ import annotations",
            "",
            *(line for name, line in ours.items() if name in sys.stdlib_module_names),
            "",
            *(line for name, line in ours.items() if name not in sys.stdlib_module_names),
            "",
            "",
            "\n\n".join(bodies),
            "",
            "LettaEvent: TypeAlias = Annotated[",
            "    " + members + ",",
            '    Field(discriminator="event_type"),',
            "]",
            '"""What a webhook in binary mode has as its body, told apart by `event_type`."""',
            "",
            "LETTA_EVENT: TypeAdapter[LettaEvent] = TypeAdapter(LettaEvent)",
            '"""Reads one: `LETTA_EVENT.validate_json(body)`."""',
            "",
        ]
    )


FORMATS: Final[Mapping[str, Format]] = {
    "typescript": Format(".ts", "application/typescript; charset=utf-8", _typescript),
    "pydantic": Format(".py", "text/x-python; charset=utf-8", _pydantic),
}
"""Every format by the name that commands and `?format=` give it."""
