"""How many POSTs a second a stream may start: arithmetic on the clock that the caller brings."""

from fractions import Fraction
from typing import Final

_TICKS: Final = 1_000_000
"""What a microsecond is counted in, as whole numbers: with floats since 1970 a step of 142.857 us would be 142.75."""

_SECOND: Final = 1_000_000 * _TICKS


class Rate:
    """A limit of ``per_second`` starts, spread evenly (the generic cell rate algorithm of ATM, ITU-T I.371).

    A stream that was idle may start a tenth of a second's worth at once, and one in any case: a receiver that asked
    for 50 a second is not to meet 50 in its first millisecond.
    """

    __slots__ = ("_burst", "_due", "_next_us", "_step", "per_second")

    def __init__(self, per_second: float) -> None:
        self.per_second = per_second
        # Rounded up: in the long run rather one start too few than one too many.
        self._step = -int(-_SECOND / Fraction(per_second) // 1)
        self._burst = max(0, _SECOND // 10 - self._step)
        self._due = 0
        self._next_us = 0

    def next_us(self) -> int:
        """From when on the next start is allowed."""
        return self._next_us

    def allows(self, now_us: int) -> bool:
        """Whether a start is allowed now."""
        return now_us >= self._next_us

    def rests_from_us(self) -> int:
        """From when on it is as a new one would be: until then it must not be forgotten."""
        return -(-self._due // _TICKS)

    def take(self, now_us: int) -> None:
        """Note a start."""
        self._due = max(self._due, now_us * _TICKS) + self._step
        # Rounded up: a whole microsecond early would be woken twice for nothing.
        self._next_us = -((self._burst - self._due) // _TICKS)
