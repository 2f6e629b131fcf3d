"""What is asked of the outside only so that somebody can look at it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StreamSize:
    """What the Redis stream holds.

    Attributes:
        entries: All of it, also what is appended and not trimmed yet.
        pending: Read, and not acknowledged yet.
    """

    entries: int
    pending: int
