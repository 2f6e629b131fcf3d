# mypy: disallow-untyped-defs=False, disallow-incomplete-defs=False, disallow-untyped-calls=False
"""Reading answers without a network: every split, every bound, and noise."""

import gzip
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.http.answer import AnswerReader
from gateway.adapters.http.limits import Limits
from gateway.domain.sending import Answer, SendError, SendErrorKind

LIMITS = Limits(head_bytes_max=1024, read_bytes_max=4096, capture_bytes=16)


def reader(*, bodiless: bool = False, capture: int = 16) -> AnswerReader:
    made = AnswerReader(LIMITS)
    made.begin(capture_bytes=capture, bodiless=bodiless)
    return made


def read(*parts: bytes, eof: bool = False, **options) -> tuple[Answer, AnswerReader]:
    made = reader(**options)
    for part in parts:
        made.feed(part)
    if eof:
        assert made.end()
    assert made.done
    return made.answer(0.0), made


def error_of(made: AnswerReader, part: bytes) -> SendErrorKind | None:
    try:
        made.feed(part)
    except SendError as error:
        return error.kind
    return None


def fails(*parts: bytes, **options) -> SendErrorKind | None:
    made = reader(**options)
    return next((kind for part in parts if (kind := error_of(made, part))), None)


def coded(body: bytes, coding: str) -> bytes:
    return b"HTTP/1.1 200 OK\r\ncontent-encoding: %b\r\ncontent-length: %d\r\n\r\n%b" % (
        coding.encode(),
        len(body),
        body,
    )


PLAIN = b"HTTP/1.1 200 OK\r\nA: 1\r\nB:\r\ncontent-length: 5\r\n\r\nhello"
CHUNKED = (
    b"HTTP/1.1 201 Created\r\ntransfer-encoding: chunked\r\n\r\n2;x=y\r\nhe\r\n3\r\nllo\r\n0\r\nT: 1\r\n\r\n"
)
EARLY = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n"


@pytest.mark.parametrize(
    ("raw", "status", "headers"),
    [
        (PLAIN, 200, (("A", "1"), ("B", ""), ("content-length", "5"))),
        (CHUNKED, 201, (("transfer-encoding", "chunked"),)),
        (EARLY + PLAIN, 200, (("A", "1"), ("B", ""), ("content-length", "5"))),
    ],
    ids=["length", "chunked with trailers", "behind 1xx"],
)
def test_answer_is_the_same_however_it_is_split(raw, status, headers):
    for at in range(1, len(raw)):
        answer, made = read(raw[:at], raw[at:])
        assert answer == Answer(status, headers, b"hello", truncated=False, duration_s=0.0)
        assert made.keep_alive
        assert not made.dirty
    answer, _ = read(*(raw[at : at + 1] for at in range(len(raw))))
    assert answer.body == b"hello"


def test_the_next_answer_on_the_same_connection_starts_afresh():
    made = reader()
    for raw, body in ((PLAIN, b"hello"), (b"HTTP/1.1 204 No Content\r\n\r\n", b""), (CHUNKED, b"hello")):
        made.begin(capture_bytes=16)
        assert made.feed(raw)
        answer = made.answer(0.0)
        assert (answer.body, answer.truncated) == (body, False)
        assert made.keep_alive
        assert not made.dirty


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok",
    ],
)
def test_connection_is_not_kept_where_the_sink_does_not_keep_it(raw):
    answer, made = read(raw)
    assert answer.body == b"ok"
    assert not made.keep_alive


def test_http_1_0_may_keep_it():
    _, made = read(b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nok")
    assert made.keep_alive


def test_body_until_the_end_of_the_connection_is_whole():
    answer, made = read(b"HTTP/1.1 200 OK\r\n\r\nhel", b"lo", eof=True)
    assert (answer.body, answer.truncated, made.keep_alive) == (b"hello", False, False)


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\nnonsense\r\n",
    ],
    ids=["short", "no last chunk", "broken chunk"],
)
def test_status_counts_though_the_body_is_cut(raw):
    answer, made = read(raw, eof=True)
    assert (answer.status, answer.body, answer.truncated) == (200, b"hello", True)
    assert made.dirty


@pytest.mark.parametrize("status", [204, 304])
def test_status_without_body(status):
    answer, made = read(b"HTTP/1.1 %d X\r\ncontent-length: 5\r\n\r\n" % status)
    assert (answer.status, answer.body, answer.truncated) == (status, b"", False)
    assert made.keep_alive


