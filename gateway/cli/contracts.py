"""`contracts`: what each event promises."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

import contracts as store
from gateway.cli import contract_types
from gateway.cli.options import AsJson
from gateway.cli.output import plain, print_record, print_table, results
from gateway.errors import CheckFailed, UsageError
from schemas import SHORT_NAMES, short_of, type_of

app = typer.Typer(
    no_args_is_help=True, help="What each event promises: one JSON Schema per type and version."
)


@app.command("list")
def list_(*, as_json: AsJson = False) -> None:
    """List the contracts."""
    known = store.load()
    records = [
        {
            "type": type_name,
            "version": version,
            "title": short_of(type_name) or type_name,
            "description": str(known.schema(type_name, version).get("description", "")),
        }
        for type_name in known.types()
        for version in known.versions(type_name)
    ]
    if as_json:
        for record in records:
            print_record(record)
        return
    print_table(
        ("TYPE", "VERSION", "WHAT IT SAYS"), [(r["title"], r["version"], r["description"]) for r in records]
    )


@app.command()
def show(
    *,
    event_type: Annotated[str, typer.Argument(metavar="TYPE", help="An event type, short or full.")],
    version: Annotated[
        int | None, typer.Option("--version", min=1, help="This version; without it, the newest.")
    ] = None,
) -> None:
    """Print one contract, a JSON Schema."""
    known = store.load()
    full = type_of(event_type) if event_type in SHORT_NAMES else event_type
    try:
        schema = known.schema(full, version)
    except KeyError:
        there = ", ".join(map(str, known.versions(full)))
        asked = (
            f"{event_type} has the versions {there}" if there else f"There is no contract for {event_type}"
        )
        raise UsageError(f"{asked}.", hint="`letta-gateway contracts list` names them all.") from None
    sys.stdout.write(json.dumps(schema, indent=2, ensure_ascii=False) + "\n")


@app.command()
def export(
    *,
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Write below this folder; made where missing.")
    ] = Path("contracts"),
) -> None:
    """Write the contract files of the present event models; files of older versions stay."""
    for path in store.export(folder):
        results().print(plain(path), soft_wrap=True)


@app.command()
def check(
    *,
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="FOLDER", help="Check this folder; without it, the files of the package."),
    ] = None,
) -> None:
    """Compare contract files with the event models, and with what was released."""
    complaints = store.check(folder)
    for complaint in complaints:
        results().print(plain(complaint), soft_wrap=True)
    if complaints:
        raise CheckFailed(f"{len(complaints)} contract files are not as they must be.")
    results().print("Contracts and event models agree.")


contract_types.add_to(app)
