import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import schemas
from otel.traceparent import (
    TraceParent,
    derive,
    new_span_of,
    parse_traceparent,
    span_id_from,
    valid_tracestate,
)
from schemas.trace_context import TRACEPARENT_CHARS_MAX, is_traceparent, traceparent_fields

TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"
GOOD = f"00-{TRACE}-{SPAN}-01"

hex_bytes = st.binary(min_size=16, max_size=16).filter(any).map(bytes.hex)
span_bytes = st.binary(min_size=8, max_size=8).filter(any).map(bytes.hex)


def test_conformance_33_what_was_read_is_rendered_the_same() -> None:
    assert parse_traceparent(GOOD) == TraceParent(TRACE, SPAN, sampled=True)
    assert TraceParent(TRACE, SPAN, sampled=True).render() == GOOD
    assert TraceParent(TRACE, SPAN, sampled=False).render() == f"00-{TRACE}-{SPAN}-00"


@given(trace_id=hex_bytes, span_id=span_bytes, sampled=st.booleans())
def test_conformance_33_round_trip(trace_id: str, span_id: str, *, sampled: bool) -> None:
    point = TraceParent(trace_id, span_id, sampled)
    assert parse_traceparent(point.render()) == point


def test_with_span_keeps_trace_and_flag() -> None:
    other = TraceParent(TRACE, SPAN, sampled=False).with_span("00f067aa0ba902b7")
    assert other == TraceParent(TRACE, "00f067aa0ba902b7", sampled=False)


@pytest.mark.parametrize(
    "text",
    [
        "",
        GOOD.upper(),
        f" {GOOD}",
        f"{GOOD} ",
        f"{GOOD}\n",
        f"{GOOD}-",
        f"{GOOD}-extra",
        f"ff-{TRACE}-{SPAN}-01",
        f"0-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE[:-1]}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE}-{SPAN}",
        f"00_{TRACE}_{SPAN}_01",
        f"00-{TRACE}-{SPAN}-0g",
        f"01-{TRACE}-{SPAN}-01x",
        f"01-{TRACE}-{SPAN}-01-" + "x" * 300,
        "00-" + "\u0660" * 32 + f"-{SPAN}-01",
    ],
)
def test_conformance_47_what_is_wrong_is_not_read(text: str) -> None:
    assert parse_traceparent(text) is None


@pytest.mark.parametrize("text", [f"01-{TRACE}-{SPAN}-01", f"cc-{TRACE}-{SPAN}-01-what-comes-later"])
def test_conformance_47_a_later_version_goes_out_as_ours(text: str) -> None:
    point = parse_traceparent(text)
    assert point is not None
    assert point.render() == GOOD


almost = st.tuples(
    st.sampled_from(["00", "01", "cc", "ff", "0g"]),
    st.sampled_from([TRACE, "0" * 32, TRACE[:-1], TRACE.upper()]),
    st.sampled_from([SPAN, "0" * 16, SPAN + "0"]),
    st.sampled_from(["00", "01", "ff", "1"]),
    st.one_of(
        st.just(""),
        st.text(max_size=5),
        st.text(max_size=5).map("-{}".format),
        st.integers(TRACEPARENT_CHARS_MAX - 58, TRACEPARENT_CHARS_MAX - 54).map(lambda n: "-" + "x" * n),
    ),
).map(lambda parts: "-".join(parts[:4]) + parts[4])


@given(almost | st.text(max_size=80))
@example(f"01-{TRACE}-{SPAN}-01-x y")
@example(f"01-{TRACE}-{SPAN}-01-" + "x" * 200)
@example(f"01-{TRACE}-{SPAN}-01-" + "x" * 201)
@example(f"01-{TRACE}-{SPAN}-01-")
@example(f"{GOOD}\n")
def test_conformance_47_what_goes_out_as_valid_is_what_is_followed(text: str) -> None:
    followed = parse_traceparent(text)
    assert is_traceparent(text) is (followed is not None)
    attributes = {"id": "1", "source": "/s", "type": "t", "traceparent": text}
    try:
        carried = schemas.build(attributes, {}).traceparent
    except schemas.EnvelopeError:  # text that no attribute may hold at all
        carried = None
    assert carried == (text if followed is not None else None)


