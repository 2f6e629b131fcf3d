"""`deliveries` and `quarantine`: what became of events."""

from enum import StrEnum
from typing import Annotated
from urllib.parse import quote

import typer

from gateway.cli.client import Json, connect
from gateway.cli.options import AsJson, DataDir, Limit, Since, Until
from gateway.cli.output import print_details, print_record, print_table
from gateway.errors import UsageError

quarantine = typer.Typer(no_args_is_help=True, help="What could not be taken into the log, with the reason.")


class DeliveryState(StrEnum):
    """The states of a delivery."""

    PENDING = "pending"
    DELIVERED = "delivered"
    EXHAUSTED = "exhausted"
    EXPIRED = "expired"
    REFUSED = "refused"
    ERASED = "erased"
    CANCELLED = "cancelled"


def deliveries(
    *,
    delivery_id: Annotated[
        str | None, typer.Argument(metavar="ID", help="Show this delivery with its attempts.")
    ] = None,
    subscription: Annotated[
        str | None, typer.Option("--subscription", metavar="ID", help="List those of this subscription.")
    ] = None,
    event: Annotated[
        int | None,
        typer.Option("--event", metavar="POSITION", min=1, help="List those of the event at this position."),
    ] = None,
    state: Annotated[DeliveryState | None, typer.Option("--state", help="Only in this state.")] = None,
    status_code: Annotated[
        int | None, typer.Option("--status-code", min=100, max=599, help="Only with this last answer.")
    ] = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 50,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List deliveries of a subscription or of an event, or show one with its attempts."""
    if sum(given is not None for given in (delivery_id, subscription, event)) != 1:
        raise UsageError("Name one of: a delivery's ID, --subscription ID, --event POSITION.")
    filters = {"state": state and state.value, "status_code": status_code, "since": since, "until": until}
    if subscription is None and any(value is not None for value in filters.values()):
        raise UsageError("--state, --status-code, --since and --until go with --subscription.")
    with connect(data_dir) as client:
        if delivery_id is not None:
            found = client.request("GET", f"/v1/deliveries/{quote(delivery_id, safe='')}")
            print_record(found) if as_json else print_details(list(found.items()))
            return
        path = (
            f"/v1/events/{event}/deliveries"
            if subscription is None
            else f"/v1/subscriptions/{quote(subscription, safe='')}/deliveries"
        )
        items = client.items(path, params=filters, limit=limit)
        if as_json:
            for item in items:
                print_record(item)
        else:
            print_table(("ID", "STATE", "POSITION", "SUBSCRIPTION", "ATTEMPTS"), map(_row, items))


def _row(delivery: Json) -> tuple[object, ...]:
    attempts = delivery.get("attempts")
    number = len(attempts) if isinstance(attempts, list) else attempts
    named = (delivery.get(name) for name in ("id", "state", "position", "subscription"))
    return (*named, number)


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
