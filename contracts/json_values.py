"""JSON values as JSON Schema sees them: what they are, and when two are the same (2020-12 core, section 4.2)."""

import json
import math
from typing import Final

FRACTION: Final = "fraction"
"""A number that is no integer: JSON Schema has no word for it, and `number` is both."""

KINDS: Final = ("null", "boolean", "integer", FRACTION, "string", "array", "object")
"""What a value can be, each value being one of them."""

_OF_TYPE: Final = {name: frozenset({name}) for name in KINDS if name != FRACTION} | {
    "number": frozenset({"integer", FRACTION})
}
TYPE_NAMES: Final = frozenset(_OF_TYPE)
"""The words that the keyword `type` knows."""


def kinds_of(declared: object) -> frozenset[str]:
    """Return the kinds that a value of the keyword `type` allows, one word or a list of them."""
    if isinstance(declared, str):
        return _OF_TYPE.get(declared, frozenset())
    names = declared if isinstance(declared, list) else []
    return frozenset().union(*(_OF_TYPE.get(name, frozenset()) for name in names))


def kind_of(value: object) -> str:
    """Return what a value is; `1.0` is an integer, as JSON Schema has it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    if isinstance(value, float):
        return "integer" if value.is_integer() else FRACTION
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"


def words_of(kinds: frozenset[str]) -> str:
    """Name kinds in the words of the keyword `type`, for a sentence."""
    names: list[str] = [kind for kind in KINDS if kind in kinds and kind != FRACTION]
    if FRACTION in kinds:
        names = [name for name in names if name != "integer"]
        names.append("number" if "integer" in kinds else "number with a fraction")
    return ", ".join(names)


def key_of(value: object) -> str:
    """Return a text that two values share if and only if JSON Schema holds them equal."""
    return json.dumps(_plain(value), sort_keys=True, separators=(",", ":"))


def finite(value: object) -> bool:
    """Whether every number in a value is one: `1e999` is not, although it is written like one."""
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, dict):
        return all(finite(inner) for inner in value.values())
    return all(finite(inner) for inner in value) if isinstance(value, list) else True


def _plain(value: object) -> object:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list) else value
