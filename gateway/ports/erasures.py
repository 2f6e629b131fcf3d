"""Erasure of an agent or an organization, in steps (S8b)."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from gateway.domain.erasure import Scope, Target


class ErasureState(StrEnum):
    """Where an erasure stands (S8b)."""

    RUNNING = "running"
    SCRUBBING = "scrubbing"
    """Everything is erased, and the storage is asked to let go of what it still has of it in its files."""
    FINISHED = "finished"


class Unreached(StrEnum):
    """Why an archive was left as it is."""

    MISSING = "missing"
    """Its file is not in the folder."""
    DAMAGED = "damaged"
    """Its file is there, and cannot be read."""
    UNKNOWN = "unknown"
    """It has something of it, and is not of this log, as far as its hashes say."""


@dataclass(frozen=True, slots=True)
class UnreachedArchive:
    """A file that may have something of what was erased still; ``detail``: what is wrong with it, if anything."""

    file: str
    why: Unreached
    detail: str = ""


@dataclass(frozen=True, slots=True)
class ErasureRecord:
    """An erasure as it is now, without whom it is about: that is forgotten with the rest.

    Attributes:
        until_position: The head at the command: what came later is not erased.
        events: The events erased so far.
        attempts: The attempts whose stored answers are gone.
        quarantined: The records of the quarantine that are empty now.
        rewritten: Whether the storage's files were written anew, so that nothing is left in space that is free.
        archives: The archives that had something of it, and whose files were written anew.
        unreachable: The archives that could not be looked through: they may have something of it.
    """

    id: str
    scope: Scope
    state: ErasureState
    until_position: int
    requested_at_us: int
    finished_at_us: int | None = None
    events: int = 0
    attempts: int = 0
    quarantined: int = 0
    rewritten: bool = False
    archives: int = 0
    unreachable: tuple[UnreachedArchive, ...] = ()


@dataclass(frozen=True, slots=True)
class ErasureCount:
    """What an erasure would take now; ``archives``: how many would be looked through besides, and are not counted."""

    events: int
    quarantined: int
    archives: int = 0


@dataclass(frozen=True, slots=True)
class ErasureStep:
    """What one step of an erasure came to.

    Attributes:
        finished: Whether there is nothing left to do.
        waits: Whether nothing could be done now; try again in a while.
        appended: Whether the log has grown by a fact.
        numbers: Subscriptions that have deliveries pending of what was erased: these are due now, to be settled.
    """

    finished: bool = False
    waits: bool = False
    appended: bool = False
    numbers: frozenset[int] = frozenset()


class Erasures(Protocol):
    """Erasure (S8b): commanded by a fact, then done step by step, each in a bounded transaction of its own."""

    async def request(self, target: Target) -> ErasureRecord:
        """Command it, of everything up to the head. Raises ``Conflict`` where too many are not finished yet.

        The same again finds what has come since, if anything.
        """
        ...

    async def count(self, target: Target) -> ErasureCount:
        """What it would take now, a part of the log at a time."""
        ...

    async def get(self, erasure_id: str) -> ErasureRecord | None:
        """One erasure."""
        ...

    async def page(self, *, before: int | None, limit: int) -> Sequence[tuple[int, ErasureRecord]]:
        """The latest first, each with its number; from behind one."""
        ...

    async def open(self) -> Sequence[ErasureRecord]:
        """Those that are not finished, in the order of their commands."""
        ...

    async def step(self, erasure_id: str) -> ErasureStep:
        """Do a bounded part of what is left. The same again, its answer having been lost, does no harm."""
        ...
