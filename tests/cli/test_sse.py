"""Reading server-sent events (WHATWG HTML, 9.2.5 and 9.2.6), however the bytes come in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.api.sse import frame, keep_alive, opening
from gateway.cli.sse import ServerEvent, parse_events
from gateway.errors import AnswerError


def read(*chunks: bytes, bytes_max: int = 10_000) -> list[ServerEvent]:
    return list(parse_events(chunks, bytes_max))


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_blocks_fields_and_line_ends(end: bytes) -> None:
    lines = [
        b"\xef\xbb\xbf: a comment",
        b"retry: 250",
        b"id: 1",
        b"",
        b"data: one",
        b"data:two",
        b"data",
        b"data:  three",
        b"",
        b"id: 2",
        b"event: named",
        b"unknown: x",
        b"data: \xe2\x80\xa8",
        b"",
        b"",
        b"id: not\0this",
        b"retry: soon",
        b"",
        b"data: cut off",
    ]
    assert read(end.join(lines)) == [
        ServerEvent("1", None, 250),
        ServerEvent("1", "one\ntwo\n\n three"),
        ServerEvent("2", "\u2028"),
        ServerEvent("2", None),
    ]


events = st.lists(
    st.tuples(st.integers(0, 2**63 - 1), st.one_of(st.none(), st.text(st.characters(codec="utf-8")))),
    max_size=8,
)


@given(events, st.data())
def test_what_the_gateway_writes_is_read_whatever_the_chunks(
    sent: list[tuple[int, str | None]], data: st.DataObject
) -> None:
    raw = opening(7) + b"".join(
        keep_alive(position) if text is None else frame(position, text.encode()) for position, text in sent
    )
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=12)))
    chunks = [raw[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(raw)], strict=True)]
    got = read(*chunks, bytes_max=len(raw) + 1)
    assert got[0] == ServerEvent("7", None, 1000)
    assert [(int(one.id), one.data) for one in got[1:]] == [
        (position, None if text is None else text.replace("\r\n", "\n").replace("\r", "\n"))
        for position, text in sent
    ]


@pytest.mark.parametrize("raw", [b"data: " + b"x" * 200, b"data: x\n" * 50 + b"\n", b"x" * 200])
def test_an_event_has_a_bound(raw: bytes) -> None:
    with pytest.raises(AnswerError, match="more than 100 bytes"):
        read(*(raw[index : index + 10] for index in range(0, len(raw), 10)), bytes_max=100)
