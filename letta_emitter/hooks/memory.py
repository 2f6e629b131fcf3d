"""Short memories with a bound: the oldest is forgotten first."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, Generic, TypeVar

REMEMBERED_MAX: Final = 10_000

V = TypeVar("V")


class Recent(Generic[V]):
    """The last values by id."""

    def __init__(self, size_max: int = REMEMBERED_MAX) -> None:
        self._values: OrderedDict[str, V] = OrderedDict()
        self._size_max = size_max

    def get(self, key: str) -> V | None:
        """Return the value, or None where there was none or it is forgotten."""
        return self._values.get(key)

    def put(self, key: str, value: V) -> None:
        """Remember a value, as the newest."""
        self._values[key] = value
        self._values.move_to_end(key)
        if len(self._values) > self._size_max:
            self._values.popitem(last=False)

    def first(self, key: str, value: V) -> V:
        """Remember the value unless there is one already; return the one remembered."""
        known = self._values.get(key)
        if known is None:
            self.put(key, value)
            return value
        return known

    def __contains__(self, key: str) -> bool:
        return key in self._values


class Statuses:
    """The terminal status last told of each run or job."""

    def __init__(self) -> None:
        self._last: Recent[str] = Recent()

    def change(self, subject: str, status: str) -> str | None:
        """Note a status; return another one that was told before it, or None."""
        earlier = self._last.get(subject)
        self._last.put(subject, status)
        return earlier if earlier != status else None
