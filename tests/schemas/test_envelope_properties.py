"""Round trips change nothing, and no input brings out anything but EnvelopeError."""

import base64
import contextlib
import json
from collections.abc import Callable
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from schemas import (
    Envelope,
    EnvelopeError,
    build,
    parse_batch,
    parse_binary,
    parse_event,
    parse_http,
    parse_structured,
    to_batch,
    to_binary,
    to_structured,
    without_dataschema,
)
from schemas.attributes import REQUIRED, _each_problem, _plainly_sound, canonical, forbidden_character
from schemas.http_binding import decode_value, encode_value
from schemas.members import Members, _data_last, _one_by_one

# Everything core allows in a String.
sound_text = st.text(st.characters(exclude_categories=["Cs", "Cc"])).filter(
    lambda text: forbidden_character(text) is None
)
some_text = sound_text.filter(bool)
names = st.from_regex(r"[a-z0-9]{1,20}", fullmatch=True).filter(
    lambda name: (
        name
        not in {
            "data",
            "id",
            "source",
            "type",
            "subject",
            "time",
            "dataschema",
            "datacontenttype",
            "specversion",
        }
    )
)
extensions = st.dictionaries(
    names.filter(lambda name: name not in {"traceparent", "tracestate"}),
    sound_text | st.booleans() | st.integers(-(2**31), 2**31 - 1),
    max_size=6,
)
optional = st.fixed_dictionaries(
    {},
    optional={
        "subject": some_text,
        "time": st.sampled_from(["2026-01-01T00:00:00Z", "1999-12-31T23:59:60.0000000001+01:00"]),
        "dataschema": st.sampled_from(["https://x/y?z", "urn:a:b"]),
    },
)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4)
    ),
    max_leaves=12,
)
json_bytes = st.builds(
    lambda value, indent, ascii_only: json.dumps(value, indent=indent, ensure_ascii=ascii_only).encode(),
    json_values,
    st.sampled_from([None, 0, 3]),
    st.booleans(),
)
bodies = (
    st.tuples(
        st.sampled_from(["application/json", "Application/Problem+JSON; charset=UTF-8", "text/json"]),
        json_bytes,
    )
    | st.tuples(
        st.sampled_from(["text/plain", "application/xml;charset=utf-8"]),
        st.binary(min_size=1) | some_text.map(str.encode),
    )
    | st.tuples(st.sampled_from(["image/png", "application/octet-stream"]), st.binary(min_size=1))
    | st.tuples(st.none(), st.none())
)


@st.composite
def events(draw: st.DrawFn) -> Envelope:
    declared, body = draw(bodies)
    attributes = {
        "id": draw(some_text),
        "source": "/a?b#c",
        "type": draw(some_text),
        **draw(optional),
        **draw(extensions),
    }
    return build(attributes | {"datacontenttype": declared}, body)


def as_text(envelope: Envelope) -> dict[str, str]:
    return {name: canonical(value) for name, value in envelope.attributes.items()}


