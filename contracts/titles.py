"""A contract as generators of types want it: every object has a name, so that every type they make has one."""

from collections.abc import Mapping
from typing import Any, Final

from schemas.names import TYPE_PREFIX

_LEFT_OUT: Final = frozenset({"$schema", "$id", "examples"})
"""What says nothing about the shape; an example in each file would be a second copy of the contract's."""


def type_name(event_type: str) -> str:
    """Return the name of an event type as a type in code: `AgentStepCompleted` for `agent.step.completed`.

    Args:
        event_type: The type, short or full.
    """
    words = event_type.removeprefix(TYPE_PREFIX).replace("-", ".").replace("_", ".").split(".")
    return "".join(word[:1].upper() + word[1:] for word in words)


def titled(schema: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return a copy of a schema in which each object is titled by its path: `AgentStepCompletedDataUsage`."""
    shape = {key: value for key, value in schema.items() if key not in _LEFT_OUT}
    if "properties" in shape:
        inner = shape["properties"].items()
        shape["properties"] = {key: titled(member, name + type_name(key)) for key, member in inner}
        shape["title"] = name
    if isinstance(shape.get("items"), Mapping):
        shape["items"] = titled(shape["items"], f"{name}Item")
    return shape
