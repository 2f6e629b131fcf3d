"""Reading server-sent events (WHATWG HTML, 9.2.6): bytes in, events out, pure."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from gateway.errors import AnswerError

_LINE_END = re.compile(rb"\r\n|\n|\r")
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """One event, or a bare id: where a client that comes again goes on.

    Attributes:
        id: The last id that was given, up to here; empty for none.
        data: The data lines, joined by line ends; None: the block had none, so there is nothing to handle.
        retry_ms: How long to wait before coming again, where the block says so.
    """

    id: str
    data: str | None
    retry_ms: int | None = None


def parse_events(chunks: Iterable[bytes], bytes_max: int) -> Iterator[ServerEvent]:
    """Read a stream, block by block; one that is cut off in the middle of a block ends before it.

    Raises ``AnswerError`` for a block of more than ``bytes_max`` bytes.
    """
    block: list[bytes] = []
    size, last_id = 0, ""
    for line in _lines(chunks, bytes_max):
        if line:
            size += len(line)
            if size > bytes_max:
                raise _too_large(bytes_max)
            block.append(line)
            continue
        if block:
            event = _event(block, last_id)
            last_id = event.id
            yield event
        block, size = [], 0


def _lines(chunks: Iterable[bytes], bytes_max: int) -> Iterator[bytes]:
    """Whole lines, whichever of the three line ends they have."""
    rest, first = b"", True
    for chunk in chunks:
        rest += chunk
        if first and len(rest) >= len(_BOM):
            rest, first = rest.removeprefix(_BOM), False
        # A carriage return at the end may be half of a line end.
        held = rest[-1:] if rest.endswith(b"\r") else b""
        *lines, rest = _LINE_END.split(rest[: len(rest) - len(held)])
        rest += held
        yield from lines
        if len(rest) > bytes_max:
            raise _too_large(bytes_max)


def _event(block: list[bytes], last_id: str) -> ServerEvent:
    data: list[str] = []
    retry_ms = None
    for line in block:
        name, _, value = line.decode("utf-8", "replace").partition(":")
        value = value.removeprefix(" ")
        match name:
            case "data":
                data.append(value)
            case "id" if "\0" not in value:
                last_id = value
            case "retry" if value.isascii() and value.isdigit():
                retry_ms = int(value)
            case _:
                pass  # a comment, or a field that nobody knows
    return ServerEvent(last_id, "\n".join(data) if data else None, retry_ms)


def _too_large(bytes_max: int) -> AnswerError:
    return AnswerError(f"The stream has an event of more than {bytes_max} bytes.")