def sent_over_http(headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
    # What a client may write and a server reads back: latin-1 octets, names in any case.
    return [
        (name.encode("ascii").decode().upper(), value.encode("ascii").decode("latin-1"))
        for name, value in headers
    ]


@given(events())
def test_structured_to_binary_to_structured_keeps_attributes_and_body(event: Envelope) -> None:
    structured = parse_structured(event.raw)
    assert (structured.attributes, structured.body, structured.content) == (
        event.attributes,
        event.body,
        event.content,
    )
    headers, body = to_binary(structured)
    binary = parse_binary(sent_over_http(headers), body)
    assert (as_text(binary), binary.body or b"", binary.content) == (
        as_text(event),
        event.body or b"",
        event.content,
    )
    again = parse_structured(to_structured(binary))
    assert (again.attributes, again.body) == (binary.attributes, binary.body)
    assert to_binary(again)[1] == body


@given(st.lists(events(), max_size=4), st.sampled_from([b"", b" ", b"\r\n\t"]))
def test_batches_keep_each_event(members: list[Envelope], space: bytes) -> None:
    raws = [event.raw for event in members]
    assert [event.raw for event in parse_batch(to_batch(raws), events_max=4)] == raws
    spaced = space + b"[" + space + (space + b"," + space).join(raws) + space + b"]" + space
    assert [event.raw for event in parse_batch(spaced, events_max=4)] == raws


@given(events(), st.sampled_from(["https://gateway/registry/x", "urn:x"]))
def test_an_added_dataschema_changes_nothing_else(event: Envelope, dataschema: str) -> None:
    written = parse_structured(to_structured(event, dataschema=dataschema))
    assert written.attributes == {"dataschema": dataschema, **event.attributes}
    assert written.body == event.body


@given(events())
def test_a_dataschema_that_is_left_out_takes_nothing_with_it(event: Envelope) -> None:
    sent = without_dataschema(event)
    again = parse_structured(sent.raw)
    assert again.attributes == sent.attributes
    assert {**again.attributes, "dataschema": event.dataschema} == {"dataschema": None, **event.attributes}
    assert (again.body, again.content) == (event.body, event.content)


@given(sound_text)
def test_any_value_survives_a_header(text: str) -> None:
    encoded = encode_value(text)
    assert set(encoded) <= set(map(chr, range(0x21, 0x7F))) - {'"'}
    assert decode_value(encoded) == text


def only_envelope_errors(parse: Callable[[], Any]) -> None:
    with contextlib.suppress(EnvelopeError):
        parse()


def read_every_way(raw: bytes) -> None:
    only_envelope_errors(lambda: parse_structured(raw).data())
    only_envelope_errors(lambda: [event.data() for event in parse_batch(raw, events_max=3)])
    only_envelope_errors(lambda: parse_event(raw))
    headers = [("ce-id", "1"), ("ce-source", "s"), ("ce-type", "t"), ("ce-specversion", "1.0")]
    only_envelope_errors(lambda: parse_binary([*headers, ("content-type", "application/json")], raw).data())
    parse_binary([*headers, ("content-type", "text/plain")], raw).data()
    parse_binary([*headers, ("content-type", "a/b")], raw).data()


@given(st.binary())
@example(b"[" * 200_000)
@example(b'{"a":' * 200_000)
@example(b'{"data":' + b"9" * 100_000 + b"}")
@example(b'{"data":-1e' + b"9" * 10_000 + b"}")
@example(b'{"' + b"\\" * 1001 + b'":1}')
@example(b'{"data":"\\ud83d\\ud83d"}')
def test_no_bytes_raise_anything_but_an_envelope_error(raw: bytes) -> None:
    read_every_way(raw)


SYNTAX = [b"{", b"}", b"[", b"]", b",", b":", b'"', b"\\", b"\\u", b"\\ud800", b" ", b"\n"]
VALUES = [b"null", b"true", b"NaN", b"-Infinity", b"1", b"-", b"1e9999", b".5", b'"text/plain"', b'"AA=="']
OCTETS = [b"\x00", b"\xff", b"\xef\xbb\xbf", "ü😀".encode()]
MEMBERS = [
    b'"specversion":"1.0"',
    b'"id":"1"',
    b'"source":"/"',
    b'"type":"t"',
    b'"event_type":"agent.step.failed"',
]
NAMES = [b'"data":', b'"data_base64":', b'"datacontenttype":', b'"x":', b'"\\u0069d":']
TOKENS = [*SYNTAX, *VALUES, *OCTETS, *MEMBERS, *NAMES]
EVENT = b'{"specversion":"1.0","id":"1","source":"/","type":"t",'


@settings(max_examples=300)
@given(st.lists(st.sampled_from(TOKENS), max_size=25).map(b"".join))
def test_no_near_json_raises_anything_but_an_envelope_error(text: bytes) -> None:
    read_every_way(text)
    read_every_way(EVENT + text + b"}")


@settings(max_examples=200)
@given(events(), st.data())
def test_damaged_events_are_refused_or_still_sound(event: Envelope, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(event.raw) - 1))
    length = data.draw(st.integers(0, 3))
    put = data.draw(st.sampled_from([b"", *TOKENS]) | st.binary(max_size=3))
    damaged = event.raw[:at] + put + event.raw[at + length :]
    try:
        envelope = parse_structured(damaged)
    except EnvelopeError:
        return
    assert envelope.raw == damaged
    headers, body = to_binary(envelope)
    assert all(value.isascii() for _, value in headers)
    assert (parse_binary(headers, body).body or b"") == (envelope.body or b"")
    # Python's own, more lenient reader agrees on what it says.
    read = {name: value for name, value in json.loads(damaged).items() if value is not None or name == "data"}
    read.pop("data", None)
    encoded = read.pop("data_base64", None)
    assert encoded is None or envelope.body == base64.b64decode(encoded)
    assert envelope.attributes == read


