"""Attributes that may leave the house: bounded, and without what a sink's URL keeps secret."""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final
from urllib.parse import urlsplit

from otel import names
from otel.spans import Value
from schemas import Envelope

TEXT_CHARS_MAX: Final = 256
"""Of a text that somebody else chose, such as an event's subject."""

REDACTED: Final = "REDACTED"
_SEGMENTS_MAX: Final = 3
_BEFORE_A_KEY: Final = re.compile(r"(?:.*[-_.])?(?:web)?(?:hook|token|trigger|key|secret|path)s?(?:[-_.].*)?")
_HEX: Final = re.compile(r"[0-9a-f]{4,}")
_PORTS: Final = {"http": 80, "https": 443}
_PLAIN: Final = re.compile(r"(?:[a-z]{1,16}[-_.])*[a-z]{1,16}(?:[-_.]?[0-9]{1,4})?")
_PLAIN_CHARS_MAX: Final = 16


def cut(text: str) -> str:
    """The text, or as much of it as an attribute may hold."""
    return text if len(text) <= TEXT_CHARS_MAX else text[: TEXT_CHARS_MAX - 1] + "…"


def event_attributes(envelope: Envelope, shown: Callable[[str], str] = cut) -> dict[str, Value]:
    """What an event is called (CONFORMANCE 41), never its data; ``shown`` bounds a text and masks what is secret."""
    found: dict[str, Value] = {
        names.EVENT_ID: shown(envelope.id),
        names.EVENT_SOURCE: shown(envelope.source),
        names.EVENT_SPEC_VERSION: "1.0",
        names.EVENT_TYPE: shown(envelope.type),
    }
    if envelope.subject is not None:
        found[names.EVENT_SUBJECT] = shown(envelope.subject)
    return found


def sink_attributes(sink: str) -> dict[str, Value]:
    """Where a POST goes (CONFORMANCE 40): host, port, and the URL as it may be seen."""
    parts = urlsplit(sink)
    try:
        port = parts.port
    except ValueError:
        port = None
    found: dict[str, Value] = {
        names.HTTP_METHOD: "POST",
        names.SERVER_ADDRESS: cut(parts.hostname or ""),
        names.URL_FULL: shown_url(sink),
    }
    port = port or _PORTS.get(parts.scheme)
    if port is not None:
        found[names.SERVER_PORT] = port
    return found


def shown_url(url: str) -> str:
    """A URL without what may be a secret: no user, no query, and of its path the first plain words.

    For many receivers the path is the key (`/services/T0/B0/…`, `/hook/letmein`), and it may look like any word: what
    follows a word such as `hook` or `token`, or anything that is left out, is left out as well.
    """
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    query = f"?{REDACTED}" if parts.query else ""
    return cut(f"{parts.scheme}://{host}{'/'.join(_shown_segments(parts.path.split('/')))}{query}")


def _shown_segments(segments: Sequence[str]) -> Iterator[str]:
    """The first is what stands before the first slash: nothing."""
    for place, segment in enumerate(segments):
        if not segment:
            yield segment
        elif place > _SEGMENTS_MAX or not _is_plain(segment):
            yield REDACTED
            return
        else:
            yield segment
            if _BEFORE_A_KEY.fullmatch(segment) and any(segments[place + 1 :]):
                yield REDACTED
                return


def _is_plain(segment: str) -> bool:
    fits = len(segment) <= _PLAIN_CHARS_MAX and _HEX.fullmatch(segment) is None
    return fits and _PLAIN.fullmatch(segment) is not None
