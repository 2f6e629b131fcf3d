"""A Letta event as a CloudEvent: its attributes on the wire, and one JSON encode."""

import re
from typing import Final

from schemas import strict_json
from schemas.attributes import SPEC_VERSION, AttributeValue, problems_of
from schemas.building import rendered
from schemas.envelope import JSON_TYPE, Content, Envelope
from schemas.errors import EnvelopeError
from schemas.events import Event
from schemas.names import source_of
from schemas.plain_json import plain
from schemas.rfc3339 import timestamp
from schemas.trace_context import is_traceparent

DEFAULT_SOURCE_BASE: Final = "https://letta"
_UNSAFE = re.compile(r"[^!#$&-~]")


def to_envelope(
    event: Event,
    *,
    source_base: str = DEFAULT_SOURCE_BASE,
    traceparent: str | None = None,
    tracestate: str | None = None,
    causationid: str | None = None,
    sequence: str | None = None,
) -> Envelope:
    """Write a Letta event as a CloudEvent, ready for any mode.

    Args:
        event: The event.
        source_base: What the source begins with, a URI.
        traceparent: The creation context (W3C); an invalid one is left out with its `tracestate`.
        tracestate: The vendor part of the context.
        causationid: The id of the event that led to this one.
        sequence: The position within the source, 20 digits, compared as a string.

    Raises:
        EnvelopeError: The source base is no URI-reference, or a value holds what no attribute may.
    """
    body = payload_of(event)
    attributes: dict[str, AttributeValue] = {
        "specversion": SPEC_VERSION,
        "id": attribute_value(event.event_id),
        "source": source_of(source_base, event.organization_id, event.agent_id),
        "type": event.type,
        "subject": attribute_value(event.subject),
        "time": timestamp(event.timestamp),
        "datacontenttype": JSON_TYPE,
        "partitionkey": attribute_value(event.partitionkey),
    }
    correlationid = event.correlationid
    if correlationid is not None:
        attributes["correlationid"] = attribute_value(correlationid)
    if causationid is not None:
        attributes["causationid"] = attribute_value(causationid)
    if sequence is not None:
        attributes["sequence"] = sequence
    if traceparent is not None and is_traceparent(traceparent):
        attributes["traceparent"] = traceparent
        if tracestate:
            attributes["tracestate"] = tracestate
    problems = problems_of(attributes)
    if problems:
        raise EnvelopeError(problems)
    return Envelope(rendered(attributes, b'"data":' + body), attributes, body, Content.JSON)


def payload_of(event: Event) -> bytes:
    """Write the payload as compact JSON; members that are None are left out, but for the agent of a job.

    Whatever a tool or a caller has put into it, the outcome is JSON that a strict reader takes.
    """
    try:
        body = event.model_dump_json(exclude_none=True).encode()
        strict_json.decode(body)  # a few microseconds, so that nothing made here is ever refused at the door
    except (
        ValueError
    ):  # half a surrogate pair, a cycle, a type JSON has no form for, too deep, keys 1 and "1"
        body = strict_json.encode(plain(event))
    return body if event.agent_id is not None else b'{"agent_id":null,' + body[1:]


def attribute_value(value: str) -> str:
    """Write an id so that a header can carry it as it is.

    Ids of Letta pass unchanged. Most receivers do not percent-decode headers, so other characters than
    printable ASCII, and space, quote and percent, become `~` and two hex digits per byte of UTF-8; the exact
    id stays in `data`.
    """
    return value if _UNSAFE.search(value) is None else _UNSAFE.sub(_tilde, value)


def _tilde(match: re.Match[str]) -> str:
    return "".join(f"~{octet:02X}" for octet in match[0].encode("utf-8", "replace"))
