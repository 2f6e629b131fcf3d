"""The entries of a Redis stream as they are read: what holds an event, and in which order they stand."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from struct import Struct
from struct import error as StructError  # noqa: N812 - an exception's name
from typing import Any, Final

from faststream.redis.parser import BinaryMessageFormatV1

_DATA_FIELD = b"__data__"
_EVENT_FIELDS = (b"event", b"cloudevent", b"data")
_MAGIC: Final = BinaryMessageFormatV1.IDENTITY_HEADER
_HEADERS_AT: Final = len(_MAGIC) + 10
"""Where the headers of a frame begin: behind the version, a short, and two places, integers."""
_USUAL_FRAME: Final = _MAGIC + b"\x00\x01" + _HEADERS_AT.to_bytes(4, "big")
_ONE_FIELD: Final = 2
_DATA_AT_AND_COUNT: Final = Struct(">IH").unpack_from


@dataclass(slots=True)
class RawEntry:
    """One entry of the stream: its id, the bytes of the event where a field holds them, and all of it."""

    id: str
    event: bytes | None
    raw: bytes


def event_bytes(fields: Mapping[bytes, bytes]) -> bytes | None:
    """The event in an entry: FastStream's frame, the one field, or a field named for it.

    FastStream's own parser takes a plain structured event with string ``data`` for its old JSON frame and
    drops the envelope, so a frame is opened only where its magic number stands.
    """
    value = fields.get(_DATA_FIELD)
    if value is None and len(fields) == 1:
        value = next(iter(fields.values()))
    if value is None:
        value = next((fields[name] for name in _EVENT_FIELDS if name in fields), None)
    return framed(value) if value is not None and value.startswith(_MAGIC) else value


def framed(frame: bytes) -> bytes:
    """What is in a frame of FastStream's, as FastStream reads it; of one that is broken, all of it.

    One that is as FastStream writes it is measured and not parsed: nobody asks for its headers.
    """
    if frame.startswith(_USUAL_FRAME):
        try:
            data_at, count = _DATA_AT_AND_COUNT(frame, len(_USUAL_FRAME))
            at = _HEADERS_AT + 2
            for _ in range(2 * count):  # names and values, each behind its length, a short
                at += 2 + (frame[at] << 8 | frame[at + 1])
        except (IndexError, StructError):
            at = data_at = -1
        if at == data_at and 0 <= at <= len(frame) and frame[_HEADERS_AT:at].isascii():
            return frame[at:]
    data: bytes = BinaryMessageFormatV1.parse(frame)[0]
    return data


def raw_entry(entry_id: bytes, fields: Mapping[bytes, bytes] | None) -> RawEntry:
    """An entry as Redis gave it; what holds no event is kept whole, as JSON, for a person to read."""
    event = event_bytes(fields) if fields else None
    return RawEntry(entry_id.decode(), event, _everything(fields or {}) if event is None else event)


def flat_entry(entry_id: bytes, fields: Sequence[bytes] | None) -> RawEntry:
    """The same, of an entry whose names and values follow each other, as they stand in Redis's answer."""
    if fields is None or len(fields) != _ONE_FIELD:
        names_and_values = iter(fields or ())
        return raw_entry(entry_id, dict(zip(names_and_values, names_and_values, strict=True)))
    value = fields[1]
    event = framed(value) if value.startswith(_MAGIC) else value
    return RawEntry(entry_id.decode(), event, event)


def _everything(fields: Mapping[bytes, bytes]) -> bytes:
    texts = {
        name.decode("utf-8", "backslashreplace"): value.decode("utf-8", "backslashreplace")
        for name, value in fields.items()
    }
    return json.dumps(texts).encode()


def items_of(found: Any) -> list[tuple[bytes, Mapping[bytes, bytes] | None]]:  # noqa: ANN401 - two protocol versions
    """The entries in an XREADGROUP answer: a list under RESP2, a mapping under RESP3."""
    if not found:
        return []
    if isinstance(found, dict):
        return [item for lists in found.values() for part in lists for item in part]
    return list(found[0][1])


def flat_answer(response: Any, **_options: object) -> list[Any]:  # noqa: ANN401 - likewise
    """Streams with their entries in an XREADGROUP answer, those as they came; nothing, where there are none.

    The client would make a dictionary of each entry, at a quarter of what reading it costs.
    """
    if not response:
        return []
    return list(response.items()) if isinstance(response, dict) else list(response)


def order_of(entry_id: str) -> tuple[int, int]:
    """What entry ids are compared by: milliseconds and the number within them."""
    milliseconds, _, number = entry_id.partition("-")
    return int(milliseconds), int(number)


def after(entry_id: str) -> str:
    """The smallest id behind this one."""
    milliseconds, number = order_of(entry_id)
    return f"{milliseconds}-{number + 1}"
