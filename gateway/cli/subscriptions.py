"""`subscriptions`: who is sent what."""

from enum import StrEnum
from typing import Annotated, Any
from urllib.parse import quote

import typer

from gateway.cli.client import GatewayClient, Json, connect
from gateway.cli.importing import import_
from gateway.cli.options import AsJson, DataDir, Limit, event_names, full_types, json_object_option
from gateway.cli.output import print_details, print_record, print_table, results, say
from gateway.errors import AnswerError, UsageError

app = typer.Typer(no_args_is_help=True, help="Who is sent what: list, create and change subscriptions.")

_PATH = "/v1/subscriptions"

SubscriptionId = Annotated[str, typer.Argument(metavar="ID", help="The subscription's id.")]
Types = Annotated[
    list[str] | None,
    typer.Option(
        "--type",
        help="An event type to send, short or full; repeat for more. None: every type.",
        autocompletion=event_names,
    ),
]
Filters = Annotated[
    list[str] | None,
    typer.Option(
        "--filter",
        metavar="JSON",
        help='A filter, such as {"exact": {"partitionkey": "agent-1"}}; repeat for more, all must match.',
    ),
]
Config = Annotated[
    str | None,
    typer.Option("--config", metavar="JSON", help='Delivery options, such as {"format": "structured"}.'),
]
Headers = Annotated[
    list[str] | None,
    typer.Option("--header", metavar="NAME:VALUE", help="A header to send along; repeat for more."),
]
Source = Annotated[str | None, typer.Option("--source", help="Only events of this source.")]
Name = Annotated[str | None, typer.Option("--name", help="A name for people.")]
Description = Annotated[str | None, typer.Option("--description", help="A description for people.")]


class ResumeFrom(StrEnum):
    """Where a resumed subscription goes on."""

    CURSOR = "cursor"
    NOW = "now"


@app.command("list")
def list_(*, data_dir: DataDir = None, limit: Limit = 100, as_json: AsJson = False) -> None:
    """List subscriptions."""
    with connect(data_dir) as client:
        found = client.items(_PATH, limit=limit)
        if as_json:
            for subscription in found:
                print_record(subscription)
            return
        print_table(
            ("ID", "STATE", "NAME", "TYPES", "SINK"),
            [
                (s.get("id"), s.get("state"), s.get("name"), " ".join(s.get("types") or ["*"]), s.get("sink"))
                for s in found
            ],
        )


