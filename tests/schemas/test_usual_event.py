"""The short way through a usual event says what the general way says, and takes what is usual."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from schemas import Envelope, EnvelopeError, MalformedJsonError, StepCompleted, StepCompletedData, to_envelope
from schemas.json_format import _any_event
from schemas.strict_json import DEPTH_MAX, decode_usual, expect_end, skip_space, value_at
from schemas.usual_event import usual_event

HEAD = b'{"specversion":"1.0","id":"1","source":"/s","type":"t"'
ATTRIBUTES = [
    b'"subject":"a b"',
    b'"subject":""',
    b'"time":"2026-02-28T23:59:60.5+01:00"',
    b'"time":"2026-02-29T00:00:00Z"',
    b'"time":null',
    b'"datacontenttype":"application/json"',
    b'"datacontenttype":"application/JSON"',
    b'"datacontenttype":"text/plain"',
    b'"dataschema":"https://x/y"',
    b'"dataschema":"x"',
    b'"sequence":"1"',
    b'"sequence":1',
    b'"partitionkey":"\x7f"',
    b'"partitionkey":"\\u0061"',
    b'"partitionkey":"\\""',
    '"partitionkey":"ü"'.encode(),
    b'"partitionkey":"\t"',
    b'"traceparent":{"a":"b"}',
    b'"id":"2"',
    b'"id" :"2"',
    b'"x":"1"',
    b'"X":"1"',
    b'"data":"1"',
    b'"data_base64":"AA=="',
    b'"tracestate":",\\"data\\":1"',
    b'"":""',
    b"",
    b"1",
]
DATA = [
    b"{}",
    b"[]",
    b"null",
    b"1e999",
    b"-0",
    b"NaN",
    b'"a"',
    b'"\\ud800"',
    b'"\\ud83d\\ude00"',
    b'{"a":1,"a":2}',
    b'{"a":"1","a":"2","b":1,"c":2}',
    b'{"a":{"b":"c"},"d":["e",{"f":[]},"\\"",1.5,true]}',
    b'{"a":"\\\\","b":"\\"\\n"}',
    b'{"a":"\\\\","a":"\\""}',
    b'{"\\u0061":1,"a":2}',
    b'{"a":"\t"}',
    '{"a":"ü😀"}'.encode(),
    b'{"a":"\xff"}',
    b'{"data":1},"data":2',
    b"[" * DEPTH_MAX + b"]" * DEPTH_MAX,
    b"[" * (DEPTH_MAX + 1) + b"]" * (DEPTH_MAX + 1),
    b'{"a":' * DEPTH_MAX + b"1" + b"}" * DEPTH_MAX,
    b'{"a":' * (DEPTH_MAX + 1) + b"1" + b"}" * (DEPTH_MAX + 1),
    b"[" * 50_000,
    b"9" * 5_000,
    b"",
    b" 1",
    b"1 ",
]


def same_as_in_general(raw: bytes) -> bool:
    """Whether the short way takes it; what it says then is what the general way says."""
    short = usual_event(raw)
    if short is None:
        return False
    assert said(short) == said(_any_event(raw)), raw
    return True


def said(read: tuple[Envelope, Any]) -> object:
    envelope, data = read
    return (envelope.raw, dict(envelope.attributes), envelope.body, envelope.content, repr(data))


@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("end", [b"}", b"} ", b",}", b"", b',"x":"1"}'])
def test_any_data_is_read_as_in_general(data: bytes, end: bytes) -> None:
    same_as_in_general(HEAD + b',"data":' + data + end)


@settings(max_examples=500)
@given(
    st.lists(st.sampled_from(ATTRIBUTES), max_size=4),
    st.sampled_from(DATA),
    st.sampled_from([b',"data":', b',"data" :', b', "data":', b',"data":1,"data":']),
)
@example([b'"sequence":"1"', b'"sequence":"2"', b'"tracestate":1', b'"causationid":2'], b"1", b',"data":')
def test_any_attributes_are_read_as_in_general(attributes: list[bytes], data: bytes, name: bytes) -> None:
    same_as_in_general(b",".join([HEAD, *attributes]) + name + data + b"}")
    same_as_in_general(b"{" + b",".join(attributes) + name + data + b"}")


REQUIRED = [b'"specversion":"1.0"', b'"id":"1"', b'"source":"/s"', b'"type":"t"']
NESTED = [
    b'"data":{"q":"w","data":{"a":1}}',
    b'"data":{"a":"b","c":"d","e":"f","g":1,"data":{"x":"y"}}',
    b'"data" :{"a":1,"data":[2]}',
    b'"data":[]',
    b'"data":"a"',
    b'"subject":{"y":1,"data":2}',
    b'"subject":{"y":"z"}',
    b'"subject":"s"',
]


@settings(max_examples=1000)
@given(
    st.lists(st.sampled_from([*REQUIRED, *NESTED]), max_size=4),
    st.permutations(REQUIRED),
    st.lists(st.sampled_from([*REQUIRED, *NESTED]), max_size=4),
)
@example([NESTED[1]], REQUIRED, [])
@example([NESTED[5], NESTED[7]], REQUIRED, [NESTED[3]])
@example([NESTED[0], *REQUIRED], REQUIRED, [NESTED[0]])
def test_members_in_any_order_are_read_as_in_general(
    before: list[bytes], required: list[bytes], after: list[bytes]
) -> None:
    same_as_in_general(b"{" + b",".join([*before, *required, *after]) + b"}")


@pytest.mark.parametrize("strings", range(30))
def test_data_whose_quotes_make_up_for_those_of_the_attributes_are_not_cut_short(strings: int) -> None:
    inner = b",".join(b'"%d":1' % number for number in range(strings))
    data = b'"data":{' + inner + b',"data":{"a":"b"}}'
    assert not same_as_in_general(b"{" + data + b"," + b",".join(REQUIRED) + b"}")
    assert same_as_in_general(b"{" + b",".join(REQUIRED) + b"," + data + b"}") or not strings


@settings(max_examples=500)
@given(st.data())
def test_a_damaged_event_is_read_as_in_general(data: st.DataObject) -> None:
    raw = HEAD + b',"sequence":"1","data":{"a":"b\\n","c":[1,"d"]}}'
    at = data.draw(st.integers(0, len(raw)))
    put = data.draw(
        st.sampled_from([b"", b'"', b",", b"{", b"}", b"\\", b":", b'"data":', b'"a":"x",', b"\xff"])
    )
    same_as_in_general(raw[:at] + put + raw[at + data.draw(st.integers(0, 2)) :])


keys = st.sampled_from(["a", "b", '"', "\\", "\n", "ü", "/"])
numbers = (
    st.floats(allow_nan=False, allow_infinity=False).map(repr)
    | st.integers().map(str)
    | st.from_regex(r"-?(?:0|[1-9][0-9]{0,30})(?:\.[0-9]{1,30})?(?:[eE][+-]?[0-9]{1,3})?", fullmatch=True)
)
NO_VALUES = [
    "01",
    "1.",
    ".5",
    "+1",
    "-",
    "NaN",
    "-Infinity",
    "nul",
    "'a'",
    "[1,]",
    '{"a":1,}',
    "1 2",
    "//",
    "\f1",
    "1\v",
]
STRINGS = [
    r'"\ud800"',
    r'"\ud83d\ud83d"',
    r'"\udc00\ud800"',
    r'"\u00e9\ud83d\ude00"',
    r'"\x"',
    r'"\u0000"',
    '"\t"',
    '"\x7f"',
]
odd = st.sampled_from([*NO_VALUES, *STRINGS, "\ufeff1", " 1\n"])
written = st.recursive(
    st.sampled_from(["1", "-0.0", "1E400", "true", "null", "12345678901234567890"])
    | numbers
    | odd
    | keys.map(json.dumps),
    lambda inner: (
        st.lists(inner, max_size=4).map(lambda items: "[" + ",".join(items) + "]")
        | st.lists(st.tuples(keys, st.booleans(), inner), max_size=4).map(
            lambda members: (
                "{"
                + ", ".join(
                    f"{json.dumps(name, ensure_ascii=is_ascii)}: {value}" for name, is_ascii, value in members
                )
                + "}"
            )
        )
    ),
    max_leaves=20,
)


@settings(max_examples=500)
@given(written)
def test_a_value_is_read_as_in_general_and_no_key_that_is_there_twice_slips_through(text: str) -> None:
    raw = text.encode()
    try:
        general = in_general(text)
    except MalformedJsonError:
        with pytest.raises(ValueError):  # noqa: PT011 - of two readers, and nobody reads what they say
            decode_usual(raw)
        return
    with contextlib.suppress(ValueError):
        assert repr(decode_usual(raw)) == repr(general)


def in_general(text: str) -> Any:
    value, end = value_at(text, skip_space(text, 0), "")
    expect_end(text, end)
    return value


def test_what_the_emitter_writes_is_usual() -> None:
    text = 'She said: "Ünder\n5 %"'
    data = StepCompletedData.model_validate({"step_id": "step-1", "status": "completed", "text": text})
    event = StepCompleted(
        event_id="evt_1",
        timestamp="2026-01-01T12:00:00.123456Z",  # type: ignore[arg-type]  # read by the model
        agent_id="agent-1",
        organization_id="org-1",
        data=data,
    )
    trace = f"00-{'1' * 32}-{'2' * 16}-01"
    assert same_as_in_general(to_envelope(event, traceparent=trace, sequence="0" * 20).raw)


@pytest.mark.parametrize("data", [b'{"a":1,"a":2}', b'{"a":"\\"","b":{"c":"d","c":"d"}}'])
def test_a_key_that_is_there_twice_is_still_refused(data: bytes) -> None:
    assert usual_event(HEAD + b',"data":' + data + b"}") is None
    with pytest.raises(EnvelopeError, match="twice"):
        _any_event(HEAD + b',"data":' + data + b"}")
