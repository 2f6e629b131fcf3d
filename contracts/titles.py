"""A contract as generators of types want it: every object has a name, so that every type they make has one."""

import re
from collections.abc import Mapping
from typing import Any, Final

from schemas.names import TYPE_PREFIX

_BETWEEN_WORDS: Final = re.compile(r"[^A-Za-z0-9]+")
_LEFT_OUT: Final = frozenset({"$schema", "$id", "examples"})
"""What says nothing about the shape; an example in each file would be a second copy of the contract's."""

_SAYS_NOTHING: Final = frozenset({"title", "description", "default", "deprecated", "$comment"})
"""Keywords that allow any value."""


def type_name(event_type: str) -> str:
    """Return the name of an event type as a type in code: `AgentStepCompleted` for `agent.step.completed`.

    Args:
        event_type: The type, short or full.
    """
    words = _BETWEEN_WORDS.split(event_type.removeprefix(TYPE_PREFIX))
    name = "".join(word[:1].upper() + word[1:] for word in words)
    return name if name[:1].isalpha() else f"Event{name}"


def titled(schema: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return a copy of a schema in which each object is titled by its path: `AgentStepCompletedDataUsage`.

    What may be any value is said so in the word that json-schema-to-typescript has for it.
    """
    shape = {key: value for key, value in schema.items() if key not in _LEFT_OUT}
    if "properties" in shape:
        inner = shape["properties"].items()
        shape["properties"] = {key: titled(member, name + type_name(key)) for key, member in inner}
        shape["title"] = name
    if isinstance(shape.get("items"), Mapping):
        shape["items"] = titled(shape["items"], f"{name}Item")
    if not shape.keys() - _SAYS_NOTHING:
        shape["tsType"] = "unknown"  # json-schema-to-typescript takes a member without a type for an object
    return shape
