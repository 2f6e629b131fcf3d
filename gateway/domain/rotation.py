"""Signing secrets over time: which ones sign, and what a rotation makes of them (INTERFACE), pure.

A rotation adds a secret, and lets the ones before it go on signing for a day, so that a receiver can change over
without losing a delivery. Each keeps the end that its own rotation gave it: a second rotation within the day shortens
nobody's.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from gateway.domain.signing import SEED_BYTES

OVERLAP_US: Final = 24 * 3600 * 1_000_000
SECRETS_MAX: Final = 5
"""Secrets of one subscription: each costs a signature in every POST. A rotation beyond it ends the oldest at once."""


@dataclass(frozen=True, slots=True)
class Secret:
    """A signing secret; it shows in no repr.

    Attributes:
        text: As it is shown: `whsec_` and base64.
        until_us: When it ends; None for the present one, which has no end yet.
        seed: The Ed25519 key that is replaced together with it; None where none was ever asked for.
    """

    text: str = field(repr=False)
    until_us: int | None = None
    seed: bytes | None = field(default=None, repr=False)

    def signs_at(self, now_us: int) -> bool:
        """Whether it still signs."""
        return self.until_us is None or now_us < self.until_us


def rotated(secrets: Sequence[Secret], new: str, now_us: int) -> tuple[Secret, ...]:
    """The secrets after a rotation, the oldest first and the new one last; what had ended is dropped.

    The present secret given again changes nothing. An earlier one, that still signs, becomes the present one again.
    """
    if secrets[-1].text == new:
        return tuple(secrets)
    there = [secret for secret in secrets if secret.signs_at(now_us)]
    kept = [secret for secret in there if secret.text != new]
    kept = [
        replace(secret, until_us=now_us + OVERLAP_US) if secret.until_us is None else secret
        for secret in kept
    ]
    seed = next((secret.seed for secret in there if secret.text == new), None)
    return (*kept[1 - SECRETS_MAX :], Secret(new, seed=seed))


def with_key(secrets: Sequence[Secret], random: Callable[[int], bytes]) -> tuple[Secret, ...]:
    """The secrets, the present one with an Ed25519 key beside it: made here, where it has none.

    The key is random and not derived from the secret: who verifies with one must not be able to sign with the other.
    """
    present = secrets[-1]
    if present.seed is not None:
        return tuple(secrets)
    return (*secrets[:-1], replace(present, seed=random(SEED_BYTES)))


def seeds(secrets: Sequence[Secret], now_us: int) -> tuple[bytes, ...]:
    """The Ed25519 keys that sign now, the oldest first."""
    return tuple([secret.seed for secret in secrets if secret.seed is not None and secret.signs_at(now_us)])


def signing(secrets: Sequence[Secret], now_us: int) -> tuple[str, ...]:
    """The texts of the secrets that sign now, the oldest first."""
    return tuple([secret.text for secret in secrets if secret.signs_at(now_us)])
