"""Archives: closed ranges of the log that were exported to files, and whose events have left it (S8)."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol


class ArchiveState(StrEnum):
    """Where the events of an archived range are."""

    DROPPING = "dropping"
    """In the file, and partly in the log still."""
    ARCHIVED = "archived"
    RESTORING = "restoring"
    """In the file, and partly in the log again."""
    RESTORED = "restored"
    """In both."""


class RunState(StrEnum):
    """Where an archiving stands."""

    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ArchiveRecord:
    """One archive. ``sha256`` is the file's, which an erasure writes anew (S8b)."""

    first: int
    last: int
    state: ArchiveState
    file: str
    size_bytes: int
    sha256: str
    events: int
    first_at_us: int
    last_at_us: int
    archived_at_us: int


@dataclass(frozen=True, slots=True)
class Holder:
    """A stream that still needs events from behind this position on, and why: cursor, delivery or replay."""

    subscription: str
    position: int
    why: str


@dataclass(frozen=True, slots=True)
class ArchivePlan:
    """What archiving up to a position would take.

    Attributes:
        first: Where the part of the log begins that is in no archive yet.
        until: Up to where it would be exported; before ``first`` where nothing would.
        held_by: Why not more.
        again: The archives that were put back, and would be dropped once more: first and last positions.
    """

    first: int
    until: int
    held_by: Sequence[Holder]
    again: Sequence[tuple[int, int]] = ()

    @property
    def positions(self) -> int:
        """How many would be archived, those that were put back included."""
        return self.until - self.first + 1 + sum(last - first + 1 for first, last in self.again)


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One archiving, as it was commanded and as far as it is.

    Attributes:
        until: The last position that it is to archive.
        cursor: Up to there all is archived, and nothing of it was put back.
        problem: Why it ended before its end.
    """

    id: int
    until: int
    cursor: int
    state: RunState
    archives: int
    events: int
    requested_at_us: int
    finished_at_us: int | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class ArchiveStep:
    """What one step came to; ``waits``: nothing could be done now."""

    finished: bool = False
    waits: bool = False
    appended: bool = False


class Archives(Protocol):
    """Archiving: commanded by a fact, then done step by step; and archives read back."""

    async def plan(self, until: int) -> ArchivePlan:
        """What could be archived up to a position."""
        ...

    async def request(self, until: int) -> RunRecord:
        """Command it. Raises ``Conflict`` while another one runs."""
        ...

    async def run(self, run_id: int) -> RunRecord | None:
        """One archiving."""
        ...

    async def open(self) -> RunRecord | None:
        """The one that runs."""
        ...

    async def recover(self) -> None:
        """Undo what a process that died was putting back, before anything else."""
        ...

    async def step(self, run_id: int) -> ArchiveStep:
        """Do a bounded part of it. What the storage or the folder refuses ends it as failed, with the reason."""
        ...

    async def holding(self, position: int) -> ArchiveRecord | None:
        """The archive that holds this position."""
        ...

    async def page(self, *, after: int, limit: int) -> Sequence[ArchiveRecord]:
        """Archives in log order, from behind a first position."""
        ...

    async def restore(self, position: int) -> ArchiveRecord:
        """Put the events of the archive that holds this position back into the log. Raises ``NotFound``, ``Conflict``.

        Done again after a crash, it goes on where it was.
        """
        ...

    def path(self, record: ArchiveRecord) -> Path:
        """Where the file of an archive lies."""
        ...
