"""What CloudEvents core, JSON format and HTTP binding ask of the envelope, by row number."""

import base64
import json
from typing import Any

import pytest

from schemas import (
    Envelope,
    EnvelopeError,
    UnsupportedFormatError,
    build,
    parse_binary,
    parse_http,
    parse_structured,
    to_batch,
    to_binary,
    to_reference,
    to_structured,
)

ATTRIBUTES = {"specversion": "1.0", "id": "1", "source": "/s", "type": "t"}
HEADERS = [("ce-specversion", "1.0"), ("ce-id", "1"), ("ce-source", "/s"), ("ce-type", "t")]


def structured(**members: Any) -> bytes:
    return json.dumps(ATTRIBUTES | members).encode()


def headers_of(envelope: Envelope, **options: Any) -> dict[str, str]:
    headers, _ = to_binary(envelope, **options)
    return dict(headers)


def refused(pointer: str, **members: Any) -> EnvelopeError:
    with pytest.raises(EnvelopeError) as caught:
        parse_structured(structured(**members))
    assert pointer in [problem.pointer for problem in caught.value.problems]
    return caught.value


@pytest.mark.parametrize("name", ["specversion", "id", "source", "type"])
def test_row_01_a_missing_or_empty_required_attribute_is_refused(name: str) -> None:
    without = {other: value for other, value in ATTRIBUTES.items() if other != name}
    for broken in (without, ATTRIBUTES | {name: ""}, ATTRIBUTES | {name: None}):
        with pytest.raises(EnvelopeError) as caught:
            parse_structured(json.dumps(broken).encode())
        assert [problem.pointer for problem in caught.value.problems] == [f"/{name}"]
        headers = [(f"ce-{key}", value) for key, value in broken.items() if value is not None]
        with pytest.raises(EnvelopeError) as caught:
            parse_binary(headers, b"")
        assert [problem.pointer for problem in caught.value.problems] == [f"/{name}"]


def test_row_01_all_missing_attributes_are_told_at_once() -> None:
    with pytest.raises(EnvelopeError) as caught:
        parse_structured(b"{}")
    assert [problem.pointer for problem in caught.value.problems] == [
        "/specversion",
        "/id",
        "/source",
        "/type",
    ]


@pytest.mark.parametrize("version", ["0.3", "1", "1.0.2", "2.0", " 1.0", 1.0, 1])
def test_row_02_specversion_is_exactly_1_0(version: Any) -> None:
    refused("/specversion", specversion=version)
    assert headers_of(build({"id": "1", "source": "/s", "type": "t"}))["ce-specversion"] == "1.0"
    with pytest.raises(EnvelopeError):
        build(ATTRIBUTES | {"specversion": version})


def test_row_03_source_and_id_are_kept_apart_and_as_they_came() -> None:
    envelope = parse_structured(structured(id="A", source="/S"))
    assert (envelope.source, envelope.id) == ("/S", "A")
    assert (envelope.source, envelope.id) != (parse_structured(structured(id="a", source="/S")).source, "a")


@pytest.mark.parametrize(
    "name", ["Upper", "with_underscore", "with-dash", "dötted", "dotted.name", "sp ace", ""]
)
def test_row_04_attribute_names_are_lower_case_letters_and_digits(name: str) -> None:
    refused("/" + name, **{name: "x"})
    parse_structured(structured(a1="x", **{"1": "x"}))


def test_row_04_data_is_no_attribute_name_in_headers() -> None:
    for name in ("ce-data", "ce-data_base64", "ce-with_underscore", "ce-"):
        with pytest.raises(EnvelopeError):
            parse_binary([*HEADERS, (name, "x")], b"")


def test_row_04_longer_names_are_read_and_not_made() -> None:
    name = "a" * 21
    assert parse_structured(structured(**{name: "x"})).attributes[name] == "x"
    with pytest.raises(EnvelopeError):
        build(ATTRIBUTES | {name: "x"})
    assert build(ATTRIBUTES | {name[:20]: "x"}).attributes[name[:20]] == "x"


@pytest.mark.parametrize("value", [{}, {"a": 1}, [], ["x"], 1.5, 1.0, 1e3, 2**31, -(2**31) - 1, 10**30])
def test_row_05_objects_lists_floats_and_long_integers_are_no_attribute_values(value: Any) -> None:
    refused("/ext", ext=value)


