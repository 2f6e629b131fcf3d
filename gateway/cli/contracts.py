"""`contracts`: what each event promises."""

import json
import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

import contracts as store
from gateway.cli import contract_types
from gateway.cli.client import connect
from gateway.cli.options import AsJson, DataDir, event_names
from gateway.cli.output import plain, print_record, print_table, results
from gateway.cli.registry import add_contract, known_contracts
from gateway.errors import CheckFailed, UsageError
from schemas import SHORT_NAMES, MalformedJsonError, strict_json, type_of

app = typer.Typer(
    no_args_is_help=True, help="What each event promises: one JSON Schema per type and version."
)


_GATEWAY_URL = "GATEWAY_URL"


class Promise(StrEnum):
    """What a type's versions promise each other."""

    FORWARD_TRANSITIVE = "forward_transitive"
    FULL_TRANSITIVE = "full_transitive"
    NONE = "none"


@app.command("list")
def list_(*, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List the contracts: of the gateway that is named or runs here, else those that come with this package."""
    records = [
        {name: value for name, value in record.items() if name != "schema"}
        for record in known_contracts(data_dir, os.environ.get(_GATEWAY_URL))
    ]
    if as_json:
        for record in records:
            print_record(record)
        return
    # Somebody's own type may be called as one of Letta's is for short.
    types = {record["type"] for record in records}
    rows = [
        (r["type"] if r["title"] in types else r["title"], r["version"], r["description"]) for r in records
    ]
    print_table(("TYPE", "VERSION", "WHAT IT SAYS"), rows)


@app.command()
def show(
    *,
    event_type: Annotated[
        str,
        typer.Argument(metavar="TYPE", help="An event type, short or full.", autocompletion=event_names),
    ],
    version: Annotated[
        int | None, typer.Option("--version", min=1, help="This version; without it, the newest.")
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Print one contract, a JSON Schema; of which gateway, as for `list`."""
    full = type_of(event_type) if event_type in SHORT_NAMES else event_type
    records = known_contracts(data_dir, os.environ.get(_GATEWAY_URL))
    there = {record["version"]: record["schema"] for record in records if record["type"] == full}
    wanted = max(there, default=0) if version is None else version
    if wanted not in there:
        versions = ", ".join(map(str, there))
        asked = (
            f"{event_type} has the versions {versions}" if there else f"There is no contract for {event_type}"
        )
        raise UsageError(f"{asked}.", hint="`letta-gateway contracts list` names them all.")
    sys.stdout.write(json.dumps(there[wanted], indent=2, ensure_ascii=False) + "\n")


@app.command()
def add(
    *,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A JSON Schema (2020-12) of the events' data.")
    ],
    event_type: Annotated[
        str, typer.Option("--type", help="The event type, such as com.example.order.placed.")
    ],
    compatibility: Annotated[
        Promise | None,
        typer.Option(
            "--compatibility", help="What the type's versions promise each other; set with the first."
        ),
    ] = None,
    group: Annotated[
        str | None,
        typer.Option("--group", help="The registry's group; without it, the first two parts of the type."),
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Register the next version of a type's contract; it is in force at once, and never changes.

    A version that breaks what older ones promise is refused, with every place that does.
    """
    try:
        raw = file.read_bytes()
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}.") from None
    try:
        schema = strict_json.decode(raw, str(file))
    except MalformedJsonError as error:
        raise UsageError(f"{error}.") from None
    full = type_of(event_type) if event_type in SHORT_NAMES else event_type
    with connect(data_dir) as client:
        url, made = add_contract(
            client, full, group, schema, None if compatibility is None else compatibility.value
        )
    results().print(plain(f"Registered {url}" if made else f"There already: {url}"), soft_wrap=True)


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
