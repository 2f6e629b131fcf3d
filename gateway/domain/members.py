"""Reading a JSON object from outside, member by member, with every fault noted and none thrown.

A member that is `null` counts as absent, so that a merge patch (RFC 7396) and a whole resource read alike.
"""

import math
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, TypeVar

from schemas import Problem
from schemas.errors import pointer_of
from schemas.rfc3339 import is_timestamp

UNKNOWN_MAX: Final = 20
"""Unknown members that are told one by one; behind them the body is plainly something else."""

E = TypeVar("E", bound=StrEnum)


class Members:
    """The members of one object. A getter returns None for one that is absent, or unsound and noted.

    Args:
        value: What stands there; anything but an object is a problem.
        pointer: The JSON Pointer to it.
        problems: Where problems go.
        allowed: The names it may have, in the order in which they are told.
        ignored: Names that are passed over.
    """

    def __init__(
        self,
        value: object,
        pointer: str,
        problems: list[Problem],
        *,
        allowed: Collection[str],
        ignored: Collection[str] = (),
    ) -> None:
        self._pointer = pointer
        self._problems = problems
        self._members: Mapping[str, object] = value if isinstance(value, dict) else {}
        if not isinstance(value, dict):
            problems.append(Problem(pointer, "must be a JSON object"))
        unknown = [name for name in self._members if name not in allowed and name not in ignored]
        for name in unknown[:UNKNOWN_MAX]:
            self.fault(name, f"unknown member; allowed are {listed(allowed)}")

    def at(self, name: str) -> str:
        """The JSON Pointer to a member."""
        return self._pointer + pointer_of(name)

    def fault(self, name: str, detail: str) -> None:
        """Note a problem with a member."""
        self._problems.append(Problem(self.at(name), detail))

    def get(self, name: str) -> object:
        """The value as it is; None where it is absent."""
        return self._members.get(name)

    def text(self, name: str, chars_max: int, *, lines: bool = False) -> str | None:
        """A string of 1 to `chars_max` printable characters; with `lines` also line ends and tabs."""
        value = self.get(name)
        if value is None:
            return None
        if not isinstance(value, str) or not 0 < len(value) <= chars_max:
            self.fault(name, f"must be a string of 1 to {chars_max} characters")
            return None
        if not (value.translate(_LINES) if lines else value).isprintable():
            self.fault(name, "must not contain control characters")
            return None
        return value

    def texts(self, name: str, items_max: int, chars_max: int) -> tuple[str, ...]:
        """An array of strings like `text`, each once."""
        value = self.get(name)
        if value is None:
            return ()
        if not isinstance(value, list) or len(value) > items_max:
            self.fault(name, f"must be an array of at most {items_max} strings")
            return ()
        items = {str(index): item for index, item in enumerate(value)}
        inside = Members(items, self.at(name), self._problems, allowed=items)
        for index, item in items.items():
            if item is None:
                inside.fault(index, f"must be a string of 1 to {chars_max} characters")
        found = (inside.text(index, chars_max) for index in items)
        return tuple(dict.fromkeys(item for item in found if item is not None))

    def integer(self, name: str, least: int, most: int) -> int | None:
        """A whole number within bounds."""
        value = self.get(name)
        if value is None:
            return None
        if type(value) is not int or not least <= value <= most:
            self.fault(name, f"must be a whole number from {least} to {most}")
            return None
        return value

    def number(self, name: str, least: float, most: float) -> float | None:
        """A number within bounds."""
        value = self.get(name)
        if value is None:
            return None
        number = number_within(value, least, most)
        if number is None:
            self.fault(name, f"must be a number from {least:g} to {most:g}")
        return number

    def moment(self, name: str) -> datetime | None:
        """A time (RFC 3339, with its offset), as UTC."""
        value = self.get(name)
        if value is None:
            return None
        if isinstance(value, str) and is_timestamp(value):
            try:
                return datetime.fromisoformat(value.upper()).astimezone(UTC)
            except (ValueError, OverflowError):  # a leap second, or a time that is out of every calendar
                pass
        self.fault(name, "must be an RFC 3339 time with its offset, such as 2026-01-01T12:00:00Z")
        return None

    def choice(self, name: str, options: type[E], default: E, available: Collection[str]) -> E:
        """One of the options that are available."""
        value = self.get(name)
        return default if value is None else self.option(name, value, options, available) or default

    def option(self, name: str, value: object, options: type[E], available: Collection[str]) -> E | None:
        """The option that a value stands for; one that is known but not built yet is told as such."""
        known = [option.value for option in options]
        if not isinstance(value, str) or value not in known:
            self.fault(name, f"must be one of {listed(one for one in known if one in available)}")
            return None
        if value not in available:
            self.not_yet(name, f"`{value}`", f"use {listed(one for one in known if one in available)}")
        return options(value)

    def not_yet(self, name: str, what: str, instead: str) -> None:
        """Note that something is specified and this version of the gateway cannot do it."""
        self.fault(name, f"{what} is not available in this version of the gateway; {instead}")


_LINES: Final = str.maketrans("\n\r\t", "   ")


def number_within(value: object, least: float, most: float) -> float | None:
    """The value as a number, if it is one within bounds; a Boolean is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if math.isfinite(value) and least <= value <= most else None


def listed(names: Iterable[str]) -> str:
    """Names in code quotes, for a sentence."""
    return ", ".join(f"`{name}`" for name in names)
