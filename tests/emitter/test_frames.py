from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from letta_emitter import frames
from letta_emitter.frames import Frame, Kind

payloads = st.lists(st.text(max_size=60).map(str.encode), min_size=1, max_size=8)


def written(texts: list[bytes]) -> bytes:
    return frames.header(7) + b"".join(
        frames.encode(Kind.RECORD, number + 10, text) for number, text in enumerate(texts)
    )


def read(data: bytes) -> list[bytes]:
    found, offset = [], 0
    while isinstance(frame := frames.decode(data, offset), Frame):
        found += [frame.payload] if frame.kind is Kind.RECORD else []
        offset = frame.end
    return found


@given(payloads)
def test_what_is_written_is_read(texts):
    assert read(written(texts)) == texts


@given(payloads, st.data())
def test_s9b_a_torn_tail_is_found_wherever_it_is_torn(texts, data):
    whole = written(texts)
    last = len(frames.encode(Kind.RECORD, 0, texts[-1]))
    torn = whole[: len(whole) - data.draw(st.integers(1, last))]
    tail = frames.scan_tail(torn, 100, 0)
    assert tail.end == 100 + len(whole) - last
    assert tail.sequence == (len(texts) + 8 if len(texts) > 1 else 7)
    assert not tail.closed


@given(payloads, st.data())
def test_one_damaged_byte_costs_one_record_at_most(texts, data):
    whole = bytearray(written(texts))
    place = data.draw(st.integers(len(frames.header(7)), len(whole) - 1))
    whole[place] ^= data.draw(st.integers(1, 255))
    found, offset = [], 0
    while offset < len(whole):
        frame = frames.decode(bytes(whole), offset)
        if isinstance(frame, Frame):
            found += [frame.payload] if frame.kind is Kind.RECORD else []
            offset = frame.end
        else:
            later = frames.resync(bytes(whole), offset)
            offset = len(whole) if later is None else later
    assert len(found) >= len(texts) - 1
    assert all(payload in texts for payload in found)


def test_a_frame_inside_an_events_text_is_not_taken_for_a_frame():
    # The magic is no UTF-8, so the nearest that text can hold is its escaped or replaced form.
    text = frames.encode(Kind.RECORD, 1, b"{}").decode("utf-8", "replace").encode()
    damaged = bytearray(frames.encode(Kind.RECORD, 1, text))
    damaged[6] ^= 1
    assert frames.resync(bytes(damaged), 0) is None


def test_a_closed_segment_says_so():
    tail = frames.scan_tail(written([b"a"]) + frames.encode(Kind.END, 10), 0, 0)
    assert tail.closed
    assert tail.sequence == 10
