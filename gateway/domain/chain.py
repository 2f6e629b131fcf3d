"""The hash chain over the log (S8a), and the key by which an event is known again (S7c).

A third party can verify the chain from exported rows alone; `contracts/vectors/hash-chain.json` is worked
out for that purpose, field by field. A row's hash covers the *hash* of its payload, so an erased payload
leaves the chain whole: its row keeps its hash, on which the next one builds, and what else is left of it is
covered by the fact that says that it was erased (`remains_hash`).
"""

import hashlib
from collections.abc import Iterable
from typing import Final, Protocol

from schemas import TYPE_PREFIX

HASH_BYTES: Final = 32
NONCE_BYTES: Final = 16
EVENT_KEY_BYTES: Final = 16

GENESIS: Final = bytes(HASH_BYTES)
"""What stands before the first row: 32 zero bytes."""

_ABSENT: Final = b"\xff\xff\xff\xff"
"""The length of a text that is not there, so that none and empty hash apart."""

_HASH_FIELD: Final = HASH_BYTES.to_bytes(4, "big")
_INTEGER_FIELD: Final = (8).to_bytes(4, "big")


def payload_hash(nonce: bytes, envelope: bytes) -> bytes:
    """SHA-256 of the 16-byte nonce and the envelope as stored.

    The nonce keeps an erased payload from being guessed back from its hash. Raises ValueError for another
    length of nonce, since only a fixed one keeps the two parts apart.
    """
    if len(nonce) != NONCE_BYTES:
        raise ValueError(f"a nonce has {NONCE_BYTES} bytes, not {len(nonce)}")
    return hashlib.sha256(nonce + envelope).digest()


def row_hash(
    previous: bytes,
    *,
    position: int,
    kind: str,
    type: str,  # noqa: A002 - the column's and the CloudEvents attribute's name
    source: str,
    id: str,  # noqa: A002 - likewise
    organization: str | None,
    appended_at_us: int,
    payload_hash: bytes,
) -> bytes:
    """SHA-256 over the row's nine fields in this order, each behind its length as 4 bytes, big-endian.

    Hashes go in as their 32 bytes, integers as 8 bytes big-endian (`appended_at_us` counts microseconds
    since the Unix epoch), texts as UTF-8; an absent organization is the length ff ff ff ff and no bytes.
    Raises ValueError where a hash is not 32 bytes, OverflowError where an integer is negative or over 64
    bits.
    """
    return RowHashes(kind, appended_at_us).of(
        previous, position, type, source, id, organization, payload_hash
    )


class RowHashes:
    """`row_hash` of rows that have their kind and their time in common, as those of one transaction have."""

    __slots__ = ("_end", "_kind")

    def __init__(self, kind: str, appended_at_us: int) -> None:
        self._kind = _field(kind.encode())
        self._end = _INTEGER_FIELD + appended_at_us.to_bytes(8, "big") + _HASH_FIELD

    def of(  # noqa: PLR0917 - arguments by name cost more, and this is for every row
        self,
        previous: bytes,
        position: int,
        type_: str,
        source: str,
        id_: str,
        organization: str | None,
        payload_hash: bytes,
    ) -> bytes:
        """The hash of one row, see `row_hash`."""
        if len(previous) != HASH_BYTES or len(payload_hash) != HASH_BYTES:
            raise ValueError(f"a hash has {HASH_BYTES} bytes, not {len(previous)} and {len(payload_hash)}")
        type_raw, source_raw, id_raw = type_.encode(), source.encode(), id_.encode()
        # Spelled out: this runs inside the one write transaction, where a helper called nine times would be felt.
        return hashlib.sha256(
            b"".join(
                (
                    _HASH_FIELD,
                    previous,
                    _INTEGER_FIELD,
                    position.to_bytes(8, "big"),
                    self._kind,
                    len(type_raw).to_bytes(4, "big"),
                    type_raw,
                    len(source_raw).to_bytes(4, "big"),
                    source_raw,
                    len(id_raw).to_bytes(4, "big"),
                    id_raw,
                    _ABSENT if organization is None else _field(organization.encode()),
                    self._end,
                    payload_hash,
                )
            )
        ).digest()


class Remains(Protocol):
    """What is left of an erased row."""

    @property
    def position(self) -> int: ...  # noqa: D102 - the columns of the log
    @property
    def kind(self) -> str: ...  # noqa: D102
    @property
    def type(self) -> str: ...  # noqa: D102
    @property
    def organization(self) -> str | None: ...  # noqa: D102
    @property
    def appended_at(self) -> int: ...  # noqa: D102
    @property
    def payload_hash(self) -> bytes: ...  # noqa: D102
    @property
    def row_hash(self) -> bytes: ...  # noqa: D102


def remains_hash(rows: Iterable[Remains]) -> bytes:
    """SHA-256 over what is left of erased rows, in log order (S8b).

    Of each the fields position, kind, type, organization, appended_at, payload_hash and row_hash, spelled as in
    `row_hash`. A row's own hash covers its source and id, which name the agent and are gone; so the fact that says
    what was erased has this hash of the rest, and being a row of the chain itself it holds them as the chain did.
    """
    remains = RemainsHash()
    for row in rows:
        remains.add(row)
    return remains.digest()


class RemainsHash:
    """The same, row by row."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()

    def add(self, row: Remains) -> None:
        """The next row, in log order."""
        digest, organization = self._digest, row.organization
        digest.update(_INTEGER_FIELD + row.position.to_bytes(8, "big"))
        digest.update(_field(row.kind.encode()))
        digest.update(_field(row.type.encode()))
        digest.update(_ABSENT if organization is None else _field(organization.encode()))
        digest.update(_INTEGER_FIELD + row.appended_at.to_bytes(8, "big"))
        digest.update(_field(bytes(row.payload_hash)))
        digest.update(_field(bytes(row.row_hash)))

    def digest(self) -> bytes:
        """The hash of what was added."""
        return self._digest.digest()


def event_key(source: str, id: str, owner: str | None = None) -> bytes:  # noqa: A002 - CloudEvents' own name
    """The 16-byte key of an event in the dedup table: one per `(source, id)` (CONFORMANCE 3).

    `owner` is the organization whose token named this source, see `key_owner`. All are length-prefixed, so nothing
    else runs together to the same bytes. Nobody can hide a foreign event behind this key: that takes a second
    preimage, 2^128 tries.
    """
    within = b"" if owner is None else _field(owner.encode())
    digest = hashlib.sha256(_field(source.encode()) + _field(id.encode()) + within).digest()
    return digest[:EVENT_KEY_BYTES]


def key_owner(type: str, organization: str | None) -> str | None:  # noqa: A002 - CloudEvents' own name
    """The organization within which an event's `(source, id)` is one; None: everywhere.

    Of Letta's types the source itself names the organization. Any other source is whatever a token's owner has
    written: it must neither keep out another organization's event nor tell that there is one (S11a).
    """
    return None if type.startswith(TYPE_PREFIX) else organization


def _field(raw: bytes) -> bytes:
    return len(raw).to_bytes(4, "big") + raw
