"""Tokens of the API: how one is made and recognised, and what the one who carries it may do.

A token is 256 random bits, so what is kept of it is its plain SHA-256. A slow or salted hash protects what can be
guessed, and nobody guesses 256 bits, neither against the API nor against a stolen database; a fast one costs a
request a microsecond, and lets the hash be the index that the token is found by.
"""

import base64
import hashlib
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

SECRET_BYTES: Final = 32
TOKENS_MAX: Final = 10_000
"""How many there may be at once, those included that are still remembered."""

REMEMBERED_US: Final = 90 * 86_400 * 1_000_000
"""A token that was revoked or has expired is told apart from one that never was for so long."""

_PREFIX: Final = "lgw_"
_SHAPE: Final = re.compile(rf"{_PREFIX}[A-Za-z0-9_-]{{43}}")


class Standing(StrEnum):
    """Whether a token opens anything."""

    ACTIVE = "active"
    EXPIRED = "expired"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who a token stands for.

    Attributes:
        organization: The only one that is open to it; None: an administrator, who sees every organization.
        writes: Whether it may change anything.
        token_id: The token's; None: the first administrator token, which is a setting.
        expires_at_us: When it opens nothing any more; None: never by itself.
    """

    organization: str | None
    writes: bool
    token_id: str | None = None
    expires_at_us: int | None = None

    @property
    def admin(self) -> bool:
        """Whether every organization is open to it."""
        return self.organization is None

    def sees(self, organization: str | None) -> bool:
        """Whether what belongs to this organization is there for it (S11a)."""
        return self.admin or organization == self.organization


@dataclass(frozen=True, slots=True)
class ApiToken:
    """A token without itself: what is known of it once it was shown. ``organization`` None: an administrator's."""

    id: str
    name: str | None
    organization: str | None
    read_only: bool
    created_at_us: int
    expires_at_us: int | None = None
    revoked_at_us: int | None = None
    last_used_at_us: int | None = None

    def standing(self, now_us: int) -> Standing:
        """Where it stands at this time."""
        if self.revoked_at_us is not None:
            return Standing.REVOKED
        if self.expires_at_us is not None and self.expires_at_us <= now_us:
            return Standing.EXPIRED
        return Standing.ACTIVE

    def principal(self) -> Principal:
        """Who carries it."""
        return Principal(self.organization, not self.read_only, self.id, self.expires_at_us)


def forgettable(token: ApiToken, before_us: int) -> bool:
    """Whether it has opened nothing since before this time."""
    ended = [at_us for at_us in (token.revoked_at_us, token.expires_at_us) if at_us is not None]
    return any(at_us < before_us for at_us in ended)


def new_token(random: bytes) -> tuple[str, bytes]:
    """A token from 32 random bytes, to stand behind `Bearer `, and the hash that it is kept as."""
    if len(random) != SECRET_BYTES:
        raise ValueError(f"a token is made from {SECRET_BYTES} random bytes, not {len(random)}")
    text = _PREFIX + base64.urlsafe_b64encode(random).rstrip(b"=").decode("ascii")
    return text, _hash(text)


def token_hash(text: str) -> bytes | None:
    """What a token is kept as; None for a text that `new_token` cannot have made, so nobody need look it up."""
    return _hash(text) if _SHAPE.fullmatch(text) else None


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
