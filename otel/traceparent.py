"""W3C Trace Context: the `traceparent` and `tracestate` values, as plain text and nothing else.

Standard: https://www.w3.org/TR/trace-context/ sections 3.2 (traceparent) and 3.3 (tracestate).
CONFORMANCE rows 33 and 47: what came in wrong is never passed on as right, and what we make is version 00.
"""

import hashlib
import re
from dataclasses import dataclass
from typing import Final, Self

from schemas.trace_context import TraceParentFields, traceparent_fields

TRACE_ID_BYTES: Final = 16
SPAN_ID_BYTES: Final = 8
TRACESTATE_MEMBERS_MAX: Final = 32

_ZERO_TRACE: Final = "0" * (2 * TRACE_ID_BYTES)
_ZERO_SPAN: Final = "0" * (2 * SPAN_ID_BYTES)
_TRACE_ID: Final = re.compile(r"[0-9a-f]{32}")
_SPAN_ID: Final = re.compile(r"[0-9a-f]{16}")
_SAMPLED: Final = 0x01

# Keys as in Level 2 of the standard, which also lets a simple key begin with a digit.
_MEMBER: Final = re.compile(
    r"(?P<key>[a-z0-9][a-z0-9_\-*/]{0,255}|[a-z0-9][a-z0-9_\-*/]{0,240}@[a-z][a-z0-9_\-*/]{0,13})"
    r"=(?P<value>[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e])"
)
# 32 members of the longest key and value, with their commas: whatever is longer is not a list of 32.
_TRACESTATE_CHARS_MAX: Final = TRACESTATE_MEMBERS_MAX * (256 + 1 + 256 + 1)


@dataclass(slots=True, unsafe_hash=True)
class TraceParent:
    """One point in a trace: lowercase hex ids of 16 and 8 bytes, neither all zero, and the sampled flag.

    Raises ValueError when built from anything else, so that every instance renders to a valid header. A value that is
    never changed; not frozen, for each attempt makes two of them and that would be most of the cost.
    """

    trace_id: str
    span_id: str
    sampled: bool

    def __post_init__(self) -> None:
        if not _TRACE_ID.fullmatch(self.trace_id) or self.trace_id == _ZERO_TRACE:
            raise ValueError(f"a trace id is 32 lowercase hex digits, not all zero, not {self.trace_id!r}")
        if not _SPAN_ID.fullmatch(self.span_id) or self.span_id == _ZERO_SPAN:
            raise ValueError(f"a span id is 16 lowercase hex digits, not all zero, not {self.span_id!r}")

    def render(self) -> str:
        """The header value, version 00; every flag that version 00 does not define is zero."""
        return f"00-{self.trace_id}-{self.span_id}-{'01' if self.sampled else '00'}"

    def with_span(self, span_id: str) -> Self:
        """The same trace and flag at another span."""
        if not _SPAN_ID.fullmatch(span_id) or span_id == _ZERO_SPAN:
            raise ValueError(f"a span id is 16 lowercase hex digits, not all zero, not {span_id!r}")
        return self._of_checked(self.trace_id, span_id, sampled=self.sampled)

    @classmethod
    def _of_checked(cls, trace_id: str, span_id: str, *, sampled: bool) -> Self:
        """What is known to be valid is not checked again: there are two of these for every POST."""
        point = object.__new__(cls)
        point.trace_id, point.span_id, point.sampled = trace_id, span_id, sampled
        return point


def parse_traceparent(text: str) -> TraceParent | None:
    """Read a `traceparent` value, or None where the standard says to ignore it (section 3.2.2.4 and 4.3).

    The grammar is the schemas', so that an event never carries as valid what a trace does not follow. Flags
    other than `sampled` are ignored.
    """
    found = traceparent_fields(text)
    return None if found is None else trace_of(found)


def trace_of(found: TraceParentFields) -> TraceParent:
    """The point of which a valid value says this."""
    sampled = bool(found.flags & _SAMPLED)
    return TraceParent._of_checked(found.trace_id, found.span_id, sampled=sampled)  # noqa: SLF001 - our own


def derive(*parts: str) -> TraceParent:
    """A trace made from the parts alone: the same ids on every host and after every crash.

    It is sampled, since nobody upstream decided against it.
    """
    digest = hashlib.sha256()
    for part in parts:
        raw = part.encode("utf-8", "surrogatepass")
        digest.update(len(raw).to_bytes(8, "big"))
        digest.update(raw)
    whole = digest.digest()
    trace = _non_zero(whole[:TRACE_ID_BYTES])
    span = _non_zero(whole[TRACE_ID_BYTES : TRACE_ID_BYTES + SPAN_ID_BYTES])
    return TraceParent(trace.hex(), span.hex(), sampled=True)


def span_id_from(random: bytes) -> str:
    """A span id from 8 random bytes, which the caller draws; all zero, which the standard forbids, becomes 1.

    Raises ValueError for another number of bytes.
    """
    if len(random) != SPAN_ID_BYTES:
        raise ValueError(f"a span id is made from {SPAN_ID_BYTES} bytes, not {len(random)}")
    return _non_zero(random).hex()


def valid_tracestate(text: str) -> bool:
    """Whether the value may be passed on: 1 to 32 members, no key twice (sections 3.3.1.1 to 3.3.1.3).

    Empty members are allowed by the standard; a list of nothing else carries nothing and is not valid here.
    """
    if len(text) > _TRACESTATE_CHARS_MAX:
        return False
    members = [member for raw in text.split(",") if (member := raw.strip(" \t"))]
    if not 0 < len(members) <= TRACESTATE_MEMBERS_MAX:
        return False
    keys: set[str] = set()
    for member in members:
        match = _MEMBER.fullmatch(member)
        if match is None:
            return False
        keys.add(match["key"])
    return len(keys) == len(members)


def _non_zero(raw: bytes) -> bytes:
    """The bytes themselves, or, where every one is zero, the same number of them with the last set to 1."""
    return raw if raw.strip(b"\0") else bytes(len(raw) - 1) + b"\x01"
