"""How all streams together stand: counts and extremes, and no stream by name (S11f), pure."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

BEHIND: Final = (0, 100, 1_000, 10_000, 100_000)
"""Streams that lag by more than so many positions are counted."""


class Stance(StrEnum):
    """What holds a stream, if anything does; the first that holds."""

    STOPPED = "stopped"
    """Paused, disabled, or without its sink's consent: nothing is to be sent."""
    BREAKER_OPEN = "breaker_open"
    WAITING = "waiting"
    """The sink has asked for a pause (S3e)."""
    BACKLOGGED = "backlogged"
    """So much is pending that the cursor halts (S2e)."""
    CATCHING_UP = "catching_up"
    FOLLOWING = "following"


@dataclass(slots=True)
class StreamFigures:
    """Gathered stream by stream. Those that are stopped are counted, and do not lag.

    Attributes:
        stances: How many streams there are of each.
        lag_max: The most positions that one of them has not come to.
        lag_sum: Of all of them together.
        behind: How many lag by more than each of ``BEHIND``.
        furthest: Up to where the one with the most lag has come; None: none lags.
        pending: Deliveries that were begun and have not ended.
        queued: Positions that wait for their first attempt.
    """

    stances: dict[Stance, int] = field(default_factory=lambda: dict.fromkeys(Stance, 0))
    lag_max: int = 0
    lag_sum: int = 0
    behind: dict[int, int] = field(default_factory=lambda: dict.fromkeys(BEHIND, 0))
    furthest: int | None = None
    pending: int = 0
    queued: int = 0

    def add(self, stance: Stance, *, reached: int, head: int) -> None:
        """One more stream: what is at or below ``reached`` was dispatched, of a log that ends at ``head``."""
        self.stances[stance] += 1
        lag = head - reached
        if stance is Stance.STOPPED or lag <= 0:
            return
        self.lag_sum += lag
        if lag > self.lag_max:
            self.lag_max, self.furthest = lag, reached
        for bound in BEHIND:
            if lag <= bound:
                break
            self.behind[bound] += 1

    def add_alike(self, stance: Stance, count: int, *, reached: int, head: int) -> None:
        """So many more that all have come as far as the router."""
        if count <= 0:
            return
        self.add(stance, reached=reached, head=head)
        lag, more = head - reached, count - 1
        self.stances[stance] += more
        if stance is not Stance.STOPPED and lag > 0:
            self.lag_sum += lag * more
            for bound in BEHIND:
                if lag > bound:
                    self.behind[bound] += more