@pytest.mark.parametrize(
    ("flags", "sampled"), [("00", False), ("01", True), ("02", False), ("03", True), ("ff", True)]
)
def test_only_the_sampled_flag_is_read(flags: str, *, sampled: bool) -> None:
    point = parse_traceparent(f"00-{TRACE}-{SPAN}-{flags}")
    assert point is not None
    assert point.sampled is sampled


@pytest.mark.parametrize(
    ("trace_id", "span_id"),
    [
        ("0" * 32, SPAN),
        (TRACE, "0" * 16),
        (TRACE.upper(), SPAN),
        (TRACE, SPAN + "0"),
        ("", SPAN),
        (TRACE, "x" * 16),
    ],
)
def test_conformance_47_an_invalid_one_cannot_be_built(trace_id: str, span_id: str) -> None:
    with pytest.raises(ValueError, match=r"hex digits, not all zero"):
        TraceParent(trace_id, span_id, sampled=True)


@given(st.lists(st.text(), max_size=4))
def test_derived_is_valid_and_repeats(parts: list[str]) -> None:
    point = derive(*parts)
    assert derive(*parts) == point
    assert parse_traceparent(point.render()) == point


def test_derived_does_not_run_parts_together() -> None:
    points = {derive("ab", "c"), derive("a", "bc"), derive("abc"), derive("abc", ""), derive()}
    assert len(points) == 5


def test_derived_is_pinned() -> None:
    # Attempts of one event must share a trace across releases: a change here is a change of contract.
    assert derive("https://letta/organizations/org-1", "evt_1").render() == (
        "00-3f06726ead9a428e0fcb8de8cb261a38-64be779868dd4731-01"
    )


def test_span_id_is_never_all_zero() -> None:
    assert span_id_from(bytes(8)) == "0000000000000001"
    assert span_id_from(bytes(range(8))) == "0001020304050607"
    with pytest.raises(ValueError, match="8 bytes, not 7"):
        span_id_from(bytes(7))


@pytest.mark.parametrize(
    "text",
    [
        "rojo=00f067aa0ba902b7",
        "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE",
        "rojo=1 , \t congo=2",
        "rojo=1,,congo=2,",
        "fw529a3039@dt=FfffffeR0",
        "0tenant@sys=1",
        "1key=1",
        "a=b c",
        "a= b",
        "a" * 256 + "=" + "v" * 256,
        "t" * 241 + "@" + "s" * 14 + "=1",
        ",".join(f"k{n}=v" for n in range(32)),
    ],
)
def test_conformance_33_tracestate_that_may_go_on(text: str) -> None:
    assert valid_tracestate(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " , ",
        "rojo",
        "rojo=",
        "=1",
        "Rojo=1",
        "a=1,a=2",
        "a=b=c",
        "a=\u00e9",
        "a=b\x00",
        "a=b\nx=1",
        "a =1",
        "a@b@c=1",
        "a@0b=1",
        "a" * 257 + "=1",
        "a=" + "v" * 257,
        "t" * 242 + "@s=1",
        "t@" + "s" * 15 + "=1",
        ",".join(f"k{n}=v" for n in range(33)),
        "a=1" + "," * 20_000,
    ],
)
def test_conformance_47_tracestate_that_may_not(text: str) -> None:
    assert not valid_tracestate(text)


@given(st.text(max_size=80))
def test_no_text_makes_a_reader_fail(text: str) -> None:
    point = parse_traceparent(text)
    assert point is None or point.render()[3:52] == text[3:52]
    assert valid_tracestate(text) in {True, False}


@given(
    st.one_of(
        st.text(max_size=60),
        st.builds(
            "{}-{}-{}-{}{}".format,
            st.sampled_from(["00", "01", "ff"]),
            st.sampled_from([TRACE, "0" * 32, TRACE.upper()]),
            st.sampled_from([SPAN, "0" * 16]),
            st.sampled_from(["00", "01", "02", "0g"]),
            st.sampled_from(["", "-more"]),
        ),
    ),
    st.binary(min_size=8, max_size=8),
)
def test_a_new_span_of_a_trace_is_as_made_step_by_step(text: str, random: bytes) -> None:
    point, found = parse_traceparent(text), traceparent_fields(text)
    expected = None if point is None else point.with_span(span_id_from(random))
    assert (None if found is None else new_span_of(found, random)) == expected
