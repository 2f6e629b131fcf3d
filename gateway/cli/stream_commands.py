"""`subscriptions test|replay|replays|cancel-replay` and `deliveries retry`: what is asked of a stream."""

import time
from enum import StrEnum
from typing import Annotated, Any, Final
from urllib.parse import quote

import typer

from gateway.cli.client import GatewayClient, Json, connect
from gateway.cli.options import AsJson, DataDir, time_option
from gateway.cli.output import print_record, print_table, results
from gateway.cli.progress import bar, goes_on
from gateway.cli.subscriptions import SubscriptionId, app, path_of
from gateway.domain.subscription import PULL_SINK
from gateway.errors import UsageError

_LOOK_S: Final = 0.2


class Only(StrEnum):
    """What of a range is sent again."""

    ALL = "all"
    FAILED = "failed"


@app.command("test")
def send_test(*, subscription_id: SubscriptionId, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Send an event that only this subscription gets, to see that its sink answers."""
    with connect(data_dir) as client:
        sent = client.request("POST", path_of(subscription_id) + "/test", body={})
        pulled = not as_json and client.request("GET", path_of(subscription_id)).get("sink") == PULL_SINK
    position = sent["position"]
    if as_json:
        print_record(sent)
        return
    further = f"see how it went: letta-gateway deliveries list --event {position}"
    if pulled:
        # Nothing is sent to it, so there is no delivery of it to be looked at.
        further = f"who fetches this subscription gets it, behind `after={position - 1}` of its stream"
    results().print(f"A test event stands at position {position}; {further}", soft_wrap=True)


@app.command()
def replay(
    *,
    subscription_id: SubscriptionId,
    since: Annotated[
        str | None, typer.Option("--since", metavar="TIME", help="From what was appended at this time on.")
    ] = None,
    from_position: Annotated[
        int | None, typer.Option("--from-position", min=1, help="From this position on, included.")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="TIME", help="Up to what was appended at this time.")
    ] = None,
    until_position: Annotated[
        int | None, typer.Option("--until-position", min=1, help="Up to this position, included.")
    ] = None,
    only: Annotated[
        Only, typer.Option("--only", help="All that it selects, or what is exhausted or refused by now.")
    ] = Only.ALL,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count, and send nothing.")] = False,
    wait: Annotated[
        bool,
        typer.Option(
            "--wait", help="Wait until each delivery of it has ended; Ctrl-C ends only the waiting."
        ),
    ] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Send events of the log again; the live stream goes on meanwhile."""
    if (since is None) == (from_position is None):
        raise UsageError("Name either --since TIME or --from-position N: where the replay begins.")
    for option, text in (("--since", since), ("--until", until)):
        if text is not None:
            time_option(option, text)
    given: dict[str, Any] = {
        "since": since,
        "from_position": from_position,
        "until": until,
        "until_position": until_position,
        "only": only.value,
        "dry_run": dry_run,
    }
    body = {name: value for name, value in given.items() if value is not None}
    with connect(data_dir) as client:
        found = client.request("POST", path_of(subscription_id) + "/replay", body=body)
        if wait and not dry_run:
            found = _followed(client, path_of(subscription_id), found)
    if as_json:
        print_record(found)
    elif found.get("state") not in {None, "running"}:
        results().print(
            f"Replay {found['id']} of positions {found['from_position']} to {found['until_position']} is "
            f"{found['state']}.",
            soft_wrap=True,
        )
    elif dry_run:
        results().print(
            f"{found['count']} deliveries of positions {found['from_position']} to "
            f"{found['until_position']} would be sent again.",
            soft_wrap=True,
        )
    else:
        results().print(
            f"Replay {found['id']} of positions {found['from_position']} to {found['until_position']} has "
            f"begun; follow it: letta-gateway subscriptions replays {subscription_id}",
            soft_wrap=True,
        )


def _followed(client: GatewayClient, path: str, replay: Json) -> Json:
    """The replay once it has ended."""
    first, last = replay["from_position"], replay["until_position"]
    with goes_on("The replay"), bar("positions looked at", max(0, last - first + 1)) as advance:
        while replay["state"] == "running":
            time.sleep(_LOOK_S)
            replay = client.request("GET", f"{path}/replays/{replay['id']}")
            advance(max(0, replay["cursor"] - first + 1))
    return replay


@app.command()
def validate(*, subscription_id: SubscriptionId, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Ask the sink, once more, whether it agrees to be sent events (the CloudEvents webhook handshake)."""
    with connect(data_dir) as client:
        found = client.request("POST", path_of(subscription_id) + "/validate", body={})
    if as_json:
        print_record(found)
    else:
        results().print(
            f"The sink is asked; see what comes of it: letta-gateway subscriptions show {subscription_id}",
            soft_wrap=True,
        )


@app.command()
def replays(*, subscription_id: SubscriptionId, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List the replays that run."""
    with connect(data_dir) as client:
        items = client.items(path_of(subscription_id) + "/replays", limit=1_000)
        if as_json:
            for item in items:
                print_record(item)
        else:
            print_table(
                ("ID", "FROM", "UNTIL", "ONLY", "CURSOR", "OPEN", "REQUESTED AT"),
                [
                    tuple(
                        item[name]
                        for name in (
                            "id",
                            "from_position",
                            "until_position",
                            "only",
                            "cursor",
                            "open",
                            "requested_at",
                        )
                    )
                    for item in items
                ],
            )


@app.command("cancel-replay")
def cancel_replay(
    *,
    subscription_id: SubscriptionId,
    replay_id: Annotated[int, typer.Argument(metavar="REPLAY", min=1, help="The replay's id.")],
    data_dir: DataDir = None,
) -> None:
    """Send no more of a replay; what it has begun goes on by its schedule."""
    with connect(data_dir) as client:
        client.request("DELETE", f"{path_of(subscription_id)}/replays/{replay_id}")
    results().print(f"Cancelled the replay {replay_id}.", soft_wrap=True)


def retry(
    *,
    delivery_id: Annotated[str, typer.Argument(metavar="ID", help="The delivery's id, dlv_….")],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Try a delivery once more now, whatever became of it."""
    with connect(data_dir) as client:
        found = client.request("POST", f"/v1/deliveries/{quote(delivery_id, safe='')}/retry", body={})
    if as_json:
        print_record(found)
    else:
        results().print(
            f"One more attempt is made; see it: letta-gateway deliveries show {delivery_id}", soft_wrap=True
        )
