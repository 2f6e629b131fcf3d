"""`quarantine`: what could not be taken into the log, tried once more or discarded."""

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated
from urllib.parse import quote

import typer

from gateway.cli.client import GatewayClient, Json, connect
from gateway.cli.options import AsJson, DataDir, Limit
from gateway.cli.output import print_details, print_record, print_table, results
from gateway.errors import AnswerError, CheckFailed, NotNow, UsageError

app = typer.Typer(no_args_is_help=True, help="What could not be taken into the log, with the reason.")

_PATH = "/v1/quarantine"
_ALL_MAX = 10_000

EntryId = Annotated[str, typer.Argument(metavar="ID", help="The entry's id.")]
EntryIds = Annotated[list[str] | None, typer.Argument(metavar="ID", help="The entries' ids.")]


class Shown(StrEnum):
    """Which entries a list shows."""

    OPEN = "open"
    REDRIVEN = "redriven"
    ALL = "all"


@app.command("list")
def list_(
    *,
    state: Annotated[
        Shown, typer.Option("--state", help="What is still to be looked at, or what was taken.")
    ] = Shown.OPEN,
    data_dir: DataDir = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List what is in quarantine."""
    with connect(data_dir) as client:
        items = client.items(_PATH, params={"state": state}, limit=limit)
        if as_json:
            for item in items:
                print_record(item)
        else:
            names = ("id", "received_at", "origin", "reason", "state")
            print_table(
                ("ID", "RECEIVED AT", "ORIGIN", "REASON", "STATE"),
                [tuple(item.get(name) for name in names) for item in items],
            )


@app.command()
def show(*, entry_id: EntryId, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Show one entry with its reason and payload."""
    with connect(data_dir) as client:
        found = client.request("GET", _path_of(entry_id))
    print_record(found) if as_json else print_details(list(found.items()))


@app.command()
def redrive(
    *,
    entry_ids: EntryIds = None,
    everything: Annotated[
        bool, typer.Option("--all", help=f"All that are open, the oldest first, {_ALL_MAX:,} at a time.")
    ] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Try to take entries into the log once more, at its end; what still cannot be taken stays, with the new reasons.

    Ends with 1 where one stays.
    """
    if bool(entry_ids) is everything:
        raise UsageError("Name entries by their ids, or --all of them.")
    with connect(data_dir) as client:
        wanted = entry_ids or [item["id"] for item in _open(client)]
        taken, kept = 0, 0
        for record in _redriven(client, wanted):
            fine = record["position"] is not None
            taken, kept = taken + fine, kept + (not fine)
            if as_json:
                print_record(record)
            else:
                results().print(_line(record), soft_wrap=True)
    if kept:
        raise CheckFailed(f"{kept} of {taken + kept} stay in quarantine.", hint="`quarantine show` says why.")


@app.command()
def discard(
    *,
    entry_ids: Annotated[list[str], typer.Argument(metavar="ID", help="The entries' ids.")],
    data_dir: DataDir = None,
) -> None:
    """Forget entries, with what came in; what was taken into the log stays there."""
    with connect(data_dir) as client:
        for entry_id in entry_ids:
            client.request("DELETE", _path_of(entry_id))
            results().print(f"Discarded {entry_id}.", soft_wrap=True)


def _open(client: GatewayClient) -> list[Json]:
    """What is open, in the order in which it came."""
    return list(client.items(_PATH, params={"state": Shown.OPEN}, limit=_ALL_MAX))[::-1]


def _redriven(client: GatewayClient, entry_ids: list[str]) -> Iterator[Json]:
    """What became of each; what the gateway refuses does not keep it from the others."""
    for entry_id in entry_ids:
        try:
            found = client.request("POST", _path_of(entry_id) + "/redrive", body={})
        except NotNow:
            raise
        except AnswerError as refused:
            yield {"id": entry_id, "position": None, "why": str(refused)}
        else:
            yield {name: found[name] for name in ("id", "position", "duplicate")} | {"why": None}


def _line(record: Json) -> str:
    if record["position"] is None:
        return f"{record['id']} stays: {record['why']}"
    before = " already" if record["duplicate"] else ""
    return f"{record['id']} is{before} in the log at position {record['position']}."


def _path_of(entry_id: str) -> str:
    return f"{_PATH}/{quote(entry_id, safe='')}"
