"""The `traceparent` value (W3C Trace Context, section 3.2): telling a valid one from any other string."""

import re
from typing import Final

_TRACEPARENT: Final = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?P<more>-[\x20-\x7e]*)?"
)


def is_traceparent(value: str) -> bool:
    """Tell whether the value is valid: lower-case hex, no all-zero id, nothing after version 00's flags."""
    match = _TRACEPARENT.fullmatch(value)
    return match is not None and (match["more"] is None or not value.startswith("00"))