def test_head_has_no_body_and_its_connection_is_not_used_again():
    answer, made = read(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", bodiless=True)
    assert (answer.status, answer.body) == (200, b"")
    assert made.dirty


def test_only_the_beginning_of_a_body_is_kept():
    answer, made = read(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n" + b"x" * 100)
    assert (answer.body, answer.truncated) == (b"x" * 16, True)
    assert not made.dirty  # it was read to its end: the connection is as good as before


def test_body_of_exactly_the_limit_is_whole():
    for body in (b"x" * 16, b""):
        answer, _ = read(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))
        assert (answer.body, answer.truncated) == (body, False)


def test_body_past_the_read_limit_is_cut():
    made = reader()
    assert not made.feed(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    fed = 0
    while not made.feed(b"400\r\n" + b"x" * 1024 + b"\r\n"):
        fed += 1024
        assert fed <= LIMITS.head_bytes_max + LIMITS.read_bytes_max
    assert made.dirty
    assert made.answer(0.0).truncated


def test_chunk_extensions_and_trailers_count_as_body():
    for filler in (b"1;" + b"x" * 8000, b"0\r\n" + b"T: x\r\n" * 1400):
        made = reader()
        made.feed(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        assert made.feed(filler)
        assert made.dirty
        assert made.answer(0.0).headers == (("transfer-encoding", "chunked"),)


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nA: " + b"x" * 2000,
        b"HTTP/1.1 200 OK\r\n" + b"A: 1\r\n" * 400,
        b"HTTP/1.1 200 " + b"O" * 2000,
        b"HTTP/1.1 200 OK\r\n" + b"x" * 2000,
        b"HTTP/1.1 103 Early\r\n\r\n" * 100,
        b"\r\n" * 1000,
    ],
    ids=["value", "many", "reason", "name", "1xx", "blank lines"],
)
@pytest.mark.parametrize("step", [1, 700, 5000])
def test_header_bomb_is_too_large(head, step):
    parts = [head[at : at + step] for at in range(0, len(head), step)]
    assert fails(*parts) is SendErrorKind.TOO_LARGE


@pytest.mark.parametrize(
    "raw",
    [
        b"SSH-2.0-OpenSSH\r\n",
        b"<html>hello</html>",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 99 Low\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/2.0 200 OK\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\nxyz",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok!",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA\x00: 1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n folded: 1\r\n\r\n",
        b"HTTP/1.1 200 OK\nA: 1\n\n",
    ],
    ids=range(16),
)
def test_what_is_not_an_http_1_answer(raw):
    assert fails(raw) is SendErrorKind.PROTOCOL


@pytest.mark.parametrize("extra", [PLAIN, b"HTTP", b"garbage", b"\x00"])
def test_bytes_behind_the_answer_spoil_the_connection_not_the_answer(extra):
    answer, made = read(PLAIN + extra)
    assert (answer.status, answer.body, answer.truncated) == (200, b"hello", False)
    assert answer.headers == (("A", "1"), ("B", ""), ("content-length", "5"))
    assert made.dirty


@pytest.mark.parametrize(
    ("coding", "packed"),
    [
        ("gzip", gzip.compress(b"hello")),
        ("x-gzip", gzip.compress(b"hello")),
        ("GZIP", gzip.compress(b"hello")),
        ("deflate", zlib.compress(b"hello")),
        ("deflate", zlib.compress(b"hello", wbits=-15)),
        ("identity", b"hello"),
    ],
)
def test_packed_body_is_unpacked(coding, packed):
    answer, made = read(coded(packed, coding))
    assert (answer.body, answer.truncated) == (b"hello", False)
    assert made.keep_alive


@pytest.mark.parametrize(
    ("coding", "packed"),
    [
        ("br", b"\x8b\x02\x80hello\x03"),
        ("zstd", b"hello"),
        ("gzip, gzip", gzip.compress(gzip.compress(b"hello"))),
        ("hello", b"hello"),
    ],
)
def test_body_in_an_unknown_coding_is_not_kept(coding, packed):
    answer, _ = read(coded(packed, coding))
    assert (answer.status, answer.body, answer.truncated) == (200, b"", True)


def test_two_codings_in_two_fields_are_not_kept():
    packed = gzip.compress(gzip.compress(b"hello"))
    head = (
        b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n"
    )
    answer, _ = read(head % len(packed) + packed)
    assert (answer.body, answer.truncated) == (b"", True)


@pytest.mark.parametrize(
    "packed",
    [gzip.compress(b"hello")[:-4], b"\x1f\x8b" + b"x" * 20, b"hello", gzip.compress(b"hello") + b"more"],
    ids=["short", "corrupt", "not packed", "followed"],
)
def test_broken_packing_keeps_the_status(packed):
    answer, _ = read(coded(packed, "gzip"))
    assert (answer.status, answer.truncated) == (200, True)
    assert b"hello".startswith(answer.body)


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_bomb_is_not_unpacked(coding):
    bomb = (gzip.compress if coding == "gzip" else zlib.compress)(b"\0" * (1 << 26))
    assert len(bomb) > LIMITS.read_bytes_max
    made = reader()
    tracemalloc.start()
    try:
        made.feed(coded(bomb, coding)[:900])
        for at in range(900, len(bomb), 1024):
            if made.feed(bomb[at : at + 1024]):
                break
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert made.answer(0.0).body == b"\0" * 16
    assert made.answer(0.0).truncated
    assert peak < 1 << 20


@given(st.lists(st.binary(max_size=200), max_size=20))
def test_noise_never_raises_another_error(parts):
    made = reader()
    kind = next((kind for part in parts if (kind := error_of(made, part)) or made.done), None)
    assert kind in {None, SendErrorKind.PROTOCOL, SendErrorKind.TOO_LARGE}
    if kind is None:
        made.end()
    if made.done:
        assert 200 <= made.answer(0.0).status <= 999


@given(st.data())
def test_noise_in_an_answer_never_raises_another_error(data):
    raw = bytearray(
        data.draw(st.sampled_from([PLAIN, CHUNKED, EARLY + CHUNKED, coded(gzip.compress(b"hello"), "gzip")]))
    )
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    made = reader()
    try:
        made.feed(bytes(raw))
    except SendError:
        return
    if made.end():
        answer = made.answer(0.0)
        assert len(answer.body) <= 16
