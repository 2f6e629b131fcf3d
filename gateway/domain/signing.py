"""Signatures on what a subscriber gets; `schemas.signatures` verifies them, for whoever receives it.

Two schemes sign every POST. *Standard Webhooks* v1 (CONFORMANCE 38): HMAC-SHA256, keyed with the secret's
decoded bytes, over `id.timestamp.body`, in `webhook-signature`. *Letta's own*: HMAC-SHA256, keyed with the
UTF-8 bytes of the secret as shown, `whsec_` included, over the raw body, in `X-Letta-Signature`. Who asks for it
gets Standard Webhooks' v1a as well, behind v1: Ed25519 (RFC 8032) over the same, with a key of its own, so that
whoever checks it need not be able to sign.
"""

import binascii
import hashlib
from collections.abc import Sequence
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from schemas import Problem
from schemas.signatures import PUBLIC_KEY_PREFIX, SECRET_PREFIX, secret_key

NEW_SECRET_BYTES: Final = 32
SEED_BYTES: Final = 32
"""An Ed25519 private key (RFC 8032, section 5.1.5): any 32 random bytes."""

_LETTA: Final = "sha256="
_V1: Final = "v1,"
_V1A: Final = "v1a,"
_PUBLIC_KEYS_REMEMBERED: Final = 4_096
_BLOCK_BYTES: Final = 64
_INNER_PAD: Final = bytes(byte ^ 0x36 for byte in range(256))
_OUTER_PAD: Final = bytes(byte ^ 0x5C for byte in range(256))


class Signer:
    """Signs with one secret, or during a rotation with several, the oldest first.

    Keys are prepared once, so a signer is kept for as long as the secrets stay. Raises ValueError where a
    secret is not one. Nothing of a secret shows in its repr.

    Args:
        secrets: As shown, `whsec_…`.
        seeds: The Ed25519 keys that sign beside them (v1a); none where that is not asked for.
    """

    __slots__ = ("_letta", "_v1", "_v1a")

    def __init__(self, secrets: Sequence[str], seeds: Sequence[bytes] = ()) -> None:
        if not secrets:
            raise ValueError("signing takes at least one secret")
        self._v1 = tuple(_Key(secret_key(secret)) for secret in secrets)
        self._v1a = tuple(Ed25519PrivateKey.from_private_bytes(seed) for seed in seeds)
        shown = (secrets[0],) if len(secrets) == 1 else (secrets[0], secrets[-1])
        self._letta = tuple(_Key(secret.encode()) for secret in shown)

    def sign(self, id: str, timestamp_s: int, body: bytes) -> list[tuple[str, str]]:  # noqa: A002 - `webhook-id`
        """The signing headers of one attempt.

        `webhook-signature` holds one signature per secret, and behind them one per Ed25519 key, so a receiver
        with any of them accepts.
        `X-Letta-Signature` stays with the oldest secret until the overlap ends, and `X-Letta-Signature-Next`
        is of the newest.

        Args:
            id: The `webhook-id`: the delivery id, which has no dot.
            timestamp_s: The moment of this attempt, whole seconds since the Unix epoch.
            body: The bytes that are sent.
        """
        lines, _ = self.lines(id, timestamp_s, body)
        return [(name, value) for name, _, value in (line.partition(": ") for line in lines.splitlines())]

    def lines(self, id: str, timestamp_s: int, body: bytes) -> tuple[str, int]:  # noqa: A002 - as above
        """The same as header lines, each with its end; and how many. Every delivery needs them, and no list."""
        signed = b"%b.%d.%b" % (id.encode("ascii"), timestamp_s, body)
        signature = _V1 + _base64(self._v1[0].digest(signed))
        for newer in self._v1[1:]:
            signature += f" {_V1}{_base64(newer.digest(signed))}"
        for key in self._v1a:
            signature += f" {_V1A}{_base64(key.sign(signed))}"
        lines = (
            f"webhook-id: {id}\r\nwebhook-timestamp: {timestamp_s}\r\nwebhook-signature: {signature}\r\n"
            f"X-Letta-Signature: {_LETTA}{self._letta[0].digest(body).hex()}\r\n"
        )
        if len(self._letta) == 1:
            return lines, 4
        following = self._letta[-1].digest(body).hex()
        return f"{lines}X-Letta-Signature-Next: {_LETTA}{following}\r\n", 5


def new_secret(random: bytes) -> str:
    """A secret from 32 random bytes. Raises ValueError for another number of bytes."""
    if len(random) != NEW_SECRET_BYTES:
        raise ValueError(f"a secret is made from {NEW_SECRET_BYTES} random bytes, not {len(random)}")
    return SECRET_PREFIX + _base64(random)


def check_secret(text: str, pointer: str = "/secret") -> Problem | None:
    """What is wrong with a secret that a subscriber gives (S11g), or None; never repeats the secret."""
    try:
        secret_key(text)
    except ValueError as error:
        return Problem(pointer, str(error))
    return None


def public_key_of(seed: bytes) -> str:
    """The public key of an Ed25519 key as it is shown: `whpk_` and base64 (Standard Webhooks, asymmetric keys)."""
    return PUBLIC_KEY_PREFIX + _base64(
        Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    )


class _Key:
    """HMAC-SHA256 (RFC 2104) with the key's part done once: it is half of the work on bodies of this size."""

    __slots__ = ("_inner", "_outer")

    def __init__(self, key: bytes) -> None:
        block = (hashlib.sha256(key).digest() if len(key) > _BLOCK_BYTES else key).ljust(_BLOCK_BYTES, b"\0")
        self._inner = hashlib.sha256(block.translate(_INNER_PAD))
        self._outer = hashlib.sha256(block.translate(_OUTER_PAD))

    def digest(self, message: bytes) -> bytes:
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(message)
        outer.update(inner.digest())
        return outer.digest()


def _base64(raw: bytes) -> str:
    return binascii.b2a_base64(raw, newline=False).decode("ascii")
