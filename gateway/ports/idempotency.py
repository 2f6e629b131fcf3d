"""What a creation is remembered by, so that asking again makes nothing twice."""

from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Remembered:
    """What was answered; None: what was made is deleted, and its secrets went with it (S3h)."""

    answer: bytes | None = field(repr=False)


class IdempotencyKeys(Protocol):
    """The keys that creations are remembered by (``Subscriptions.create``)."""

    async def find(self, key: bytes) -> Remembered | None:
        """What was made by a key that is not forgotten yet."""
        ...

    async def forget(self) -> int:
        """Drop some of what has passed its time; how many, 0 where there is nothing left to drop."""
        ...
