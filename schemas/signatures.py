"""Verifying a webhook, for whoever receives one: a few lines to call, the standard library alone.

Three signatures may come with a POST. *Standard Webhooks* ``v1`` (HMAC-SHA256 keyed with the decoded secret) and
``v1a`` (Ed25519, checked with a public key) are both over ``id.timestamp.body`` and stand side by side in
`webhook-signature`. *Letta's own* `X-Letta-Signature` is HMAC-SHA256 over the body alone, keyed with the UTF-8 bytes
of the secret as shown. Whatever is compared is compared in constant time.

``v1a`` takes the `cryptography` package, and is the only thing here that does.
"""

import base64
import binascii
import hmac
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - what every secret begins with, not one
PUBLIC_KEY_PREFIX: Final = "whpk_"
SECRET_BYTES_MIN: Final = 24
SECRET_BYTES_MAX: Final = 64
PUBLIC_KEY_BYTES: Final = 32
TOLERANCE_S: Final = 300
"""How far a timestamp may lie from the receiver's clock (Standard Webhooks, "Replay attacks")."""

SIGNATURES_MAX: Final = 16
"""Signatures of one request that a verifier looks at: more than any rotation makes, and cheap."""

_LETTA: Final = "sha256="
_LETTA_HEADERS: Final = ("x-letta-signature", "x-letta-signature-next")
_V1: Final = "v1"
_V1A: Final = "v1a"
_TIMESTAMP_CHARS_MAX: Final = 12


class BadSignature(Exception):
    """The request cannot be taken for one of the gateway's; the text says why and holds nothing secret."""


def verify_webhook(
    headers: Mapping[str, str] | Iterable[tuple[str, str]],
    body: bytes,
    keys: str | Sequence[str],
    *,
    now_s: float | None = None,
    tolerance_s: float = TOLERANCE_S,
) -> str:
    """Check a POST by Standard Webhooks; one good signature by one of the keys suffices.

    Args:
        headers: As received; names in any case.
        body: The raw body, before any parsing.
        keys: A secret (`whsec_…`), or several of them while one is being replaced. A public key (`whpk_…`)
            stands for itself in the same way, and is checked against the Ed25519 signatures.
        now_s: The time, seconds since the Unix epoch; by default the clock's.
        tolerance_s: How many seconds `webhook-timestamp` may be away from it, either way.

    Returns:
        The `webhook-id`: the same for every attempt, so that a receiver can drop what it has had.

    Raises:
        BadSignature: It is not from who holds the key, was changed on the way, or is too old.
        ValueError: A key is none.
    """
    found = _by_name(headers, ("webhook-id", "webhook-timestamp", "webhook-signature"))
    missing = [name for name, value in found.items() if value is None]
    if missing:
        raise BadSignature(f"there is no {missing[0]} header")
    given = {name: value or "" for name, value in found.items()}
    _check_keys(keys := [keys] if isinstance(keys, str) else keys)
    signed = _signed(given["webhook-id"], given["webhook-timestamp"], body, now_s, tolerance_s)
    # All keys are tried, whichever is good: how long it takes says nothing about which one it was.
    good = [_good(key, given["webhook-signature"], signed) for key in keys]
    if not any(good):
        raise BadSignature("no signature in webhook-signature is of this key, id, timestamp and body")
    return given["webhook-id"]


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
    """``verify_webhook`` with the header values apart, and one key. Raises ``BadSignature``, ``ValueError``."""
    _check_keys([secret])
    if not _good(secret, signature, _signed(id, timestamp, body, now_s, tolerance_s)):
        raise BadSignature("no signature in webhook-signature is of this secret, id, timestamp and body")


def verify_letta(secrets: str | Sequence[str], *, signature: str | None, body: bytes) -> None:
    """Check one value of `X-Letta-Signature`. It has no timestamp, so a copy of the request passes again.

    Raises BadSignature, also where there is none; and ValueError where a secret is none.
    """
    given = (signature or "").strip(" \t").encode("utf-8", "replace")
    texts = [secrets] if isinstance(secrets, str) else secrets
    if not texts:
        raise ValueError("verifying takes at least one secret")
    for text in texts:
        secret_key(text)  # an empty one, of a setting that is missing, would be anybody's
    good = [hmac.compare_digest(_letta_of(secret, body), given) for secret in texts]
    if not any(good):
        raise BadSignature("X-Letta-Signature is not of this secret and body")


