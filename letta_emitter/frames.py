"""How a record lies in a spool file: pure functions over bytes.

A frame is `magic(4) length(4) crc32(4) sequence(8) payload`, big-endian. The magic starts with 0xFF, which
no UTF-8 text contains, so after damage the next frame can be found by looking for it: a payload (JSON)
never looks like a frame.
"""

from __future__ import annotations

import enum
import struct
import zlib
from typing import NamedTuple

_PREFIX = b"\xffLS"
_HEAD = struct.Struct(">4sIIQ")
_SEQUENCE = struct.Struct(">Q")

HEAD_BYTES = _HEAD.size
PAYLOAD_BYTES_MAX = 8 * 1024 * 1024
"""The largest event that the spool takes. Above what the gateway accepts, so that it is the gateway that says no."""

SIGNATURE = b"letta-emitter spool 1"


class Kind(enum.Enum):
    """What a frame is, as the fourth byte of its magic."""

    HEADER = _PREFIX + b"H"
    """The first frame of a file; its sequence is the last one handed out before the file."""
    RECORD = _PREFIX + b"R"
    """One event: the payload is the structured CloudEvent as it goes to Redis."""
    END = _PREFIX + b"E"
    """The last frame of a segment: writers go on in the next one."""


class Frame(NamedTuple):
    """One whole frame, with the offset just after it."""

    kind: Kind
    sequence: int
    payload: bytes
    end: int


class Incomplete(NamedTuple):
    """The bytes end before the frame at `offset` does."""

    offset: int


class Damaged(NamedTuple):
    """There is no valid frame at `offset`."""

    offset: int


_KINDS = {kind.value: kind for kind in Kind}


def encode(kind: Kind, sequence: int, payload: bytes = b"") -> bytes:
    """Return the frame that holds this payload."""
    crc = zlib.crc32(payload, zlib.crc32(_SEQUENCE.pack(sequence)))
    return _HEAD.pack(kind.value, len(payload), crc, sequence) + payload


def header(base_sequence: int) -> bytes:
    """Return the first frame of a new file."""
    return encode(Kind.HEADER, base_sequence, SIGNATURE)


def decode(data: bytes, offset: int) -> Frame | Incomplete | Damaged:
    """Read the frame that starts at this offset of the bytes."""
    if len(data) - offset < HEAD_BYTES:
        return Incomplete(offset)
    magic, length, crc, sequence = _HEAD.unpack_from(data, offset)
    kind = _KINDS.get(magic)
    if kind is None or length > PAYLOAD_BYTES_MAX:
        return Damaged(offset)
    start = offset + HEAD_BYTES
    end = start + length
    if end > len(data):
        return Incomplete(offset)
    payload = data[start:end]
    if zlib.crc32(payload, zlib.crc32(_SEQUENCE.pack(sequence))) != crc:
        return Damaged(offset)
    return Frame(kind, sequence, payload, end)


def resync(data: bytes, offset: int) -> int | None:
    """Return where the next valid frame after a damaged one starts, or None if these bytes hold none."""
    at = data.find(_PREFIX, offset + 1)
    while at != -1:
        if isinstance(decode(data, at), Frame):
            return at
        at = data.find(_PREFIX, at + 1)
    return None


class Tail(NamedTuple):
    """What a scan of a file found: where its valid part ends, the last sequence, whether it is closed."""

    end: int
    sequence: int
    closed: bool


def scan_tail(data: bytes, base: int, sequence: int) -> Tail:
    """Walk all frames of these bytes, which start at file offset `base`, to the end of the last valid one.

    What follows the returned end is torn (a writer died there) and may be cut. Damage in the middle is
    stepped over: it belongs to the reader, who counts it.
    """
    offset = end = 0
    closed = False
    while offset < len(data):
        match decode(data, offset):
            case Frame(kind=kind, sequence=found, end=after):
                sequence = max(sequence, found)
                closed = kind is Kind.END
                offset = end = after
            case _:
                later = resync(data, offset)
                if later is None:
                    break
                offset = later
    return Tail(base + end, sequence, closed)
