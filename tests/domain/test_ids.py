import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.ids import (
    CURSOR_CHARS_MAX,
    NUMBER_MAX,
    DeliveryRef,
    attempt_id,
    batch_id,
    decode_cursor,
    delivery_id,
    encode_cursor,
    fact_id,
    parse_delivery_id,
    subscription_id,
)

numbers = st.integers(0, NUMBER_MAX)
hashes = st.binary(min_size=32, max_size=32)
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
keys = st.lists(st.one_of(st.integers(-NUMBER_MAX, NUMBER_MAX), texts), max_size=4)

ONE = delivery_id(1, 2, bytes(range(32)))


@given(numbers, numbers, hashes)
def test_s3a_a_delivery_id_says_what_it_is_made_of(number: int, position: int, row_hash: bytes) -> None:
    text = delivery_id(number, position, row_hash)
    assert re.fullmatch(r"dlv_[a-z2-7]{36}", text)
    assert parse_delivery_id(text) == DeliveryRef(number, position, row_hash[:6])


@given(st.tuples(numbers, numbers, hashes), st.tuples(numbers, numbers, hashes))
def test_s3a_other_parts_make_another_id(one: tuple[int, int, bytes], two: tuple[int, int, bytes]) -> None:
    same = (*one[:2], one[2][:6]) == (*two[:2], two[2][:6])
    assert (delivery_id(*one) == delivery_id(*two)) is same


def test_s3a_the_id_is_pinned_and_ordered_by_position() -> None:
    # Receivers remember ids across releases: a change here makes them take every retry for a new event.
    assert ONE == "dlv_aaaaaaaaaaaacaaaaaaaaaaaaiaacaqdaqcq"
    assert delivery_id(1, 2, b"\x00" * 32) < delivery_id(1, 3, b"\x00" * 32) < delivery_id(2, 0, b"\x00" * 32)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "dlv_",
        ONE.upper(),
        ONE[:4] + ONE[4:].upper(),
        ONE + "a",
        ONE[:-1],
        "evt_" + ONE[4:],
        ONE[:-1] + "=",
        ONE[:-1] + "1",
        ONE[:-1] + "\u00e9",
        ONE[:-1] + chr(ord(ONE[-1]) + 1),  # a stray bit after the 22 bytes
        "dlv_" + "7" * 36,  # numbers over 63 bits
        ONE + "\n",
    ],
)
def test_s3a_a_text_that_is_no_delivery_id(text: str) -> None:
    assert parse_delivery_id(text) is None


@given(st.text(alphabet="abcdefghijklmnopqrstuvwxyz234567", min_size=36, max_size=36))
def test_s3a_one_delivery_has_one_spelling(text: str) -> None:
    ref = parse_delivery_id("dlv_" + text)
    assert ref is None or delivery_id(ref.number, ref.position, ref.hash6) == "dlv_" + text


@pytest.mark.parametrize(("number", "position"), [(-1, 0), (0, -1), (NUMBER_MAX + 1, 0), (0, NUMBER_MAX + 1)])
def test_a_delivery_id_out_of_range_is_not_made(number: int, position: int) -> None:
    with pytest.raises(ValueError, match="2\\^63-1"):
        delivery_id(number, position, bytes(32))


def test_a_delivery_id_wants_a_hash() -> None:
    with pytest.raises(ValueError, match="6 bytes or more, not 5"):
        delivery_id(1, 1, bytes(5))


def test_random_ids_have_their_prefix_and_no_dot() -> None:
    raw = bytes(range(16))
    assert attempt_id(bytes(range(26))) == "att_abcdefghijklmnopqrstuvwxyz"
    assert attempt_id(bytes(range(230, 256))) == "att_ghijklmnopqrstuvwxyz234567"
    assert subscription_id(raw) == "sub_aaaqeayeaudaocajbifqydiob4"
    with pytest.raises(ValueError, match="16 random bytes, not 15"):
        subscription_id(bytes(15))
    with pytest.raises(ValueError, match="26 random bytes, not 16"):
        attempt_id(bytes(16))


def test_s1d_a_fact_id_is_its_cause() -> None:
    assert fact_id("sub_a", "paused", "4") == fact_id("sub_a", "paused", "4")
    others = {
        fact_id("sub_a", "paused", "4"),
        fact_id("sub_a", "paused4", ""),
        fact_id("sub_ap", "aused", "4"),
    }
    assert len(others) == 3
    assert re.fullmatch(r"fct_[a-z2-7]{32}", fact_id("", "gap", "1"))


def test_s10a_a_batch_id_is_its_members_in_order() -> None:
    two = delivery_id(1, 3, bytes(range(32)))
    assert batch_id([ONE, two]) == batch_id((ONE, two))
    others = {batch_id([ONE, two]), batch_id([two, ONE]), batch_id([ONE]), batch_id([two]), batch_id([])}
    assert len(others) == 5
    assert re.fullmatch(r"bat_[a-z2-7]{32}", batch_id([ONE, two]))


@given(st.lists(numbers, max_size=5), st.lists(numbers, max_size=5))
def test_s10a_other_members_are_another_batch(one: list[int], other: list[int]) -> None:
    def batch(positions: list[int]) -> str:
        return batch_id([delivery_id(1, position, bytes(6)) for position in positions])

    assert (batch(one) == batch(other)) is (one == other)


@given(st.sampled_from(["events", "deliveries"]), keys)
def test_a_cursor_comes_back_as_it_went(kind: str, parts: list[int | str]) -> None:
    text = encode_cursor(kind, *parts)
    assert re.fullmatch(r"[A-Za-z0-9_-]+", text)
    assert decode_cursor(kind, text) == tuple(parts)
    assert decode_cursor(kind + "!", text) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "!!!!",
        "bnVsbA",  # null
        "W10",  # []
        "WyJldmVudHMiLHRydWVd",  # ["events",true]
        "WyJldmVudHMiLDEuNV0",  # ["events",1.5]
        "WyJldmVudHMiLCAxXQ",  # ["events", 1]: a spelling that is not ours
        "W" * (CURSOR_CHARS_MAX + 1),
        "W" * CURSOR_CHARS_MAX,
        "\u00e9",
        encode_cursor("events", 1) + "=",
    ],
)
def test_a_cursor_that_is_not_ours_is_no_cursor(text: str) -> None:
    assert decode_cursor("events", text) is None


@given(st.text(max_size=60))
def test_no_text_makes_the_readers_fail(text: str) -> None:
    keys_read = decode_cursor("events", text)
    assert keys_read is None or encode_cursor("events", *keys_read) == text
    assert parse_delivery_id(text) is None


def test_a_cursor_has_a_bound() -> None:
    with pytest.raises(ValueError, match="at most 1024"):
        encode_cursor("events", "x" * CURSOR_CHARS_MAX)
