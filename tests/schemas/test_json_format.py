import json
from typing import Any

import pytest

from schemas import (
    BatchTooLongError,
    Content,
    EnvelopeError,
    MalformedJsonError,
    Problem,
    TooDeepError,
    parse_batch,
    parse_structured,
    to_batch,
    to_structured,
    without_dataschema,
)

EVENT = b'{"specversion":"1.0","id":"1","source":"/s","type":"t"}'


def with_data(text: bytes) -> bytes:
    return EVENT[:-1] + b',"data":' + text + b"}"


def problems_of(raw: bytes) -> tuple[Problem, ...]:
    with pytest.raises(EnvelopeError) as caught:
        parse_structured(raw)
    return caught.value.problems


@pytest.mark.parametrize(
    "data",
    [
        b'{"b" : 1,\n\t"a":[ 1.0, 1e2 ,-0, 100000000000000000000000 ], "\\u00fc":"\\/"}',
        b'"\\u00fc \xc3\xbc \\ud83d\\ude00"',
        b"1.000",
        b"-0.0e-10",
        b"[]",
        b"null",
        b"true",
        b"1e999",
    ],
)
def test_data_keeps_the_bytes_it_came_in(data: Any) -> None:
    for raw in (with_data(data), with_data(b" \r\n\t" + data + b"  "), b" " + with_data(data) + b"\n"):
        envelope = parse_structured(raw)
        assert envelope.raw == raw
        assert envelope.body == data
        assert envelope.content is Content.JSON


def test_data_is_found_wherever_it_stands_among_the_members() -> None:
    members = [
        b'"specversion":"1.0"',
        b'"id":"1"',
        b'"source":"/s"',
        b'"type":"t"',
        b'"x":null',
        b'"data": "plain" ',
    ]
    for turn in range(len(members)):
        raw = b"{ " + b" ,\n".join(members[turn:] + members[:turn]) + b"}"
        envelope = parse_structured(raw)
        assert (envelope.body, envelope.raw) == (b'"plain"', raw)
        assert envelope.attributes == {"specversion": "1.0", "id": "1", "source": "/s", "type": "t"}


def test_slices_are_right_after_characters_of_several_bytes() -> None:
    text = (
        '{"subject":"größe 😀","specversion":"1.0","id":"é","source":"/s","data":["ü😀"],"type":"t","y":"ß"}'
    )
    raw = text.encode()
    envelope = parse_structured(raw)
    assert envelope.body == '["ü😀"]'.encode()
    assert envelope.data() == ["ü😀"]
    assert parse_batch(b"[ " + raw + b" , " + raw + b" ]", events_max=2) == [envelope, envelope]


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b" ",
        b"null",
        b"[]",
        b'"event"',
        b"{",
        b"{}x",
        EVENT + EVENT,
        EVENT[:-1],
        EVENT[:-1] + b",}",
        b"{," + EVENT[1:],
        EVENT.replace(b":", b"=", 1),
        EVENT.replace(b'"id"', b"id"),
        EVENT.replace(b'"id"', b"'id'"),
        EVENT.replace(b'"1"', b"01"),
        EVENT.replace(b'"1"', b'"a\nb"'),
        EVENT.replace(b'"1"', b'"\\x"'),
        EVENT.replace(b'"1"', b'"\xff"'),
        EVENT.replace(b'"1"', b'"\xed\xa0\x80"'),
        EVENT.replace(b'"1"', b'"\xc0\xaf"'),
        b"\xef\xbb\xbf" + EVENT,
        EVENT.decode().encode("utf-16"),
        EVENT + b"\x00",
        EVENT + b"\xc2\xa0",
        b"// comment\n" + EVENT,
        with_data(b"{'a':1}"),
        with_data(b"[1,]"),
        with_data(b"+1"),
        with_data(b"1."),
        with_data(b".5"),
        with_data(b"0x10"),
        with_data(b"tru"),
        with_data(b""),
        with_data(b'{"a":1,}'),
        with_data(b"9" * 5000),
        with_data(b"[" * 100_000),
        with_data(b'{"a":' * 100_000),
        b"[" * 100_000,
    ],
)
def test_what_is_not_strict_json_is_refused_as_such(raw: bytes) -> None:
    for parse in (parse_structured, lambda raw: parse_batch(b"[" + raw + b"]", events_max=10)):
        if raw in {b"", b" "} and parse is not parse_structured:
            continue
        with pytest.raises(MalformedJsonError) as caught:
            parse(raw)
        assert all(problem.detail for problem in caught.value.problems)
        assert len(str(caught.value)) < 300


