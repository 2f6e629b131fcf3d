"""`Retry-After` (RFC 9110, section 10.2.3): seconds, or a date in one of three forms (section 5.6.7).

CONFORMANCE 27. Read strictly and without the process's locale, which `strptime` would follow.
"""

import re
from datetime import UTC, datetime
from typing import Final

_CHARS_MAX: Final = 64
_SECONDS: Final = re.compile(r"[0-9]+")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DAY: Final = r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
_LONG_DAY: Final = r"(?:Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday)"
_MONTH: Final = rf"(?P<month>{'|'.join(_MONTHS)})"
_TIME: Final = r"(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})"
_DATES: Final = tuple(
    re.compile(form)
    for form in (
        rf"{_DAY}, (?P<day>[0-9]{{2}}) {_MONTH} (?P<year>[0-9]{{4}}) {_TIME} GMT",
        rf"{_LONG_DAY}, (?P<day>[0-9]{{2}})-{_MONTH}-(?P<year>[0-9]{{2}}) {_TIME} GMT",
        rf"{_DAY} {_MONTH} (?P<day>[ 0-9][0-9]) {_TIME} (?P<year>[0-9]{{4}})",
    )
)
_LEAP_SECOND: Final = 60
_SHORT_YEARS: Final = 100
_SHORT_YEAR_CHARS: Final = 2
_YEARS_AHEAD_MAX: Final = 50


def parse_retry_after(value: str, now_s: float) -> float | None:
    """Seconds from now that the value asks for, 0 for a moment gone by; None where it is neither form."""
    text = value.strip(" \t")
    if len(text) > _CHARS_MAX:
        return None
    if _SECONDS.fullmatch(text):
        return float(text)
    for form in _DATES:
        match = form.fullmatch(text)
        if match is not None:
            moment_s = _moment_s(match, now_s)
            return None if moment_s is None else max(0.0, moment_s - now_s)
    return None


def _moment_s(match: re.Match[str], now_s: float) -> float | None:
    year, second = int(match["year"]), int(match["second"])
    if len(match["year"]) == _SHORT_YEAR_CHARS:
        year = _whole_year(year, datetime.fromtimestamp(now_s, UTC).year)
    leap = second == _LEAP_SECOND
    try:
        moment = datetime(
            year,
            _MONTHS.index(match["month"]) + 1,
            int(match["day"]),
            int(match["hour"]),
            int(match["minute"]),
            second - leap,
            tzinfo=UTC,
        )
    except ValueError:  # the 31st of February, 25 o'clock
        return None
    return moment.timestamp() + leap


def _whole_year(short: int, this_year: int) -> int:
    """The year of two digits: one that would lie more than 50 years ahead is of the century before."""
    year = this_year - this_year % _SHORT_YEARS + short
    return year - _SHORT_YEARS if year > this_year + _YEARS_AHEAD_MAX else year
