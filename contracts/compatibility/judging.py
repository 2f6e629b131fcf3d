"""The three modes of compatibility, and what a new version breaks under each."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import Any, Final

from contracts.compatibility.budget import Budget, TooLargeError
from contracts.compatibility.comparing import Comparison
from contracts.compatibility.posted import posted_place
from contracts.compatibility.wording import Finding, Side
from schemas.errors import pointer_of

STEPS_MAX: Final = 200_000
"""What one judgement compares, over all older versions; it bounds the time, to some seconds at the worst."""

BREAKING_MAX: Final = 500
FINDINGS_MAX: Final = 1_000
"""Of one comparison; in a document that branches, many are of one place."""


class Compatibility(StrEnum):
    """What a type's versions promise each other (xRegistry 1.0-rc4, the attribute `compatibility`)."""

    FORWARD_TRANSITIVE = "forward_transitive"
    """Readers of any older version read what the new one produces."""
    FULL_TRANSITIVE = "full_transitive"
    """And readers of the new version read what any older one produced, of the members that it declares."""
    NONE = "none"
    """Nothing."""


@dataclass(frozen=True, slots=True)
class Breaking:
    """One breaking change.

    Attributes:
        pointer: Where: a JSON Pointer into the new schema as it was posted. What was removed stands where it was.
        reason: What is wrong there, as a clause.
        versions: The older versions that it breaks, ascending.
    """

    pointer: str
    reason: str
    versions: tuple[int, ...]

    def __str__(self) -> str:
        which = ", ".join(map(str, self.versions))
        return f"{self.reason} (version{'s' if len(self.versions) > 1 else ''} {which})"


def breaking_changes(
    new: Mapping[str, Any], older: Mapping[int, Mapping[str, Any]], mode: Compatibility
) -> list[Breaking]:
    """Return everything that a new version breaks of the older ones, by place; empty if it may follow them.

    Args:
        new: The new version, as `document_of` gives it.
        older: The older versions by their numbers, likewise.
        mode: What they promise each other.
    """
    if mode is Compatibility.NONE:
        return []
    found: dict[tuple[str, str], list[int]] = {}
    budget = Budget(STEPS_MAX)
    for version, old in sorted(older.items()):
        sides = [(Side.READERS, new, old)]
        if mode is Compatibility.FULL_TRANSITIVE:
            sides.append((Side.PRODUCERS, old, new))
        for side, produced, read in sides:
            comparison = Comparison(produced, read, side, budget)
            try:
                comparison.run()
            except TooLargeError:
                finding = Finding((), "the schemas are too large to be compared; make them smaller")
                comparison.findings[finding] = None
            for finding in islice(comparison.findings, FINDINGS_MAX):
                place = posted_place(new, finding.place, finding.branches)
                known = found.setdefault((pointer_of(*place), finding.reason), [])
                if version not in known:
                    known.append(version)
    return [
        Breaking(pointer, reason, tuple(versions))
        for (pointer, reason), versions in sorted(found.items())[:BREAKING_MAX]
    ]
