"""`events`, `tail`: reading the log."""

import json
import sys
from typing import Annotated

import typer
from rich.text import Text

from gateway.cli.archived import ArchivedNote
from gateway.cli.client import Json, connect
from gateway.cli.following import follow
from gateway.cli.interrupts import ended_by_signals
from gateway.cli.options import AsJson, DataDir, Limit, Since, Until, event_names, full_types
from gateway.cli.output import plain, print_record, print_table, results
from schemas import short_of

_PATH = "/v1/events"
_STREAM = f"{_PATH}/stream"

Types = Annotated[
    list[str] | None,
    typer.Option(
        "--type", help="Only this type, short or full; repeat for more.", autocompletion=event_names
    ),
]
Source = Annotated[str | None, typer.Option("--source", help="Only of this source.")]
Subject = Annotated[str | None, typer.Option("--subject", help="Only about this subject.")]
AgentId = Annotated[str | None, typer.Option("--agent-id", "--agent", help="Only of this agent.")]
OrganizationId = Annotated[str | None, typer.Option("--organization-id", help="Only of this organization.")]
RunId = Annotated[str | None, typer.Option("--run-id", "--run", help="Only of this run.")]
TraceId = Annotated[str | None, typer.Option("--trace-id", "--trace", help="Only of this trace.")]


def events(
    *,
    types: Types = None,
    source: Source = None,
    subject: Subject = None,
    agent_id: AgentId = None,
    organization_id: OrganizationId = None,
    run_id: RunId = None,
    trace_id: TraceId = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 50,
    data_dir: DataDir = None,
    oldest_first: Annotated[bool, typer.Option("--oldest-first", help="In log order.")] = False,
    as_json: AsJson = False,
) -> None:
    """List events of the log, newest first; facts of the gateway only where --type names them.

    Where a part of what was asked for was archived, a line on stderr says up to where.
    """
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
    archived = ArchivedNote()
    with connect(data_dir) as client:
        found = client.items(_PATH, params=params, limit=limit, look=archived.look)
        if as_json:
            for item in found:
                print_record(item)
        else:
            print_table(("POSITION", "APPENDED AT", "TYPE", "SUBJECT", "ID"), map(_row, found))
    archived.say()


def tail(
    *,
    types: Types = None,
    source: Source = None,
    subject: Subject = None,
    agent_id: AgentId = None,
    organization_id: OrganizationId = None,
    run_id: RunId = None,
    trace_id: TraceId = None,
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
    params = {
        "type": full_types(types),
        "source": source,
        "subject": subject,
        "agent_id": agent_id,
        "organization_id": organization_id,
        "run_id": run_id,
        "trace_id": trace_id,
    }
    after = None if start is None else max(0, start - 1)
    with connect(data_dir) as client, ended_by_signals():
        for event in follow(client, _STREAM, params=params, after=after):
            if event.data is not None:
                item = json.loads(event.data)
                print_record(item) if as_json else _print_line(item)


def _row(item: Json) -> tuple[object, ...]:
    event = item["event"] or {}  # null once erased
    name = "(erased)" if item["event"] is None else short_of(str(event.get("type"))) or event.get("type")
    if item.get("contract_broken"):
        name = f"{name} (contract broken)"
    return (item["position"], item["appended_at"], name, event.get("subject"), event.get("id"))


def _print_line(item: Json) -> None:
    position, appended_at, name, subject, event_id = map(plain, _row(item))
    line = Text.assemble(
        (f"{position:>8} ", "dim"), (appended_at, "dim"), " ", (name, "bold cyan"), f" {subject} {event_id}"
    )
    results().print(line, soft_wrap=True)
    sys.stdout.flush()
