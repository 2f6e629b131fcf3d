"""`contracts typescript` and `contracts pydantic`: what each event promises, as types for a consumer's own code."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from contracts import rendering
from gateway.cli.output import plain, results
from gateway.cli.registry import rendered_contract
from gateway.cli.written import written
from gateway.errors import UsageError
from schemas import SHORT_NAMES, type_of

EventType = Annotated[
    str | None,
    typer.Argument(metavar="TYPE", help="One event type, short or full; without it, all in one module."),
]
Output = Annotated[Path | None, typer.Option("--output", help="Write into this file; without it, to stdout.")]


def typescript(*, event_type: EventType = None, output: Output = None) -> None:
    """Print the events as TypeScript types, with a union that is told apart by `type` or `event_type`."""
    _print("typescript", event_type, output)


def pydantic(*, event_type: EventType = None, output: Output = None) -> None:
    """Print the events as Pydantic models, with a union that is told apart by `event_type`."""
    _print("pydantic", event_type, output)


def add_to(group: typer.Typer) -> None:
    """Make them commands of a group."""
    group.command()(typescript)
    group.command()(pydantic)


def _print(format_name: str, event_type: str | None, output: Path | None) -> None:
    text = rendering.module(format_name) if event_type is None else _one(format_name, event_type)
    if output is None:
        sys.stdout.write(text)
        return
    with written(output, "--output") as file:
        file.write(text.encode())
    results().print(plain(output), soft_wrap=True)


def _one(format_name: str, event_type: str) -> str:
    full = type_of(event_type) if event_type in SHORT_NAMES else event_type
    found = rendering.render(format_name, full)
    if found is not None:
        return found.text
    of_the_gateway = rendered_contract(full, format_name)
    if of_the_gateway is None:
        raise UsageError(
            f"Neither this package nor a gateway that is named or runs here has a contract for {event_type}.",
            hint="`letta-gateway contracts list` names those there are; GATEWAY_URL names a gateway.",
        )
    return of_the_gateway
