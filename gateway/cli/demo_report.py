"""What a round of the demo shows: each event, where it arrived, and every reason why that is not good."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.text import Text

from gateway.cli.output import print_table
from gateway.cli.receiver import Received
from gateway.cli.signatures import Check, trace_id_of
from schemas import Envelope, short_of

_ID_CHARS = 14
_TRACE_CHARS = 12


@dataclass(frozen=True, slots=True)
class Round:
    """One replay and what came of it.

    Attributes:
        ids: The events that the emitter took, in order.
        received: Every POST since the round began.
        deliveries: By event id, the deliveries that the gateway's API reports.
    """

    ids: Sequence[str]
    received: Sequence[Received]
    deliveries: Mapping[str, Sequence[Mapping[str, Any]]]


def faults(round_: Round) -> list[str]:
    """Every reason why not everything arrived exactly once, verified, in one trace per step; empty if it did."""
    found = list(_faults_of_arrival(round_))
    for received in round_.received:
        found += _faults_of_post(received)
    found += _faults_of_steps(round_.received)
    for event_id in round_.ids:
        found += _faults_of_deliveries(event_id, round_.deliveries.get(event_id, ()))
    return found


def _faults_of_arrival(round_: Round) -> Iterator[str]:
    arrived = Counter(received.event.id for received in round_.received if received.event is not None)
    for event_id in round_.ids:
        if arrived[event_id] != 1:
            yield f"{event_id} arrived {arrived[event_id]} times"
    for event_id in arrived.keys() - set(round_.ids):
        yield f"{event_id} arrived and was not sent"


def _faults_of_post(received: Received) -> Iterator[str]:
    name = received.delivery_id or "a POST without webhook-id"
    if received.event is None:
        yield f"{name} is no event: {received.problem or 'not exactly one'}"
        return
    if not received.verified_v1.good:
        yield f"{name}: Standard Webhooks signature {received.verified_v1.verdict}: {received.verified_v1.reason}"
    if not received.verified_letta.good:
        yield f"{name}: X-Letta-Signature {received.verified_letta.verdict}: {received.verified_letta.reason}"
    origin = trace_id_of(received.event.traceparent)
    if origin is None or origin != received.trace_id:
        yield f"{name}: began in trace {origin}, was posted in trace {received.trace_id}"


def _faults_of_steps(received: Sequence[Received]) -> Iterator[str]:
    traces: defaultdict[str, set[str | None]] = defaultdict(set)
    for post in received:
        if post.event is not None and (step := _step_of(post.event)) is not None:
            traces[step] |= {trace_id_of(post.event.traceparent), post.trace_id}
    for step, found in traces.items():
        if len(found) != 1:
            yield f"{step} has {len(found)} traces"
    if not traces:
        yield "no event of an agent step arrived"


def _faults_of_deliveries(event_id: str, deliveries: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if len(deliveries) != 1:
        yield f"{event_id} has {len(deliveries)} deliveries at the gateway"
    for delivery in deliveries:
        attempts = len(delivery["attempts"])
        if delivery["state"] != "delivered" or attempts != 1:
            yield f"{event_id} is {delivery['state']} after {attempts} attempts at the gateway"


def _step_of(event: Envelope) -> str | None:
    payload = event.data()
    data = payload.get("data") if isinstance(payload, dict) else None
    step = data.get("step_id") if isinstance(data, dict) else None
    return step if isinstance(step, str) else None


def print_round(round_: Round) -> None:
    """Print the table of what arrived, in order of arrival."""
    rows = [_row(received) for received in round_.received if received.event is not None]
    print_table(
        ("EVENT", "SUBJECT", "DELIVERY", "V1", "HMAC", "TRACE OF THE STEP", "TRACE OF THE POST"), rows
    )


def _row(received: Received) -> tuple[object, ...]:
    event = received.event
    if event is None:
        return ()
    return (
        short_of(event.type) or event.type,
        _short(event.subject, _ID_CHARS + 6),
        "…" + (received.delivery_id or "")[-_ID_CHARS:],
        _mark(received.verified_v1),
        _mark(received.verified_letta),
        _short(trace_id_of(event.traceparent), _TRACE_CHARS),
        _short(received.trace_id, _TRACE_CHARS),
    )


def _short(text: str | None, chars: int) -> str:
    return "–" if text is None else text if len(text) <= chars else text[:chars] + "…"  # noqa: RUF001 - a dash in a table


def _mark(check: Check) -> Text:
    return Text("✓", style="green") if check.good else Text("✗", style="bold red")
