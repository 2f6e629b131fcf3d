"""Contracts as types of other languages: one text per contract, and one module of all of them.

The texts were made by well-kept generators (`just generate-types`) and are committed beside the contracts, so that
nobody needs a generator to have them. A contract that is not of this package has none: it is printed as it stands, or
becomes an open object in a language that nothing here prints.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from contracts.compatibility.produced import Produced
from contracts.export import relative_path
from contracts.modules import Part, pydantic_module, typescript_module
from contracts.store import HOME, load
from contracts.titles import type_name
from contracts.typescript import declaration
from schemas.names import TYPE_PREFIX


@dataclass(frozen=True, slots=True)
class Format:
    """A language that contracts are rendered in.

    Attributes:
        suffix: Of the file beside the contract's.
        media_type: Of the text.
        join: Makes one module of many types.
        declare: Prints a schema as a type of a name; None: nothing here does.
    """

    suffix: str
    media_type: str
    join: Callable[[Sequence[Part]], str]
    declare: Callable[[Mapping[str, Any], str], str] | None = None


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
        version: The contract's version; None for the newest of this package.
        home: The folder with the texts.
    """
    chosen = FORMATS.get(format_name)
    wanted = load().latest(event_type) if version is None else version
    if chosen is None or wanted is None or wanted not in load().versions(event_type):
        return None
    path = home / text_path(event_type, wanted, format_name)
    return Rendered(path.read_text(encoding="utf-8"), chosen.media_type) if path.is_file() else None


def text_path(event_type: str, version: int, format_name: str) -> str:
    """Return where the text of a contract stands, below the folder `contracts`."""
    place = relative_path(event_type.removeprefix(TYPE_PREFIX), version)
    return place.removesuffix(".json") + FORMATS[format_name].suffix


@cache
def module(format_name: str) -> str:
    """Return the newest version of every contract of this package as one module, with a union of them all.

    Raises:
        KeyError: There is no such format.
    """
    known = load()
    return module_of(format_name, [(one, max(known.versions(one))) for one in known.types()])


def module_of(
    format_name: str,
    asked: Sequence[tuple[str, int]],
    schemas: Mapping[tuple[str, int], Mapping[str, Any]] = MappingProxyType({}),
) -> str:
    """Return contracts, by type and version, as one module.

    Args:
        format_name: One of `FORMATS`.
        asked: The full types and versions; of each type one.
        schemas: The schemas of those that are not of this package, where they are known.

    Raises:
        KeyError: There is no such format.
    """
    found = [(key, render(format_name, *key)) for key in asked]
    texts = "".join(one.text for _, one in found if one is not None)
    parts: list[Part] = []
    for key, one in found:
        if one is not None:
            parts.append(Part(key[0], type_name(key[0]), one.text))
        else:
            name = _free_name(key[0], texts, parts)
            parts.append(_printed(format_name, key[0], name, schemas.get(key)))
    return FORMATS[format_name].join(parts)


def _printed(format_name: str, event_type: str, name: str, schema: Mapping[str, Any] | None) -> Part:
    declare = FORMATS[format_name].declare
    if declare is None or schema is None:
        return Part(event_type, name, None, any_value=schema is not None and not _only_objects(schema))
    return Part(event_type, name, declare(schema, name), tells=_tells(event_type, schema))


def _only_objects(schema: Mapping[str, Any]) -> bool:
    return Produced(schema, [schema]).kinds == {"object"}


def _tells(event_type: str, schema: Mapping[str, Any]) -> bool:
    """Whether the payloads of a contract can be told apart from Letta's others by their `event_type`."""
    member = schema.get("properties", {}).get("event_type")
    return (
        event_type.startswith(TYPE_PREFIX)
        and isinstance(member, Mapping)
        and isinstance(member.get("const"), str)
        and "event_type" in schema.get("required", ())
    )


def _free_name(event_type: str, texts: str, parts: Sequence[Part]) -> str:
    """A name for a type that has no text. Behind `Event` it is no word of a language; no other type has it either."""
    wanted = name = f"{type_name(event_type)}Event"
    number = 2
    while re.search(rf"\b{name}\b", texts) or name in {part.name for part in parts} | _TAKEN:
        name, number = f"{wanted}{number}", number + 1
    return name


_TAKEN: Final = frozenset(
    {
        "CloudEvent",
        "CloudEventAttributes",
        "LettaEvent",
        "LettaCloudEvent",
        "LettaThinCloudEvent",
        "ThinCloudEvent",
    }
)
"""What the module itself defines."""

FORMATS: Final[Mapping[str, Format]] = {
    "typescript": Format(".ts", "application/typescript; charset=utf-8", typescript_module, declaration),
    "pydantic": Format(".py", "text/x-python; charset=utf-8", pydantic_module),
}
"""Every format by the name that commands and `?format=` give it."""
