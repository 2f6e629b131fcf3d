"""`trace`: the way of an event, or of all events of a trace, from the emitter to each POST."""

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import Annotated
from urllib.parse import quote

import typer

from gateway.cli import waterfall
from gateway.cli.archived import ArchivedNote
from gateway.cli.client import GatewayClient, Json, connect
from gateway.cli.options import AsJson, DataDir, Limit
from gateway.cli.output import plain, print_record, print_table, results, say
from gateway.errors import AnswerError, NotNow, UsageError
from schemas import short_of

_EVENTS = "/v1/events"
_TRACE_ID = re.compile(r"[0-9a-f]{32}")
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-(?P<trace>[0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
_DIGITS_MAX = 19
_OTHERS_MAX = 5
_NOT_FOUND = (
    "It may still be on its way (`letta-emitter doctor`), in quarantine (`letta-gateway quarantine list`), "
    "erased, or another organization's. An event is named by its position too, a trace by its 32 hex digits."
)
_COLUMNS = ("AT", "FOR", "WHAT", "", "SPAN, OR WHY NOT KNOWN")


def trace(
    *,
    target: Annotated[
        str,
        typer.Argument(
            metavar="EVENT_ID|POSITION|TRACE_ID",
            help="An event's id or place in the log, a trace's id or traceparent, or a webhook-id: a delivery's, "
            "or a batch's.",
        ),
    ],
    limit: Limit = 20,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Draw the way of an event from the emitter to each POST, or of the events of a trace or a batch.

    It needs no tracing backend. Times are to the microsecond and add up; the bars are not to scale.
    With --json, one document per event.
    """
    wanted = target.strip()
    if not wanted:
        raise UsageError("Name an event's id, its position, or a trace's id.")
    archived = ArchivedNote()
    with connect(data_dir) as client:
        try:
            found = _positions(client, wanted, limit + 1, archived)
        except AnswerError:
            archived.say()
            raise
        told = [_told(client, position) for position in found[:limit]]
    if as_json:
        for one in told:
            print_record(one)
    else:
        _draw(told, wanted)
    if len(found) > limit:
        say(f"There is more of this: only the first {limit} events are shown; --limit shows more.")


def _positions(client: GatewayClient, wanted: str, limit: int, archived: ArchivedNote) -> list[int]:
    """The events that are meant, in log order: by what the text looks like, then as an event's id."""
    traceparent = _TRACEPARENT.fullmatch(wanted)
    if traceparent is not None:
        return _of_trace(client, traceparent["trace"], limit, archived)
    if wanted.isascii() and wanted.isdigit() and len(wanted) <= _DIGITS_MAX:
        return _first(client, wanted, "a position", lambda: [_at(client, wanted)], archived)
    if _TRACE_ID.fullmatch(wanted.lower()):
        of_trace = partial(_of_trace, client, wanted.lower(), limit, archived)
        return _first(client, wanted, "a trace id", of_trace, archived)
    if wanted.startswith("dlv_"):
        path = f"/v1/deliveries/{quote(wanted, safe='')}"
        return _first(
            client, wanted, "a delivery's id", lambda: [client.request("GET", path)["position"]], archived
        )
    if wanted.startswith("bat_"):
        of_batch = partial(_of_batch, client, wanted, limit, archived)
        return _first(client, wanted, "a batch's id", of_batch, archived)
    found = _by_id(client, wanted, archived)
    if found is None:
        raise AnswerError(f"There is no event with the id {wanted}.", hint=_NOT_FOUND)
    return found


def _first(
    client: GatewayClient,
    wanted: str,
    reading: str,
    look: Callable[[], list[int]],
    archived: ArchivedNote,
) -> list[int]:
    """What the reading leads to; else, what the text leads to as an event's id, which may be any text.

    Where both do, it is said. For that only the first page is looked through: it is a hint, and costs no more.
    """
    try:
        found = look()
    except NotNow:
        raise
    except AnswerError:
        named = _by_id(client, wanted, archived)
        if named is None:
            raise
        return named
    page = client.request("GET", _EVENTS, params={"id": wanted})["items"]
    others = [item["position"] for item in page if item["position"] not in found]
    if others:
        say(f"{wanted} was taken for {reading}. It is an event's id as well: {_elsewhere(others)}.")
    return found


def _at(client: GatewayClient, position: str) -> int:
    return int(client.request("GET", f"{_EVENTS}/{int(position)}")["position"])


def _of_trace(client: GatewayClient, trace_id: str, limit: int, archived: ArchivedNote) -> list[int]:
    found = _listed(client, {"trace_id": trace_id}, limit, archived)
    if not found:
        raise AnswerError(
            f"There is no event of the trace {trace_id}.",
            hint="`letta-gateway events` lists what is there.",
        )
    return found


def _of_batch(client: GatewayClient, batch: str, limit: int, archived: ArchivedNote) -> list[int]:
    found = _listed(client, {"batch": batch}, limit, archived)
    if not found:
        raise AnswerError(
            f"There is no batch with the id {batch}.",
            hint="Its POST may still be under way, its events erased, or it is another organization's.",
        )
    return found


def _listed(client: GatewayClient, asked: dict[str, str], limit: int, archived: ArchivedNote) -> list[int]:
    items = client.items(_EVENTS, params={**asked, "order": "asc"}, limit=limit, look=archived.look)
    return [item["position"] for item in items]


def _by_id(client: GatewayClient, event_id: str, archived: ArchivedNote) -> list[int] | None:
    """The event with this id, the latest one where several sources have it; the others near it are named."""
    cursor = None
    while True:
        page = client.request("GET", _EVENTS, params={"id": event_id, "cursor": cursor})
        found = [item["position"] for item in page["items"]]
        cursor = page["next"]
        if len(found) > 1:
            say(f"Several sources have an event with this id; the latest is shown. {_elsewhere(found[1:])}.")
        if found:
            return found[:1]
        archived.look(page)
        if cursor is None:
            return None


def _elsewhere(positions: Sequence[int]) -> str:
    shown = ", ".join(str(position) for position in positions[:_OTHERS_MAX])
    more = "" if len(positions) <= _OTHERS_MAX else f" and {len(positions) - _OTHERS_MAX} more"
    return f"See also position {shown}{more}"


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


def _draw(told: list[Json], wanted: str) -> None:
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
    everything = (
        line
        for _, shared, deliveries in drawn
        for line in (*shared, *(one for each in deliveries for one in each))
    )
    scale = waterfall.Scale(everything, ascii_only=not waterfall.drawn_in(sys.stdout.encoding))
    if len(told) > 1:
        _say(f"{len(told)} events {_what_they_share(told, wanted)}, from {told[0]['began_at']} on")
    for one, shared, deliveries in drawn:
        _say()
        for line in _head(one):
            _say(line)
        print_table(_COLUMNS, waterfall.rows(shared, scale))
        for delivery, lines in zip(one["deliveries"], deliveries, strict=True):
            _say()
            following = "" if delivery["next_at"] is None else f", next attempt at {delivery['next_at']}"
            _say(f"{delivery['state']}: {delivery['id']} to {delivery['subscription']}{following}")
            print_table(_COLUMNS, waterfall.rows(lines, scale))
            if lines:
                _say(
                    f"{waterfall.shown(delivery['duration_ms'])} from its beginning to the end of the last attempt"
                )
        if not deliveries:
            _say("It was delivered to no subscription of yours yet: `letta-gateway explain` says why.")


def _what_they_share(told: list[Json], wanted: str) -> str:
    """The trace that was asked for, or the batch: its trace is none of theirs."""
    trace_id = told[0]["trace_id"]
    if trace_id is not None and trace_id in wanted.lower():
        return f"of the trace {trace_id}"
    return (
        f"that were posted together as {wanted}"
        if wanted.startswith("bat_")
        else f"posted together in {wanted}"
    )


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
