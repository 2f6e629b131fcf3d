"""The POST a subscriber gets: headers, body and signatures (INTERFACE, CONFORMANCE 11, 18-22, 33, 38, 39, 45, 47)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from gateway.deliver.directory import Current
from gateway.deliver.envelopes import Event
from gateway.domain.ids import delivery_id
from gateway.domain.sending import OutboundRequest
from otel.traceparent import TraceParent, derive, parse_traceparent, valid_tracestate
from schemas import Envelope, short_of, to_binary, to_structured

USER_AGENT = "Letta-Webhook/1.0"
BATCH = "application/cloudevents-batch+json; charset=utf-8"
STRUCTURED = "application/cloudevents+json; charset=utf-8"
_SECOND_US = 1_000_000


@dataclass(frozen=True, slots=True)
class AttemptContext:
    """What is particular to one attempt: its span, and the second in which it is signed."""

    trace: TraceParent
    timestamp_s: int
    replay: bool = False
    test: bool = False


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
    timeout_s: float,
) -> OutboundRequest:
    """The whole request, signed. The same event gives the same body on every attempt."""
    record = current.record
    webhook_id = delivery_id(record.number, event.entry.position, event.entry.row_hash)
    # Without data or content type there is nothing that binary mode could carry (INTERFACE).
    if record.spec.config.format == "structured" or not envelope.fits_binary:
        headers: list[tuple[str, str]] = [("Content-Type", STRUCTURED)]
        body = to_structured(envelope, dataschema=dataschema)
    else:
        headers, body = to_binary(envelope, dataschema=dataschema)
    headers += _own_headers(envelope, webhook_id, context)
    headers += current.signer(context.timestamp_s * _SECOND_US).sign(webhook_id, context.timestamp_s, body)
    headers += _subscriber_headers(record.spec.headers, record.spec.bearer_token)
    return OutboundRequest(
        url=record.spec.sink,
        headers=tuple(headers),
        body=body,
        timeout_s=record.spec.config.timeout_s or timeout_s,
        privileged=record.privileged,
    )


def build_batch_request(
    events: Sequence[Event],
    batch: str,
    current: Current,
    context: AttemptContext,
    *,
    dataschema_of: Callable[[str], str | None],
    timeout_s: float,
) -> OutboundRequest:
    """A batch, signed: a JSON array of structured events and no `ce-` headers (CONFORMANCE 20, 21)."""
    record = current.record
    envelopes = [event.envelope for event in events if event.envelope is not None]
    parts = [to_structured(envelope, dataschema=dataschema_of(envelope.type)) for envelope in envelopes]
    body = b"[" + b",".join(parts) + b"]"
    headers = [
        ("Content-Type", BATCH),
        ("User-Agent", USER_AGENT),
        ("X-Letta-Event", "batch"),
        ("X-Letta-Delivery", batch),
        ("traceparent", context.trace.render()),
    ]
    if context.replay:
        headers.append(("X-Letta-Replay", "1"))
    headers += current.signer(context.timestamp_s * _SECOND_US).sign(batch, context.timestamp_s, body)
    headers += _subscriber_headers(record.spec.headers, record.spec.bearer_token)
    return OutboundRequest(
        url=record.spec.sink,
        headers=tuple(headers),
        body=body,
        timeout_s=record.spec.config.timeout_s or timeout_s,
        privileged=record.privileged,
    )


def _given_trace(envelope: Envelope) -> TraceParent | None:
    return parse_traceparent(str(envelope.attributes.get("traceparent", "")))


def _own_headers(envelope: Envelope, webhook_id: str, context: AttemptContext) -> list[tuple[str, str]]:
    headers = [
        ("User-Agent", USER_AGENT),
        ("X-Letta-Event", short_of(envelope.type) or envelope.type),
        ("X-Letta-Delivery", webhook_id),
        ("traceparent", context.trace.render()),
    ]
    state = envelope.attributes.get("tracestate")
    # The state goes with the trace it belongs to: one behind an invalid traceparent belongs to none.
    if isinstance(state, str) and valid_tracestate(state) and _given_trace(envelope) is not None:
        headers.append(("tracestate", state))
    if context.replay:
        headers.append(("X-Letta-Replay", "1"))
    if context.test:
        headers.append(("X-Letta-Test", "1"))
    return headers


def _subscriber_headers(own: Mapping[str, str], token: str | None) -> list[tuple[str, str]]:
    headers = list(own.items())
    if token is not None:
        headers.append(("Authorization", f"Bearer {token}"))
    return headers
