"""The header block of a request: what `gateway.domain.header_lines` makes of text, and the same for bytes."""

import re
from collections.abc import Iterable
from functools import lru_cache

from gateway.domain.header_lines import FRAMING, HeaderLines, label, unsendable

__all__ = ["FRAMING", "block_from_bytes", "block_from_text", "method_bytes"]


def block_from_text(headers: Iterable[tuple[str, str]]) -> bytes:
    """The lines of these headers; raises ``SendError`` (``REFUSED``) for what cannot be sent."""
    lines = headers if isinstance(headers, HeaderLines) else HeaderLines.of(headers)
    lines.check()
    return lines.raw


def block_from_bytes(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The same for headers that are bytes already."""
    lines = [b"%b%b\r\n" % (_label_bytes(name), value) for name, value in headers]
    made = HeaderLines(b"".join(lines), len(lines))
    made.check()
    return made.raw


def method_bytes(method: str) -> bytes:
    """A request method for the request line; raises ``SendError`` (``REFUSED``) for what is none."""
    if not re.fullmatch(r"[A-Z]{1,16}", method):
        raise unsendable("the method is not a word in capitals")
    return method.encode("ascii")


@lru_cache(maxsize=1024)
def _label_bytes(name: bytes) -> bytes:
    return label(name.decode("latin-1")).encode("ascii")
