"""What of OpenTelemetry's variables a log must not have: its libraries quote what is malformed or refused."""

import re
from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import unquote, urlsplit

_HEADERS: Final = re.compile(r"OTEL_EXPORTER_\w*HEADERS")
_ENDPOINT: Final = re.compile(r"OTEL_EXPORTER_\w*ENDPOINT")
_WORD_CHARS_MAX: Final = 7
"""A value as short as this is a tenant's name or a flag, and stands in other words: only the whole of it is one."""
_USUAL: Final = frozenset(
    {
        *(
            "api",
            "collector",
            "default",
            "ingest",
            "logs",
            "metrics",
            "opentelemetry",
            "otel",
            "otlp",
            "public",
        ),
        *("traces", "v1", "v1development", "v2", "v3"),
    }
)
"""Parts of a path that are no secret of anybody's."""


def secrets_of(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Keys in headers, well formed or not; of endpoints user, password, query, and what is unusual in the path."""
    found: list[str] = []
    for name, value in environ.items():
        if _HEADERS.fullmatch(name):
            found += [*_of_headers(value), *_of_headers(unquote(value))]
        elif _ENDPOINT.fullmatch(name):
            found += _of_endpoint(value)
    spelled = [form for text in found for form in (text.strip(), unquote(text).strip())]
    return tuple(dict.fromkeys(text for text in spelled if text))


def _of_headers(value: str) -> Iterator[str]:
    yield value
    for pair in value.split(","):
        yield pair
        # `name=value` is right, and `name: value` is how one gets it wrong.
        for sign in "=:":
            _, found, said = pair.partition(sign)
            if found:
                yield from _if_long(said.strip().strip('"'))
        # A key may stand behind its scheme, and without any sign.
        yield from (word for text in pair.split()[1:] for word in _if_long(text.strip('"')))


def _of_endpoint(value: str) -> Iterator[str]:
    try:
        parts = urlsplit(value.strip())
        user, password = parts.username, parts.password
    except ValueError:
        yield value
        return
    yield from (text for text in (user, password) if text)
    yield from (text for text in parts.path.split("/") if text.lower() not in _USUAL and "://" in value)
    for member in parts.query.split("&"):
        yield member
        yield from _if_long(member.partition("=")[2])
    yield parts.fragment


def _if_long(text: str) -> Iterator[str]:
    if len(text) > _WORD_CHARS_MAX:
        yield text
