import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.chain import (
    EVENT_KEY_BYTES,
    GENESIS,
    event_key,
    key_owner,
    payload_hash,
    remains_hash,
    row_hash,
)

VECTORS = Path(__file__).parents[2] / "contracts" / "vectors" / "hash-chain.json"

ROW: dict[str, Any] = {
    "position": 1,
    "kind": "event",
    "type": "com.letta.agent.step.completed",
    "source": "https://letta/organizations/org-1/agents/agent-1",
    "id": "evt_1",
    "organization": "org-1",
    "appended_at_us": 1_767_268_800_000_000,
    "payload_hash": bytes(range(32)),
}
OTHER: dict[str, Any] = {
    "position": 2,
    "kind": "fact",
    "type": "com.letta.agent.step.complete",
    "source": "https://letta/organizations/org-1/agents/agent-",
    "id": "evt_",
    "organization": None,
    "appended_at_us": 1_767_268_800_000_001,
    "payload_hash": bytes(32),
}


def load() -> dict[str, Any]:
    vectors: dict[str, Any] = json.loads(VECTORS.read_text("utf-8"))
    return vectors


def test_s8a_the_vector_in_the_repository_holds() -> None:
    vectors = load()
    previous = bytes.fromhex(vectors["genesis"])
    assert previous == GENESIS
    assert len(vectors["rows"]) >= 3
    for row in vectors["rows"]:
        assert row["previous"] == previous.hex()
        inner = payload_hash(bytes.fromhex(row["nonce"]), row["envelope"].encode())
        assert inner.hex() == row["payload_hash"]
        names = ("position", "kind", "type", "source", "id", "organization", "appended_at_us")
        previous = row_hash(previous, payload_hash=inner, **{name: row[name] for name in names})
        assert previous.hex() == row["hash"]


def test_s8a_the_vector_can_be_checked_without_our_code() -> None:
    # As a third party would: the described preimage, and SHA-256.
    for row in load()["rows"]:
        assert hashlib.sha256(bytes.fromhex(row["preimage"])).hexdigest() == row["hash"]
        fields, rest = [], bytes.fromhex(row["preimage"])
        while rest:
            length, rest = rest[:4], rest[4:]
            size = 0 if length == b"\xff\xff\xff\xff" else int.from_bytes(length, "big")
            fields.append(None if length == b"\xff\xff\xff\xff" else rest[:size])
            rest = rest[size:]
        organization = row["organization"]
        assert fields == [
            bytes.fromhex(row["previous"]),
            row["position"].to_bytes(8, "big"),
            row["kind"].encode(),
            row["type"].encode(),
            row["source"].encode(),
            row["id"].encode(),
            None if organization is None else organization.encode(),
            row["appended_at_us"].to_bytes(8, "big"),
            bytes.fromhex(row["payload_hash"]),
        ]


def test_s8a_the_vector_has_a_row_without_organization_and_one_beyond_ascii() -> None:
    rows = load()["rows"]
    assert any(row["organization"] is None for row in rows)
    assert any(not row["envelope"].isascii() for row in rows)


@pytest.mark.parametrize("name", list(ROW))
def test_s8a_every_field_is_under_the_hash(name: str) -> None:
    assert row_hash(GENESIS, **ROW) != row_hash(GENESIS, **{**ROW, name: OTHER[name]})


def test_s8a_the_row_before_is_under_the_hash() -> None:
    assert row_hash(GENESIS, **ROW) != row_hash(b"\x01" * 32, **ROW)


def test_s8a_fields_do_not_run_together() -> None:
    shifted = {**ROW, "source": ROW["source"] + "e", "id": ROW["id"][1:]}
    assert row_hash(GENESIS, **ROW) != row_hash(GENESIS, **shifted)


def test_s8a_no_organization_is_not_an_empty_one() -> None:
    assert row_hash(GENESIS, **{**ROW, "organization": None}) != row_hash(
        GENESIS, **{**ROW, "organization": ""}
    )


def test_wrong_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="16 bytes, not 15"):
        payload_hash(bytes(15), b"{}")
    with pytest.raises(ValueError, match="32 bytes, not 31 and 32"):
        row_hash(bytes(31), **ROW)
    with pytest.raises(ValueError, match="32 bytes, not 32 and 0"):
        row_hash(GENESIS, **{**ROW, "payload_hash": b""})
    with pytest.raises(OverflowError):
        row_hash(GENESIS, **{**ROW, "position": -1})


@dataclass(frozen=True)
class Left:
    """What is left of an erased row."""

    position: int
    kind: str
    type: str
    organization: str | None
    appended_at: int
    payload_hash: bytes
    row_hash: bytes


def left_of(positions: list[int]) -> list[Left]:
    return [
        Left(
            row["position"],
            row["kind"],
            row["type"],
            row["organization"],
            row["appended_at_us"],
            bytes.fromhex(row["payload_hash"]),
            bytes.fromhex(row["hash"]),
        )
        for row in load()["rows"]
        if row["position"] in positions
    ]


def test_s8b_the_vector_of_an_erasure_holds() -> None:
    said = load()["erasure"]
    assert remains_hash(left_of(said["positions"])).hex() == said["remains"]
    assert hashlib.sha256(bytes.fromhex(said["preimage"])).hexdigest() == said["remains"]


@pytest.mark.parametrize(
    "change",
    [
        {"position": 9},
        {"kind": "fact"},
        {"type": "x"},
        {"organization": None},
        {"organization": ""},
        {"appended_at": 1},
        {"payload_hash": bytes(32)},
        {"row_hash": bytes(32)},
    ],
)
def test_s8b_each_thing_that_is_left_is_held(change: dict[str, Any]) -> None:
    said = load()["erasure"]
    first, *others = left_of(said["positions"])
    assert remains_hash([replace(first, **change), *others]).hex() != said["remains"]
    assert remains_hash([*others, first]).hex() != said["remains"]
    assert remains_hash(others).hex() != said["remains"]


@given(st.text(max_size=20), st.text(max_size=20), st.text(max_size=20), st.text(max_size=20))
def test_s7c_an_event_is_known_by_source_and_id(source: str, id_: str, source2: str, id2: str) -> None:
    same = (source, id_) == (source2, id2)
    assert (event_key(source, id_) == event_key(source2, id2)) is same
    assert len(event_key(source, id_)) == EVENT_KEY_BYTES


def test_s7c_the_key_is_pinned() -> None:
    # It is stored for 90 days: another way to make it would let every event in again.
    assert event_key("https://letta/organizations/org-1", "evt_1").hex() == "88ead7c26d1de104a2563d6bea4b8275"
    assert event_key("ab", "c") != event_key("a", "bc")


def test_s11a_a_token_s_own_names_are_known_within_its_organization() -> None:
    assert event_key("urn:a", "1", "org-1") != event_key("urn:a", "1", "org-2") != event_key("urn:a", "1")
    assert event_key("urn:a", "1", "") != event_key("urn:a", "1", None) == event_key("urn:a", "1")
    assert key_owner("some.type", "org-1") == "org-1"
    assert key_owner("some.type", None) is None
    # Letta's sources name the organization themselves: by HTTP and by Redis it is one event.
    assert key_owner("com.letta.agent.step.completed", "org-1") is None
    assert key_owner("com.letta.gateway.subscription.created", "org-1") is None
