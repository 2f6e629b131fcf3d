"""The official CloudEvents SDK reads what we write, and we read what it writes."""

import json
from datetime import datetime
from typing import Any

import pytest
from cloudevents.core.bindings.http import (
    HTTPMessage,
    from_binary_event,
    from_structured_event,
    to_binary_event,
    to_structured_event,
)
from cloudevents.core.v1.event import CloudEvent

from contracts.examples import EXAMPLES
from schemas import Envelope, build, parse_event, parse_http, to_binary, to_envelope, to_structured
from schemas.attributes import canonical
from schemas.json_format import CONTENT_TYPE

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
LETTA = [
    to_envelope(parse_event(EXAMPLES[short]), traceparent=TRACEPARENT, sequence="0" * 20)
    for short in EXAMPLES
]
NAMED: dict[str, Any] = {"id": "a b", "source": "/s?x=1", "type": "t", "subject": 'Euro € 😀 100% "quoted"'}
NAMED["time"] = "2026-01-01T12:00:00.5+02:00"  # the SDK makes one up where there is none
OTHERS = [
    build(NAMED | {"datacontenttype": "text/plain"}, "grüße"),
    build(NAMED | {"datacontenttype": "application/octet-stream"}, b"\x00\xff"),
    build(NAMED, {"a": [1, {"b": None}]}),
    build(NAMED | {"num": -1}, {"ü": "😀"}),
]


def same(ours: Envelope, theirs: Any, *, data: Any) -> None:
    """The SDK turns `time` into a datetime; all else is compared as text."""
    attributes = dict(theirs.get_attributes())
    moment = attributes.pop("time", None)
    assert {name: canonical(value) for name, value in attributes.items() if value is not None} == {
        name: canonical(value) for name, value in ours.attributes.items() if name != "time"
    }
    assert (moment is None) == (ours.time is None)
    if moment is not None and ours.time is not None:
        assert moment == datetime.fromisoformat(ours.time)
    assert theirs.get_data() == data


@pytest.mark.parametrize("event", LETTA + OTHERS, ids=lambda event: event.type)
def test_the_sdk_reads_what_we_write(event: Envelope) -> None:
    headers, body = to_binary(event)
    same(
        event,
        from_binary_event(HTTPMessage({name.lower(): value for name, value in headers}, body)),
        data=event.data(),
    )
    structured = HTTPMessage({"content-type": CONTENT_TYPE}, to_structured(event))
    same(event, from_structured_event(structured), data=event.data())


@pytest.mark.parametrize("event", LETTA + OTHERS, ids=lambda event: event.type)
def test_we_read_what_the_sdk_writes(event: Envelope) -> None:
    attributes: dict[str, Any] = dict(event.attributes)
    if event.time is not None:
        attributes["time"] = datetime.fromisoformat(event.time)
    theirs = CloudEvent(attributes, event.data())
    for write in (to_binary_event, to_structured_event):
        message = write(theirs)
        (ours,) = parse_http(list(message.headers.items()), message.body, events_max=1)
        assert ours.data() == event.data()
        read = {name: canonical(value) for name, value in ours.attributes.items()}
        assert read == {name: canonical(value) for name, value in event.attributes.items()} | (
            {"time": ours.time} if ours.time else {}
        )
        if event.time is not None and ours.time is not None:
            assert datetime.fromisoformat(ours.time) == datetime.fromisoformat(event.time)


@pytest.mark.parametrize("short", EXAMPLES)
def test_a_receiver_with_the_sdk_gets_the_typed_event(short: str) -> None:
    event = parse_event(EXAMPLES[short])
    headers, body = to_binary(to_envelope(event))
    theirs = from_binary_event(HTTPMessage({name.lower(): value for name, value in headers}, body))
    data = theirs.get_data()
    assert isinstance(data, dict)
    assert parse_event(data) == event
    assert json.loads(body) == data
