"""How many POSTs a second a stream may start: arithmetic on the clock that the caller brings."""

from dataclasses import dataclass, field

_SECOND_US = 1_000_000


@dataclass(slots=True)
class Rate:
    """A limit of ``per_second`` starts, spread evenly (the generic cell rate algorithm of ATM, ITU-T I.371).

    A stream that was idle may start a tenth of a second's worth at once, and one in any case: a receiver that asked
    for 50 a second is not to meet 50 in its first millisecond.
    """

    per_second: float
    _due_us: float = field(default=0.0, init=False)

    @property
    def _step_us(self) -> float:
        return _SECOND_US / self.per_second

    @property
    def _burst_us(self) -> float:
        return max(0.0, _SECOND_US / 10 - self._step_us)

    def next_us(self) -> int:
        """From when on the next start is allowed."""
        # Rounded up: a whole microsecond early would be woken twice for nothing.
        return -int(-(self._due_us - self._burst_us) // 1)

    def allows(self, now_us: int) -> bool:
        """Whether a start is allowed now."""
        return now_us >= self.next_us()

    def take(self, now_us: int) -> None:
        """Note a start."""
        self._due_us = max(self._due_us, float(now_us)) + self._step_us
