"""Options that several commands share, spelled once."""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.errors import UsageError
from schemas import SHORT_NAMES, MalformedJsonError, strict_json, type_of

DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        help="Speak to the gateway on this data directory, not to the one at GATEWAY_URL or on .gateway.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document per record and line.")]
Limit = Annotated[int, typer.Option("--limit", min=1, help="Print at most this many records.")]


def time_option(option: str, text: str, *, other: str = "") -> str:
    """A time that an option was given, as it is; raises UsageError, which names the option, and what else it takes."""
    try:
        fits = datetime.fromisoformat(text.upper()).tzinfo is not None  # `t` and `z` may be small
    except ValueError:
        fits = False
    if not fits:
        also = f", or {other}" if other else ""
        raise UsageError(
            f"{option}: {text!r} is no time: give an RFC 3339 time with its offset, such as "
            f"2026-01-01T12:00:00Z{also}."
        )
    return text


def _time(parameter: typer.CallbackParam, text: str | None) -> str | None:
    return None if text is None else time_option(parameter.opts[0], text)


Since = Annotated[
    str | None, typer.Option("--since", callback=_time, help="Not before this time (RFC 3339).")
]
Until = Annotated[str | None, typer.Option("--until", callback=_time, help="Before this time (RFC 3339).")]


def json_option(option: str, text: str) -> Any:  # noqa: ANN401 - a JSON value is any of six types
    """The JSON value that an option was given; raises UsageError, which names the option."""
    try:
        return strict_json.decode(text.encode("utf-8", "surrogatepass"), option)
    except MalformedJsonError as error:
        raise UsageError(f"{error}.") from None


def json_object_option(option: str, text: str) -> dict[str, Any]:
    """The JSON object that an option was given; raises UsageError, which names the option."""
    value = json_option(option, text)
    if not isinstance(value, dict):
        raise UsageError(f'{option}: must be a JSON object, such as {{"name": "value"}}.')
    return value


def full_types(types: list[str] | None) -> list[str] | None:
    """Event types with Letta's short names spelled out; others are taken as they are, none given is None."""
    return [type_of(name) if name in SHORT_NAMES else name for name in types] if types else None


def event_names(incomplete: str) -> list[str]:
    """The short names of Letta's events, for a shell to complete."""
    return [name for name in SHORT_NAMES if name.startswith(incomplete)]
