"""The header lines of a request, from names and values that strangers may have chosen.

Framing is the sender's own: a caller can neither end a line nor say how long the body is, so no request of
ours can be read as two (RFC 9112, sections 5 and 11.1).
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, Self

from gateway.domain.sending import SendError, SendErrorKind

BYTES_MAX: Final = 64 * 1024
FRAMING: Final = frozenset(
    {
        *("connection", "content-length", "expect", "host", "keep-alive", "proxy-authenticate"),
        *("proxy-authorization", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"),
    }
)
"""Made by the sender or hop by hop (RFC 9110, 7.6.1): never a caller's."""

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE_BYTES = bytes([ord("\t"), *range(ord(" "), ord("~") + 1)])


@dataclass(slots=True)
class HeaderLines:
    """Header lines as they are sent, each with its end; they may hold secrets, so nothing shows in the repr.

    What many requests have in common is encoded once, and the rest put behind it by ``plus``. Iterating gives
    names and values again. Whoever makes one of written lines vouches for the names; the sender asks ``check``,
    which sees whether every value ends where its line does, whoever made it.
    """

    raw: bytes = field(default=b"", repr=False)
    count: int = 0

    @classmethod
    def of(cls, headers: Iterable[tuple[str, str]]) -> Self:
        """The lines of these headers; raises ``SendError`` (``REFUSED``) for a name that cannot be sent."""
        return cls.of_lines([f"{label(name)}{value}\r\n" for name, value in headers])

    @classmethod
    def of_lines(cls, lines: Sequence[str]) -> Self:
        """Lines that are written already."""
        return cls(_octets("".join(lines)), len(lines))

    def check(self) -> None:
        """Raises ``SendError`` (``REFUSED``) where a value holds what none may, or all together are too large."""
        # One pass in C: without what a value may hold, our own line ends must be all that is left.
        if self.raw.translate(None, _VALUE_BYTES) != b"\r\n" * self.count:
            raise unsendable("a header value holds a control character or is not ASCII")
        if len(self.raw) > BYTES_MAX:
            raise unsendable("the headers are too large")

    def plus(self, headers: Sequence[tuple[str, str]]) -> "HeaderLines":
        """These lines and those of some more headers; raises as ``of`` does."""
        text = "".join([f"{label(name)}{value}\r\n" for name, value in headers])
        return HeaderLines(self.raw + _octets(text), self.count + len(headers))

    def __iter__(self) -> Iterator[tuple[str, str]]:
        for line in self.raw.decode("latin-1").split("\r\n")[:-1]:
            name, _, value = line.partition(": ")
            yield name, value

    def __len__(self) -> int:
        return self.count


@dataclass(slots=True)
class Message:
    """What all requests of one event have in common, in a mode: header lines and the body; a value."""

    structured: bool
    dataschema: str | None
    lines: HeaderLines
    body: bytes = field(repr=False)


@lru_cache(maxsize=1024)
def label(name: str) -> str:
    """The beginning of a line, up to the value; raises ``SendError`` (``REFUSED``) for no name of a caller's."""
    if not _TOKEN.fullmatch(name):
        raise unsendable("a header name is not a token")
    if name.lower() in FRAMING:
        raise unsendable(f"the header {name} is the sender's own")
    return f"{name}: "


def unsendable(why: str) -> SendError:
    """The error for a request that cannot be sent, whatever the sink is."""
    return SendError(SendErrorKind.REFUSED, f"the request cannot be sent: {why}")


def _octets(text: str) -> bytes:
    # UTF-8 holds any text, so that it is ``check`` that refuses what is not ASCII.
    return text.encode("utf-8", "surrogatepass")
