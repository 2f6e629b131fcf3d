"""What resumes from now have left out of a stream: ranges of the log, behind one position and up to another (S3h)."""

from collections.abc import Sequence

Skip = tuple[int, int]
"""Behind the first position, up to the second."""


def added(skips: Sequence[Skip], after: int, until: int) -> tuple[Skip, ...]:
    """One more, which ends behind all others; where it touches the last one, the two are one.

    So there is one for each part of the log that was left out between parts that were not.
    """
    if skips and after <= skips[-1][1]:
        return (*skips[:-1], (min(skips[-1][0], after), until))
    return (*skips, (after, until))


def skipped(skips: Sequence[Skip], position: int) -> bool:
    """Whether a position lies in one of them."""
    return any(after < position <= until for after, until in skips)
