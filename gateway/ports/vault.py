"""Which keys the stored secrets are sealed under, and sealing them anew."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

RowKey = tuple[str, str, int]
"""Kind, owner and revision of a row of the vault."""


@dataclass(frozen=True, slots=True)
class Resealed:
    """One batch of a rotation: ``unreadable`` are rows that do not open; ``after`` is None at the vault's end."""

    checked: int
    resealed: int
    unreadable: tuple[RowKey, ...]
    after: RowKey | None


@dataclass(frozen=True, slots=True)
class KeyUse:
    """What one of the keys that this process was given is still good for.

    Attributes:
        id: The key's id, which is no secret.
        sealed: How many values of the vault are sealed under it.
        replaced_at_us: When another key took its place; None for the first key, and only for that.
    """

    id: str
    sealed: int
    replaced_at_us: int | None


class VaultKeys(Protocol):
    """The keys of the vault, and moving what is sealed from one to the next while the gateway serves."""

    async def begin(self) -> None:
        """Note which key seals from now on. Raises ``GatewayError`` where a value is sealed under none of the keys."""
        ...

    async def reseal(self, after: RowKey | None, limit: int) -> Resealed:
        """Seal again what is not under the first key, of the next ``limit`` rows, in one transaction.

        Done twice, or begun anew after a crash, it changes nothing more.
        """
        ...

    async def uses(self) -> Sequence[KeyUse]:
        """Each key, the first one first."""
        ...
