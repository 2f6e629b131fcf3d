"""The pages `docs/commands.md` and `docs/settings.md`, written from the code so that they cannot be out of date.

`python -m gateway.cli.docs docs` writes them; a test compares what is committed with what would be written.
"""

import inspect
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Final, get_args, get_type_hints

import typer

from gateway.cli.main import app
from gateway.settings import PREFIX, Settings, allowed_text, default_text

_MADE: Final = "Made from the code by `gateway.cli.docs`; do not edit."

_COMMANDS: Final = f"""\
# Commands

{_MADE}

One program, `letta-gateway`, also `python -m gateway`. Results go to stdout, diagnostics to stderr. It exits with 0
on success, 1 on a failed check or operation, 2 on wrong usage. With `--json` a command prints one JSON document
per record and line. Colours, and bars on long work, appear on a terminal only; colours never where `NO_COLOR` is set.
`letta-gateway --install-completion` has the shell complete commands and options.

Commands speak HTTP to a running gateway: the one on `--data-dir` where given, else the one that `GATEWAY_URL` and
`GATEWAY_API_TOKEN` name, else the one on `.gateway`. Only `migrate`, `verify-log` and `rebuild` open the database, and
they say so if somebody else has it.
"""

_SETTINGS: Final = f"""\
# Settings

{_MADE}

All settings are environment variables, read once at start-up. A wrong value stops it, with the setting's name and
what is allowed there, all wrong ones at once; the value of a setting that can hold a secret is never repeated. An
empty value counts as not set, except where "empty" is said to mean something.

## The gateway
"""

_CLIENT: Final = """\
## Commands that speak to a running gateway

| name | meaning |
| --- | --- |
| `GATEWAY_URL` | The address of its HTTP API. |
| `GATEWAY_API_TOKEN` | The token to speak to it with. |
| `LETTA_GATEWAY_LISTEN_SECRET` | The secret that `listen` verifies or signs with, where `--secret` is not given. |
| `NO_COLOR` | No colours, also on a terminal. |
"""

#: The emitter reads its settings with the standard library alone, so their words are kept here; a test proves
#: that these are the names it reads.
EMITTER_SETTINGS: Final = (
    ("LETTA_EMITTER_ENABLED", "off", "Switches the emitter on: `1`, `true`, `yes`, `on`."),
    (
        "LETTA_EMITTER_REDIS_URL",
        "must be given",
        "The gateway's Redis: `redis://`, `rediss://` or `unix://`.",
    ),
    ("LETTA_EMITTER_STREAM", "`letta.events`", "The stream to publish to: the gateway's `GATEWAY_STREAM`."),
    ("LETTA_EMITTER_SOURCE_BASE", "`https://letta`", "The beginning of every event's `source`."),
    (
        "LETTA_EMITTER_SPOOL_DIR",
        "a folder in the user's state folder",
        "Where events wait for Redis; absolute.",
    ),
    (
        "LETTA_EMITTER_SPOOL_BYTES_MAX",
        "268435456",
        "Bytes on disk above which new events are counted as lost.",
    ),
    ("LETTA_EMITTER_STREAM_MAX", "1000000", "Entries in the stream at which the spool holds events back."),
    (
        "LETTA_EMITTER_GATEWAY_URL",
        "–",  # noqa: RUF001 - a dash in a table
        "The gateway's address. With the token, it puts the webhook routes of an agent on Letta's own API.",
    ),
    (
        "LETTA_EMITTER_GATEWAY_TOKEN",
        "–",  # noqa: RUF001 - a dash in a table
        "The token for it, which may write: the organization's of Letta's agents, or an administrator's.",
    ),
)

_OTEL: Final = """\
## Traces

Events and webhooks carry their trace context, and attempts keep trace and span id, without any setting. Spans are
exported where the OpenTelemetry SDK's own variables (`OTEL_*`) say where to; see
[operations.md](operations.md#spans-for-a-tracing-backend).

## Metrics by OTLP

With `OTEL_EXPORTER_OTLP_ENDPOINT` or `OTEL_EXPORTER_OTLP_METRICS_ENDPOINT` set, or with `OTEL_METRICS_EXPORTER` naming
an exporter, the figures of `/metrics` are pushed as well, every `OTEL_METRIC_EXPORT_INTERVAL` milliseconds (60000);
`OTEL_METRICS_EXPORTER=none` and `OTEL_SDK_DISABLED=true` turn that off. It takes the package `letta-gateway[otel]`.
"""


