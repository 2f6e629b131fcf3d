"""JSON as strictly as RFC 8259 and I-JSON (RFC 7493) have it, at the speed of the C scanner.

Refused, at any depth: duplicate keys, NaN and Infinity, lone surrogates, a byte order mark, bytes that are
not UTF-8, numbers too long to convert, nesting deeper than `DEPTH_MAX`. The scanner works on the text with
positions, so the bytes of a value can be passed on exactly as they came.
"""

import json
import re
from typing import Any, Final, NoReturn

from pydantic_core import from_json

from schemas.errors import MalformedJsonError, TooDeepError

DEPTH_MAX: Final = 64
"""Arrays and objects inside one another, counted from the value that is decoded."""

_BOM = b"\xef\xbb\xbf"
_SPACE = " \t\n\r"
_SKIP_SPACE = re.compile(r"[ \t\n\r]*")


class _DuplicateKeyError(ValueError):
    pass


class _ConstantError(ValueError):
    pass


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        seen = set()
        for name, _ in pairs:
            if name in seen:
                raise _DuplicateKeyError(name)
            seen.add(name)
    return value


def _constant(name: str) -> NoReturn:
    raise _ConstantError(name)


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant)
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def encode(value: object) -> bytes:
    """Write compact UTF-8 JSON.

    Raises:
        ValueError: NaN, Infinity, a circular reference, or a lone surrogate (UnicodeEncodeError).
        TypeError: A value that JSON has no form for.
    """
    return _ENCODER.encode(value).encode()


def text_of(raw: bytes, pointer: str = "") -> str:
    """Decode UTF-8 without a byte order mark.

    Raises:
        MalformedJsonError: The bytes are something else.
    """
    if raw.startswith(_BOM):
        raise MalformedJsonError.at(pointer, "starts with a byte order mark; send UTF-8 without one")
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise MalformedJsonError.at(
            pointer, f"is not UTF-8: byte {error.start} is invalid; JSON must be UTF-8"
        ) from None


def decode(raw: bytes, pointer: str = "") -> Any:  # noqa: ANN401  (a JSON value is any of six types)
    """Decode one JSON text.

    Args:
        raw: The text in UTF-8; white space around the value is allowed.
        pointer: Where the text stands in the event, for the problem reported.

    Raises:
        MalformedJsonError: The text is not strict JSON.
    """
    try:
        return decode_usual(raw)
    except ValueError:
        pass
    text = text_of(raw, pointer)
    start = skip_space(text, 0)
    value, end = value_at(text, start, pointer)
    expect_end(text, end, pointer)
    return value


def decode_usual(raw: bytes) -> Any:  # noqa: ANN401  (likewise)
    """Decode one JSON text that is sound and written as nearly every one is; it is for who can go the longer way.

    Pydantic's reader is as strict as this one but for equal keys, of which it keeps the last, and for depth. So strings
    are counted: without an escape that could hide one, there are two quotes to each, and a key that was written over
    leaves its quotes behind.

    Raises:
        ValueError: The text is unusual or wrong; `decode` tells which.
    """
    value = from_json(raw, allow_inf_nan=False, cache_strings="keys")
    if type(value) is not dict and type(value) is not list:
        return value
    quotes = raw.count(b'"')
    if b"\\" in raw:
        if b"\\\\" in raw:
            raise ValueError("has escapes next to one another")
        quotes -= raw.count(b'\\"')
    if quotes != 2 * _strings_in(value, DEPTH_MAX):
        raise ValueError("has a key twice")
    return value


def _strings_in(value: dict[str, Any] | list[Any], levels: int) -> int:
    """How many strings a value was written with: keys and texts. Raises ValueError where it has more levels."""
    if not levels:
        raise ValueError("is nested too deep")
    if type(value) is dict:
        count, items = len(value), iter(value.values())
    else:
        count, items = 0, iter(value)
    for item in items:
        kind = type(item)
        if kind is str:
            count += 1
        elif kind is dict or kind is list:
            count += _strings_in(item, levels - 1)
    return count


