"""The header block of a request, from names and values that strangers may have chosen.

Framing is the sender's own: a caller can neither end a line nor say how long the body is, so no request of
ours can be read as two (RFC 9112, sections 5 and 11.1).
"""

import re
from collections.abc import Iterable
from functools import lru_cache

from gateway.domain.sending import SendError, SendErrorKind

BLOCK_BYTES_MAX = 64 * 1024
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
#: Made by the sender or hop by hop (RFC 9110, 7.6.1): never a caller's.
FRAMING = frozenset(
    {
        *("connection", "content-length", "expect", "host", "keep-alive", "proxy-authenticate"),
        *("proxy-authorization", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"),
    }
)
_VALUE_BYTES = bytes([ord("\t"), *range(ord(" "), ord("~") + 1)])


def block_from_text(headers: Iterable[tuple[str, str]]) -> bytes:
    """The lines of these headers; raises ``SendError`` (``REFUSED``) for what cannot be sent."""
    lines = [f"{_label(name)}{value}\r\n" for name, value in headers]
    try:
        block = "".join(lines).encode("ascii")
    except UnicodeEncodeError:
        raise _unsendable("a header value is not ASCII") from None
    return _checked(block, len(lines))


def block_from_bytes(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The same for headers that are bytes already."""
    lines = [b"%b%b\r\n" % (_label_bytes(name), value) for name, value in headers]
    return _checked(b"".join(lines), len(lines))


def method_bytes(method: str) -> bytes:
    """A request method for the request line; raises ``SendError`` (``REFUSED``) for what is none."""
    if not re.fullmatch(r"[A-Z]{1,16}", method):
        raise _unsendable("the method is not a word in capitals")
    return method.encode("ascii")


def _checked(block: bytes, lines: int) -> bytes:
    # One pass in C over the block: without what a value may hold, our own line ends must be all that is left.
    if block.translate(None, _VALUE_BYTES) != b"\r\n" * lines:
        raise _unsendable("a header value holds a control character or is not ASCII")
    if len(block) > BLOCK_BYTES_MAX:
        raise _unsendable("the headers are too large")
    return block


@lru_cache(maxsize=1024)
def _label(name: str) -> str:
    if not _TOKEN.fullmatch(name):
        raise _unsendable("a header name is not a token")
    if name.lower() in FRAMING:
        raise _unsendable(f"the header {name} is the sender's own")
    return f"{name}: "


@lru_cache(maxsize=1024)
def _label_bytes(name: bytes) -> bytes:
    return _label(name.decode("latin-1")).encode("ascii")


def _unsendable(why: str) -> SendError:
    return SendError(SendErrorKind.REFUSED, f"the request cannot be sent: {why}")