def test_depth_is_bounded_at_64_levels() -> None:
    for opening, closing in ((b"[", b"]"), (b'{"a":', b"}")):
        assert parse_structured(with_data(opening * 64 + b"1" + closing * 64)).body is not None
        with pytest.raises(TooDeepError):
            parse_structured(with_data(opening * 65 + b"1" + closing * 65))
    assert parse_structured(with_data(b"[" + b"{}," * 500 + b"[]]")).body is not None
    assert parse_structured(with_data(b'"' + b"[" * 500 + b'"')).body is not None


def test_syntax_errors_tell_line_and_column() -> None:
    (problem,) = problems_of(b'{"specversion":"1.0",\n "id": oops}')
    assert (problem.pointer, "line 2 column 8" in problem.detail) == ("/id", True)


def test_more_members_than_any_event_has_are_refused() -> None:
    for value in (b'"x"', b"1"):
        extensions = b",".join(b'"e%d":%s' % (number, value) for number in range(2000))
        with pytest.raises(MalformedJsonError):
            parse_structured(EVENT[:-1] + b"," + extensions + b"}")


@pytest.mark.parametrize("data", [b"{}", b"[1]", b"1", b"true", b"null"])
def test_data_under_a_type_other_than_json_must_be_text(data: Any) -> None:
    raw = with_data(data)[:-1] + b',"datacontenttype":"application/xml"}'
    assert [problem.pointer for problem in problems_of(raw)] == ["/data"]


@pytest.mark.parametrize(
    "declared", ["json", "a/", "/b", "a/b;c", "a/b c", "ä/b", "a/b; c=\u20ac", "a" * 2000 + "/b"]
)
def test_a_content_type_that_is_no_media_type_is_refused(declared: str) -> None:
    raw = json.dumps(json.loads(EVENT) | {"datacontenttype": declared, "data": "x"}).encode()
    assert [problem.pointer for problem in problems_of(raw)] == ["/datacontenttype"]


@pytest.mark.parametrize(
    "source",
    ["/s p", "a:b c", "ü", "http://[::1", "%", "%4", "%zz", "1a:b", "//h:x", "a\\b", "<x>", "//[x y]"],
)
def test_a_source_that_is_no_uri_reference_is_refused(source: str) -> None:
    raw = json.dumps(json.loads(EVENT) | {"source": source}).encode()
    assert [problem.pointer for problem in problems_of(raw)] == ["/source"]


@pytest.mark.parametrize(
    "source",
    [
        "https://github.com/cloudevents/spec/pull?x=1/2?#frag",
        "mailto:cncf-wg-serverless@lists.cncf.io",
        "urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66",
        "/cloudevents/spec/pull/123",
        "1-555-123-4567",
        "//user:pw@[2001:db8::1]:80",
        "?q",
        "#f",
        "a/b:c",
        "./a:b",
        "tag:x,2020:y",
        "file:///etc",
        "%C3%BC",
        "http:",
        "//",
    ],
)
def test_every_kind_of_uri_reference_is_a_source(source: str) -> None:
    assert parse_structured(json.dumps(json.loads(EVENT) | {"source": source}).encode()).source == source


