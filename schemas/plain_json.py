"""Turning any Python value into one that strict JSON can carry, whatever is lost on the way."""

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import BaseModel

from schemas.rfc3339 import timestamp
from schemas.strict_json import DEPTH_MAX

LEFT_OUT = "(left out)"
"""Stands for what is nested too deep or contains itself."""

_BITS_MAX = 4096
"""Readers that convert numbers stop at some length, Python at 4300 digits."""


def plain(value: object, *, depth_max: int = DEPTH_MAX) -> Any:  # noqa: ANN401  (a JSON value is any of six types)
    """Return a value made of dict, list, str, int, float, bool and None alone.

    Models become objects of the members that are not None, NaN and infinities None, halves of surrogate pairs
    question marks, other types their text.

    Args:
        value: Anything.
        depth_max: Containers inside one another; deeper ones become `LEFT_OUT`.
    """
    return _plain(value, depth_max, frozenset())


def _plain(value: object, depth_max: int, around: frozenset[int]) -> Any:  # noqa: ANN401
    if isinstance(value, BaseModel):
        value = {name: inner for name, inner in value if inner is not None}
    if not isinstance(value, Mapping | list | tuple | set | frozenset):
        return _scalar(value)
    if len(around) == depth_max or id(value) in around:
        return LEFT_OUT
    around |= {id(value)}
    if isinstance(value, Mapping):
        return {_words(key): _plain(inner, depth_max, around) for key, inner in value.items()}
    return [_plain(inner, depth_max, around) for inner in value]


def _scalar(value: object) -> str | int | float | bool | None:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value) if value.bit_length() < _BITS_MAX else LEFT_OUT
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return _words(value)


def _words(value: object) -> str:
    if isinstance(value, datetime) and value.tzinfo is not None:
        return timestamp(value)
    if isinstance(value, bytes | bytearray):
        return bytes(value).decode("utf-8", "replace")
    try:
        return str(value).encode("utf-8", "replace").decode()
    except Exception:  # noqa: BLE001  (a foreign object's own code; its type is all that can be told)
        return f"({type(value).__name__})"
