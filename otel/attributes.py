"""Attributes that may leave the house: bounded, and without what a sink's URL keeps secret."""

import re
from typing import Final
from urllib.parse import urlsplit

from otel import names
from otel.spans import Value
from schemas import Envelope

TEXT_CHARS_MAX: Final = 256
"""Of a text that somebody else chose, such as an event's subject."""

REDACTED: Final = "REDACTED"
_SEGMENTS_MAX: Final = 8
_PORTS: Final = {"http": 80, "https": 443}
_PLAIN: Final = re.compile(r"(?:[a-z]{1,16}[-_.])*[a-z]{1,16}(?:[-_.]?[0-9]{1,4})?")
_PLAIN_CHARS_MAX: Final = 16


def cut(text: str) -> str:
    """The text, or as much of it as an attribute may hold."""
    return text if len(text) <= TEXT_CHARS_MAX else text[: TEXT_CHARS_MAX - 1] + "…"


def event_attributes(envelope: Envelope) -> dict[str, Value]:
    """What an event is called (CONFORMANCE 41), never its data."""
    found: dict[str, Value] = {
        names.EVENT_ID: cut(envelope.id),
        names.EVENT_SOURCE: cut(envelope.source),
        names.EVENT_SPEC_VERSION: "1.0",
        names.EVENT_TYPE: cut(envelope.type),
    }
    if envelope.subject is not None:
        found[names.EVENT_SUBJECT] = cut(envelope.subject)
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
    """A URL without what may be a secret: no user, no query, and of its path only words that say where it leads.

    For many receivers the path is the key (`/services/T0/B0/…`), so whatever does not look like a word is left out.
    """
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    segments = parts.path.split("/")
    shown = [part if _is_plain(part) else REDACTED for part in segments[:_SEGMENTS_MAX]]
    if len(segments) > _SEGMENTS_MAX:
        shown.append(REDACTED)
    query = f"?{REDACTED}" if parts.query else ""
    return cut(f"{parts.scheme}://{host}{'/'.join(shown)}{query}")


def _is_plain(segment: str) -> bool:
    return not segment or (len(segment) <= _PLAIN_CHARS_MAX and _PLAIN.fullmatch(segment) is not None)
