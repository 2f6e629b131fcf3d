"""Event ids: derived from what happened where that is unique, so that telling it twice makes one event."""

import base64
import hashlib
import secrets
from typing import Final

PREFIX: Final = "evt_"
_DIGEST_BYTES: Final = 20
"""160 bits: 32 characters of Base32 without padding."""


def event_id(short_name: str, *natural_key: str) -> str:
    """Derive an event's id from its short name and natural key.

    The parts are hashed with their lengths, so that ("ab", "c") and ("a", "bc") differ. The natural key is
    the step; the message; run and status; job and status.

    Raises:
        ValueError: There is no natural key, or a part is empty; use `random_event_id` then.
    """
    if not natural_key or not all(natural_key):
        raise ValueError("a natural key needs parts that are not empty")
    digest = hashlib.sha256()
    for part in (short_name, *natural_key):
        octets = part.encode("utf-8", "surrogatepass")
        digest.update(len(octets).to_bytes(4, "big"))
        digest.update(octets)
    return _written(digest.digest()[:_DIGEST_BYTES])


def random_event_id() -> str:
    """Make an id for an event without a natural key: once, before it is first written anywhere."""
    return _written(secrets.token_bytes(_DIGEST_BYTES))


def _written(digest: bytes) -> str:
    return PREFIX + base64.b32encode(digest).decode().lower()
