"""The members of one JSON object, each with the slice of text its value stands in."""

import re
from dataclasses import dataclass
from typing import Any, Final

from schemas.errors import MalformedJsonError, pointer_of
from schemas.strict_json import object_at, shown, skip_space, value_at

MEMBERS_MAX: Final = 1024
"""More attributes than any event has; past it an object is refused before it costs more."""

# Where `data` is not the last member, still nearly every attribute has a plain name and a string of printable
# ASCII without escapes: `_RUN` takes a whole run of such members at once and `_PAIR` splits it. `data` is left
# out, since its exact slice matters. What does not fit goes the general way through the decoder.
_RUN = re.compile(
    r'(?:[ \t\n\r]*"(?!data")[a-z0-9]+"[ \t\n\r]*:[ \t\n\r]*"[ !#-\[\]-~]*"[ \t\n\r]*,)+',
)
_PAIR = re.compile(r'"([a-z0-9]+)"[ \t\n\r]*:[ \t\n\r]*"([ !#-\[\]-~]*)"')
_NAME = re.compile(r'[ \t\n\r]*"([a-z0-9_]+)"[ \t\n\r]*:[ \t\n\r]*')
_AFTER_VALUE = re.compile(r"[ \t\n\r]*([,}])")
_AFTER_NAME = re.compile(r"[ \t\n\r]*:[ \t\n\r]*")


_DATA = '"data":'
# Beyond it nothing is gained, and a batch must not be searched to its end for each of its events.
_HEAD_CHARS_MAX: Final = 8192


@dataclass(frozen=True, slots=True)
class Members:
    """An object as read.

    Attributes:
        values: Every member's value, by name, in the order they came.
        spans: The slice of text that a value stands in; for plain strings only where the name is `data`.
        end: The position after the closing brace.
    """

    values: dict[str, Any]
    spans: dict[str, tuple[int, int]]
    end: int


def scan_members(text: str, position: int) -> Members:
    """Read the object that starts at `position`.

    Raises:
        MalformedJsonError: It is not an object in strict JSON, or a name occurs twice.
    """
    if text[position : position + 1] != "{":
        raise MalformedJsonError.at("", "is not an event: a JSON object was expected")
    return _data_last(text, position) or _one_by_one(text, position)


def _data_last(text: str, position: int) -> Members | None:
    """Read an object whose last member is `data`, as nearly every event is written: two calls of the decoder.

    All before `data` is decoded as an object of its own. That it ends exactly there proves that the quote
    found begins a member's name at the top level, for a prefix of JSON reads the same whatever follows it.
    None where anything is unusual or wrong: then the members are read one by one, and what is wrong is named.
    """
    name = text.find(_DATA, position, position + _HEAD_CHARS_MAX)
    comma = text.rfind(",", position, name)
    if name < 0 or comma < 0 or (comma + 1 != name and text[comma + 1 : name].strip(" \t\n\r")):
        return None
    values = object_at(text[position:comma])
    if not values or "data" in values or len(values) >= MEMBERS_MAX:
        return None
    start = skip_space(text, name + len(_DATA))
    values["data"], end = value_at(text, start, "/data")
    close = skip_space(text, end)
    return Members(values, {"data": (start, end)}, close + 1) if text[close : close + 1] == "}" else None


def _one_by_one(text: str, position: int) -> Members:
    values: dict[str, Any] = {}
    spans: dict[str, tuple[int, int]] = {}
    position += 1
    if text[(empty := skip_space(text, position)) : empty + 1] == "}":
        return Members(values, spans, empty + 1)
    while len(values) < MEMBERS_MAX:
        run = _RUN.match(text, position)
        if run is not None:
            _add_run(values, _PAIR.findall(text, position, run.end()))
            position = run.end()
            if len(values) > MEMBERS_MAX:
                break
        name, start = _name(text, position)
        if name in values:
            raise _twice(name)
        values[name], end = value_at(text, start, pointer_of(name))
        spans[name] = (start, end)
        after = _AFTER_VALUE.match(text, end)
        if after is None:
            raise MalformedJsonError.at(
                pointer_of(name), "is not valid JSON: expected , or } after the value"
            )
        position = after.end()
        if after[1] == "}":
            return Members(values, spans, position)
    raise MalformedJsonError.at("", f"has more than {MEMBERS_MAX} members")


def _add_run(values: dict[str, Any], pairs: list[tuple[str, str]]) -> None:
    count = len(values) + len(pairs)
    before = set(values)
    values.update(pairs)
    if len(values) != count:
        for name, _ in pairs:
            if name in before:
                raise _twice(name)
            before.add(name)


def _twice(name: str) -> MalformedJsonError:
    return MalformedJsonError.at(pointer_of(name), "occurs twice")


def _name(text: str, position: int) -> tuple[str, int]:
    plain = _NAME.match(text, position)
    if plain is not None:
        return plain[1], plain.end()
    position = skip_space(text, position)
    if text[position : position + 1] != '"':
        raise MalformedJsonError.at("", "is not valid JSON: expected a member name in double quotes")
    name, end = value_at(text, position, "")
    colon = _AFTER_NAME.match(text, end)
    if colon is None:
        raise MalformedJsonError.at("", f"is not valid JSON: expected : after the name {shown(name)}")
    return name, colon.end()
