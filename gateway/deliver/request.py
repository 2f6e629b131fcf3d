"""The POST a subscriber gets: headers, body and signatures (INTERFACE, CONFORMANCE 11, 18-22, 33, 38, 39, 45, 47)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from gateway.deliver.directory import Current
from gateway.deliver.envelopes import Event
from gateway.domain.header_lines import HeaderLines, Message
from gateway.domain.ids import delivery_id
from gateway.domain.sending import OutboundRequest
from gateway.domain.subscription import Payload
from otel.traceparent import TraceParent, derive, parse_traceparent, valid_tracestate
from schemas import Envelope, short_of, to_binary_lines, to_reference, to_structured

USER_AGENT = "Letta-Webhook/1.0"
BATCH = "application/cloudevents-batch+json; charset=utf-8"
STRUCTURED = "application/cloudevents+json; charset=utf-8"
_SECOND_US = 1_000_000
_STRUCTURED_LINE = f"Content-Type: {STRUCTURED}\r\n"
_BATCH_LINES = HeaderLines.of(
    [("Content-Type", BATCH), ("User-Agent", USER_AGENT), ("X-Letta-Event", "batch")]
)


@dataclass(frozen=True, slots=True)
class AttemptContext:
    """What is particular to one attempt: its span, the second in which it is signed, a token that was fetched."""

    trace: TraceParent
    timestamp_s: int
    replay: bool = False
    test: bool = False
    bearer: str | None = field(default=None, repr=False)


def origin_trace(envelope: Envelope) -> TraceParent:
    """The trace of the event's creation; for an event without a valid one, a trace derived from ``(source, id)``."""
    given = _given_trace(envelope)
    return derive(envelope.source, envelope.id) if given is None else given


def build_request(
    event: Event,
    envelope: Envelope,
    current: Current,
    context: AttemptContext,
    *,
    dataschema: str | None,
    dataref_of: Callable[[str], str],
    timeout_s: float,
) -> OutboundRequest:
    """The whole request, signed. The same event gives the same body on every attempt."""
    record, spec = current.record, current.record.spec
    webhook_id = delivery_id(record.number, event.entry.position, event.entry.row_hash)
    if spec.config.payload is Payload.THIN and envelope.body is not None:
        body = to_reference(envelope, dataref_of(webhook_id), dataschema=dataschema)
        message = Message(
            lines=_lines([_STRUCTURED_LINE], envelope), body=body, structured=True, dataschema=dataschema
        )
    else:
        message = _message(event, envelope, spec.config.format, dataschema)
    return _request(webhook_id, message.lines, message.body, current, context, timeout_s=timeout_s)


def build_batch_request(
    events: Sequence[Event],
    batch: str,
    current: Current,
    context: AttemptContext,
    *,
    dataschema_of: Callable[[str], str | None],
    dataref_of: Callable[[str], str],
    timeout_s: float,
) -> OutboundRequest:
    """A batch, signed: a JSON array of structured events and no `ce-` headers (CONFORMANCE 20, 21)."""
    record, thin = current.record, current.record.spec.config.payload is Payload.THIN
    parts = []
    for event in events:
        envelope = event.envelope
        if envelope is None:
            continue
        dataschema = dataschema_of(envelope.type)
        if thin and envelope.body is not None:
            member = delivery_id(record.number, event.entry.position, event.entry.row_hash)
            parts.append(to_reference(envelope, dataref_of(member), dataschema=dataschema))
        else:
            parts.append(to_structured(envelope, dataschema=dataschema))
    body = b"[" + b",".join(parts) + b"]"
    return _request(batch, _BATCH_LINES, body, current, context, timeout_s=timeout_s)


def _request(
    webhook_id: str,
    lines: HeaderLines,
    body: bytes,
    current: Current,
    context: AttemptContext,
    *,
    timeout_s: float,
) -> OutboundRequest:
    """Behind the lines that all such requests have in common: this attempt's own, the signatures, the subscriber's."""
    record = current.record
    spec, now_s = record.spec, context.timestamp_s
    headers = [("X-Letta-Delivery", webhook_id), ("traceparent", context.trace.render())]
    if context.replay:
        headers.append(("X-Letta-Replay", "1"))
    if context.test:
        headers.append(("X-Letta-Test", "1"))
    if current.origin is not None:
        headers.append(("WebHook-Request-Origin", current.origin))
    # `v1` is always among them.
    signer = current.signer(now_s * _SECOND_US, v1a=len(spec.config.signing) > 1)
    headers += signer.sign(webhook_id, now_s, body)
    headers += spec.headers.items()
    bearer = context.bearer or spec.bearer_token
    if bearer is not None:
        headers.append(("Authorization", f"Bearer {bearer}"))
    return OutboundRequest(
        url=spec.sink,
        headers=lines.plus(headers),
        body=body,
        timeout_s=spec.config.timeout_s or timeout_s,
        privileged=record.privileged,
    )


def _message(event: Event, envelope: Envelope, format_: str, dataschema: str | None) -> Message:
    """What is the same for every subscriber and attempt: made for the first, and kept with the event."""
    # Without data or content type there is nothing that binary mode could carry (INTERFACE).
    structured = format_ == "structured" or not envelope.fits_binary
    made = event.message
    if made is None or made.structured is not structured or made.dataschema != dataschema:
        if structured:
            lines, body = [_STRUCTURED_LINE], to_structured(envelope, dataschema=dataschema)
        else:
            lines, body = to_binary_lines(envelope, dataschema=dataschema)
        made = event.message = Message(structured, dataschema, _lines(lines, envelope), body)
    return made


def _lines(lines: Sequence[str], envelope: Envelope) -> HeaderLines:
    name = short_of(envelope.type) or envelope.type
    lines = [*lines, f"User-Agent: {USER_AGENT}\r\n", f"X-Letta-Event: {name}\r\n"]
    state = envelope.attributes.get("tracestate")
    # The state goes with the trace it belongs to: one behind an invalid traceparent belongs to none.
    if isinstance(state, str) and valid_tracestate(state) and _given_trace(envelope) is not None:
        lines.append(f"tracestate: {state}\r\n")
    return HeaderLines.of_lines(lines)


def _given_trace(envelope: Envelope) -> TraceParent | None:
    return parse_traceparent(str(envelope.attributes.get("traceparent", "")))
