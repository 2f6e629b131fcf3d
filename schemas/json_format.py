"""The JSON event format (CloudEvents JSON format 1.0.2): one event, a batch, and back, without re-encoding.

An event is scanned once: nearly every one by `usual_event`, any other one by its members. The scan finds duplicate
members and the exact slice of text that `data` stands in; only `data` is decoded below it, to prove that it is strict
JSON.
"""

import base64
import binascii
from collections.abc import Container, Mapping, Sequence
from typing import Any, Final

from schemas import media_type, strict_json
from schemas.attributes import AttributeValue, problems_of
from schemas.envelope import JSON_TYPE, Content, Envelope
from schemas.errors import BatchTooLongError, EnvelopeError, MalformedJsonError, Problem
from schemas.members import Members, scan_members
from schemas.usual_event import usual_event

MEDIA_TYPE: Final = "application/cloudevents+json"
BATCH_MEDIA_TYPE: Final = "application/cloudevents-batch+json"
CONTENT_TYPE: Final = f"{MEDIA_TYPE}; charset=utf-8"
"""As sent: a widely used receiver refuses other spellings."""
_TRACE: Final = ("traceparent", "tracestate")
BATCH_CONTENT_TYPE: Final = f"{BATCH_MEDIA_TYPE}; charset=utf-8"


def parse_structured(raw: bytes) -> Envelope:
    """Read one event in the JSON format.

    Args:
        raw: The event's JSON text in UTF-8. Bounding its size is the caller's part.

    Raises:
        EnvelopeError: With every problem found; `MalformedJsonError` where the text is not strict JSON.
    """
    return parse_with_data(raw)[0]


def parse_with_data(raw: bytes) -> tuple[Envelope, Any]:
    """Read one event as `parse_structured` does, and hand out its JSON data as well, which are decoded by then.

    Returns:
        The envelope, and what `Envelope.data` would decode again; None for data other than JSON.

    Raises:
        EnvelopeError: As `parse_structured`.
    """
    return usual_event(raw) or _any_event(raw)


def _any_event(raw: bytes) -> tuple[Envelope, Any]:
    text = strict_json.text_of(raw)
    members = scan_members(text, strict_json.skip_space(text, 0))
    strict_json.expect_end(text, members.end)
    data = members.values.get("data")
    envelope = _envelope(raw, text, members)
    return envelope, data if envelope.content is Content.JSON else None


def parse_batch(raw: bytes, *, events_max: int) -> list[Envelope]:
    """Read a batch (JSON format section 4); `[]` is a sound one.

    Each envelope keeps its own slice of the bytes. Problems carry the member's index in front of their
    pointer.

    Raises:
        BatchTooLongError: There are more than `events_max` members.
        EnvelopeError: With every problem of every member.
    """
    text = strict_json.text_of(raw)
    position = strict_json.skip_space(text, 0)
    if text[position : position + 1] != "[":
        raise MalformedJsonError.at("", "is not a batch: a JSON array of events was expected")
    position = strict_json.skip_space(text, position + 1)
    envelopes: list[Envelope] = []
    problems: list[Problem] = []
    separator = text[position : position + 1]
    if separator == "]":
        strict_json.expect_end(text, position + 1)
        return envelopes
    index = 0
    while separator != "]":
        if index == events_max:
            raise BatchTooLongError.at("", f"has more than {events_max} events; send several smaller batches")
        try:
            members = scan_members(text, position)
        except MalformedJsonError as error:
            raise type(error)(problem.below(f"/{index}") for problem in error.problems) from None
        member = text[position : members.end].encode()
        try:
            envelopes.append(_envelope(member, text, members))
        except EnvelopeError as error:
            problems.extend(problem.below(f"/{index}") for problem in error.problems)
        position = strict_json.skip_space(text, members.end)
        separator = text[position : position + 1]
        if separator not in {",", "]"}:
            raise MalformedJsonError.at(
                "", f"is not valid JSON: expected , or ] after the event at index {index}"
            )
        position = strict_json.skip_space(text, position + 1)
        index += 1
    strict_json.expect_end(text, position)
    if problems:
        raise EnvelopeError(problems)
    return envelopes


def to_structured(envelope: Envelope, *, dataschema: str | None = None) -> bytes:
    """Write the event for structured mode: the received bytes, with at most two attributes made explicit.

    As in binary mode, a `traceparent` that is not valid is left out with its `tracestate`, lest it pass for one.
    `datacontenttype` is spelled out where JSON data came without one (the two mean the same, JSON format
    3.1), and `dataschema` is added where the event has none. Nothing else changes, and without either the
    very bytes return.

    Args:
        envelope: The event.
        dataschema: The absolute URI of its contract.
    """
    added: dict[str, str] = {}
    if envelope.content is Content.JSON and "datacontenttype" not in envelope.attributes:
        added["datacontenttype"] = JSON_TYPE
    if dataschema is not None and "dataschema" not in envelope.attributes:
        added["dataschema"] = dataschema
    raw = _without(envelope.raw, _TRACE) if _is_badly_traced(envelope) else envelope.raw
    return _with(raw, added) if added else raw


