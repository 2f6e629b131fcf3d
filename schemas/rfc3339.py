"""Timestamps (RFC 3339 section 5.6), checked as text: a `datetime` would lose digits beyond microseconds."""

import re
from datetime import UTC, datetime
from typing import Final

_TIMESTAMP: Final = re.compile(
    r"([0-9]{4})-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
    r"[Tt](?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)(?:\.[0-9]+)?"
    r"(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
)
_DAYS_EVERY_MONTH_HAS = 28


def is_timestamp(text: str) -> bool:
    """Tell whether the text is an RFC 3339 date-time, offset included, of a day that exists."""
    match = _TIMESTAMP.fullmatch(text)
    if match is None:
        return False
    day = int(match[3])
    return day <= _DAYS_EVERY_MONTH_HAS or day <= _days(int(match[1]), int(match[2]))


def _days(year: int, month: int) -> int:
    if month == 2:  # noqa: PLR2004  (February)
        return 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    return 30 if month in {4, 6, 9, 11} else 31


def timestamp(moment: datetime) -> str:
    """Write a moment in UTC, with `Z` and microseconds where it has any.

    Raises:
        ValueError: The moment has no offset; guessing one would shift events by hours.
    """
    if moment.tzinfo is None:
        raise ValueError("a time without an offset cannot be placed; pass an aware datetime")
    return moment.astimezone(UTC).isoformat().removesuffix("+00:00") + "Z"
