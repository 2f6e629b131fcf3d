"""`events`, `tail`: reading the log."""

import sys
import time
from collections.abc import Iterator
from typing import Annotated, Any

import typer
from rich.text import Text

from gateway.cli.client import GatewayClient, Json, connect
from gateway.cli.options import AsJson, DataDir, Limit, Since, Until, full_types
from gateway.cli.output import plain, print_record, print_table, results, say
from gateway.errors import AnswerError, NoServer
from schemas import short_of

_PATH = "/v1/events"
POLL_S = 0.5
RECONNECT_S_MAX = 5.0

Types = Annotated[
    list[str] | None, typer.Option("--type", help="Only this type, short or full; repeat for more.")
]


def events(
    *,
    types: Types = None,
    source: Annotated[str | None, typer.Option("--source", help="Only of this source.")] = None,
    subject: Annotated[str | None, typer.Option("--subject", help="Only about this subject.")] = None,
    agent_id: Annotated[str | None, typer.Option("--agent-id", help="Only of this agent.")] = None,
    organization_id: Annotated[
        str | None, typer.Option("--organization-id", help="Only of this organization.")
    ] = None,
    run_id: Annotated[str | None, typer.Option("--run-id", help="Only of this run.")] = None,
    trace_id: Annotated[str | None, typer.Option("--trace-id", help="Only of this trace.")] = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 50,
    data_dir: DataDir = None,
    oldest_first: Annotated[bool, typer.Option("--oldest-first", help="In log order.")] = False,
    as_json: AsJson = False,
) -> None:
    """List events of the log, newest first; facts of the gateway only where --type names them."""
    params = {
        "type": full_types(types),
        "source": source,
        "subject": subject,
        "agent_id": agent_id,
        "organization_id": organization_id,
        "run_id": run_id,
        "trace_id": trace_id,
        "since": since,
        "until": until,
        "order": "asc" if oldest_first else None,
    }
    with connect(data_dir) as client:
        found = client.items(_PATH, params=params, limit=limit)
        if as_json:
            for item in found:
                print_record(item)
            return
        print_table(("POSITION", "APPENDED AT", "TYPE", "SUBJECT", "ID"), map(_row, found))


def tail(
    *,
    types: Types = None,
    start: Annotated[
        int | None,
        typer.Option("--from", metavar="POSITION", min=0, help="Begin at this position; without it, now."),
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Follow the log: print each event as it is appended, until Ctrl-C.

    It outlives restarts of the gateway.
    """
    client = connect(data_dir)
    try:
        with client:
            for item in follow(client, types=full_types(types), start=start):
                print_record(item) if as_json else _print_line(item)
    except KeyboardInterrupt:
        raise typer.Exit from None


def follow(client: GatewayClient, *, types: list[str] | None, start: int | None) -> Iterator[Json]:
    """Yield the log's items from a position on, or from now on, as they come; never ends by itself.

    A gateway that does not answer is asked again, ever more slowly, but it must answer the first time.
    """
    place = _Place.at(client, start)
    wait_s = POLL_S
    while True:
        try:
            for item in client.items(_PATH, params=place.params(types)):
                if place.advance(item):
                    yield item
            wait_s = POLL_S
        except NoServer as error:
            say(f"{error.detail} Trying again.")
            wait_s = min(2 * wait_s, RECONNECT_S_MAX)
        time.sleep(wait_s)


class _Place:
    """How far the log has been read: up to a position, and the time that the API's `since` can be asked with.

    Several rows share a time, so the rows of that time are asked for again and skipped by position.
    """

    def __init__(self, position: int, since: str | None) -> None:
        self._position = position
        self._since = since

    @classmethod
    def at(cls, client: GatewayClient, start: int | None) -> "_Place":
        if start is not None and start <= 1:
            return cls(0, None)
        if start is None:
            newest = next(client.items(_PATH, limit=1), None)
            return cls(0, None) if newest is None else cls(int(newest["position"]), newest["appended_at"])
        try:
            found: dict[str, Any] = client.request("GET", f"{_PATH}/{start}")
        except AnswerError:
            return cls(start - 1, None)  # not there yet, or erased: found by reading from the beginning
        return cls(start - 1, found["appended_at"])

    def params(self, types: list[str] | None) -> dict[str, Any]:
        return {"order": "asc", "since": self._since, "type": types}

    def advance(self, item: Json) -> bool:
        """Whether the item is new; if so, the place is behind it."""
        position = int(item["position"])
        self._since = (
            item["appended_at"] if self._since is None or position >= self._position else self._since
        )
        if position <= self._position:
            return False
        self._position = position
        return True


def _row(item: Json) -> tuple[object, ...]:
    event = item["event"] or {}  # null once erased
    name = short_of(str(event.get("type"))) or event.get("type")
    return (item["position"], item["appended_at"], name, event.get("subject"), event.get("id"))


def _print_line(item: Json) -> None:
    position, appended_at, name, subject, event_id = map(plain, _row(item))
    line = Text.assemble(
        (f"{position:>8} ", "dim"), (appended_at, "dim"), " ", (name, "bold cyan"), f" {subject} {event_id}"
    )
    results().print(line, soft_wrap=True)
    sys.stdout.flush()