def settings_page() -> str:
    """The page of settings, in Markdown."""
    lines = [_SETTINGS, "| name | default | allowed | meaning |", "| --- | --- | --- | --- |"]
    for name, field in Settings.model_fields.items():
        cells = (default_text(name), allowed_text(name), field.description or "")
        lines.append(_row(f"`{PREFIX}{name.upper()}`", *cells))
    lines += ["", _CLIENT, "## The emitter, inside a Letta server", ""]
    lines += ["| name | default | meaning |", "| --- | --- | --- |"]
    lines += [_row(f"`{name}`", default, meaning) for name, default, meaning in EMITTER_SETTINGS]
    return "\n".join([*lines, "", _OTEL])


def commands_page() -> str:
    """The page of commands, in Markdown."""
    return "\n".join([_COMMANDS, *_sections()])


@dataclass(frozen=True, slots=True)
class Parameter:
    """An option or argument as it is typed.

    Attributes:
        spelling: The option with its value, or the argument.
        default: In words; empty for none.
        meaning: Its help.
    """

    spelling: str
    default: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Command:
    """A command that does something, by its full name."""

    name: str
    meaning: str
    parameters: tuple[Parameter, ...]


def commands() -> Iterator[Command]:
    """Every command, in the order in which help shows them."""
    yield from _walk("letta-gateway", app)


def write(folder: Path) -> list[Path]:
    """Write both pages into a folder of documents and return their paths."""
    pages = {folder / "settings.md": settings_page(), folder / "commands.md": commands_page()}
    for path, page in pages.items():
        path.write_text(page, encoding="utf-8")
    return list(pages)


def _walk(name: str, group: typer.Typer) -> Iterator[Command]:
    # Typer's own records of what was declared: the classes that it makes of them differ between its versions.
    for info in group.registered_commands:
        function = info.callback
        if function is not None:
            shown = info.name or function.__name__.replace("_", "-")
            yield Command(f"{name} {shown}", inspect.getdoc(function) or "", tuple(_parameters(function)))
    for inner in group.registered_groups:
        if inner.typer_instance is not None:
            yield from _walk(f"{name} {inner.name}", inner.typer_instance)


def _parameters(function: Callable[..., Any]) -> Iterator[Parameter]:
    hints = get_type_hints(function, include_extras=True)
    for name, parameter in inspect.signature(function).parameters.items():
        type_, about = get_args(hints[name])
        shown = "" if parameter.default is inspect.Parameter.empty else _default(parameter.default)
        required = parameter.default is inspect.Parameter.empty
        yield Parameter(
            _spelling(name, type_, about), "must be given" if required else shown, str(about.help or "")
        )


def _default(value: object) -> str:
    if value is None or value is False:
        return ""
    return f"`{value.value if isinstance(value, Enum) else value}`"


def _spelling(name: str, type_: object, about: Any) -> str:  # noqa: ANN401 - an option or an argument
    if isinstance(about, typer.models.ArgumentInfo):
        return str(about.metavar or name.upper())
    # Inside `Annotated`, Typer's Option takes the first spelling as its first, positional argument.
    spellings = [text for text in (about.default, *about.param_decls) if str(text).startswith("-")]
    return " ".join(filter(None, [", ".join(spellings), about.metavar or _kind(type_)]))


def _kind(type_: object) -> str:
    inner = next((part for part in get_args(type_) if part is not type(None)), type_)
    inner = next(iter(get_args(inner)), inner)
    if isinstance(inner, type) and issubclass(inner, Enum):
        return "|".join(member.value for member in inner)
    return (
        {bool: "", int: "N", float: "N", Path: "PATH"}.get(inner, "TEXT") if isinstance(inner, type) else ""
    )


def _sections() -> Iterator[str]:
    for command in commands():
        yield f"## `{command.name}`"
        yield ""
        yield " ".join(command.meaning.split())
        yield ""
        if command.parameters:
            yield "| | default | meaning |"
            yield "| --- | --- | --- |"
            for parameter in command.parameters:
                yield _row(f"`{parameter.spelling}`", parameter.default, parameter.meaning)
            yield ""


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


if __name__ == "__main__":
    for written in write(Path(sys.argv[1] if len(sys.argv) > 1 else "docs")):
        sys.stdout.write(f"{written}\n")
