"""`secrets rotate-key`: what is stored sealed, under another key, while the gateway serves."""

from typing import Any

import typer

from gateway.cli.client import GatewayClient, Json, connect
from gateway.cli.options import AsJson, DataDir
from gateway.cli.output import print_record, print_table, results, say
from gateway.errors import CheckFailed

app = typer.Typer(no_args_is_help=True, help="The keys that stored secrets are sealed under.")

_PROGRESS_EVERY = 20


@app.callback()
def _group() -> None:
    # One command alone would take the place of the group.
    pass


@app.command("rotate-key")
def rotate_key(*, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Seal every stored secret again, under the first key of GATEWAY_SECRET_KEYS, while the gateway serves.

    Before it, start the gateway with the new key in front of the old ones. It may be broken off and run again at any
    time. At the end it says which keys are still needed: a key that is not can be taken out of GATEWAY_SECRET_KEYS.
    """
    with connect(data_dir) as client:
        found = _rotate(client)
        keys = list(client.items("/v1/secrets/keys"))
    if as_json:
        print_record(found | {"keys": keys})
    else:
        results().print(
            f"{found['resealed']} of {found['checked']} stored secrets are sealed anew; all that opened are under the "
            "first key now.",
            soft_wrap=True,
        )
        columns = ("KEY", "SEALS", "SEALED", "LINKS UNTIL", "NEEDED")
        print_table(columns, map(_row, keys))
    if found["unreadable"]:
        row = found["unreadable"][0]
        raise CheckFailed(
            f"{len(found['unreadable'])} stored secrets do not open and stay as they are; the first is "
            f"{row['kind']} of {row['owner']}, revision {row['revision']}.",
            hint="Restore them from a backup, or delete what they belong to.",
        )


def _rotate(client: GatewayClient) -> Json:
    """All batches, one after the other, as one result."""
    total: dict[str, Any] = {"checked": 0, "resealed": 0, "unreadable": []}
    cursor, batches = None, 0
    while batches == 0 or cursor is not None:
        batch = client.request("POST", "/v1/secrets/rotate-key", params={"cursor": cursor})
        for name in total:
            total[name] += batch[name]
        cursor, batches = batch["next"], batches + 1
        if batches % _PROGRESS_EVERY == 0:
            say(f"{total['checked']} stored secrets are done so far.")
    return total


def _row(key: Json) -> tuple[object, ...]:
    said = {True: "yes", False: "no"}
    return key["id"], said[key["first"]], key["sealed"], key["links_until"] or "", said[key["needed"]]