@pytest.mark.parametrize("value", [True, False, 0, -(2**31), 2**31 - 1, "x", ""])
def test_row_05_booleans_integers_and_strings_are(value: Any) -> None:
    envelope = parse_structured(structured(ext=value))
    assert envelope.attributes["ext"] == value
    assert type(envelope.attributes["ext"]) is type(value)


@pytest.mark.parametrize("name", ["id", "source", "type", "subject", "time", "dataschema", "datacontenttype"])
@pytest.mark.parametrize("value", [1, True, {}, []])
def test_row_05_the_standard_attributes_are_strings(name: str, value: Any) -> None:
    refused(f"/{name}", **{name: value})


@pytest.mark.parametrize(
    "character",
    [
        "\x00",
        "\x1f",
        "\n",
        "\x7f",
        "\x80",
        "\x9f",
        "\ufdd0",
        "\ufdef",
        "\ufffe",
        "\uffff",
        "\U0001fffe",
        "\U0010ffff",
    ],
)
@pytest.mark.parametrize("name", ["id", "subject", "ext"])
def test_row_06_control_characters_and_noncharacters_are_refused(name: str, character: str) -> None:
    error = refused(f"/{name}", **{name: f"a{character}b"})
    assert f"U+{ord(character):04X}" in str(error)


def test_row_06_lone_surrogates_are_refused_and_pairs_are_not() -> None:
    for name in ("id", "ext", "data"):
        with pytest.raises(EnvelopeError):
            parse_structured(structured(**{name: "a\ud800b"}))
        with pytest.raises(EnvelopeError):
            parse_structured(structured(**{name: "\udc00\ud800"}))
    assert parse_structured(structured(subject="😀 é")).subject == "😀 é"  # json.dumps writes it as a pair


@pytest.mark.parametrize(
    "time",
    [
        "2026-01-01T12:00:00",  # no offset
        "2026-01-01 12:00:00Z",
        "2026-01-01",
        "2026-13-01T12:00:00Z",
        "2026-02-29T12:00:00Z",
        "2026-04-31T12:00:00Z",
        "1900-02-29T00:00:00Z",
        "2026-01-01T24:00:00Z",
        "2026-01-01T12:60:00Z",
        "2026-01-01T12:00:61Z",
        "2026-01-01T12:00:00.Z",
        "2026-01-01T12:00:00+1:00",
        "2026-01-01T12:00:00+24:00",
        "2026-01-01T12:00:00Z ",
        "٢٠٢٦-01-01T12:00:00Z",
        "now",
    ],
)
def test_row_07_a_time_that_is_not_rfc_3339_is_refused(time: str) -> None:
    refused("/time", time=time)


@pytest.mark.parametrize(
    "time",
    [
        "2026-01-01T12:00:00Z",
        "2026-01-01t12:00:00z",
        "2024-02-29T23:59:60.999999999999+05:30",
        "2000-02-29T00:00:00-00:00",
        "0000-01-01T00:00:00Z",
        "2026-01-01T12:00:00.123456789012345678901234567890Z",
    ],
)
def test_row_07_every_digit_of_a_time_survives_a_round_trip(time: str) -> None:
    envelope = parse_structured(structured(time=time, data={}))
    back = parse_binary(*to_binary(envelope))
    assert envelope.time == back.time == json.loads(to_structured(back))["time"] == time


@pytest.mark.parametrize(
    "uri", ["/relative", "schema.json", "//host/x", "", "https://x/y#part", "https://x y", "1http://x"]
)
def test_row_08_dataschema_is_an_absolute_uri(uri: str) -> None:
    refused("/dataschema", dataschema=uri)
    for absolute in ("https://x/y?z=1", "urn:uuid:1", "HTTP://h:1/%41", "a:"):
        assert parse_structured(structured(dataschema=absolute)).dataschema == absolute


def test_row_08_subject_is_not_empty_if_it_is_there() -> None:
    refused("/subject", subject="")
    with pytest.raises(EnvelopeError):
        parse_binary([*HEADERS, ("ce-subject", "")], b"")
    assert parse_structured(structured()).subject is None


