"""Contracts as types of other languages: one text per contract, and one module of all of them.

The texts were made by well-kept generators (`just generate-types`) and are committed beside the contracts, so that
nobody needs a generator to have them. A contract that is not of this package has none: it becomes an open object.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from contracts.export import relative_path
from contracts.modules import Part, pydantic_module, typescript_module
from contracts.store import HOME, load
from contracts.titles import type_name
from schemas.names import TYPE_PREFIX


@dataclass(frozen=True, slots=True)
class Format:
    """A language that contracts are rendered in.

    Attributes:
        suffix: Of the file beside the contract's.
        media_type: Of the text.
        join: Makes one module of many types.
    """

    suffix: str
    media_type: str
    join: Callable[[Sequence[Part]], str]


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


def module_of(format_name: str, asked: Sequence[tuple[str, int]]) -> str:
    """Return contracts, by type and version, as one module.

    Raises:
        KeyError: There is no such format.
    """
    found = [(event_type, render(format_name, event_type, version)) for event_type, version in asked]
    texts = "".join(one.text for _, one in found if one is not None)
    parts: list[Part] = []
    for event_type, one in found:
        name = type_name(event_type) if one is not None else _free_name(event_type, texts, parts)
        parts.append(Part(event_type, name, None if one is None else one.text))
    return FORMATS[format_name].join(parts)


def _free_name(event_type: str, texts: str, parts: Sequence[Part]) -> str:
    """A name for a type that has no text. Behind `Event` it is no word of a language; no other type has it either."""
    wanted = name = f"{type_name(event_type)}Event"
    number = 2
    while re.search(rf"\b{name}\b", texts) or name in {part.name for part in parts} | _TAKEN:
        name, number = f"{wanted}{number}", number + 1
    return name


_TAKEN: Final = frozenset({"CloudEvent", "LettaEvent", "LettaCloudEvent"})
"""What the module itself defines."""

FORMATS: Final[Mapping[str, Format]] = {
    "typescript": Format(".ts", "application/typescript; charset=utf-8", typescript_module),
    "pydantic": Format(".py", "text/x-python; charset=utf-8", pydantic_module),
}
"""Every format by the name that commands and `?format=` give it."""
