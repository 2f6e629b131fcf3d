"""What cannot be admitted and is kept for a person to look at (S7b)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from gateway.ports.log import Appended, NewEntry


@dataclass(frozen=True, slots=True)
class QuarantineRecord:
    """An entry of the quarantine. ``payload`` is None in a page, which may have many large ones."""

    id: str
    received_at_us: int
    origin: str
    entry_id: str
    organization: str | None
    reason: str
    problems: Sequence[Mapping[str, str]]
    payload: bytes | None
    size_bytes: int
    state: str
    position: int | None


class QuarantineState(StrEnum):
    """What became of an entry of the quarantine."""

    OPEN = "open"
    REDRIVEN = "redriven"
    """It is in the log, at its ``position``."""
    ERASED = "erased"
    """What came in was erased (S8b)."""
    DISCARDED = "discarded"
    """Only that it was there is kept, so that the same entry of the stream is not taken for a new one."""


class Quarantine(Protocol):
    """What could not be admitted. What is discarded is not there any more, for any of these."""

    async def page(
        self,
        *,
        organization: str | None,
        before: tuple[int, str] | None,
        limit: int,
        state: QuarantineState | None = None,
    ) -> Sequence[QuarantineRecord]:
        """The newest first, from behind a record's time (microseconds) and id; None: in whatever state."""
        ...

    async def get(self, quarantine_id: str) -> QuarantineRecord | None:
        """One record."""
        ...

    async def redrive(self, quarantine_id: str, entry: NewEntry) -> Appended:
        """Append what it has become, and note where: one transaction. Again, it answers with the same position.

        Raises ``NotFound`` where it is not there, ``Conflict`` where it is not open.
        """
        ...

    async def keep(self, quarantine_id: str, reason: str, problems: Sequence[Mapping[str, str]]) -> None:
        """It was judged again and stays: why, as of now. What is not open is left as it is."""
        ...

    async def discard(self, quarantine_id: str) -> None:
        """Forget it and what came in. Raises ``NotFound`` where it is not there."""
        ...
