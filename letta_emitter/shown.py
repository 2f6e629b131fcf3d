"""What the emitter's spans may say of an event: texts without secrets that this process knows, and bounded.

They go wherever Letta's own tracing goes, with ids and subjects that somebody else chose.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from urllib.parse import parse_qsl, unquote, urlsplit

from letta_emitter.settings import PREFIX, EmitterSettings
from otel.attributes import cut
from otel.redaction import Redaction
from otel.secrets import secrets_of

_LETTA = "LETTA_"
"""Letta reads OpenTelemetry's variables under names of its own."""


@lru_cache(maxsize=8)
def shown_by(settings: EmitterSettings) -> Callable[[str], str]:
    """What makes a text fit for an attribute. Made at the first span; the environment is read then, and once."""
    redaction = Redaction(known_secrets(settings, os.environ))

    def shown(text: str) -> str:
        # Masked before it is cut: what is cut in two is no longer known for a secret.
        return cut(redaction.text(text) if redaction.touches(text) else text)

    return shown


def known_secrets(settings: EmitterSettings, environ: Mapping[str, str]) -> tuple[str, ...]:
    """The password of Redis, the gateway's token, and what OpenTelemetry's exporters are given."""
    named = {name.removeprefix(_LETTA): value for name, value in environ.items()}
    token = environ.get(f"{PREFIX}GATEWAY_TOKEN", "").strip()
    found = [*_of_url(settings.redis_url), token, *secrets_of(named)]
    return tuple(dict.fromkeys(secret for secret in found if secret))


def _of_url(url: str) -> Iterator[str]:
    parts = urlsplit(url)
    if parts.password:
        yield from (parts.password, unquote(parts.password))
    yield from (value for name, value in parse_qsl(parts.query) if name == "password")
