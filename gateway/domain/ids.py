"""Names of things: how the ids the gateway gives out are made and read back.

Ids are opaque to their readers and have no dot, since Standard Webhooks signs `id.timestamp.body`
(CONFORMANCE 39). Those that must be the same after a crash are derived, the others take the caller's
randomness.
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

NUMBER_MAX: Final = 2**63 - 1
"""The largest subscription number and position: what a signed 64-bit column holds."""

RANDOM_BYTES: Final = 16
ATTEMPT_BYTES: Final = 26
HASH_BYTES: Final = 6
CURSOR_CHARS_MAX: Final = 1024

_DELIVERY: Final = "dlv_"
_ATTEMPT: Final = "att_"
_SUBSCRIPTION: Final = "sub_"
_QUARANTINE: Final = "qrn_"
_ERASURE: Final = "ers_"
_API_TOKEN: Final = "tok_"  # noqa: S105 - what the id of a token begins with
_FACT: Final = "fct_"
_DELIVERY_CHARS: Final = len(_DELIVERY) + 36  # 22 bytes in base32 without padding
_FACT_BYTES: Final = 20
_ALPHABET: Final = "abcdefghijklmnopqrstuvwxyz234567"
_PAIRS: Final = [first + second for first in _ALPHABET for second in _ALPHABET]
_LETTERS: Final = bytes(ord(_ALPHABET[byte & 0x1F]) for byte in range(256))
_BATCH: Final = "bat_"
_BATCH_BYTES: Final = 20


@dataclass(frozen=True, slots=True)
class DeliveryRef:
    """What a delivery id says: subscription number, position in the log, first 6 bytes of the row's hash."""

    number: int
    position: int
    hash6: bytes


def delivery_id(number: int, position: int, row_hash: bytes) -> str:
    """The id of the delivery of one log row to one subscription (S3a), also its `webhook-id` on the wire.

    It is derived, so it survives any crash; the row's hash in it makes it another one on a log that was
    restored from an older backup and has gone on differently. Raises ValueError for a number out of range
    or a hash under 6 bytes.
    """
    if not (0 <= number <= NUMBER_MAX and 0 <= position <= NUMBER_MAX):
        raise ValueError(f"a subscription number and a position are 0 to 2^63-1, not {number} and {position}")
    if len(row_hash) < HASH_BYTES:
        raise ValueError(f"a row hash has {HASH_BYTES} bytes or more, not {len(row_hash)}")
    # 15 bytes are 24 characters without a rest, and the same for 256 positions: only the end is new each time.
    tail = ((position & 0xFF) << 8 * HASH_BYTES) | int.from_bytes(row_hash[:HASH_BYTES], "big")
    tail, pairs = tail << 4, _PAIRS
    # Spelled out: a loop over six pairs costs twice as much, for every delivery.
    return (
        f"{_delivery_start(number, position >> 8)}{pairs[tail >> 50]}{pairs[tail >> 40 & 0x3FF]}"
        f"{pairs[tail >> 30 & 0x3FF]}{pairs[tail >> 20 & 0x3FF]}{pairs[tail >> 10 & 0x3FF]}{pairs[tail & 0x3FF]}"
    )


def batch_id(deliveries: Sequence[str]) -> str:
    """The id of a batch, derived from its members' delivery ids in order (S10a), also its `webhook-id`."""
    digest = hashlib.sha256()
    for delivery in deliveries:
        digest.update(delivery.encode())
    return _BATCH + _base32(digest.digest()[:_BATCH_BYTES])


def parse_delivery_id(text: str) -> DeliveryRef | None:
    """Read a delivery id back, or None where `delivery_id` cannot have made this text."""
    if len(text) != _DELIVERY_CHARS or not text.startswith(_DELIVERY) or not text.isascii():
        return None
    try:
        raw = base64.b32decode(text[len(_DELIVERY) :].upper() + "====")
    except binascii.Error:
        return None
    number, position, hash6 = int.from_bytes(raw[:8], "big"), int.from_bytes(raw[8:16], "big"), raw[16:]
    if number > NUMBER_MAX or position > NUMBER_MAX or delivery_id(number, position, hash6) != text:
        return None  # upper case, or stray bits in the last character: one delivery has one spelling
    return DeliveryRef(number, position, hash6)