def to_reference(envelope: Envelope, dataref: str, *, dataschema: str | None = None) -> bytes:
    """Write the event without its data, which `dataref` leads to (extension `dataref`, claim check).

    The attributes are as in structured mode, a `dataref` of the event's own aside: it would not lead to this data any
    more.

    Args:
        envelope: An event that has data.
        dataref: Where exactly its data's bytes are to be had.
        dataschema: The absolute URI of its contract, added where the event has none.
    """
    attributes: dict[str, AttributeValue] = dict(envelope.attributes)
    if _is_badly_traced(envelope):
        attributes = {name: value for name, value in attributes.items() if name not in _TRACE}
    if envelope.datacontenttype is not None:
        attributes["datacontenttype"] = envelope.datacontenttype
    if dataschema is not None:
        attributes.setdefault("dataschema", dataschema)
    attributes["dataref"] = dataref
    return strict_json.encode(attributes)


def without_dataschema(envelope: Envelope) -> Envelope:
    """The event without the `dataschema` that its producer gave it, and otherwise as received: its data keep none."""
    attributes = {name: value for name, value in envelope.attributes.items() if name != "dataschema"}
    raw = _without(envelope.raw, ("dataschema",))
    return Envelope(raw, attributes, envelope.body, envelope.content)


def with_trace(envelope: Envelope, traceparent: str, tracestate: str | None = None) -> Envelope:
    """The event with the creation context that it does not have yet, and otherwise as it is."""
    added = {"traceparent": traceparent} | ({"tracestate": tracestate} if tracestate else {})
    # A state without its trace says nothing, and must not stand beside another trace.
    attributes = {name: value for name, value in envelope.attributes.items() if name != "tracestate"}
    raw = (
        envelope.raw
        if len(attributes) == len(envelope.attributes)
        else _without(envelope.raw, ("tracestate",))
    )
    return Envelope(_with(raw, added), attributes | added, envelope.body, envelope.content)


def _is_badly_traced(envelope: Envelope) -> bool:
    """Whether it has some of a trace context, and not a valid one."""
    return envelope.traceparent is None and any(name in envelope.attributes for name in _TRACE)


def _with(raw: bytes, added: Mapping[str, str]) -> bytes:
    if b"null" in raw:
        # A null attribute is an absent one; left in place, the added member would be its duplicate.
        raw = _without(raw, added)
    end = raw.rindex(b"}")
    return raw[:end] + b"," + strict_json.encode(added)[1:-1] + raw[end:]


def _without(raw: bytes, names: Container[str]) -> bytes:
    text = raw.decode()
    members = scan_members(text, strict_json.skip_space(text, 0))
    if not any(name in names for name in members.values):
        return raw
    kept = [
        strict_json.encode(name) + b":" + _value_text(text, members, name)
        for name in members.values
        if name not in names
    ]
    return b"{" + b",".join(kept) + b"}"


def _value_text(text: str, members: Members, name: str) -> bytes:
    span = members.spans.get(name)
    return strict_json.encode(members.values[name]) if span is None else text[span[0] : span[1]].encode()


def to_batch(members: Sequence[bytes]) -> bytes:
    """Join events in the JSON format into one batch."""
    return b"[" + b",".join(members) + b"]"


def _envelope(raw: bytes, text: str, members: Members) -> Envelope:
    values = members.values
    problems: list[Problem] = []
    data_span = members.spans.get("data")
    encoded = values.pop("data_base64", None)
    data: Any = values.pop("data", None)
    problems = problems_of(values)
    attributes: dict[str, AttributeValue] = (
        {name: value for name, value in values.items() if value is not None}
        if None in values.values()
        else values
    )
    content, body = Content.NONE, None
    if encoded is not None:
        if data_span is not None:
            problems.append(Problem("/data_base64", "excludes `data`; send one of the two"))
        content, body = Content.BINARY, _decode_base64(encoded, problems)
    elif data_span is not None:
        content, body = _data(text, data_span, data, attributes, problems)
    if problems:
        raise EnvelopeError(problems)
    return Envelope(raw, attributes, body, content)


def _data(
    text: str,
    span: tuple[int, int],
    value: object,
    attributes: dict[str, AttributeValue],
    problems: list[Problem],
) -> tuple[Content, bytes | None]:
    declared = attributes.get("datacontenttype")
    if declared is None or declared == JSON_TYPE or is_json(declared):
        return Content.JSON, text[span[0] : span[1]].encode()
    if not isinstance(value, str):
        detail = f"must be a string under the content type {strict_json.shown(declared)}, or use data_base64"
        problems.append(Problem("/data", detail))
        return Content.TEXT, None
    return Content.TEXT, value.encode()


def is_json(content_type: object) -> bool:
    """Tell whether a content type declares JSON; one that is no media type is reported elsewhere."""
    declared = media_type.parse(content_type) if isinstance(content_type, str) else None
    return declared is None or declared.is_json


def _decode_base64(encoded: object, problems: list[Problem]) -> bytes | None:
    if isinstance(encoded, str):
        try:
            return base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            pass
    problems.append(Problem("/data_base64", "is not a string of Base64 (RFC 4648 section 4, with padding)"))
    return None
