"""The `traceparent` value (W3C Trace Context, section 3.2): its one grammar, for whoever reads or passes it on."""

import re
from typing import Final, NamedTuple

TRACEPARENT_CHARS_MAX: Final = 256
"""Version 00 has 55; the standard bounds no later version, and what it may add is not ours to carry at length."""

_TRACEPARENT: Final = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?P<trace>(?!0{32})[0-9a-f]{32})-(?P<span>(?!0{16})[0-9a-f]{16})"
    r"-(?P<flags>[0-9a-f]{2})(?P<more>-[\x21-\x7e]*)?"
)
# What nearly every event has: version 00, whose parts stand where they stand.
_VERSION_00: Final = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


class TraceParentFields(NamedTuple):
    """What a valid value says, in every version: ids of 32 and 16 hex digits, and the flags' byte."""

    trace_id: str
    span_id: str
    flags: int


def traceparent_fields(value: str) -> TraceParentFields | None:
    """Read a value, or None where the standard says to ignore it (sections 3.2.2.4 and 4.3).

    Lower-case hex, no all-zero id; version ff does not exist, and version 00 is exactly 55 characters. A
    later version may carry visible ASCII after a further dash, which is dropped.
    """
    if _VERSION_00.fullmatch(value) is not None:
        return TraceParentFields(value[3:35], value[36:52], int(value[53:], 16))
    return _any_version(value)


def _any_version(value: str) -> TraceParentFields | None:
    if len(value) > TRACEPARENT_CHARS_MAX:
        return None
    match = _TRACEPARENT.fullmatch(value)
    if match is None or (match["more"] is not None and value.startswith("00")):
        return None
    return TraceParentFields(match["trace"], match["span"], int(match["flags"], 16))


def is_traceparent(value: str) -> bool:
    """Tell whether the value is valid, as `traceparent_fields` reads it."""
    return traceparent_fields(value) is not None
