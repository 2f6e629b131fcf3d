"""`trace`: the way of an event, or of all events of a trace, from the emitter to each POST."""

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated
from urllib.parse import quote

import typer

from gateway.cli import waterfall
from gateway.cli.client import GatewayClient, Json, connect
from gateway.cli.options import AsJson, DataDir, Limit
from gateway.cli.output import plain, print_record, print_table, results, say
from gateway.errors import AnswerError, UsageError
from schemas import short_of

_EVENTS = "/v1/events"
_TRACE_ID = re.compile(r"[0-9a-f]{32}")
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-(?P<trace>[0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
_DIGITS_MAX = 19
_COLUMNS = ("AT", "FOR", "WHAT", "", "SPAN, OR WHY NOT KNOWN")


def trace(
    *,
    target: Annotated[
        str,
        typer.Argument(
            metavar="EVENT_ID|POSITION|TRACE_ID",
            help="An event's id or place in the log, or a trace's id or traceparent; a delivery's id as well.",
        ),
    ],
    limit: Limit = 20,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Draw the way of an event from the emitter to each POST, or of the events of a trace, without any tracing backend.

    Times are to the microsecond and add up; the bars are not to scale. With --json, one document per event.
    """
    wanted = target.strip()
    if not wanted:
        raise UsageError("Name an event's id, its position, or a trace's id.")
    with connect(data_dir) as client:
        found = _positions(client, wanted, limit + 1)
        told = [_told(client, position) for position in found[:limit]]
    if as_json:
        for one in told:
            print_record(one)
    else:
        _draw(told)
    if len(found) > limit:
        say(f"There is more of this: only the first {limit} events are shown; --limit shows more.")


def _positions(client: GatewayClient, wanted: str, limit: int) -> list[int]:
    """The events that are meant, by what the text looks like, in log order."""
    traceparent = _TRACEPARENT.fullmatch(wanted)
    trace_id = traceparent["trace"] if traceparent else wanted.lower()
    if wanted.isascii() and wanted.isdigit() and len(wanted) <= _DIGITS_MAX:
        return [int(wanted)]
    if _TRACE_ID.fullmatch(trace_id):
        params = {"trace_id": trace_id, "order": "asc"}
        found = [item["position"] for item in client.items(_EVENTS, params=params, limit=limit)]
        if not found:
            raise AnswerError(
                f"There is no event of the trace {trace_id}.",
                hint="A batch is posted in a trace of its own: look for one of its events, or its delivery's id. "
                "`letta-gateway events` lists what is there.",
            )
        return found
    if wanted.startswith("dlv_"):
        return [client.request("GET", f"/v1/deliveries/{quote(wanted, safe='')}")["position"]]
    return _by_id(client, wanted)


def _by_id(client: GatewayClient, event_id: str) -> list[int]:
    """The event with this id, the latest one where several sources have it."""
    for item in client.items(_EVENTS, params={"id": event_id}):
        return [item["position"]]
    raise AnswerError(
        f"There is no event with the id {event_id}.",
        hint="It may still be on its way (`letta-emitter doctor`), in quarantine (`letta-gateway quarantine list`), "
        "erased, or another organization's. An event is named by its position too, a trace by its 32 hex digits.",
    )


def _told(client: GatewayClient, position: int) -> Json:
    """The whole path of one event: deliveries come in pages."""
    path = f"{_EVENTS}/{position}/trace"
    told = client.request("GET", path)
    cursor = told.pop("next")
    while cursor is not None:
        more = client.request("GET", path, params={"cursor": cursor})
        told["deliveries"] += more["deliveries"]
        cursor = more["next"]
    return told


def _draw(told: list[Json]) -> None:
    began = min(_moment(one["began_at"]) for one in told)
    drawn = []
    for one in told:
        offset_ms = (_moment(one["began_at"]) - began).total_seconds() * 1_000
        appended_ms = offset_ms + waterfall.appended_at(one)
        shared = waterfall.shared_lines(one, offset_ms)
        drawn.append(
            (one, shared, [waterfall.delivery_lines(each, appended_ms) for each in one["deliveries"]])
        )
    # One scale for all, so that what happened at once stands below each other.
    scale = waterfall.Scale(
        line
        for _, shared, deliveries in drawn
        for line in (*shared, *(one for each in deliveries for one in each))
    )
    if len(told) > 1:
        _say(f"{len(told)} events of the trace {told[0]['trace_id']}, from {told[0]['began_at']} on")
    for one, shared, deliveries in drawn:
        _say()
        for line in _head(one):
            _say(line)
        print_table(_COLUMNS, waterfall.rows(shared, scale))
        for delivery, lines in zip(one["deliveries"], deliveries, strict=True):
            _say()
            _say(f"{delivery['state']}: {delivery['id']} to {delivery['subscription']}")
            print_table(_COLUMNS, waterfall.rows(lines, scale))
            if lines:
                _say(
                    f"{waterfall.shown(delivery['duration_ms'])} from its beginning to the end of the last attempt"
                )
        if not deliveries:
            _say("It was delivered to nobody yet: `letta-gateway explain` says why.")


def _head(told: Json) -> Iterator[str]:
    event = told["event"]
    name = short_of(event["type"]) or event["type"]
    yield f"{name} {event['id'] or '(erased)'} at position {told['position']}, {told['began_at']}"
    if told["trace_id"] is not None:
        sampled = "sampled" if told["sampled"] else "not sampled"
        yield f"trace {told['trace_id']}, begun by the {told['trace_begins']}, {sampled}; came by {told['came_by']}"
    if told["clocks_differ"]:
        yield "The clocks of the hosts on its way differ: a step seems to end before it began."


def _say(text: str = "") -> None:
    results().print(plain(text), soft_wrap=True)


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