def test_a_batch_keeps_each_members_bytes() -> None:
    members = [EVENT, b'{ "data":1 ,' + EVENT[1:], with_data(b'{"\xc3\xbc":  1}')]
    assert [envelope.raw for envelope in parse_batch(to_batch(members), events_max=3)] == members
    assert parse_batch(b" [ ] ", events_max=0) == []
    assert to_batch([]) == b"[]"


def test_a_batch_longer_than_allowed_is_told_apart() -> None:
    with pytest.raises(BatchTooLongError):
        parse_batch(to_batch([EVENT] * 4), events_max=3)


def test_a_batch_tells_the_problems_of_every_member() -> None:
    raw = to_batch([EVENT, b'{"id":""}', with_data(b"1"), EVENT.replace(b'"/s"', b'" "')])
    with pytest.raises(EnvelopeError) as caught:
        parse_batch(raw, events_max=9)
    pointers = [problem.pointer for problem in caught.value.problems]
    assert pointers == ["/1/specversion", "/1/source", "/1/type", "/1/id", "/3/source"]


@pytest.mark.parametrize(
    "raw",
    [
        b"[",
        b"[,]",
        b"[%s,]" % EVENT,
        b"[%s %s]" % (EVENT, EVENT),
        b"[%s" % EVENT,
        b"[1]",
        b"[[]]",
        b"[]]",
        b"{}",
        b"",
    ],
)
def test_what_is_no_batch_is_refused(raw: bytes) -> None:
    with pytest.raises(MalformedJsonError):
        parse_batch(raw, events_max=9)


def test_dataschema_is_spliced_in_where_there_is_none() -> None:
    raw = with_data(b'{"a": 1}')[:-1] + b',"datacontenttype":"application/json" }\n'
    envelope = parse_structured(raw)
    assert to_structured(envelope) is raw
    written = to_structured(envelope, dataschema="https://x/y")
    assert written == raw[:-2] + b',"dataschema":"https://x/y"}\n'
    again = parse_structured(written)
    assert again.body == envelope.body
    assert to_structured(again, dataschema="https://other") is written


@pytest.mark.parametrize("name", [b'"dataschema"', b'"data\\u0073chema"'])
def test_a_null_dataschema_makes_room_for_the_one_added(name: bytes) -> None:
    raw = b'{"subject":"a b",' + name + b': null, "data": [1,  2],' + EVENT[1:]
    written = to_structured(parse_structured(raw), dataschema="https://x/y")
    again = parse_structured(written)
    assert (again.dataschema, again.body, again.subject) == ("https://x/y", b"[1,  2]", "a b")
    assert b"null" not in written


@pytest.mark.parametrize("name", [b'"dataschema"', b'"data\\u0073chema"'])
@pytest.mark.parametrize("data", [b'"data": {"a":1.0,  "dataschema": "x"}', b'"data_base64": "AA=="'])
def test_a_dataschema_can_be_left_out(name: bytes, data: bytes) -> None:
    raw = b'{"subject":"a b", ' + name + b': "https://x/y", ' + data + b"," + EVENT[1:]
    envelope = parse_structured(raw)
    sent = without_dataschema(envelope)
    assert envelope.dataschema == "https://x/y"
    assert parse_structured(sent.raw) == sent
    assert parse_structured(sent.raw).attributes == sent.attributes
    assert (sent.body, sent.content, sent.subject) == (envelope.body, envelope.content, "a b")
    assert sent.attributes == {
        key: value for key, value in envelope.attributes.items() if key != "dataschema"
    }
    assert without_dataschema(sent).raw is sent.raw


def test_equal_envelopes_have_equal_bytes() -> None:
    assert parse_structured(EVENT) == parse_structured(EVENT)
    assert parse_structured(EVENT) != parse_structured(EVENT + b" ")
    assert len({parse_structured(EVENT), parse_structured(EVENT)}) == 1
    assert "t 1 from /s" in repr(parse_structured(EVENT))
