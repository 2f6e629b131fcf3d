"""`deliveries` and `attempts`: what became of events."""

from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import typer

from gateway.cli.client import Json, connect
from gateway.cli.events import AgentId, RunId, TraceId, Types
from gateway.cli.groups import ListsByDefault
from gateway.cli.options import AsJson, DataDir, Limit, Since, Until, full_types
from gateway.cli.output import print_details, print_record, print_table
from gateway.domain.history import StateWord
from gateway.errors import UsageError
from schemas import short_of

app = typer.Typer(cls=ListsByDefault, help="What became of events: list deliveries, show one.")

_PATH = "/v1/deliveries"

DeliveryId = Annotated[str, typer.Argument(metavar="ID", help="The delivery's id, dlv_….")]


@app.command("list")
def list_deliveries(
    *,
    event: Annotated[
        int | None,
        typer.Option(
            "--event",
            metavar="POSITION",
            min=1,
            help="Those of the event at this position, with no other filter.",
        ),
    ] = None,
    subscription: Annotated[
        str | None,
        typer.Option(
            "--subscription", metavar="ID", help="Only those of this subscription, a deleted one too."
        ),
    ] = None,
    state: Annotated[
        list[StateWord] | None, typer.Option("--state", help="Only those in this state; repeat for more.")
    ] = None,
    undelivered: Annotated[
        bool,
        typer.Option("--undelivered", help="Only those that are pending, exhausted, expired or refused."),
    ] = False,
    status_code: Annotated[
        int | None,
        typer.Option("--status-code", min=100, max=599, help="Only those last answered with this status."),
    ] = None,
    types: Types = None,
    agent_id: AgentId = None,
    run_id: RunId = None,
    trace_id: TraceId = None,
    batch: Annotated[
        str | None,
        typer.Option(
            "--batch", metavar="ID", help="Only those of the batch with this id, which is its webhook-id."
        ),
    ] = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 50,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List deliveries, those of the latest events first.

    By state and last status, and by what their events are: time, type, agent, run, trace.
    """
    states = [*(state or []), *([StateWord.UNDELIVERED] if undelivered else [])]
    params = {
        "subscription": subscription,
        "state": [word.value for word in states],
        "status_code": status_code,
        "type": full_types(types),
        "agent_id": agent_id,
        "run_id": run_id,
        "trace_id": trace_id,
        "batch": batch,
        "since": since,
        "until": until,
    }
    path = _PATH
    if event is not None:
        if any(value is not None and value != [] for value in params.values()):
            raise UsageError(
                "--event goes without the other filters, such as --state: they are few enough to read."
            )
        path = f"/v1/events/{event}/deliveries"
    with connect(data_dir) as client:
        items = client.items(path, params=params, limit=limit)
        if as_json:
            for item in items:
                print_record(item)
        else:
            columns = (
                "ID",
                "POSITION",
                "TYPE",
                "STATE",
                "SUBSCRIPTION",
                "ATTEMPTS",
                "LAST ANSWER",
                "NEXT AT",
            )
            print_table(columns, map(_row, items))


@app.command("show")
def show_delivery(*, delivery_id: DeliveryId, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Show one delivery with its attempts."""
    found = _get(delivery_id, data_dir)
    print_record(found) if as_json else _print(found)


def attempts(*, delivery_id: DeliveryId, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List the attempts of a delivery, with what the sink answered."""
    found = _get(delivery_id, data_dir)
    if as_json:
        for item in found["attempts"]:
            print_record(item)
    else:
        print_attempts(found)


def _get(delivery_id: str, data_dir: Path | None) -> Json:
    with connect(data_dir) as client:
        return client.request("GET", f"{_PATH}/{quote(delivery_id, safe='')}")


def _row(delivery: Json) -> tuple[object, ...]:
    attempts = delivery["attempts"]
    last = _answer(attempts[-1]) if attempts else ""
    name = delivery["event"]["type"]
    place = (delivery["id"], delivery["position"], short_of(name) or name)
    told = (*place, delivery["state"], delivery["subscription"])
    return (*told, len(attempts), last, delivery["next_at"])


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