@pytest.mark.parametrize(
    "content_type",
    [
        "application/cloudevents+json",
        "Application/CloudEvents+JSON",
        "application/cloudevents+json;charset=utf-8",
        "application/cloudevents+json ; Charset=UTF-8",
        'application/cloudevents+json; charset="utf-8"',
        " application/cloudevents+json;",
    ],
)
def test_row_09_media_types_compare_without_regard_to_case_or_spacing(content_type: str) -> None:
    (envelope,) = parse_http([("CONTENT-TYPE", content_type)], structured(data=1), events_max=1)
    assert envelope.raw == structured(data=1)


@pytest.mark.parametrize(
    "declared", ["Application/JSON", "application/json ; charset=utf-8", "text/JSON", "a/b+Json"]
)
def test_row_09_json_is_recognised_in_any_spelling(declared: str) -> None:
    envelope = parse_structured(structured(datacontenttype=declared, data={"a": 1}))
    assert (envelope.body, envelope.datacontenttype) == (b'{"a": 1}', declared)


def test_row_10_events_of_64_kib_pass_in_every_mode() -> None:
    raw = structured(data="x" * (64 * 1024))
    assert parse_structured(raw).raw == raw
    envelope = parse_binary([*HEADERS, ("Content-Type", "application/octet-stream")], b"\xff" * 64 * 1024)
    assert to_binary(envelope)[1] == b"\xff" * 64 * 1024


def test_row_11_unknown_extensions_are_forwarded_in_every_mode() -> None:
    raw = structured(myext='ü %41 "x"', num=-5, flag=True, data={})
    envelope = parse_structured(raw)
    assert json.loads(to_structured(envelope, dataschema="https://x/y")).items() >= json.loads(raw).items()
    headers = headers_of(envelope)
    assert headers["ce-myext"] == "%C3%BC%20%2541%20%22x%22"
    assert (headers["ce-num"], headers["ce-flag"]) == ("-5", "true")
    back = parse_binary(*to_binary(envelope))
    assert back.attributes["myext"] == 'ü %41 "x"'


def test_row_12_a_null_attribute_is_absent() -> None:
    envelope = parse_structured(
        structured(subject=None, ext=None, dataschema=None, datacontenttype=None, data=1)
    )
    assert envelope.attributes == ATTRIBUTES
    assert "ce-subject" not in headers_of(envelope)
    written = to_structured(envelope, dataschema="https://x/y")
    assert written.count(b"dataschema") == written.count(b"datacontenttype") == 1
    assert parse_structured(written).dataschema == "https://x/y"


def test_row_12_a_null_data_base64_is_absent_too() -> None:
    assert parse_structured(structured(data_base64=None, data=1)).body == b"1"
    assert parse_structured(structured(data_base64=None)).body is None


def test_row_13_data_and_data_base64_exclude_each_other() -> None:
    refused("/data_base64", data={}, data_base64="AA==")
    refused("/data_base64", data=None, data_base64="AA==")


@pytest.mark.parametrize(
    "encoded", ["=", "A", "AA", "AA=", "A A=", "AA==\n", "Ä===", "AA==AA==", "-_-_", 5, True, {}, []]
)
def test_row_13_invalid_base64_is_refused(encoded: Any) -> None:
    refused("/data_base64", data_base64=encoded)


@pytest.mark.parametrize("content", [b"", b"\x00", bytes(range(256))])
def test_row_13_valid_base64_is_decoded(content: Any) -> None:
    encoded = base64.b64encode(content).decode()
    envelope = parse_structured(structured(data_base64=encoded, datacontenttype="application/octet-stream"))
    assert to_binary(envelope)[1] == envelope.body == content


def test_row_14_string_data_under_a_json_type_stays_a_string() -> None:
    for declared in (
        {},
        {"datacontenttype": "application/json"},
        {"datacontenttype": "application/vnd.x+json"},
    ):
        envelope = parse_structured(structured(data="text", **declared))
        assert (envelope.body, envelope.data()) == (b'"text"', "text")
        assert to_binary(envelope)[1] == b'"text"'
    envelope = parse_structured(structured(data="text", datacontenttype="text/plain"))
    assert (envelope.body, envelope.data()) == (b"text", "text")


def test_row_14_null_data_differs_from_no_data() -> None:
    null, none = parse_structured(structured(data=None)), parse_structured(structured())
    assert (null.body, none.body) == (b"null", None)
    assert (to_binary(null)[1], to_binary(none)[1]) == (b"null", b"")
    assert "Content-Type" not in headers_of(none)
    assert json.loads(parse_binary(*to_binary(null)).raw)["data"] is None
    assert "data" not in json.loads(parse_binary(*to_binary(none)).raw)


