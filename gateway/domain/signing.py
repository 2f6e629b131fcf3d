"""Signatures on what a subscriber gets, and their verification for whoever receives it.

Two schemes sign every POST. *Standard Webhooks* v1 (CONFORMANCE 38): HMAC-SHA256, keyed with the secret's
decoded bytes, over `id.timestamp.body`, in `webhook-signature`. *Letta's own*: HMAC-SHA256, keyed with the
UTF-8 bytes of the secret as shown, `whsec_` included, over the raw body, in `X-Letta-Signature`.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from typing import Final

from schemas import Problem

SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - what every secret begins with, not one
SECRET_BYTES_MIN: Final = 24
SECRET_BYTES_MAX: Final = 64
NEW_SECRET_BYTES: Final = 32
TOLERANCE_S: Final = 300
"""How far a timestamp may lie from the receiver's clock (Standard Webhooks, "Replay attacks")."""

SIGNATURES_MAX: Final = 16
"""Signatures of one request that a verifier looks at: more than any rotation makes, and cheap."""

_LETTA: Final = "sha256="
_V1: Final = "v1,"
_TIMESTAMP_CHARS_MAX: Final = 12
_BLOCK_BYTES: Final = 64
_INNER_PAD: Final = bytes(byte ^ 0x36 for byte in range(256))
_OUTER_PAD: Final = bytes(byte ^ 0x5C for byte in range(256))


class Signer:
    """Signs with one secret, or during a rotation with several, the oldest first.

    Keys are prepared once, so a signer is kept for as long as the secrets stay. Raises ValueError where a
    secret is not one. Nothing of a secret shows in its repr.
    """

    __slots__ = ("_letta", "_v1")

    def __init__(self, secrets: Sequence[str]) -> None:
        if not secrets:
            raise ValueError("signing takes at least one secret")
        self._v1 = tuple(_Key(_key(secret)) for secret in secrets)
        shown = (secrets[0],) if len(secrets) == 1 else (secrets[0], secrets[-1])
        self._letta = tuple(_Key(secret.encode()) for secret in shown)

    def sign(self, id: str, timestamp_s: int, body: bytes) -> list[tuple[str, str]]:  # noqa: A002 - `webhook-id`
        """The signing headers of one attempt.

        `webhook-signature` holds one signature per secret, so a receiver with either one accepts.
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
        signature = " ".join([_V1 + _base64(key.digest(signed)) for key in self._v1])
        lines = (
            f"webhook-id: {id}\r\nwebhook-timestamp: {timestamp_s}\r\nwebhook-signature: {signature}\r\n"
            f"X-Letta-Signature: {_LETTA}{self._letta[0].digest(body).hex()}\r\n"
        )
        if len(self._letta) == 1:
            return lines, 4
        following = self._letta[-1].digest(body).hex()
        return f"{lines}X-Letta-Signature-Next: {_LETTA}{following}\r\n", 5


class BadSignature(Exception):
    """The request cannot be taken for one of the gateway's; the text says why and holds nothing secret."""


def verify_v1(
    secret: str,
    *,
    id: str,  # noqa: A002 - the header is called `webhook-id`
    timestamp: str,
    signature: str,
    body: bytes,
    now_s: float,
    tolerance_s: float = TOLERANCE_S,
) -> None:
    """Check a request by Standard Webhooks v1; the header values are given as received.

    One matching signature among those in the header suffices. Each is compared in constant time. Raises
    BadSignature, and ValueError where the secret is none.
    """
    key = _key(secret)
    if not (timestamp.isascii() and timestamp.isdecimal() and len(timestamp) <= _TIMESTAMP_CHARS_MAX):
        raise BadSignature("webhook-timestamp is not a whole number of seconds")
    if abs(int(timestamp) - now_s) > tolerance_s:
        raise BadSignature(f"webhook-timestamp is more than {tolerance_s:g} s away from this clock")
    signed = b".".join((id.encode("utf-8", "replace"), timestamp.encode("ascii"), body))
    wanted = (_V1 + _base64(hmac.digest(key, signed, "sha256"))).encode("ascii")
    given = signature.split(" ")[:SIGNATURES_MAX]
    matching = [hmac.compare_digest(wanted, one.encode("utf-8", "replace")) for one in given]
    if not any(matching):
        raise BadSignature("no signature in webhook-signature is of this secret, id, timestamp and body")


def verify_letta(secret: str, *, signature: str, body: bytes) -> None:
    """Check a request by `X-Letta-Signature`, in constant time. Without a timestamp, a copy passes again.

    Raises BadSignature.
    """
    wanted = (_LETTA + hmac.digest(secret.encode(), body, "sha256").hex()).encode("ascii")
    if not hmac.compare_digest(wanted, signature.strip(" \t").encode("utf-8", "replace")):
        raise BadSignature("X-Letta-Signature is not of this secret and body")


def new_secret(random: bytes) -> str:
    """A secret from 32 random bytes. Raises ValueError for another number of bytes."""
    if len(random) != NEW_SECRET_BYTES:
        raise ValueError(f"a secret is made from {NEW_SECRET_BYTES} random bytes, not {len(random)}")
    return SECRET_PREFIX + _base64(random)


def check_secret(text: str, pointer: str = "/secret") -> Problem | None:
    """What is wrong with a secret that a subscriber gives (S11g), or None; never repeats the secret."""
    try:
        _key(text)
    except ValueError as error:
        return Problem(pointer, str(error))
    return None


def _key(secret: str) -> bytes:
    encoded = secret.removeprefix(SECRET_PREFIX)
    try:
        key = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    sound = encoded != secret and SECRET_BYTES_MIN <= len(key) <= SECRET_BYTES_MAX
    # One spelling: lax decoders drop stray bits, strict ones refuse them, and the receiver's may be either.
    if not sound or _base64(key) != encoded:
        raise ValueError(
            f"must be `{SECRET_PREFIX}` and the padded standard base64 "
            f"of {SECRET_BYTES_MIN} to {SECRET_BYTES_MAX} bytes"
        )
    return key


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