def attempt_id(random: bytes) -> str:
    """The id of an attempt from 26 random bytes (S3b: attempt ids are random), of which each gives 5 bits.

    Raises ValueError for another number of bytes.
    """
    if len(random) != ATTEMPT_BYTES:
        raise ValueError(f"the id of an attempt is made from {ATTEMPT_BYTES} random bytes, not {len(random)}")
    return _ATTEMPT + random.translate(_LETTERS).decode("ascii")


def subscription_id(random: bytes) -> str:
    """The id of a subscription from 16 random bytes."""
    return _SUBSCRIPTION + _random32(random)


def quarantine_id(random: bytes) -> str:
    """The id of a quarantined entry from 16 random bytes."""
    return _QUARANTINE + _random32(random)


def erasure_id(random: bytes) -> str:
    """The id of an erasure from 16 random bytes."""
    return _ERASURE + _random32(random)


def token_id(random: bytes) -> str:
    """The id of an API token from 16 random bytes; nothing of the token itself is in it."""
    return _API_TOKEN + _random32(random)


def fact_id(subscription: str, kind: str, cause: str) -> str:
    """The id of a fact, derived from what it is about (S1d), so a crash cannot double it.

    `subscription` is empty for a fact about none; `cause` is whatever makes this fact happen once: a
    revision, a command's id, an attempt's id.
    """
    digest = hashlib.sha256()
    for part in (subscription, kind, cause):
        raw = part.encode()
        digest.update(len(raw).to_bytes(8, "big"))
        digest.update(raw)
    return _FACT + _base32(digest.digest()[:_FACT_BYTES])


def encode_cursor(kind: str, *keys: int | str) -> str:
    """The `next` of a list page: where it goes on, in characters of `[A-Za-z0-9_-]`.

    `kind` names the list and its order, so that the cursor of one list is refused by another. Raises
    ValueError for keys that would not fit the bound under which `decode_cursor` reads.
    """
    raw = json.dumps([kind, *keys], ensure_ascii=False, separators=(",", ":")).encode()
    text = base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")
    if len(text) > CURSOR_CHARS_MAX:
        raise ValueError(f"the keys of a cursor take at most {CURSOR_CHARS_MAX} characters, not {len(text)}")
    return text


def decode_cursor(kind: str, text: str) -> tuple[int | str, ...] | None:
    """The keys of a cursor of this kind, or None where `encode_cursor` did not make it for this kind.

    The caller still checks how many keys there are and of which type: the text comes from outside.
    """
    if len(text) > CURSOR_CHARS_MAX or not text.isascii():
        return None
    try:
        value: object = json.loads(base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True))
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, list) or not value or value[0] != kind:
        return None
    # By exact type: `true` would pass for an int.
    keys = tuple(
        key
        for key in value[1:]
        # No key has a NUL in it, and not every database can be asked for one.
        if (type(key) is str and "\0" not in key) or (type(key) is int and abs(key) <= NUMBER_MAX)
    )
    return keys if len(keys) == len(value) - 1 and _spells(text, kind, keys) else None


def _spells(text: str, kind: str, keys: tuple[int | str, ...]) -> bool:
    """Whether this is the one spelling of these keys."""
    try:
        return encode_cursor(kind, *keys) == text
    except ValueError:
        return False


def _random32(random: bytes) -> str:
    if len(random) != RANDOM_BYTES:
        raise ValueError(f"an id is made from {RANDOM_BYTES} random bytes, not {len(random)}")
    return _base32(random)


@lru_cache(maxsize=4_096)
def _delivery_start(number: int, position_start: int) -> str:
    return _DELIVERY + _base32(number.to_bytes(8, "big") + position_start.to_bytes(7, "big"))


def _base32(raw: bytes) -> str:
    """Base 32 (RFC 4648, section 6) in lower case and without padding."""
    chars = -(-len(raw) * 8 // 5)
    return _digits(int.from_bytes(raw, "big") << chars * 5 - len(raw) * 8, chars)


def _digits(value: int, chars: int) -> str:
    """A number in base 32. The standard library's function takes several times as long, twice per delivery."""
    text = [_PAIRS[value >> shift & 0x3FF] for shift in range(chars * 5 - 10, -1, -10)]
    if chars % 2:
        text.append(_ALPHABET[value & 0x1F])
    return "".join(text)
