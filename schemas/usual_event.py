"""The event as nearly every producer writes it, read in one pass: two calls of the scanner, and a few looks.

Strings of printable ASCII for attributes, with usual names, and JSON in `data` as the last member, without white space
around names. Whatever else it may be, sound or not, is left to the general way (`json_format`), which says the same of
what is read here (`tests/schemas/test_usual_event.py`).
"""

from typing import Any, Final

from schemas.attributes import USUAL_NAMES, keep_their_rules
from schemas.envelope import JSON_TYPE, Content, Envelope
from schemas.strict_json import scan, usual_at

_DATA: Final = ',"data":'
_HEAD_CHARS_MAX: Final = 8192
"""More attributes than any usual event has."""


def usual_event(raw: bytes) -> tuple[Envelope, Any] | None:
    """Read one event in the JSON format, with its data decoded; None for one that is unusual or wrong.

    What stands before `data` is decoded as an object of its own. That it ends exactly there proves that the name
    found is a member's at the top level, for a prefix of JSON reads the same whatever follows it.
    """
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return None
    length = text.find(_DATA, 0, _HEAD_CHARS_MAX)
    attributes = None if length < 0 else _attributes(text[:length] + "}")
    if attributes is None:
        return None
    begin = length + len(_DATA)
    found = usual_at(text, begin)
    if found is None or text[found[1] :] != "}":
        return None
    data, end = found
    body = raw[begin:end] if text.isascii() else text[begin:end].encode()
    return Envelope(raw, attributes, body, Content.JSON), data


def _attributes(head: str) -> dict[str, str] | None:
    """The attributes in an object, if they are all usual and sound."""
    # Control characters stand in no JSON string but escaped, so this leaves printable ASCII.
    if "\\" in head or "\x7f" in head or not head.isascii():
        return None
    try:
        attributes, end = scan(head, 0)
        "".join(attributes.values())
    except (ValueError, StopIteration, RecursionError, AttributeError, TypeError):
        return None
    if (
        end == len(head)
        # Each attribute has four quotes, two strings: one that was there twice leaves more than that.
        and head.count('"') == 4 * len(attributes)
        and USUAL_NAMES.issuperset(attributes)
        and attributes.get("datacontenttype", JSON_TYPE) == JSON_TYPE
        and keep_their_rules(attributes)
    ):
        return attributes  # type: ignore[no-any-return]  # names and texts, by what was asked
    return None
