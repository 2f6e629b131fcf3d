"""`deliveries` and `quarantine`: what became of events."""

from typing import Annotated
from urllib.parse import quote

import typer

from gateway.cli.client import Json, connect
from gateway.cli.options import AsJson, DataDir, Limit
from gateway.cli.output import print_details, print_record, print_table
from gateway.errors import UsageError

quarantine = typer.Typer(no_args_is_help=True, help="What could not be taken into the log, with the reason.")


def deliveries(
    *,
    delivery_id: Annotated[
        str | None, typer.Argument(metavar="ID", help="Show this delivery with its attempts.")
    ] = None,
    event: Annotated[
        int | None,
        typer.Option("--event", metavar="POSITION", min=1, help="List those of the event at this position."),
    ] = None,
    limit: Limit = 50,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List the deliveries of an event, or show one with its attempts."""
    if (delivery_id is None) == (event is None):
        raise UsageError("Name either a delivery's ID or --event POSITION.")
    with connect(data_dir) as client:
        if delivery_id is not None:
            found = client.request("GET", f"/v1/deliveries/{quote(delivery_id, safe='')}")
            print_record(found) if as_json else _print(found)
            return
        items = client.items(f"/v1/events/{event}/deliveries", limit=limit)
        if as_json:
            for item in items:
                print_record(item)
        else:
            print_table(("ID", "STATE", "SUBSCRIPTION", "ATTEMPTS", "LAST ANSWER"), map(_row, items))


def _row(delivery: Json) -> tuple[object, ...]:
    attempts = delivery["attempts"]
    last = _answer(attempts[-1]) if attempts else ""
    return (delivery["id"], delivery["state"], delivery["subscription"], len(attempts), last)


def _print(delivery: Json) -> None:
    print_details([(name, value) for name, value in delivery.items() if name != "attempts"])
    print_attempts(delivery)


def print_attempts(delivery: Json) -> None:
    """Print the attempts of a delivery as a table."""
    rows = [
        (a["number"], a["started_at"], f"{a['duration_ms']:.1f}", _answer(a), a["decision"], a["trace_id"])
        for a in delivery["attempts"]
    ]
    print_table(("ATTEMPT", "STARTED AT", "MS", "ANSWER", "DECISION", "TRACE"), rows)


def _answer(attempt: Json) -> str:
    said = (attempt["status"], attempt["error_class"], attempt["detail"])
    return " ".join(str(part) for part in said if part)


@quarantine.command("list")
def list_(*, data_dir: DataDir = None, limit: Limit = 50, as_json: AsJson = False) -> None:
    """List what is in quarantine."""
    with connect(data_dir) as client:
        items = client.items("/v1/quarantine", limit=limit)
        if as_json:
            for item in items:
                print_record(item)
        else:
            print_table(
                ("ID", "RECEIVED AT", "ORIGIN", "REASON"),
                [
                    tuple(item.get(name) for name in ("id", "received_at", "origin", "reason"))
                    for item in items
                ],
            )


@quarantine.command()
def show(
    *,
    entry_id: Annotated[str, typer.Argument(metavar="ID", help="The entry's id.")],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show one entry with its reason and payload."""
    with connect(data_dir) as client:
        found = client.request("GET", f"/v1/quarantine/{quote(entry_id, safe='')}")
    print_record(found) if as_json else print_details(list(found.items()))
