"""The members of one JSON object, each with the slice of text its value stands in."""

import re
from dataclasses import dataclass
from typing import Any, Final

from schemas.errors import MalformedJsonError, pointer_of
from schemas.strict_json import shown, skip_space, value_at

MEMBERS_MAX: Final = 1024
"""More attributes than any event has; past it an object is refused before it costs more."""

# One match takes a whole member whose name is plain and whose value is a string of printable ASCII without
# escapes: nearly every attribute there is. Anything else goes the general way through the decoder.
_MEMBER = re.compile(
    r'[ \t\n\r]*"([a-z0-9_]+)"[ \t\n\r]*:[ \t\n\r]*(?:"([ !#-\[\]-~]*)"[ \t\n\r]*([,}]))?',
)
_AFTER_VALUE = re.compile(r"[ \t\n\r]*([,}])")
_AFTER_NAME = re.compile(r"[ \t\n\r]*:[ \t\n\r]*")


@dataclass(frozen=True, slots=True)
class Members:
    """An object as read: values and slices by name, and the position after its closing brace."""

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
    values: dict[str, Any] = {}
    spans: dict[str, tuple[int, int]] = {}
    position += 1
    while True:
        match = _MEMBER.match(text, position)
        if match is None:
            if not values and text[(position := skip_space(text, position)) : position + 1] == "}":
                return Members(values, spans, position + 1)
            name, start = _name(text, position)
        else:
            name, start = match[1], match.end()
        if name in values:
            raise MalformedJsonError.at(pointer_of(name), "occurs twice")
        if match is not None and match[3] is not None:
            values[name] = match[2]
            start, end = match.span(2)
            spans[name] = (start - 1, end + 1)
            position, separator = match.end(), match[3]
        else:
            values[name], end = value_at(text, start, pointer_of(name))
            spans[name] = (start, end)
            after = _AFTER_VALUE.match(text, end)
            if after is None:
                raise MalformedJsonError.at(
                    pointer_of(name), "is not valid JSON: expected , or } after the value"
                )
            position, separator = after.end(), after[1]
        if separator == "}":
            return Members(values, spans, position)
        if len(values) == MEMBERS_MAX:
            raise MalformedJsonError.at("", f"has more than {MEMBERS_MAX} members")


def _name(text: str, position: int) -> tuple[str, int]:
    position = skip_space(text, position)
    if text[position : position + 1] != '"':
        raise MalformedJsonError.at("", "is not valid JSON: expected a member name in double quotes")
    name, end = value_at(text, position, "")
    colon = _AFTER_NAME.match(text, end)
    if colon is None:
        raise MalformedJsonError.at("", f"is not valid JSON: expected : after the name {shown(name)}")
    return name, colon.end()
