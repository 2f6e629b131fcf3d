"""Where the contract of an event type stands in the registry, and which type a place stands for."""

import re
from typing import Final

from schemas import GATEWAY_TYPE_PREFIX, TYPE_PREFIX

ID_CHARS_MAX: Final = 128
_ID: Final = re.compile(rf"[A-Za-z0-9_][A-Za-z0-9._~:@-]{{0,{ID_CHARS_MAX - 1}}}")
_GROUP_LABELS: Final = 2
RESERVED: Final = (GATEWAY_TYPE_PREFIX, TYPE_PREFIX + "emitter.")
"""Types that the gateway and the emitter make themselves: what they are like is not anybody else's to say."""


def is_id(text: str) -> bool:
    """Whether it can be the id of a group or a schema (xRegistry 1.0-rc4, `<SINGULAR>id`)."""
    return _ID.fullmatch(text) is not None


def type_at(group: str, name: str) -> str:
    """The event type that a schema stands for: the group's id before its own, unless it has that already."""
    return name if name.startswith(f"{group}.") else f"{group}.{name}"


def place_of(type_: str, group: str | None = None) -> tuple[str, str] | None:
    """The group and the schema that a type's contract belongs to; None for a type that can have no place.

    Without a group given it is the first two parts of the type, or the first of two.
    """
    if group is None:
        labels = type_.split(".")
        group = ".".join(labels[: min(_GROUP_LABELS, len(labels) - 1)])
    name = type_.removeprefix(f"{group}.")
    fits = name != type_ and is_id(group) and is_id(name) and type_at(group, name) == type_
    return (group, name) if fits else None


def is_reserved(type_: str) -> bool:
    """Whether nobody may register a contract for it."""
    return type_.startswith(RESERVED)