def skip_space(text: str, position: int) -> int:
    """Return the position of the next character that is not JSON white space."""
    return position if text[position : position + 1] not in _SPACE else _skipped(text, position)


def _skipped(text: str, position: int) -> int:
    match = _SKIP_SPACE.match(text, position)
    return match.end() if match is not None else position


def expect_end(text: str, position: int, pointer: str = "") -> None:
    """Refuse anything but white space after a value."""
    if position == len(text):
        return
    position = skip_space(text, position)
    if position != len(text):
        raise MalformedJsonError.at(
            pointer, f"is not valid JSON: something follows its end ({_where(text, position)})"
        )


def value_at(text: str, position: int, pointer: str) -> tuple[Any, int]:
    """Decode the value that starts at `position`.

    Returns:
        The value and the position after it.

    Raises:
        MalformedJsonError: It is not strict JSON.
    """
    try:
        value, end = _DECODER.raw_decode(text, position)
    except json.JSONDecodeError as error:
        detail = f"is not valid JSON: {error.msg[:1].lower()}{error.msg[1:]} ({_where(text, error.pos)})"
        raise MalformedJsonError.at(pointer, detail) from None
    except _DuplicateKeyError as error:
        raise MalformedJsonError.at(
            pointer, f"has the key {shown(error.args[0])} twice in one object"
        ) from None
    except _ConstantError as error:
        raise MalformedJsonError.at(pointer, f"contains {error.args[0]}, which JSON does not have") from None
    except RecursionError:
        raise _too_deep(pointer) from None
    except ValueError:  # int() refuses very long digit strings (sys.set_int_max_str_digits)
        raise MalformedJsonError.at(
            pointer, "contains a number with too many digits; send it as a string"
        ) from None
    if type(value) is dict or type(value) is list:
        # Brackets bound the depth from above, so that almost nothing pays for the walk.
        if text.count("{", position, end) + text.count("[", position, end) > DEPTH_MAX:
            _refuse_depth(value, pointer)
    elif type(value) is not str:
        return value, end
    if text.find("\\u", position, end) >= 0:
        _refuse_lone_surrogates(value, pointer)
    return value, end


def object_at(unclosed: str) -> dict[str, Any] | None:
    """Decode an object of scalars that lacks nothing but its closing brace; None for anything else.

    Nothing is refused here. It is for a reader that can go the longer way, which names what is wrong.
    """
    # A bracket may open a container, and half a surrogate pair may hide behind an escape.
    if unclosed.find("{", 1) >= 0 or "[" in unclosed or "\\u" in unclosed:
        return None
    try:
        value, end = _DECODER.raw_decode(unclosed + "}")
    except (ValueError, RecursionError):
        return None
    return value if end == len(unclosed) + 1 and type(value) is dict else None


def _refuse_depth(value: object, pointer: str) -> None:
    level = [value]
    for _ in range(DEPTH_MAX):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)  # type: ignore[attr-defined]
            if type(inner) is dict or type(inner) is list
        ]
        if not level:
            return
    raise _too_deep(pointer)


def _too_deep(pointer: str) -> TooDeepError:
    return TooDeepError.at(pointer, f"is nested more than {DEPTH_MAX} levels deep")


def _refuse_lone_surrogates(value: object, pointer: str) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise MalformedJsonError.at(
            pointer, "contains half of a surrogate pair (\\ud800 to \\udfff); escape whole characters"
        ) from None


def _where(text: str, position: int) -> str:
    line = text.count("\n", 0, position) + 1
    column = position - text.rfind("\n", 0, position)
    return f"line {line} column {column}"


def shown(text: object) -> str:
    """Quote a value for an error sentence: short, ASCII, on one line."""
    quoted = json.dumps(text, default=repr) if not isinstance(text, dict | list) else type(text).__name__
    return quoted if len(quoted) <= 60 else quoted[:56] + '..."'  # noqa: PLR2004
