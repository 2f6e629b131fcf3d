"""The vault's lock: what subscribers entrust (secrets, tokens, sink details) is stored only sealed.

AES-256-GCM (NIST SP 800-38D). A sealed blob is

    version (1 byte) ‖ key id (8) ‖ nonce (12) ‖ ciphertext and tag (plaintext + 16)

and is bound, as associated data, to version, key id and the row it stands in, so it opens nowhere else. A
nonce is random: one key may seal 2^32 blobs (SP 800-38D, section 8.3), far beyond what subscriptions ever
change.
"""

import base64
import binascii
import hashlib
import os
from collections.abc import Callable
from typing import Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.errors import OperationError

KEY_BYTES: Final = 32
KEYS_MAX: Final = 16
KEY_ID_BYTES: Final = 8
NONCE_BYTES: Final = 12

KEY_ID_AT: Final = 1
"""Where the key's id begins in a sealed blob: it can be told by a query which keys are in use."""

_VERSION: Final = b"\x01"
_TAG_BYTES: Final = 16
_HEAD_BYTES: Final = KEY_ID_AT + KEY_ID_BYTES
_OVERHEAD_BYTES: Final = _HEAD_BYTES + NONCE_BYTES + _TAG_BYTES


class VaultError(OperationError):
    """A sealed value cannot be had. The text never holds a key or a part of the value."""

    slug = "vault-unreadable"
    title = "A stored secret cannot be read"


class KeyMissing(VaultError):
    """It was sealed under a key that this process was not given."""

    slug = "vault-key-missing"
    title = "A key is missing"
    default_hint = "Add that key to GATEWAY_SECRET_KEYS, behind the first one."


class Tampered(VaultError):
    """It is not what was sealed for this row: damaged, cut, changed, or moved from another row."""

    slug = "vault-tampered"
    title = "A stored secret was changed"


class KeyringError(ValueError):
    """The text of the keys is not usable; says which key, by its number, and what to do."""


class Keyring:
    """The keys: the first seals, every one opens.

    Args:
        keys: 1 to 16 keys of 32 bytes.
        random: Where nonces come from; a test may put in its own.
    """

    __slots__ = ("_ciphers", "_first", "_random")

    def __init__(self, keys: tuple[bytes, ...], *, random: Callable[[int], bytes] = os.urandom) -> None:
        if not 0 < len(keys) <= KEYS_MAX:
            raise KeyringError(f"give 1 to {KEYS_MAX} keys, not {len(keys)}")
        for number, key in enumerate(keys, 1):
            if len(key) != KEY_BYTES:
                raise KeyringError(f"key {number} has {len(key)} bytes; a key has {KEY_BYTES}. {_HOW}")
        self._first = _key_id(keys[0])
        self._ciphers = {_key_id(key): AESGCM(key) for key in keys}
        self._random = random

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read keys as `GATEWAY_SECRET_KEYS` has them: base64 of 32 bytes each, separated by commas.

        Raises KeyringError.
        """
        return cls(tuple(_decode(part, number) for number, part in enumerate(text.split(","), 1)))

    @property
    def key_ids(self) -> tuple[str, ...]:
        """The hexadecimal ids of the keys, the sealing one first; ids are no secrets."""
        return tuple(key_id.hex() for key_id in self._ciphers)

    def __repr__(self) -> str:
        return f"Keyring({', '.join(self.key_ids)})"

    def seal(self, plain: bytes, *, kind: str, owner: str, revision: int) -> bytes:
        """Seal a value for the row that kind, owner and revision name; no two blobs are alike."""
        head = _VERSION + self._first
        nonce = self._random(NONCE_BYTES)
        bound = head + _row(kind, owner, revision)
        return head + nonce + self._ciphers[self._first].encrypt(nonce, plain, bound)

    def open(self, sealed: bytes, *, kind: str, owner: str, revision: int) -> bytes:
        """Open what was sealed for this very row. Raises KeyMissing or Tampered."""
        if len(sealed) < _OVERHEAD_BYTES or not sealed.startswith(_VERSION):
            raise Tampered(
                f"the stored {kind} of {owner} is no sealed value: cut short, or of an unknown version"
            )
        head, nonce, rest = _parts(sealed)
        cipher = self._ciphers.get(head[KEY_ID_AT:])
        if cipher is None:
            key_id = head[KEY_ID_AT:].hex()
            raise KeyMissing(
                f"A stored secret is sealed under key {key_id}, which this process does not have."
            )
        try:
            return cipher.decrypt(nonce, rest, head + _row(kind, owner, revision))
        except InvalidTag:
            raise Tampered(
                f"the stored {kind} of {owner}, revision {revision}, is not what was sealed for that row. "
                "Restore the row from a backup, or set the value again."
            ) from None

    def current(self, sealed: bytes) -> bool:
        """Whether it is sealed under the first key; a rotation seals the others again."""
        return sealed.startswith(_VERSION + self._first)

    def reseal(self, sealed: bytes, *, kind: str, owner: str, revision: int) -> bytes:
        """Seal what stands in a row anew under the first key. Raises KeyMissing or Tampered."""
        plain = self.open(sealed, kind=kind, owner=owner, revision=revision)
        return self.seal(plain, kind=kind, owner=owner, revision=revision)


_HOW: Final = "Make one with `openssl rand -base64 32`."


def _decode(part: str, number: int) -> bytes:
    if not part.strip():
        raise KeyringError(f"key {number} is empty. {_HOW}")
    try:
        return base64.b64decode(part.strip(), validate=True)
    except (binascii.Error, ValueError):
        raise KeyringError(f"key {number} is not base64. {_HOW}") from None


def _key_id(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()[:KEY_ID_BYTES]


def _parts(sealed: bytes) -> tuple[bytes, bytes, bytes]:
    nonce_ends = _HEAD_BYTES + NONCE_BYTES
    return sealed[:_HEAD_BYTES], sealed[_HEAD_BYTES:nonce_ends], sealed[nonce_ends:]


def _row(kind: str, owner: str, revision: int) -> bytes:
    """The row as associated data: length-prefixed, so that no other row runs together to the same bytes."""
    return b"".join(
        len(raw).to_bytes(4, "big") + raw
        for raw in (kind.encode(), owner.encode(), revision.to_bytes(8, "big"))
    )
