"""Notices for operators (S1e): one per subscription and kind in a minute at most, with a count and a range."""

from dataclasses import dataclass

from gateway.deliver.patience import patiently
from gateway.deliver.signal import Signal
from gateway.errors import GatewayError
from gateway.ports import Now, StreamCommands

INTERVAL_US = 60_000_000
_LOOK_S = 5.0
_KEPT_MAX = 10_000

Key = tuple[int, str]


@dataclass(slots=True)
class _Gathered:
    count: int
    first: int
    last: int


class Notices:
    """Gathers what is to be told, and tells it."""

    def __init__(self, commands: StreamCommands, now: Now) -> None:
        self._commands = commands
        self._now = now
        self._gathered: dict[Key, _Gathered] = {}
        self._told_us: dict[Key, int] = {}
        self._wake = Signal()

    def tell(self, number: int, kind: str, position: int) -> None:
        """Something happened to a subscription at a position of the log."""
        gathered = self._gathered.get((number, kind))
        if gathered is not None:
            gathered.count += 1
            gathered.first, gathered.last = min(gathered.first, position), max(gathered.last, position)
        elif len(self._gathered) < _KEPT_MAX:
            self._gathered[number, kind] = _Gathered(1, position, position)
            self._wake.set()

    async def run(self) -> None:
        """Tell until cancelled."""
        while True:
            now_us = self._now()
            self._told_us = {
                key: at_us for key, at_us in self._told_us.items() if at_us + INTERVAL_US > now_us
            }
            for key in [key for key in self._gathered if key not in self._told_us]:
                self._told_us[key] = now_us
                await self._tell(key, self._gathered.pop(key))
            await self._wake.wait(_LOOK_S)

    async def _tell(self, key: Key, gathered: _Gathered) -> None:
        number, kind = key
        data: dict[str, object] = {
            "count": gathered.count,
            "first_position": gathered.first,
            "last_position": gathered.last,
        }
        try:
            await patiently(lambda: self._commands.notice(number, kind, data), "a notice cannot be written")
        except GatewayError:
            return  # of a subscription that is gone nobody wants to be told
