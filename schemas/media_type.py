"""Media types (RFC 2045 section 5.1, RFC 9110 section 8.3): enough to tell JSON and text from the rest."""

import re
from dataclasses import dataclass
from functools import lru_cache

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105  (a grammar rule's name, not a secret)
_QUOTED = r'"(?:[^"\\\x00-\x08\x0a-\x1f\x7f-\U0010ffff]|\\[\t -~])*"'
_PARAMETER = re.compile(rf"[ \t]*;[ \t]*(?:({_TOKEN})=({_TOKEN}|{_QUOTED}))?")
_ESSENCE = re.compile(rf"({_TOKEN})/({_TOKEN})")
_LENGTH_MAX = 1024
"""Longer ones are refused: a header that long is an attack or a mistake, and results are cached."""

_UTF8_NAMES = frozenset({"utf-8", "utf8", "us-ascii", "ascii"})


@dataclass(frozen=True, slots=True)
class MediaType:
    """A parsed media type; all parts in lower case, since they compare without regard to it."""

    type: str
    subtype: str
    charset: str | None

    @property
    def essence(self) -> str:
        """Type and subtype without parameters."""
        return f"{self.type}/{self.subtype}"

    @property
    def is_json(self) -> bool:
        """Whether it declares JSON content (CloudEvents JSON format 1.0.2, section 3.1)."""
        return self.subtype == "json" or self.subtype.endswith("+json")

    @property
    def is_utf8(self) -> bool:
        """Whether the charset, where one is given, is UTF-8 or a subset of it."""
        return self.charset is None or self.charset in _UTF8_NAMES

    @property
    def is_text(self) -> bool:
        """Whether UTF-8 content of this type may stand as a JSON string."""
        text = self.type == "text" or self.subtype == "xml" or self.subtype.endswith(("+xml", "+text"))
        return (text or self.charset is not None) and self.is_utf8


@lru_cache(maxsize=512)
def _parse(value: str) -> MediaType | None:
    essence = _ESSENCE.match(value)
    if essence is None:
        return None
    charset = None
    position = essence.end()
    while position < len(value):
        parameter = _PARAMETER.match(value, position)
        if parameter is None:
            return None if value[position:].strip(" \t") else _made(essence, charset)
        if charset is None and parameter[1] is not None and parameter[1].lower() == "charset":
            charset = re.sub(r"\\(.)", r"\1", parameter[2].strip('"')).lower()
        position = parameter.end()
    return _made(essence, charset)


def _made(essence: re.Match[str], charset: str | None) -> MediaType:
    return MediaType(essence[1].lower(), essence[2].lower(), charset)


def parse(value: str) -> MediaType | None:
    """Read a media type with its parameters.

    Returns:
        The parsed type, or None if the text is not one.
    """
    return _parse(value.strip(" \t")) if len(value) <= _LENGTH_MAX else None