@pytest.mark.parametrize(
    "broken",
    [
        b'{"specversion":"1.0","id":"1","id":"1","source":"/s","type":"t"}',
        b'{"specversion":"1.0","id":"1","source":"/s","type":"t","i\\u0064":"2"}',
        b'{"specversion":"1.0","id":"1","source":"/s","type":"t","data":1,"data":1}',
        b'{"specversion":"1.0","id":"1","source":"/s","type":"t","data":{"a":1,"a":1}}',
        b'{"specversion":"1.0","id":"1","source":"/s","type":"t","data":[{"x":{"a":1,"\\u0061":2}}]}',
        b'{"specversion":"1.0","id":"1","source":"/s","type":"t","data":NaN}',
        b'{"specversion":"1.0","id":"1","source":"/s","type":"t","data":[Infinity]}',
        b'{"specversion":"1.0","id":"1","source":"/s","type":"t","data":{"a":-Infinity}}',
        b'{"specversion":"1.0","id":"1","source":"/s","type":"t","ext":NaN}',
    ],
)
def test_row_15_duplicate_keys_and_nan_are_refused(broken: bytes) -> None:
    with pytest.raises(EnvelopeError):
        parse_structured(broken)
    with pytest.raises(EnvelopeError):
        parse_http(
            [("content-type", "application/cloudevents-batch+json")], b"[" + broken + b"]", events_max=5
        )


def test_row_15_in_binary_mode_too() -> None:
    for body in (b'{"a":1,"a":1}', b"NaN", b"{", b"", b"1 2"):
        headers = [*HEADERS, ("content-type", "application/json")]
        if not body:
            assert parse_binary(headers, body).body is None
            continue
        with pytest.raises(EnvelopeError):
            parse_binary(headers, body)


def test_row_16_the_mode_follows_the_content_type() -> None:
    one, batch = structured(data=1), b"[" + structured(data=1) + b"]"
    assert len(parse_http([("content-type", "application/cloudevents+json")], one, events_max=5)) == 1
    assert len(parse_http([("content-type", "application/cloudevents-batch+json")], batch, events_max=5)) == 1
    for content_type, body in (
        ("application/cloudevents+json", batch),
        ("application/cloudevents-batch+json", one),
    ):
        with pytest.raises(EnvelopeError):
            parse_http([("content-type", content_type)], body, events_max=5)
    (binary,) = parse_http([*HEADERS, ("content-type", "application/json")], one, events_max=5)
    assert binary.body == one


@pytest.mark.parametrize(
    "content_type",
    [
        "application/cloudevents",
        "application/cloudevents+avro",
        "application/cloudevents-batch",
        "application/cloudevents-batch+protobuf",
        "APPLICATION/CLOUDEVENTS+XML; charset=utf-8",
        "application/cloudevents+json; charset=utf-16",
        "application/cloudevents+json; charset",
    ],
)
def test_row_16_other_formats_are_told_apart_as_unsupported(content_type: str) -> None:
    with pytest.raises(UnsupportedFormatError):
        parse_http([*HEADERS, ("content-type", content_type)], structured(), events_max=5)


def test_row_17_in_structured_mode_the_body_is_the_event() -> None:
    headers = [("content-type", "application/cloudevents+json"), ("ce-id", "other"), ("ce-type", "")]
    (envelope,) = parse_http(headers, structured(), events_max=1)
    assert envelope.id == "1"


def test_row_18_content_type_is_datacontenttype() -> None:
    envelope = parse_structured(structured(datacontenttype="text/plain; charset=utf-8", data="ü"))
    headers = headers_of(envelope)
    assert headers["Content-Type"] == "text/plain; charset=utf-8"
    assert not [name for name in headers if name.lower() == "ce-datacontenttype"]
    assert parse_binary(list(headers.items()), b"x").datacontenttype == "text/plain; charset=utf-8"
    with pytest.raises(EnvelopeError):
        parse_binary([*HEADERS, ("ce-datacontenttype", "text/plain")], b"x")


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ("Euro%20%E2%82%AC%20%F0%9F%98%80", "Euro € 😀"),
        ("Euro%20%e2%82%ac", "Euro €"),
        ("%2541", "%41"),  # decoded once
        ("%41%62", "Ab"),  # encoded without need
        ('"a b"', "a b"),
        ('"a \\"b\\" \\\\ c"', 'a "b" \\ c'),
        ('"%41"', "A"),
        ("100%", "100%"),
        ("%zz", "%zz"),
        ("€".encode().decode("latin-1"), "€"),
    ],
)
def test_row_19_header_values_are_decoded_once(sent: str, read: str) -> None:
    assert parse_binary([*HEADERS, ("ce-ext", sent)], b"").attributes["ext"] == read


