"""`subscriptions stats`: how a stream is doing, at a glance."""

from typing import Annotated

import typer

from gateway.cli.client import Json, connect
from gateway.cli.options import AsJson, DataDir
from gateway.cli.output import print_details, print_record, print_table, results
from gateway.cli.subscriptions import SubscriptionId, path_of

_SPREADS = (("append to delivered", "latency_ms"), ("the sink's answer", "answer_ms"))
_FIGURES = ("p50", "p90", "p95", "p99", "max")


def stats(
    *,
    subscription_id: SubscriptionId,
    window_s: Annotated[
        int | None,
        typer.Option(
            "--window", metavar="SECONDS", min=1, help="Of attempts since then; without it, an hour."
        ),
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show how a stream is doing: rates, latency, lag, what waits longest, and its breaker."""
    with connect(data_dir) as client:
        found = client.request("GET", path_of(subscription_id) + "/stats", params={"window_s": window_s})
    if as_json:
        print_record(found)
        return
    print_details(_details(found))
    results().print()
    print_table(
        ("MILLISECONDS", "COUNT", *(name.upper() for name in _FIGURES)),
        [(title, found[name]["count"], *map(found[name].get, _FIGURES)) for title, name in _SPREADS],
    )


def _details(found: Json) -> list[tuple[str, object]]:
    window, rates = found["window"], found["rates"]
    oldest, lag, breaker = found["oldest_undelivered"], found["lag"], found["breaker"]
    counted = {name: count for name, count in found["attempts"].items() if count}
    more = "" if window["complete"] else " (the latest attempts; there were more)"
    return [
        ("subscription", found["subscription"]),
        ("state", found["state"]),
        ("window", f"{window['seconds']:g} s{more}"),
        ("attempts", ", ".join(f"{count} {name}" for name, count in counted.items()) or "none"),
        ("rates", f"{rates['delivered_per_s']:g} delivered/s of {rates['attempts_per_s']:g} attempts/s"),
        ("pending", found["pending"]),
        ("lag", "" if lag is None else f"{lag['events']} positions, {lag['seconds']:g} s"),
        ("oldest undelivered", "none" if oldest is None else _oldest(oldest)),
        ("waits until", found["waits_until"]),
        ("breaker", _breaker(breaker)),
    ]


def _oldest(oldest: Json) -> str:
    place = f"position {oldest['position']}" if oldest["exact"] else f"behind position {oldest['position']}"
    return f"{place}, {oldest['age_s']:g} s old"


def _breaker(breaker: Json) -> str:
    if breaker["state"] == "open":
        return f"open since {breaker['opened_at']}, next probe at {breaker['probe_at']}"
    failing = breaker["failing_since"]
    return "closed" if failing is None else f"closed, failing since {failing}"
