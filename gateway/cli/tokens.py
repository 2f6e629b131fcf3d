"""`tokens`: who may get in."""

from typing import Annotated, Any
from urllib.parse import quote

import typer

from gateway.cli.client import Json, connect
from gateway.cli.options import AsJson, DataDir, Limit, time_option
from gateway.cli.output import print_details, print_record, print_table, results, say
from gateway.errors import UsageError

app = typer.Typer(no_args_is_help=True, help="Who may get in: list, create and revoke tokens of the API.")

_PATH = "/v1/tokens"
_EVERY_ORGANIZATION = "every organization"


@app.command("list")
def list_(*, data_dir: DataDir = None, limit: Limit = 100, as_json: AsJson = False) -> None:
    """List the tokens that are not revoked, with when each was used last; never the tokens themselves."""
    with connect(data_dir) as client:
        found = client.items(_PATH, limit=limit)
        if as_json:
            for token in found:
                print_record(token)
            return
        print_table(
            ("ID", "NAME", "OPENS", "MAY", "STATE", "EXPIRES AT", "LAST USED AT"),
            [
                (
                    *(token.get("id"), token.get("name"), token.get("organization") or _EVERY_ORGANIZATION),
                    "read" if token.get("read_only") else "read, write",
                    *(token.get(name) for name in ("state", "expires_at", "last_used_at")),
                )
                for token in found
            ],
        )


@app.command()
def create(
    *,
    organization: Annotated[
        str | None, typer.Option("--organization", help="The only organization that it opens.")
    ] = None,
    admin: Annotated[bool, typer.Option("--admin", help="Open every organization.")] = False,
    read_only: Annotated[bool, typer.Option("--read-only", help="Let it change nothing.")] = False,
    expires_at: Annotated[
        str | None,
        typer.Option("--expires-at", help="When it ends by itself (RFC 3339); never, if left out."),
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="A name for people.")] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Make a token for one organization, or for all with --admin. It is shown this once."""
    if admin == (organization is not None):
        raise UsageError("Say what it opens: either --organization NAME, or --admin.")
    if expires_at is not None:
        time_option("--expires-at", expires_at)
    asked: dict[str, Any] = {"read_only": read_only, "expires_at": expires_at, "name": name}
    asked |= {"admin": True} if admin else {"organization": organization}
    body: Json = {member: value for member, value in asked.items() if value is not None}
    with connect(data_dir) as client:
        made = client.request("POST", _PATH, body=body)
    if as_json:
        print_record(made)
        return
    print_details(list(made.items()))
    say("The token is shown this once: keep it now.")


@app.command()
def revoke(
    *,
    token_id: Annotated[
        str, typer.Argument(metavar="ID", help="The token's id, tok_…; not the token itself.")
    ],
    data_dir: DataDir = None,
) -> None:
    """Let a token open nothing any more, at once; the streams that it holds open end."""
    with connect(data_dir) as client:
        client.request("DELETE", f"{_PATH}/{quote(token_id, safe='')}")
    results().print(f"Revoked {token_id}.", soft_wrap=True)
