import json
from typing import Any

import pytest

from schemas import (
    Content,
    Envelope,
    EnvelopeError,
    build,
    parse_binary,
    parse_http,
    parse_structured,
    to_binary,
)

HEADERS = [("ce-specversion", "1.0"), ("ce-id", "1"), ("ce-source", "/s"), ("ce-type", "t")]


def binary(content_type: str | None, body: bytes) -> Envelope:
    typed = [("Content-Type", content_type)] if content_type is not None else []
    return parse_binary([*HEADERS, *typed], body)


def test_json_is_embedded_unchanged() -> None:
    envelope = binary("application/json", b'{"a" : 1.50}')
    assert envelope.raw.endswith(b'"datacontenttype":"application/json","data":{"a" : 1.50}}')
    assert envelope.body == b'{"a" : 1.50}'
    assert parse_structured(envelope.raw).body == envelope.body


def test_white_space_around_json_is_no_part_of_it() -> None:
    envelope = binary("application/json", b'\r\n {"a":1}\n')
    assert envelope.body == parse_structured(envelope.raw).body == b'{"a":1}'


@pytest.mark.parametrize(
    ("content_type", "body", "content"),
    [
        ("text/plain", "ü\x00\n".encode(), Content.TEXT),
        ("text/plain; charset=utf-8", "ü".encode(), Content.TEXT),
        ("text/plain", b"\xff", Content.BINARY),
        ("text/plain; charset=iso-8859-1", b"abc", Content.BINARY),
        ("application/xml", b"<a/>", Content.TEXT),
        ("image/svg+xml", b"<svg/>", Content.TEXT),
        ("application/octet-stream", b"abc", Content.BINARY),
        ("image/png", b"\x89PNG", Content.BINARY),
        (None, b"abc", Content.BINARY),
        (None, b"", Content.NONE),
        ("text/plain", b"", Content.NONE),
        ("application/json", b"", Content.NONE),
    ],
)
def test_other_bodies_come_through_byte_for_byte(content_type: str, body: bytes, content: Any) -> None:
    envelope = binary(content_type, body)
    again = parse_structured(envelope.raw)
    assert envelope.content is again.content is content
    assert (envelope.body or b"") == (again.body or b"") == body
    headers, sent = to_binary(again)
    assert sent == body
    assert dict(headers).get("Content-Type") == content_type


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff", b"\xef\xbb\xbf{}", b"NaN", b'"\\ud800"', b"[" * 70 + b"]" * 70]
)
def test_a_body_that_is_not_the_json_it_claims_is_refused(body: bytes) -> None:
    if body:
        with pytest.raises(EnvelopeError) as caught:
            binary("application/json", body)
        assert [problem.pointer for problem in caught.value.problems] == ["/data"]


def test_all_problems_are_told_at_once() -> None:
    headers = [
        ("ce-id", ""),
        ("ce-source", "a b"),
        ("CE-Ext-1", "x"),
        ("ce-time", "now"),
        ("ce-z", "%FF"),
        ("ce-y", "1"),
        ("ce-y", "2"),
    ]
    with pytest.raises(EnvelopeError) as caught:
        parse_binary([*headers, ("content-type", "application/json")], b"{")
    pointers = {problem.pointer for problem in caught.value.problems}
    assert pointers == {"/specversion", "/id", "/source", "/type", "/ext-1", "/time", "/z", "/y", "/data"}


def test_header_names_have_no_case() -> None:
    envelope = parse_binary([(name.upper(), value) for name, value in HEADERS] + [("CE-MyExt", "X")], b"")
    assert envelope.attributes["myext"] == "X"


def test_two_content_types_are_refused() -> None:
    headers = [*HEADERS, ("content-type", "application/json"), ("Content-Type", "text/plain")]
    for parse in (lambda: parse_binary(headers, b""), lambda: parse_http(headers, b"", events_max=1)):
        with pytest.raises(EnvelopeError):
            parse()


def test_nothing_of_the_message_but_ce_headers_becomes_an_attribute() -> None:
    envelope = parse_binary([*HEADERS, ("traceparent", "x"), ("X-Ce-Id", "2"), ("cecil", "y")], b"")
    assert set(envelope.attributes) == {"specversion", "id", "source", "type"}


def test_a_message_that_is_no_event_says_what_is_missing() -> None:
    with pytest.raises(EnvelopeError) as caught:
        parse_http([("content-type", "application/json")], b'{"hello":"world"}', events_max=1)
    pointers = [problem.pointer for problem in caught.value.problems]
    assert pointers == ["/specversion", "/id", "/source", "/type"]


def test_dataschema_is_added_where_there_is_none() -> None:
    event = build({"id": "1", "source": "/s", "type": "t"}, {})
    assert dict(to_binary(event, dataschema="https://x/y")[0])["ce-dataschema"] == "https://x/y"
    event = build({"id": "1", "source": "/s", "type": "t", "dataschema": "https://own"}, {})
    assert [
        value for name, value in to_binary(event, dataschema="https://x/y")[0] if name == "ce-dataschema"
    ] == ["https://own"]


def test_no_header_can_be_injected() -> None:
    event = parse_structured(
        json.dumps(
            dict.fromkeys(["id", "type", "subject"], "a b") | {"specversion": "1.0", "source": "/s"}
        ).encode()
    )
    for _, value in to_binary(event)[0]:
        assert not set(value) & {"\r", "\n", "\0", " "}
    with pytest.raises(EnvelopeError):
        parse_binary([*HEADERS, ("ce-x", "a%0D%0Ab: c")], b"")
