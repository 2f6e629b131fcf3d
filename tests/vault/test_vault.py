import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.vault import KeyMissing, Keyring, KeyringError, Tampered, VaultError

ONE, TWO = bytes(range(32)), bytes(range(32, 64))
ROW: dict[str, Any] = {"kind": "subscription-secrets", "owner": "sub_a", "revision": 3}
RING = Keyring((ONE,))


def text(*keys: bytes) -> str:
    return ",".join(base64.b64encode(key).decode() for key in keys)


@given(st.binary(max_size=300), st.text(max_size=10), st.text(max_size=10), st.integers(0, 2**63))
def test_what_was_sealed_opens_in_its_row(plain: bytes, kind: str, owner: str, revision: int) -> None:
    sealed = RING.seal(plain, kind=kind, owner=owner, revision=revision)
    assert RING.open(sealed, kind=kind, owner=owner, revision=revision) == plain
    assert len(sealed) == len(plain) + 37


def test_the_value_does_not_show_and_no_two_blobs_are_alike() -> None:
    sealed = RING.seal(b"a secret of some length", **ROW)
    assert b"secret" not in sealed
    assert sealed != RING.seal(b"a secret of some length", **ROW)


@pytest.mark.parametrize(
    "other",
    [
        {"kind": "subscription"},
        {"owner": "sub_b"},
        {"revision": 2},
        {"kind": "subscription-secretss", "owner": "ub_a"},
    ],
)
def test_a_value_moved_to_another_row_does_not_open(other: dict[str, Any]) -> None:
    sealed = RING.seal(b"secret", **ROW)
    with pytest.raises(Tampered, match="not what was sealed for that row"):
        RING.open(sealed, **{**ROW, **other})


@given(st.data())
def test_any_bit_that_flips_is_noticed(data: st.DataObject) -> None:
    sealed = bytearray(RING.seal(b"secret", **ROW))
    bit = data.draw(st.integers(0, len(sealed) * 8 - 1))
    sealed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(VaultError):
        RING.open(bytes(sealed), **ROW)


def test_any_cut_is_noticed() -> None:
    sealed = RING.seal(b"secret", **ROW)
    for size in range(len(sealed)):
        with pytest.raises(Tampered):
            RING.open(sealed[:size], **ROW)
    with pytest.raises(Tampered):
        RING.open(sealed + b"\x00", **ROW)


def test_a_key_that_is_not_there_is_named() -> None:
    sealed = RING.seal(b"secret", **ROW)
    with pytest.raises(KeyMissing, match=RING.key_ids[0]):
        Keyring((TWO,)).open(sealed, **ROW)


def test_a_key_with_the_same_id_field_but_other_bytes_does_not_open() -> None:
    # A blob that claims the key we have, sealed under another one.
    sealed = Keyring((TWO,)).seal(b"secret", **ROW)
    claimed = sealed[:1] + bytes.fromhex(RING.key_ids[0]) + sealed[9:]
    with pytest.raises(Tampered):
        RING.open(claimed, **ROW)


def test_a_rotation_opens_the_old_and_seals_with_the_new() -> None:
    old = RING.seal(b"secret", **ROW)
    both = Keyring((TWO, ONE))
    assert both.open(old, **ROW) == b"secret"
    assert not both.current(old)
    new = both.seal(both.open(old, **ROW), **ROW)
    assert both.current(new)
    assert Keyring((TWO,)).open(new, **ROW) == b"secret"
    with pytest.raises(KeyMissing):
        RING.open(new, **ROW)


def test_a_blob_sealed_before_still_opens() -> None:
    # Stored blobs outlive releases: this one was made by the first.
    ring = Keyring((ONE,), random=lambda size: bytes(range(size)))
    sealed = ring.seal(b"secret", **ROW)
    assert (
        sealed.hex()
        == "01630dcd2966c43366000102030405060708090a0b3467b569a09152ac25f4b965eead12347046b54b0fcf"
    )
    assert RING.open(sealed, **ROW) == b"secret"


def test_keys_are_read_from_text() -> None:
    ring = Keyring.parse(f" {text(ONE)} , {text(TWO)}")
    assert ring.key_ids == (*RING.key_ids, *Keyring((TWO,)).key_ids)
    assert ring.open(RING.seal(b"secret", **ROW), **ROW) == b"secret"
    assert Keyring.parse(text(ONE, ONE)).key_ids == RING.key_ids


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ("", "key 1 is empty"),
        (text(ONE) + ",", "key 2 is empty"),
        ("not base64!", "key 1 is not base64"),
        (text(ONE) + ",\u00e9", "key 2 is not base64"),
        (text(ONE[:31]), "key 1 has 31 bytes; a key has 32"),
        (text(ONE, ONE + b"x"), "key 2 has 33 bytes"),
        (base64.urlsafe_b64encode(b"\xff" * 32).decode(), "key 1 is not base64"),
    ],
)
def test_a_wrong_key_is_named_by_its_number_and_told_what_to_do(wrong: str, sentence: str) -> None:
    with pytest.raises(KeyringError, match=sentence) as raised:
        Keyring.parse(wrong)
    assert "openssl rand -base64 32" in str(raised.value)
    assert text(ONE[:31]) not in str(raised.value)


def test_the_number_of_keys_has_a_bound() -> None:
    with pytest.raises(KeyringError, match="1 to 16 keys, not 17"):
        Keyring.parse(text(*(bytes([n]) * 32 for n in range(17))))
    with pytest.raises(KeyringError, match="1 to 16 keys, not 0"):
        Keyring(())


def test_nothing_secret_shows() -> None:
    shown = repr(RING)
    assert shown == f"Keyring({RING.key_ids[0]})"
    assert ONE.hex() not in shown
    assert text(ONE) not in shown
    with pytest.raises(AttributeError):
        _ = RING.__dict__