@pytest.mark.parametrize("sent", ["%FF", "%C0%A0", "%ED%A0%80", "caf\xe9"])
def test_row_19_invalid_utf8_is_refused(sent: str) -> None:
    with pytest.raises(EnvelopeError) as caught:
        parse_binary([*HEADERS, ("ce-ext", sent)], b"")
    assert [problem.pointer for problem in caught.value.problems] == ["/ext"]


def test_row_19_what_must_be_encoded_is_and_nothing_else() -> None:
    plain = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"%')
    headers = headers_of(build(ATTRIBUTES | {"ext": f'{plain} "%é😀'}))
    assert headers["ce-ext"] == plain + "%20%22%25%C3%A9%F0%9F%98%80"


def test_row_45_json_without_a_content_type_goes_out_as_application_json() -> None:
    envelope = parse_structured(structured(data={"a": 1}))
    assert envelope.datacontenttype == "application/json"
    assert headers_of(envelope)["Content-Type"] == "application/json"
    assert json.loads(to_structured(envelope))["datacontenttype"] == "application/json"
    assert envelope.raw == structured(data={"a": 1})  # what is stored stays as it came


def test_row_45_bytes_without_a_content_type_are_not_called_json() -> None:
    envelope = parse_structured(structured(data_base64="AA=="))
    assert envelope.datacontenttype is None
    assert not envelope.fits_binary
    assert to_structured(envelope) is envelope.raw


TRACE_CONTEXT = {"traceparent", "tracestate"}
VALID = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.parametrize(
    "traceparent",
    [
        VALID.upper(),
        VALID[:-1],
        VALID + "-more",
        "ff" + VALID[2:],
        "00-" + "0" * 32 + "-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-" + "0" * 16 + "-01",
        " " + VALID,
        "x",
    ],
)
def test_row_47_an_invalid_traceparent_is_not_passed_on_as_a_header(traceparent: str) -> None:
    envelope = parse_structured(structured(traceparent=traceparent, tracestate="a=b", data={}))
    assert envelope.traceparent is None
    assert not {"ce-traceparent", "ce-tracestate"} & headers_of(envelope).keys()
    # Nor in any other way; the rest is as it came, and so is the event in the log.
    rest = {name: value for name, value in json.loads(envelope.raw).items() if name not in TRACE_CONTEXT}
    added = {"datacontenttype": "application/json"}
    assert json.loads(to_structured(envelope)) == rest | added
    assert json.loads(to_batch([to_structured(envelope)])) == [rest | added]
    reference = json.loads(to_reference(envelope, "https://gateway/data"))
    assert not TRACE_CONTEXT & reference.keys()
    assert b"traceparent" in envelope.raw


def test_row_47_a_state_without_its_trace_is_of_no_trace() -> None:
    envelope = parse_structured(structured(tracestate="a=b", data={"traceparent": "x"}))
    assert "ce-tracestate" not in headers_of(envelope)
    assert json.loads(to_structured(envelope))["data"] == {"traceparent": "x"}
    assert not TRACE_CONTEXT & json.loads(to_structured(envelope)).keys()


@pytest.mark.parametrize("traceparent", [VALID, "01" + VALID[2:] + "-more", "cc" + VALID[2:]])
def test_row_47_a_valid_traceparent_is_passed_on_as_received(traceparent: str) -> None:
    envelope = parse_structured(structured(traceparent=traceparent, tracestate="a=b", data={}))
    assert isinstance(envelope, Envelope)
    assert envelope.traceparent == traceparent
    assert headers_of(envelope)["ce-traceparent"] == traceparent
    assert headers_of(envelope)["ce-tracestate"] == "a=b"
    body = json.loads(to_structured(envelope))
    assert (body["traceparent"], body["tracestate"]) == (traceparent, "a=b")
    body = json.loads(to_reference(envelope, "https://gateway/data"))
    assert (body["traceparent"], body["tracestate"]) == (traceparent, "a=b")
