"""The POST a subscriber gets: headers, body and signatures (INTERFACE, CONFORMANCE 11, 18-22, 33, 38, 39, 45, 47)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from gateway.deliver.envelopes import Event
from gateway.deliver.terms import Terms
from gateway.domain.header_lines import HeaderLines, Message
from gateway.domain.ids import delivery_id
from gateway.domain.sending import OutboundRequest, SendError
from gateway.ports import Entry
from otel.origin import given_state
from otel.traceparent import TraceParent
from schemas import Envelope, short_of, to_binary_lines, to_reference, to_structured

USER_AGENT = "Letta-Webhook/1.0"
BATCH = "application/cloudevents-batch+json; charset=utf-8"
BINARY_BYTES_MAX = 48 * 1024
"""Attributes that take more than this as headers go in the body: of the 64 KiB that headers may take, the rest is for
what is not the event's, so that how an event is sent depends on nothing but itself."""
STRUCTURED = "application/cloudevents+json; charset=utf-8"
_STRUCTURED_LINE = f"Content-Type: {STRUCTURED}\r\n"
_USER_AGENT_LINE = f"User-Agent: {USER_AGENT}\r\n"
_BATCH_LINES = HeaderLines.of(
    [("Content-Type", BATCH), ("User-Agent", USER_AGENT), ("X-Letta-Event", "batch")]
)


@dataclass(slots=True)
class AttemptContext:
    """What is particular to one attempt: its span, the second in which it is signed, a token that was fetched."""

    trace: TraceParent
    timestamp_s: int
    replay: bool = False
    test: bool = False
    bearer: str | None = field(default=None, repr=False)


def build_request(
    event: Event,
    envelope: Envelope,
    terms: Terms,
    context: AttemptContext,
    *,
    dataschema: str | None,
    dataref_of: Callable[[str], str],
    timeout_s: float,
) -> OutboundRequest:
    """The whole request, signed. The same event gives the same body on every attempt."""
    entry = event.entry
    webhook_id = delivery_id(terms.number, entry.position, entry.row_hash)
    if terms.thin and envelope.body is not None:
        body = to_reference(envelope, dataref_of(webhook_id), dataschema=dataschema)
        message = Message(
            lines=_lines([_STRUCTURED_LINE], envelope), body=body, structured=True, dataschema=dataschema
        )
    else:
        # Without data or content type there is nothing that binary mode could carry (INTERFACE).
        structured = terms.structured or not envelope.fits_binary
        made = event.message
        if made is None or made.structured is not structured or made.dataschema != dataschema:
            made = make_message(event, envelope, dataschema, structured=structured)
        message = made
    return _request(webhook_id, message.lines, message.body, terms, context, timeout_s=timeout_s)


def make_message(event: Event, envelope: Envelope, dataschema: str | None, *, structured: bool) -> Message:
    """What is the same for every subscriber and attempt: made for the first, and kept with the event."""
    made = event.message = _message(envelope, dataschema, structured=structured)
    if not structured and len(made.lines.raw) > BINARY_BYTES_MAX:
        # Never kept: it would be asked for as binary again. So large an event is rare enough to be made anew.
        event.message, made = None, _message(envelope, dataschema, structured=True)
    return made


def build_batch_request(
    events: Sequence[Event],
    batch: str,
    terms: Terms,
    context: AttemptContext,
    *,
    as_sent: Callable[[Entry, Envelope], tuple[Envelope, str | None]],
    dataref_of: Callable[[str], str],
    timeout_s: float,
) -> OutboundRequest:
    """A batch, signed: a JSON array of structured events and no `ce-` headers (CONFORMANCE 20, 21)."""
    parts = []
    for event in events:
        if event.envelope is None:
            continue
        envelope, dataschema = as_sent(event.entry, event.envelope)
        if terms.thin and envelope.body is not None:
            member = delivery_id(terms.number, event.entry.position, event.entry.row_hash)
            parts.append(to_reference(envelope, dataref_of(member), dataschema=dataschema))
        else:
            parts.append(to_structured(envelope, dataschema=dataschema))
    body = b"[" + b",".join(parts) + b"]"
    return _request(batch, _BATCH_LINES, body, terms, context, timeout_s=timeout_s)


def _request(
    webhook_id: str,
    lines: HeaderLines,
    body: bytes,
    terms: Terms,
    context: AttemptContext,
    *,
    timeout_s: float,
) -> OutboundRequest:
    """Behind the lines that all such requests have in common: this attempt's own, the signatures, the subscriber's."""
    if terms.fault is not None:
        raise SendError(terms.fault.kind, terms.fault.detail)  # a new one: each raising adds to its traceback
    own, count = terms.signer.lines(webhook_id, context.timestamp_s, body)
    own = f"X-Letta-Delivery: {webhook_id}\r\ntraceparent: {context.trace.render()}\r\n{own}"
    if context.replay:
        own, count = own + "X-Letta-Replay: 1\r\n", count + 1
    if context.test:
        own, count = own + "X-Letta-Test: 1\r\n", count + 1
    if context.bearer is not None:
        own, count = f"{own}Authorization: Bearer {context.bearer}\r\n", count + 1
    raw = b"%b%b%b" % (lines.raw, own.encode("ascii"), terms.lines.raw)
    return OutboundRequest(
        url=terms.sink,
        headers=HeaderLines(raw, lines.count + count + 2 + terms.lines.count),
        body=body,
        timeout_s=terms.timeout_s or timeout_s,
        privileged=terms.privileged,
    )


def _message(envelope: Envelope, dataschema: str | None, *, structured: bool) -> Message:
    if structured:
        lines, body = [_STRUCTURED_LINE], to_structured(envelope, dataschema=dataschema)
    else:
        lines, body = to_binary_lines(envelope, dataschema=dataschema)
    return Message(structured, dataschema, _lines(lines, envelope), body)


def _lines(lines: list[str], envelope: Envelope) -> HeaderLines:
    """These lines, which are added to, and behind them what every request says of the event."""
    name = short_of(envelope.type) or envelope.type
    lines += (_USER_AGENT_LINE, f"X-Letta-Event: {name}\r\n")
    if "tracestate" in envelope.attributes:
        # The state goes with the trace it belongs to: one behind an invalid traceparent belongs to none.
        state = given_state(envelope)
        if state:
            lines.append(f"tracestate: {state}\r\n")
    return HeaderLines.of_lines(lines)
