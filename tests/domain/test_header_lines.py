"""Header lines put together from parts: what is sent is what was given, or it is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.http.headers import block_from_text
from gateway.domain.header_lines import HeaderLines
from gateway.domain.sending import SendError, SendErrorKind

NAMES = st.from_regex(r"[A-Za-z-]{1,8}", fullmatch=True).filter(
    lambda name: name.lower() not in {"te", "host"}
)
VALUES = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=20)
HEADERS = st.lists(st.tuples(NAMES, VALUES), max_size=5)


@given(HEADERS, HEADERS)
def test_lines_are_those_of_all_parts_in_order(first, second):
    together = HeaderLines.of(first).plus(second)
    assert list(together) == first + second
    assert len(together) == len(first) + len(second)
    assert block_from_text(together) == block_from_text(first + second)


@pytest.mark.parametrize("value", ["a\r\nhost: b", "a\n", "\r", "\0", "ü", "\udcff", "\x7f", "😀"])
def test_a_value_that_cannot_be_sent_is_refused_whoever_wrote_the_line(value):
    written = HeaderLines.of_lines([f"x: {value}\r\n"])
    for lines in (written, HeaderLines.of([("x", value)]), HeaderLines().plus([("x", value)])):
        with pytest.raises(SendError) as refused:
            block_from_text(lines)
        assert refused.value.kind is SendErrorKind.REFUSED


def test_names_are_looked_at_where_they_are_given():
    for headers in ([("a b", "1")], [("Host", "x")], [("a\r\nb", "1")]):
        with pytest.raises(SendError):
            HeaderLines.of(headers)
        with pytest.raises(SendError):
            HeaderLines().plus(headers)


def test_nothing_of_a_value_shows():
    assert "s3cret" not in repr(HeaderLines.of([("authorization", "s3cret")]))
