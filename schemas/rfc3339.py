"""Timestamps (RFC 3339 section 5.6), checked as text: a `datetime` would lose digits beyond microseconds."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

_TIMESTAMP: Final = re.compile(
    r"([0-9]{4})-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
    r"[Tt](?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)(?:\.[0-9]+)?"
    r"(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
)
_DAYS_EVERY_MONTH_HAS = 28
_SECOND: Final = slice(17, 19)
_LEAPING: Final = "60"
_MICROSECOND_DIGITS: Final = 6


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


def moment(text: str) -> datetime:
    """Read a date-time into UTC; digits beyond microseconds are cut off.

    A leap second, which a `datetime` cannot hold, is the moment behind it, as POSIX counts time.

    Raises:
        ValueError: It is none, or lies outside the years 1 to 9999, which a `datetime` cannot hold either.
    """
    if not is_timestamp(text):
        raise ValueError("is no date-time of RFC 3339, such as 2026-01-01T12:00:00Z")
    leaps = text[_SECOND] == _LEAPING
    second = "59" if leaps else text[_SECOND]
    rest = text[_SECOND.stop :]
    at = -1 if rest[-1] in "Zz" else -len("+00:00")
    offset = "+00:00" if at == -1 else rest[at:]
    fraction = rest[1:at][:_MICROSECOND_DIGITS].ljust(_MICROSECOND_DIGITS, "0")
    try:
        found = datetime.fromisoformat(f"{text[:10]}T{text[11:17]}{second}.{fraction}{offset}").astimezone(
            UTC
        )
        found += timedelta(seconds=leaps)
    except (OverflowError, ValueError):
        raise ValueError("lies outside the years 1 to 9999 in UTC") from None
    if leaps and (found.hour, found.minute) != (0, 0):
        raise ValueError("has a 60th second where none can be: only 23:59:60 UTC is a leap second")
    return found
