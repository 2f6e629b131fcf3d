"""`archive`: closed ranges of the log to files, what there is of them, and back into the log."""

import hashlib
import os
import time
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from gateway.cli.client import GatewayClient, Json, connect
from gateway.cli.groups import MakesByDefault
from gateway.cli.options import AsJson, DataDir, time_option
from gateway.cli.output import plain, print_details, print_record, print_table, results, say
from gateway.cli.progress import bar, goes_on
from gateway.cli.written import ONES_OWN, unwritable, written
from gateway.domain.ids import NUMBER_MAX
from gateway.errors import AnswerError, CommandError, UsageError

app = typer.Typer(
    cls=MakesByDefault,
    no_args_is_help=True,
    help="Export closed ranges of the log to files, drop them from it, and put them back: "
    "`archive --before TIME|POSITION [--to DIR] [--dry-run]`, `archive list`, `archive restore POSITION`.",
)

_ARCHIVES: Final = "/v1/archives"
_LOOK_S: Final = 0.2
_RESTORE_S: Final = 600.0
_PAGE: Final = 100
_DIGITS_MAX: Final = 19
Position = Annotated[int, typer.Argument(min=1, help="Any position that the archive holds.")]


@app.command()
def make(
    *,
    before: Annotated[
        str,
        typer.Option(
            "--before", metavar="TIME|POSITION", help="Archive what lies before it (RFC 3339, or a number)."
        ),
    ],
    to: Annotated[
        Path | None,
        typer.Option("--to", metavar="DIR", help="Fetch the files that were made into this folder as well."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be archived, and archive nothing.")
    ] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Export a part of the log to files in the gateway's archive folder, and drop it; waits until it is done.

    What a subscription has still to be sent stays, and what lies behind that. It goes on by itself where this command,
    or the gateway, ends before it.
    """
    body = _before(before)
    with connect(data_dir) as client:
        if to is not None and not dry_run:
            _check_writable(to)
        plan = client.request("POST", _ARCHIVES, body=body | {"dry_run": True})
        if dry_run:
            _print_plan(plan, as_json=as_json)
            return
        record = _followed(client, client.request("POST", _ARCHIVES, body=body))
        if record["state"] == "failed":
            raise CommandError(
                f"{record['events']} events were archived{_reached(record)}. {record['problem']}",
                hint="Run the command again once that is mended: it goes on from there.",
            )
        if to is not None:
            _fetch_all(client, plan, record["archived_until"], to)
    if as_json:
        print_record(record)
        return
    results().print(
        f"Archived up to position {record['archived_until']}; events: {record['events']}, "
        f"files: {record['archives']}.",
        soft_wrap=True,
    )
    if record["archived_until"] < record["until_position"]:
        say(
            "What comes next is in an archive that was put back and ends behind what was asked for; an archive leaves "
            "the log whole or not at all. `letta-gateway archive list` says where it ends."
        )


def _before(text: str) -> Json:
    """What the option says, as the API takes it. Raises ``UsageError`` by the name that it has here."""
    if not (text.isascii() and text.isdecimal()):
        return {"before": time_option("--before", text, other="a position, such as 1000")}
    position = int(text) if len(text) <= _DIGITS_MAX else 0
    if not 0 < position <= NUMBER_MAX:
        raise UsageError(f"--before: {text} is no position of a log.")
    return {"before_position": position}


@app.command("list")
def list_archives(*, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List the archives, in log order."""
    with connect(data_dir) as client:
        items = _all(client)
        if as_json:
            for item in items:
                print_record(item)
            return
        rows = [
            (
                item["first_position"],
                item["last_position"],
                item["state"],
                item["events"],
                item["size_bytes"],
                item["file"],
            )
            for item in items
        ]
    print_table(("FIRST", "LAST", "STATE", "EVENTS", "BYTES", "FILE"), rows)


@app.command()
def show(position: Position, *, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Show the archive that holds a position."""
    with connect(data_dir) as client:
        _print(client.request("GET", f"{_ARCHIVES}/{position}"), as_json=as_json)


@app.command()
def restore(position: Position, *, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Put the events of an archive back into the log, to be replayed or fetched; `archive` drops them again."""
    with connect(data_dir) as client:
        record = client.request("POST", f"{_ARCHIVES}/{position}/restore", timeout_s=_RESTORE_S)
    if as_json:
        print_record(record)
        return
    first, last = record["first_position"], record["last_position"]
    results().print(
        f"Positions {first} to {last} are in the log again. Replay them with `letta-gateway subscriptions replay ID "
        f"--from-position {first} --until-position {last}`; archive them again with `letta-gateway archive --before "
        f"{last + 1}`.",
        soft_wrap=True,
    )


@app.command()
def fetch(
    position: Position,
    *,
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="The folder to fetch it into.")] = Path(),
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Fetch the file of an archive, and check that it is whole."""
    with connect(data_dir) as client:
        _check_writable(to)
        record = client.request("GET", f"{_ARCHIVES}/{position}")
        path = _fetch(client, record, to)
    if as_json:
        print_record(record | {"path": str(path)})
    else:
        results().print(plain(path), soft_wrap=True)


def _print_plan(plan: Json, *, as_json: bool) -> None:
    if as_json:
        print_record(plan)
        return
    results().print(f"Would archive {_told(plan)}.", soft_wrap=True)
    for held in plan["held_by"]:
        say(
            f"Subscription {held['subscription']} still needs what is behind position {held['position']}: "
            f"{held['why']}."
        )


def _told(plan: Json) -> str:
    """What of the log would leave it: what was put back, and what is in no archive yet."""
    first, last = plan["first_position"], plan["until_position"]
    parts = [
        f"once more positions {item['first_position']} to {item['last_position']}, which were put back"
        for item in plan["again"]
    ]
    if last >= first:
        parts.append(f"positions {first} to {last}")
    return "; ".join(parts) or "nothing"


def _reached(record: Json) -> str:
    until = record["archived_until"]
    return f"; up to position {until} everything is archived" if until else ""


def _followed(client: GatewayClient, record: Json) -> Json:
    """The archiving once it is done."""
    began = record["archived_until"]
    with goes_on("The archiving"), bar("archived", max(0, record["until_position"] - began)) as advance:
        while record["state"] == "running":
            time.sleep(_LOOK_S)
            record = client.request("GET", f"{_ARCHIVES}/runs/{record['id']}")
            advance(max(0, record["archived_until"] - began))
    return record


def _all(client: GatewayClient) -> list[Json]:
    items: list[Json] = []
    cursor: str | None = None
    while True:
        page = client.request("GET", _ARCHIVES, params={"limit": _PAGE, "cursor": cursor})
        items += page["items"]
        cursor = page["next"]
        if cursor is None:
            return items


def _fetch_all(client: GatewayClient, plan: Json, last: int, folder: Path) -> None:
    """Fetch what was archived by a plan, up to a position: new files, and those of what was put back."""
    again = {item["first_position"] for item in plan["again"]}
    wanted = [
        item
        for item in _all(client)
        if item["first_position"] in again or plan["first_position"] <= item["first_position"] <= last
    ]
    with bar("files fetched", len(wanted)) as advance:
        for done, item in enumerate(wanted, 1):
            _fetch(client, item, folder)
            advance(done)


def _fetch(client: GatewayClient, record: Json, folder: Path) -> Path:
    """Fetch one file: under its name once it is whole and on the disk."""
    name = Path(str(record["file"])).name
    digest = hashlib.sha256()
    with written(folder / name, "--to", mode=ONES_OWN) as file:
        for chunk in client.fetch(f"{_ARCHIVES}/{record['first_position']}/file"):
            digest.update(chunk)
            file.write(chunk)
        if digest.hexdigest() != record["sha256"]:
            raise AnswerError(
                f"{name} did not arrive whole.", hint="Fetch it again; if it stays so, verify the log."
            )
    return folder / name


def _check_writable(folder: Path) -> None:
    """Raises before anything is done, where nothing can be written later."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(error, folder, "--to") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UsageError(f"Nothing can be written into {folder}.")


def _print(record: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_record(record)
    else:
        print_details([(name.replace("_", " "), value) for name, value in record.items()])
