"""The event as nearly every producer writes it, read in one pass: two calls of the decoder, and a few looks.

Strings of printable ASCII for attributes, with usual names, and JSON in `data` as the last member, without white space
around names. Whatever else it may be, sound or not, is left to the general way (`json_format`), which says the same of
what is read here (`tests/schemas/test_usual_event.py`).
"""

from typing import Any, Final

from pydantic_core import from_json

from schemas.attributes import USUAL_NAMES, keep_their_rules
from schemas.envelope import JSON_TYPE, Content, Envelope
from schemas.strict_json import decode_usual

_DATA: Final = b',"data":'
_HEAD_BYTES_MAX: Final = 8192
"""More than the attributes of any usual event have."""
_JSON: Final = Content.JSON


def usual_event(raw: bytes) -> tuple[Envelope, Any] | None:
    """Read one event in the JSON format, with its data decoded; None for one that is unusual or wrong.

    What stands before `data` is decoded as an object of its own, and what stands between its name and the last brace as
    a value. That the first is one proves that the name is a member's at the top level, for a prefix of JSON reads the
    same whatever follows it.
    """
    length = raw.find(_DATA, 0, _HEAD_BYTES_MAX)
    if length < 0 or raw[-1:] != b"}":
        return None
    body = raw[length + len(_DATA) : -1]
    if body.strip() != body:
        return None
    try:
        attributes = _attributes(raw[:length] + b"}")
        return None if attributes is None else (Envelope(raw, attributes, body, _JSON), decode_usual(body))
    except ValueError:
        return None


def _attributes(head: bytes) -> dict[str, str] | None:
    """The attributes in an object, if they are all usual and sound. Raises ValueError where it is no JSON."""
    # Control characters stand in no JSON string but escaped, so this leaves printable ASCII.
    if b"\\" in head or b"\x7f" in head or not head.isascii():
        return None
    attributes = from_json(head, allow_inf_nan=False, cache_strings="keys")
    try:
        "".join(attributes.values())
    except TypeError:
        return None
    # Each attribute has four quotes, two strings: one that was there twice leaves more than that.
    if (
        head.count(b'"') == 4 * len(attributes)
        and USUAL_NAMES.issuperset(attributes)
        and attributes.get("datacontenttype", JSON_TYPE) == JSON_TYPE
        and keep_their_rules(attributes)
    ):
        return attributes  # type: ignore[no-any-return]  # names and texts, by what was asked
    return None
