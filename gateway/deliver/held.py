"""Positions whose deliveries do not start yet, because their agent brought in too much at once.

A note in memory: after a crash they are sent at once, but for those that wait by their row already. Nothing is ever
dropped for it; where too many are held, those that were first noted are let go.
"""

from collections import OrderedDict
from typing import Final

HELD_MAX: Final = 100_000


class Held:
    """Until when which position is held."""

    __slots__ = ("_held_max", "_until_us")

    def __init__(self, held_max: int = HELD_MAX) -> None:
        self._held_max = held_max
        self._until_us: OrderedDict[int, int] = OrderedDict()

    def __bool__(self) -> bool:
        return bool(self._until_us)

    def hold(self, position: int, until_us: int) -> None:
        """Start nothing of this position before then."""
        self._until_us[position] = until_us
        if len(self._until_us) > self._held_max:
            self._until_us.popitem(last=False)

    def until_us(self, position: int) -> int:
        """Until when a position is held; 0: it is not."""
        return self._until_us.get(position, 0)

    def forget(self, now_us: int) -> None:
        """Drop what is held no longer, as far as it was noted first."""
        while self._until_us:
            position, until_us = next(iter(self._until_us.items()))
            if until_us > now_us:
                return
            del self._until_us[position]