@app.command()
def create(
    *,
    sink: Annotated[
        str, typer.Option("--sink", help="The URL that events are posted to; pull: to fetch them instead.")
    ],
    types: Types = None,
    filters: Filters = None,
    config: Config = None,
    source: Source = None,
    headers: Headers = None,
    name: Name = None,
    description: Description = None,
    organization: Annotated[
        str | None, typer.Option("--organization", help="Only this organization's events.")
    ] = None,
    secret: Annotated[
        str | None, typer.Option("--secret", help="A signing secret of your own, whsec_…; else one is made.")
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Create a subscription and show its signing secret, this once."""
    body = _members(
        sink=sink,
        types=types,
        filters=filters,
        config=config,
        source=source,
        headers=headers,
        name=name,
        description=description,
    )
    body |= _given(organization=organization, secret=secret)
    with connect(data_dir) as client:
        made = client.request("POST", _PATH, body=body)
    if as_json:
        print_record(made)
        return
    _print(made)
    say("The secret is shown this once: keep it now.")


app.command("import")(import_)


@app.command()
def show(*, subscription_id: SubscriptionId, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Show one subscription."""
    with connect(data_dir) as client:
        _print(client.request("GET", path_of(subscription_id)), as_json=as_json)


@app.command()
def update(
    *,
    subscription_id: SubscriptionId,
    sink: Annotated[str | None, typer.Option("--sink", help="The URL that events are posted to.")] = None,
    types: Types = None,
    filters: Filters = None,
    config: Config = None,
    source: Source = None,
    headers: Headers = None,
    name: Name = None,
    description: Description = None,
    unchanged_since: Annotated[
        str | None,
        typer.Option(
            "--unchanged-since",
            metavar="TIME",
            help="Only if its `updated_at` is still this: somebody else's change is then not overwritten.",
        ),
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Change members of a subscription; what is not named stays."""
    body = _members(
        sink=sink,
        types=types,
        filters=filters,
        config=config,
        source=source,
        headers=headers,
        name=name,
        description=description,
    )
    if not body:
        raise UsageError("Name at least one member to change, such as --sink.")
    path = path_of(subscription_id)
    with connect(data_dir) as client:
        condition = None if unchanged_since is None else _condition(client, path, unchanged_since)
        _print(client.request("PATCH", path, body=body, headers=condition), as_json=as_json)


def _condition(client: GatewayClient, path: str, unchanged_since: str) -> dict[str, str]:
    """The version that was changed last at that time, for the gateway to hold on to (RFC 9110, 13.1.1)."""
    found, tag = client.versioned(path)
    if found["updated_at"] != unchanged_since:
        raise AnswerError(
            f"It was changed at {found['updated_at']}, and not last at {unchanged_since}.",
            hint="Nothing was changed now. Look at it again: letta-gateway subscriptions show.",
        )
    return {"If-Match": tag}


@app.command()
def pause(*, subscription_id: SubscriptionId, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Stop sending; nothing is lost, resume goes on where it stopped."""
    with connect(data_dir) as client:
        _print(client.request("POST", path_of(subscription_id) + "/pause", body={}), as_json=as_json)


@app.command()
def resume(
    *,
    subscription_id: SubscriptionId,
    start: Annotated[
        ResumeFrom, typer.Option("--from", help="Go on at the cursor, or skip to now.")
    ] = ResumeFrom.CURSOR,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Send again after a pause, or after the gateway has disabled it."""
    with connect(data_dir) as client:
        body = {"from": start.value}
        _print(client.request("POST", path_of(subscription_id) + "/resume", body=body), as_json=as_json)


@app.command("rotate-secret")
def rotate_secret(
    *,
    subscription_id: SubscriptionId,
    secret: Annotated[
        str | None, typer.Option("--secret", help="A signing secret of your own, whsec_…; else one is made.")
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Sign with a new secret, shown this once; for 24 hours the one before it signs as well."""
    with connect(data_dir) as client:
        found = client.request(
            "POST", path_of(subscription_id) + "/rotate-secret", body=_given(secret=secret)
        )
    if as_json:
        print_record(found)
        return
    print_details([(name, found[name]) for name in ("id", "secret", "overlap_until")])
    say("The secret is shown this once: keep it now.")


@app.command()
def delete(*, subscription_id: SubscriptionId, data_dir: DataDir = None) -> None:
    """Delete a subscription with its cursor, pending deliveries and secrets."""
    with connect(data_dir) as client:
        client.request("DELETE", path_of(subscription_id))
    results().print(f"Deleted {subscription_id}.", soft_wrap=True)


def path_of(subscription_id: str) -> str:
    """Where a subscription is found on the API."""
    return f"{_PATH}/{quote(subscription_id, safe='')}"


def _members(
    *,
    sink: str | None,
    types: list[str] | None,
    filters: list[str] | None,
    config: str | None,
    source: str | None,
    headers: list[str] | None,
    name: str | None,
    description: str | None,
) -> Json:
    """The members of the Subscriptions API's shape that the options name."""
    return _given(
        sink=sink,
        types=full_types(types),
        filters=[json_object_option("--filter", text) for text in filters or []] or None,
        config=json_object_option("--config", config) if config is not None else None,
        source=source,
        protocolsettings={"headers": dict(map(_header, headers))} if headers else None,
        name=name,
        description=description,
    )


def _given(**members: Any) -> Json:  # noqa: ANN401 - JSON values
    return {name: value for name, value in members.items() if value is not None}


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise UsageError(f"--header: {text!r} is not NAME:VALUE.")
    return name.strip(), value.strip()


def _print(subscription: Json, *, as_json: bool = False) -> None:
    if as_json:
        print_record(subscription)
    else:
        print_details(list(subscription.items()))
