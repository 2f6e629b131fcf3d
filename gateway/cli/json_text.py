"""JSON of the gateway, read and printed again: a number that no float holds, such as 1e400, stays as it was written.

JSON allows such a number, and the gateway passes on the very bytes; Python would print `Infinity`, which is no JSON.
"""

import json
import math
from collections.abc import Callable, Iterator
from typing import Any, Final, Self


class TooLarge(float):
    """A number beyond what a float holds, with its text."""

    text: str

    def __new__(cls, text: str) -> Self:
        """Keep the text of a number."""
        made = super().__new__(cls, text)
        made.text = text
        return made


def decode(raw: bytes | str, made_of: Callable[[dict[str, Any]], object] | None = None) -> Any:  # noqa: ANN401 - JSON
    """Decode a JSON text; each object becomes what `made_of` makes of it. Raises ``ValueError`` where it is none."""
    return json.loads(raw, parse_float=_float, object_hook=made_of)


def encode(value: object) -> str:
    """Write a value, decoded by `decode`, as compact JSON on one line."""
    try:
        return _STRICT.encode(value)
    except ValueError:
        return "".join(_parts(value))


def _float(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else TooLarge(text)


_STRICT: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _parts(value: object) -> Iterator[str]:
    if isinstance(value, TooLarge):
        yield value.text
    elif isinstance(value, dict):
        for index, (name, inner) in enumerate(value.items()):
            yield f"{',' if index else '{'}{_STRICT.encode(name)}:"
            yield from _parts(inner)
        yield "}" if value else "{}"
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield "," if index else "["
            yield from _parts(inner)
        yield "]" if value else "[]"
    else:
        yield _STRICT.encode(value)
