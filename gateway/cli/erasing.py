"""`erase`: everything of an agent, or of an organization, goes from the log and from what stands beside it."""

import sys
import time
from typing import Annotated, Final
from urllib.parse import quote

import typer

from gateway.cli.client import GatewayClient, Json, connect
from gateway.cli.options import AsJson, DataDir
from gateway.cli.output import print_record, results, say
from gateway.cli.progress import counting, goes_on
from gateway.errors import CommandError, UsageError

_ERASURES: Final = "/v1/erasures"
_LOOK_S: Final = 0.2
_INCOMPLETE: Final = "incomplete"
_MEND: Final = (
    "Put a missing file back into GATEWAY_ARCHIVE_DIR under its name, and in the place of a damaged one a copy that is "
    "whole; then erase once more."
)
_COUNT_S: Final = 600.0
"""How long a dry run may take: it looks through the whole log."""


def erase(
    *,
    agent: Annotated[
        str | None, typer.Option("--agent", metavar="ID", help="All events of this agent.")
    ] = None,
    organization: Annotated[
        str | None, typer.Option("--organization", metavar="ID", help="All events of this organization.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Count what would go, and erase nothing.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask. It cannot be undone.")] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Erase all that the log has of an agent or an organization; waits until it is done.

    What comes in later are new events. It goes on by itself where this command, or the gateway, ends before it.
    """
    if (agent is None) == (organization is None):
        raise UsageError("Name either --agent ID or --organization ID.")
    body: Json = {"agent_id": agent} if organization is None else {"organization_id": organization}
    with connect(data_dir) as client:
        if dry_run:
            _print_count(_count(client, body), as_json=as_json)
            return
        if not (yes or _confirmed(_count(client, body))):
            say("Nothing was erased.")
            return
        record = _followed(client, client.request("POST", _ERASURES, body=body))
    if as_json:
        print_record(record)
    else:
        results().print(
            f"Erased: {record['events']} events, the answers of {record['attempts']} attempts, "
            f"{record['quarantined']} records in quarantine ({record['id']}).",
            soft_wrap=True,
        )
        if record["archives"]:
            say(f"{record['archives']} archives were rewritten: copies of them elsewhere still have it.")
        if not record["rewritten"]:
            say(
                "The database's files were not rewritten, so space that is free in them may still have ids of it: "
                "docs/security.md, Erasure."
            )
    if record["state"] == _INCOMPLETE:
        raise CommandError(_left_out(record["unreachable"]), hint=_MEND)


def _count(client: GatewayClient, body: Json) -> Json:
    return client.request("POST", _ERASURES, body=body | {"dry_run": True}, timeout_s=_COUNT_S)


def _print_count(count: Json, *, as_json: bool) -> None:
    if as_json:
        print_record(count)
    else:
        results().print(f"Would erase {_told(count)}.", soft_wrap=True)


def _told(count: Json) -> str:
    archives = f", and what {count['archives']} archives have of it" if count["archives"] else ""
    # What is in the log alone is counted: archives are looked through by the erasure itself.
    least = "at least " if count["archives"] else ""
    return f"{least}{count['events']} events and {count['quarantined']} records in quarantine{archives}"


def _left_out(archives: list[Json]) -> str:
    """Which archives may have something of it still, and why each of them."""
    told = "; ".join(f"{item['file']} {_why(item)}" for item in archives)
    return f"It is not erased everywhere: some archives may have something of it still. {told}."


def _why(item: Json) -> str:
    if item["why"] == "missing":
        return "is not in the folder of the archives"
    if item["why"] == "unknown":
        return "has something of it, and is not of this log: move it away, or delete it"
    return f"cannot be read: {item['detail']}"


def _confirmed(count: Json) -> bool:
    if not sys.stdin.isatty():
        raise UsageError(
            "It cannot be undone, and nobody can be asked here: look with --dry-run, then give --yes."
        )
    return typer.confirm(f"Erase {_told(count)}? This cannot be undone.", err=True)


def _followed(client: GatewayClient, record: Json) -> Json:
    """The erasure once it is done."""
    with goes_on("The erasure"), counting("events erased") as advance:
        while record["state"] == "running":
            time.sleep(_LOOK_S)
            record = client.request("GET", f"{_ERASURES}/{quote(record['id'], safe='')}")
            advance(record["events"])
    return record
