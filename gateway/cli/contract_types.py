"""`contracts typescript` and `contracts pydantic`: what each event promises, as types for a consumer's own code."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

import contracts as store
from contracts import rendering
from gateway.cli.client import Json
from gateway.cli.options import DataDir
from gateway.cli.output import plain, results
from gateway.cli.registry import known_contracts, rendered_contract
from gateway.cli.written import written
from gateway.errors import UsageError
from schemas import SHORT_NAMES, type_of

EventType = Annotated[
    str | None,
    typer.Argument(metavar="TYPE", help="One event type, short or full; without it, all in one module."),
]
Output = Annotated[Path | None, typer.Option("--output", help="Write into this file; without it, to stdout.")]


def typescript(*, event_type: EventType = None, output: Output = None, data_dir: DataDir = None) -> None:
    """Print the events as TypeScript types, with a union that is told apart by `type` or `event_type`.

    Of which gateway, as for `list`.
    """
    _print("typescript", event_type, output, data_dir)


def pydantic(*, event_type: EventType = None, output: Output = None, data_dir: DataDir = None) -> None:
    """Print the events as Pydantic models, with a union that is told apart by `event_type`.

    Of which gateway, as for `list`.
    """
    _print("pydantic", event_type, output, data_dir)


def add_to(group: typer.Typer) -> None:
    """Make them commands of a group."""
    group.command()(typescript)
    group.command()(pydantic)


def _print(format_name: str, event_type: str | None, output: Path | None, data_dir: Path | None) -> None:
    text = _all(format_name, data_dir) if event_type is None else _one(format_name, event_type, data_dir)
    if output is None:
        sys.stdout.write(text)
        return
    with written(output, "--output") as file:
        file.write(text.encode())
    results().print(plain(output), soft_wrap=True)


def _all(format_name: str, data_dir: Path | None) -> str:
    """The newest version of every type."""
    newest = {record["type"]: record for record in known_contracts(data_dir, os.environ.get("GATEWAY_URL"))}
    schemas = {(type_, _number(record)): record["schema"] for type_, record in newest.items()}
    return rendering.module_of(format_name, list(schemas), schemas)


def _number(record: Json) -> int:
    """The version; 0 where this package has another text for it, since its own came into the registry later."""
    key = (record["type"], record["version"])
    ours = store.load().schemas.get(key, {})
    there = record["schema"]
    same = all(there.get(name) == ours.get(name) for name in there.keys() | ours.keys() if name != "$id")
    return key[1] if same else 0


def _one(format_name: str, event_type: str, data_dir: Path | None) -> str:
    full = type_of(event_type) if event_type in SHORT_NAMES else event_type
    of_the_gateway = rendered_contract(full, format_name, data_dir)
    if of_the_gateway is not None:
        return of_the_gateway
    found = rendering.render(format_name, full)
    if found is None:
        raise UsageError(
            f"Neither this package nor a gateway that is named or runs here has a contract for {event_type}.",
            hint="`letta-gateway contracts list` names those there are; GATEWAY_URL names a gateway.",
        )
    return found.text