def both_ways(text: str) -> None:
    # The short way may decline; what it does say, the long way says as well.
    short, long = members_or_problems(_data_last, text), members_or_problems(_one_by_one, text)
    assert short is None or short == long


def members_or_problems(scan: Callable[[str, int], Members | None], text: str) -> object:
    try:
        members = scan(text, 0)
    except EnvelopeError as error:
        return type(error), error.problems
    return members and (members.values, members.spans.get("data"), members.end)


@settings(max_examples=300)
@given(st.lists(st.sampled_from(TOKENS), max_size=25).map(lambda tokens: b"".join(tokens).decode("latin-1")))
@example('"a":1},"data":1}')
@example(',"data":1}')
@example('"a":1,,"data":1}')
@example('"a":1,"data":1,"data":2}')
@example('"data":1,"data":2}')
@example('"a":"\\","data":1}')
@example('"a":"\\","b":{"data":1},"data":2}')
@example('"\\"data":1}')
@example('"a":1,"\\"data":1}')
@example('"a":1 , \n"data": {"data":[]} } tail')
def test_the_short_way_through_an_event_reads_as_the_long_one(text: str) -> None:
    both_ways("{" + text)
    both_ways(EVENT.decode() + text + '"data":1}')


@settings(max_examples=200)
@given(events(), st.data())
def test_the_short_way_through_a_damaged_event_reads_as_the_long_one(
    event: Envelope, data: st.DataObject
) -> None:
    text = event.raw.decode()
    at = data.draw(st.integers(1, len(text) - 1))
    both_ways(text[:at] + data.draw(st.sampled_from(["", '"', ",", "{", "}", "\\", '"data":'])) + text[at:])


@given(
    st.dictionaries(
        st.sampled_from(
            [*REQUIRED, "subject", "time", "dataschema", "datacontenttype", "sequence", "x", "X"]
        ),
        st.sampled_from(
            ["1.0", "", "a/b", "https://x/y?z", "2026-01-01T00:00:00Z", " ", "\x7f", "ü", 1, True, None]
        )
        | st.text(max_size=3),
    )
)
def test_attributes_that_are_plainly_sound_have_no_problem(attributes: dict[str, object]) -> None:
    for required, value in zip(REQUIRED, ("1.0", "1", "/a", "t"), strict=True):
        assert not (_plainly_sound(attributes) and _each_problem(attributes))
        attributes[required] = value
    assert not (_plainly_sound(attributes) and _each_problem(attributes))


def test_a_usual_event_goes_the_short_way() -> None:
    event = build({"id": "1", "source": "/a", "type": "t", "traceparent": "x"}, {"a": ["b"]})
    assert _data_last(event.raw.decode(), 0) is not None
    assert _plainly_sound(event.attributes)


HEADER_NAMES = ["ce-id", "ce-source", "ce-type", "CE-specversion", "ce-time", "ce-x", "ce-", "ce-data"]
HEADER_VALUES = ["1.0", "text/plain;charset=ascii", "application/json", "%", "%ff", '"', '"\\"', "\udcff"]
FORMATS = ["application/cloudevents+json", "application/cloudevents-batch+json", "application/cloudevents"]


@given(
    st.lists(
        st.tuples(
            st.sampled_from([*HEADER_NAMES, "content-type", "Content-Type"]) | st.text(),
            st.sampled_from([*HEADER_VALUES, *FORMATS]) | st.text(),
        ),
        max_size=7,
    ),
    st.binary(max_size=30),
)
def test_no_headers_raise_anything_but_an_envelope_error(headers: list[tuple[str, str]], body: bytes) -> None:
    only_envelope_errors(lambda: parse_http(headers, body, events_max=2))
    only_envelope_errors(lambda: parse_binary(headers, body))
