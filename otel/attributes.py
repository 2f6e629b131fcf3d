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
_PORTS: Final = {"http": 80, "https": 443}
_USUAL: Final = frozenset(
    {
        *("agent", "agents", "api", "apis", "app", "callback", "callbacks", "cloudevent", "cloudevents"),
        *("consumer", "consumers", "event", "events", "external", "functions", "gateway", "hook", "hooks"),
        *("http", "in", "inbound", "inbox", "incoming", "ingest", "integration", "integrations", "internal"),
        *("letta", "listener", "message", "messages", "notification", "notifications", "notify", "post"),
        *("public", "receive", "receiver", "rest", "service", "services", "sink", "source", "sources"),
        *("subscriber", "subscribers", "webhook", "webhooks", "workflow", "workflows"),
        *("v1", "v2", "v3", "v4"),
    }
)
"""Words of a path that are no secret of anybody's, since everybody uses them."""
_WORDS_MAX: Final = 2
"""Of one segment, such as `letta-webhook`: more of them, however usual, may be a pass phrase."""
_BETWEEN_WORDS: Final = re.compile(r"[-_.]")


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
    """A URL without what may be a secret: no user, no query, and of its path the usual words that it begins with.

    For many receivers the path is the key (`/services/T0/B0/…`, `/hook-letmein`), and a key may look like any word. So
    what is not one of a few well-known words is left out, with all that follows it.
    """
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    query = f"?{REDACTED}" if parts.query else ""
    return cut(f"{parts.scheme}://{host}{'/'.join(_shown_segments(parts.path.split('/')))}{query}")


def _shown_segments(segments: Sequence[str]) -> Iterator[str]:
    """The first is what stands before the first slash: nothing."""
    for segment in segments:
        if segment and not _is_usual(segment):
            yield REDACTED
            return
        yield segment


def _is_usual(segment: str) -> bool:
    words = _BETWEEN_WORDS.split(segment)
    return len(words) <= _WORDS_MAX and all(word in _USUAL for word in words)
