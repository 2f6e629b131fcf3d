"""`listen`: a local receiver that verifies, prints and counts; or events fetched and posted to one that is there."""

import sys
from functools import partial
from typing import Annotated, Any

import anyio
import typer
from rich.text import Text

from gateway.cli.client import connect
from gateway.cli.endpoint import is_http
from gateway.cli.interrupts import until_interrupted
from gateway.cli.options import AsJson, DataDir
from gateway.cli.output import plain, print_record, results, say
from gateway.cli.receiver import Answer, Received, Receiver
from gateway.cli.signatures import Check, Verdict, check_secret, trace_id_of
from gateway.errors import CheckFailed, UsageError
from schemas import short_of

_STYLES = {Verdict.GOOD: "green", Verdict.BAD: "bold red", Verdict.UNCHECKED: "dim"}
_MARKS = {Verdict.GOOD: "✓", Verdict.BAD: "✗", Verdict.UNCHECKED: "?"}


def listen(
    *,
    port: Annotated[
        int | None, typer.Option("--port", min=0, max=65535, help="Listen here; 0 takes a free one.")
    ] = None,
    host: Annotated[str, typer.Option("--host", help="Listen on this address.")] = "127.0.0.1",
    secret: Annotated[
        str | None,
        typer.Option(
            "--secret",
            envvar="LETTA_GATEWAY_LISTEN_SECRET",
            help="The subscription's secret, whsec_…: verifies, or signs what is forwarded; else neither.",
        ),
    ] = None,
    status: Annotated[int, typer.Option("--status", min=200, max=599, help="Answer with this.")] = 200,
    forward: Annotated[
        str | None,
        typer.Option(
            "--forward", metavar="URL", help="Instead of listening, fetch events and post them here."
        ),
    ] = None,
    subscription_id: Annotated[
        str | None, typer.Option("--subscription", metavar="ID", help="Forward this subscription's events.")
    ] = None,
    after: Annotated[
        int | None,
        typer.Option(
            "--after",
            metavar="POSITION",
            min=0,
            help="Forward what is behind this position; without it, from the subscription's start.",
        ),
    ] = None,
    count: Annotated[
        int | None, typer.Option("--count", min=1, help="End after so many POSTs, or events forwarded.")
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Receive webhooks on a local port: verify both signatures, print each POST, count duplicates.

    With --forward and --subscription it needs no port: it fetches the subscription's events from the gateway and
    posts them to a local URL as the gateway would, each until it is taken. It keeps nothing: --after goes on.

    With --count it ends by itself, and with exit code 1 if a signature was not good or an event was not taken.
    """
    if secret is not None:
        check_secret(secret)
    if forward is not None:
        if port is not None or subscription_id is None or not is_http(forward):
            raise UsageError(
                "--forward takes an http:// or https:// URL, goes with --subscription, and not with --port."
            )
        from gateway.cli import forwarding  # noqa: PLC0415 - slow to load, and only used here

        with connect(data_dir) as client:
            asked = forwarding.Forwarding(forward, subscription_id, after, secret, count)
            forwarding.forward(client, asked, as_json=as_json)
        return
    if port is None or subscription_id is not None or after is not None:
        raise UsageError("Give --port to listen there, or --forward with --subscription to fetch events.")
    work = partial(_listen, host=host, port=port, secret=secret, status=status, count=count, as_json=as_json)
    anyio.run(work)


async def _listen(
    *, host: str, port: int, secret: str | None, status: int, count: int | None, as_json: bool
) -> None:
    bad = 0

    def show(received: Received) -> None:
        nonlocal bad
        bad += Verdict.BAD in {received.verified_v1.verdict, received.verified_letta.verdict}
        print_record(record_of(received)) if as_json else print_received(received)

    receiver = Receiver(secret=secret, respond=lambda _: Answer(status), on_received=show)
    async with receiver.running(port, host):
        say(f"Listening on {receiver.url} and answering {status}. Ctrl-C ends it.")
        if count is None:
            await until_interrupted()
        else:
            await until_interrupted(receiver.wait_until(lambda r: r.count >= count, within_s=float("inf")))
    say(f"{receiver.count} received, {receiver.duplicates} of them again, {bad} not verified.")
    if count is not None and bad:
        raise CheckFailed(f"{bad} of {receiver.count} were not verified.")


def record_of(received: Received) -> dict[str, Any]:
    """One POST as a record for programs."""
    return {
        "received_at": received.at.isoformat().replace("+00:00", "Z"),
        "delivery_id": received.delivery_id,
        "duplicate": received.duplicate,
        "verified_v1": _record_of_check(received.verified_v1),
        "verified_letta": _record_of_check(received.verified_letta),
        "trace_id": received.trace_id,
        "answered": received.answer.status,
        "events": [dict(event.attributes) for event in received.events],
        "headers": dict(received.headers),
        "body": received.body.decode("utf-8", "replace"),
        "problem": received.problem or None,
    }


def _record_of_check(check: Check) -> dict[str, str]:
    return {"verdict": check.verdict.value, "reason": check.reason}


def print_received(received: Received) -> None:
    """One POST as a line for people, and why where something is wrong."""
    again = Text(" again", style="yellow") if received.duplicate else Text("")
    head = Text.assemble(
        (f"{received.at:%H:%M:%S.%f}"[:-3], "dim"),
        f" → {received.answer.status} ",
        _mark("v1", received.verified_v1),
        " ",
        _mark("hmac", received.verified_letta),
        f" {plain(received.delivery_id)}",
        again,
    )
    console = results()
    console.print(head)
    for event in received.events:
        trace_id = trace_id_of(event.traceparent) or received.trace_id
        name = short_of(event.type) or event.type
        console.print(
            Text.assemble("  ", (plain(name), "bold cyan"), f" {plain(event.subject)} {plain(event.id)}"),
            Text(f"trace {trace_id}" if trace_id else "", style="dim"),
        )
    for reason in (received.problem, received.verified_v1.reason, received.verified_letta.reason):
        if reason:
            console.print(Text(f"  {plain(reason)}", style="red"))
    sys.stdout.flush()


def _mark(name: str, check: Check) -> tuple[str, str]:
    return f"{name} {_MARKS[check.verdict]}", _STYLES[check.verdict]
