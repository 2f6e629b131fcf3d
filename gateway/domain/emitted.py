"""When an event was emitted and spooled, as far as it says so itself (S9c), pure.

Nothing is added for this: the emitter's `sequence` is the time at which the spool took the event, in nanoseconds, and
the id of the stream's entry is the time at which Redis did.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_SEQUENCE_DIGITS: Final = 20
_US_NS: Final = 1_000
_SKEW_US: Final = 60_000_000
"""How far the clock of an emitter's host may be ahead of the clock of Redis."""
_EARLIEST_US: Final = 1_577_836_800_000_000
"""2020: a sequence of twenty digits that is an earlier time is no time."""


def emitted_at_us(time: str | None) -> int | None:
    """The event's `time` in microseconds; None where it says none, or none that can be read."""
    if time is None:
        return None
    try:
        moment = datetime.fromisoformat(time.upper())
    except ValueError:
        return None
    if moment.tzinfo is None:
        return None
    return (moment - _EPOCH) // _MICROSECOND


def spooled_at_us(sequence: object, published_at_us: int | None) -> int | None:
    """The time in a `sequence` of the emitter's, in microseconds; None where it cannot be one.

    Anybody may give an event a sequence of his own. One that lies behind its publication, or that did not come by the
    stream, was not given by a spool.
    """
    if published_at_us is None or not isinstance(sequence, str):
        return None
    if len(sequence) != _SEQUENCE_DIGITS or not (sequence.isascii() and sequence.isdigit()):
        return None
    at_us = int(sequence) // _US_NS
    return at_us if _EARLIEST_US <= at_us <= published_at_us + _SKEW_US else None


def published_at_us(entry_id: str) -> int | None:
    """The time in the id of a stream's entry, in microseconds; None for an id that has none."""
    milliseconds, _, _ = entry_id.partition("-")
    if not (milliseconds.isascii() and milliseconds.isdigit()) or len(milliseconds) > _SEQUENCE_DIGITS - 4:
        return None
    at_us = int(milliseconds) * _US_NS
    return at_us if at_us >= _EARLIEST_US else None
