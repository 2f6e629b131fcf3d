"""Bound what an event carries: text over 32 KiB is cut, and the event says in which of its members (S9f)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from schemas import cut_text
from schemas.fields import TEXT_BYTES_MAX

DEPTH_MAX: Final = 32
# What a bracket, a number, a comma and the like take; near enough to bound the whole.
_SMALL: Final = 8
_INTEGER_BITS_MAX: Final = 1024


class Cutter:
    """Cuts the members of one event and remembers which."""

    def __init__(self) -> None:
        self._cut: list[str] = []

    @property
    def truncated(self) -> list[str] | None:
        """The names of the members that were cut, or None if none was."""
        return self._cut or None

    def text(self, member: str, value: str | None) -> str | None:
        """Return at most 32 KiB of the text."""
        if value is None:
            return None
        short, was_cut = cut_text(value)
        if was_cut:
            self._mark(member)
        return short

    def value(self, member: str, value: object) -> Any:  # noqa: ANN401 - any JSON value goes in and comes out
        """Return the value as JSON of about 32 KiB at most: strings cut, then further entries left out."""
        budget = _Budget()
        kept = budget.keep(value, DEPTH_MAX)
        if budget.was_cut:
            self._mark(member)
        return kept

    def mapping(self, member: str, value: Mapping[str, Any] | None) -> dict[str, Any] | None:
        """Return the mapping, bounded as `value` does it; None for none and for an empty one."""
        kept: dict[str, Any] = self.value(member, value or {})
        return kept or None

    def _mark(self, member: str) -> None:
        if member not in self._cut:
            self._cut.append(member)


def _number(value: object) -> object:
    """The number, or text where JSON has none like it: infinities, NaN, and integers of hundreds of digits."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, int) and value.bit_length() > _INTEGER_BITS_MAX:
        return hex(value)
    return value


class _Budget:
    """What is left for one member."""

    def __init__(self) -> None:
        self._left = TEXT_BYTES_MAX
        self.was_cut = False

    def keep(self, value: object, depth: int) -> object:
        self._left -= _SMALL
        if value is None or isinstance(value, bool | int | float):
            return _number(value)
        if isinstance(value, str):
            return self._text(value)
        if not isinstance(value, Mapping | list | tuple):
            return self._text(str(value))
        if depth == 0:
            self.was_cut = True
            return None
        return self._mapping(value, depth) if isinstance(value, Mapping) else self._list(value, depth)

    def _mapping(self, value: Mapping[object, object], depth: int) -> dict[str, object]:
        kept: dict[str, object] = {}
        for key, item in value.items():
            if self._spent():
                break
            kept[self._text(str(key))] = self.keep(item, depth - 1)
        return kept

    def _list(self, value: list[object] | tuple[object, ...], depth: int) -> list[object]:
        kept: list[object] = []
        for item in value:
            if self._spent():
                break
            kept.append(self.keep(item, depth - 1))
        return kept

    def _text(self, value: str) -> str:
        short, was_cut = cut_text(value, max(self._left, 0))
        self._left -= len(short) if short.isascii() else len(short.encode())
        self.was_cut = self.was_cut or was_cut
        return short

    def _spent(self) -> bool:
        if self._left > 0:
            return False
        self.was_cut = True
        return True