def verify_letta_headers(
    headers: Mapping[str, str] | Iterable[tuple[str, str]], body: bytes, secrets: str | Sequence[str]
) -> None:
    """Check `X-Letta-Signature`, and during a rotation `X-Letta-Signature-Next`: either of them is good.

    Raises BadSignature.
    """
    found = [value for value in _by_name(headers, _LETTA_HEADERS).values() if value is not None]
    if not found:
        raise BadSignature("there is no X-Letta-Signature header")
    for index, signature in enumerate(found, 1):
        try:
            return verify_letta(secrets, signature=signature, body=body)
        except BadSignature:
            if index == len(found):
                raise
    return None


def secret_key(secret: str) -> bytes:
    """The key that a secret stands for: `whsec_` and padded standard base64 of 24 to 64 bytes (S11g).

    Raises ValueError for another text, which it does not repeat.
    """
    encoded = secret.removeprefix(SECRET_PREFIX)
    key = _decoded(encoded)
    sound = encoded != secret and SECRET_BYTES_MIN <= len(key) <= SECRET_BYTES_MAX
    # One spelling: lax decoders drop stray bits, strict ones refuse them, and the receiver's may be either.
    if not sound or base64.b64encode(key).decode("ascii") != encoded:
        raise ValueError(
            f"must be `{SECRET_PREFIX}` and the padded standard base64 "
            f"of {SECRET_BYTES_MIN} to {SECRET_BYTES_MAX} bytes"
        )
    return key


def public_key(text: str) -> bytes:
    """The 32 bytes of an Ed25519 public key, `whpk_` and base64. Raises ValueError for another text."""
    encoded = text.removeprefix(PUBLIC_KEY_PREFIX)
    key = _decoded(encoded)
    if encoded == text or len(key) != PUBLIC_KEY_BYTES:
        raise ValueError(f"must be `{PUBLIC_KEY_PREFIX}` and the base64 of {PUBLIC_KEY_BYTES} bytes")
    return key


def _check_keys(keys: Sequence[str]) -> None:
    if not keys:
        raise ValueError("verifying takes at least one key")
    for key in keys:
        public_key(key) if key.startswith(PUBLIC_KEY_PREFIX) else secret_key(key)


def _signed(webhook_id: str, timestamp: str, body: bytes, now_s: float | None, tolerance_s: float) -> bytes:
    """What the signatures are over, if its time is near enough."""
    if not (timestamp.isascii() and timestamp.isdecimal() and len(timestamp) <= _TIMESTAMP_CHARS_MAX):
        raise BadSignature("webhook-timestamp is not a whole number of seconds")
    if abs(int(timestamp) - (time.time() if now_s is None else now_s)) > tolerance_s:
        raise BadSignature(f"webhook-timestamp is more than {tolerance_s:g} s away from this clock")
    return b".".join((webhook_id.encode("utf-8", "replace"), timestamp.encode("ascii"), body))


def _good(key: str, header: str, signed: bytes) -> bool:
    """Whether one of the signatures in the header is of this key."""
    given = [part.partition(",") for part in header.split(" ")[:SIGNATURES_MAX]]
    if key.startswith(PUBLIC_KEY_PREFIX):
        good = [_is_ed25519(public_key(key), text, signed) for name, _, text in given if name == _V1A]
        return any(good)
    wanted = base64.b64encode(hmac.digest(secret_key(key), signed, "sha256"))
    texts = [text.encode("utf-8", "replace") for name, _, text in given if name == _V1]
    good = [hmac.compare_digest(wanted, text) for text in texts]
    return any(good)


def _is_ed25519(key: bytes, signature: str, signed: bytes) -> bool:
    try:
        from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - see the module's text
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415
    except ImportError:
        raise RuntimeError("checking an Ed25519 signature takes the package `cryptography`") from None
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(_decoded(signature), signed)
    except InvalidSignature:
        return False
    return True


def _letta_of(secret: str, body: bytes) -> bytes:
    return (_LETTA + hmac.digest(secret.encode(), body, "sha256").hex()).encode("ascii")


def _by_name(
    headers: Mapping[str, str] | Iterable[tuple[str, str]], names: Sequence[str]
) -> dict[str, str | None]:
    """The values of these headers; one that is there twice is not there: nobody knows which of them was meant."""
    found: dict[str, str | None] = dict.fromkeys(names)
    seen: set[str] = set()
    for name, value in headers.items() if isinstance(headers, Mapping) else headers:
        lower = name.lower()
        if lower in found:
            found[lower] = None if lower in seen else value
            seen.add(lower)
    return found


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""
