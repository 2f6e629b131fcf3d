# mypy: disallow-untyped-defs=False, disallow-incomplete-defs=False, disallow-untyped-calls=False
"""No header that a stranger chose ends a line or says how long the body is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.http.headers import FRAMING, block_from_bytes, block_from_text, method_bytes
from gateway.domain.sending import SendError, SendErrorKind


def refused(name: str, value: str) -> None:
    with pytest.raises(SendError) as text:
        block_from_text([("a", "b"), (name, value)])
    with pytest.raises(SendError) as raw:
        block_from_bytes([(b"a", b"b"), (name.encode("utf-8"), value.encode("utf-8"))])
    for caught in (text, raw):
        assert caught.value.kind is SendErrorKind.REFUSED
        assert caught.value.rule is None
        assert "s3cret" not in str(caught.value)


def test_lines():
    pairs = [("Content-Type", "application/json"), ("X-Empty", ""), ("x", "a\tb ~!")]
    block = block_from_text(pairs)
    assert block == b"Content-Type: application/json\r\nX-Empty: \r\nx: a\tb ~!\r\n"
    assert block_from_bytes([(name.encode(), value.encode()) for name, value in pairs]) == block
    assert block_from_text([]) == b""


@pytest.mark.parametrize("code", [*range(9), *range(10, 32), 127, 128, 160, 255, 0x2028, 0x1F600])
def test_no_control_or_foreign_character_in_a_value(code):
    for value in (f"s3cret{chr(code)}", f"{chr(code)}s3cret", f"s3cret{chr(code)}x: y"):
        refused("x", value)


@pytest.mark.parametrize(
    "value", ["a\r\nhost: b", "a\r\n\r\nGET / HTTP/1.1", "a\n", "\r\n", "a\r\n b", "\r\n\r\n"]
)
def test_no_line_ends_in_a_value(value):
    refused("x", value)


@pytest.mark.parametrize(
    "name", ["", " ", "a b", "a:", "a\r\n", "a\0", "é", "(a)", "a\tb", ":path", "a\r\nb: c"]
)
def test_names_are_tokens(name):
    refused(name, "v")


@pytest.mark.parametrize("name", sorted(FRAMING))
def test_framing_is_the_senders_own(name):
    for spelled in (name, name.upper(), name.title()):
        refused(spelled, "1")


def test_block_is_bounded():
    refused("x", "y" * 70_000)


@pytest.mark.parametrize("method", ["", "post", "P OST", "POST ", "GET\r\n", "GÉT", "A" * 17])
def test_methods_are_words(method):
    with pytest.raises(SendError):
        method_bytes(method)


@given(st.lists(st.tuples(st.text(max_size=8), st.text(max_size=12)), max_size=6))
def test_block_has_one_line_per_header_or_is_refused(pairs):
    try:
        block = block_from_text(pairs)
    except SendError:
        return
    assert block.count(b"\r\n") == block.count(b"\n") == block.count(b"\r") == len(pairs)
    lines = block.split(b"\r\n")[:-1]
    assert [tuple(line.decode("ascii").split(": ", 1)) for line in lines] == pairs
