"""Options that several commands share, spelled once."""

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
Since = Annotated[str | None, typer.Option("--since", help="Not before this time (RFC 3339).")]
Until = Annotated[str | None, typer.Option("--until", help="Before this time (RFC 3339).")]


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
