"""A frame of FastStream's is measured here and not parsed: what comes out is what FastStream makes of it."""

import asyncio
from struct import pack

import pytest
from faststream.redis.parser import BinaryMessageFormatV1
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.adapters.stream_entries import flat_answer, flat_entry, framed, raw_entry

MAGIC = BinaryMessageFormatV1.IDENTITY_HEADER


def frame(message: bytes, headers: dict[str, str]) -> bytes:
    written: bytes = asyncio.run(
        BinaryMessageFormatV1.encode(message=message, reply_to=None, headers=headers, correlation_id="1")
    )
    return written


def same_as_faststream(raw: bytes) -> bytes:
    found = framed(raw)
    assert found == BinaryMessageFormatV1.parse(raw)[0]
    return found


@given(st.binary(max_size=20), st.dictionaries(st.text(max_size=5), st.text(max_size=200), max_size=3))
def test_what_faststream_writes(message: bytes, headers: dict[str, str]) -> None:
    same_as_faststream(frame(message, headers))


@pytest.mark.parametrize("message", [b"", b'{"a":1}', b"\xff"])
def test_what_the_emitter_writes(message: bytes) -> None:
    written = frame(message, {"content-type": "application/cloudevents+json"})
    assert same_as_faststream(written) == message


@settings(max_examples=300)
@given(st.data())
def test_a_damaged_frame(data: st.DataObject) -> None:
    raw = frame(b'{"data":"1"}', {"content-type": "application/cloudevents+json", "a": ""})
    at = data.draw(st.integers(0, 60))
    put = data.draw(st.binary(max_size=3))
    same_as_faststream(raw[:at] + put + raw[at + data.draw(st.integers(0, 3)) :])
    same_as_faststream(raw[:at])


@settings(max_examples=300)
@given(
    st.sampled_from([0, 1, 2]),
    st.sampled_from([0, 18, 19]),
    st.integers(0, 40) | st.integers(0, 2**32 - 1),
    st.integers(0, 5) | st.integers(0, 2**16 - 1),
    st.binary(max_size=24),
)
@example(1, 18, 20, 0, b'{"data":"1"}')
@example(1, 18, 24, 1, b"\x00\x00\x00\x00a")
@example(1, 18, 26, 1, b"\x00\x01\xff\x00\x01aa")
@example(1, 18, 2**32 - 1, 1, b"")
def test_a_frame_of_anybody_s_making(
    version: int, headers_at: int, data_at: int, count: int, rest: bytes
) -> None:
    same_as_faststream(MAGIC + pack(">HIIH", version, headers_at, data_at, count) + rest)
    same_as_faststream(MAGIC + b'{"data":"1"}')


NAMES = st.sampled_from([b"__data__", b"event", b"cloudevent", b"data", b"other", b""])
VALUES = st.binary(max_size=5) | st.just(frame(b"{}", {"a": "b"}))


@given(st.none() | st.lists(st.tuples(NAMES, VALUES), max_size=3))
def test_an_entry_as_it_stands_in_the_answer_is_read_as_one_in_a_dictionary(
    pairs: list[tuple[bytes, bytes]] | None,
) -> None:
    flat = None if pairs is None else [part for pair in pairs for part in pair]
    assert flat_entry(b"1-2", flat) == raw_entry(b"1-2", dict(pairs or ()))


@pytest.mark.parametrize("empty", [None, [], {}])
def test_an_answer_without_streams(empty: object) -> None:
    assert flat_answer(empty) == []


def test_the_answers_of_both_protocols() -> None:
    entries = [[b"1-2", [b"event", b"{}"]]]
    assert [list(stream) for stream in flat_answer({b"stream": entries})] == flat_answer(
        [[b"stream", entries]]
    )
