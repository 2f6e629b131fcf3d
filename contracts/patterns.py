"""How much work a regular expression can make: counted from its text, before any engine sees it.

The engine never backtracks: it goes through a text once, with all places of the pattern where it may be at a time. A
place in a counted repetition counts as often as it is repeated, so counted repetitions in one another multiply:
`^(a{0,500}){0,200}$` is in 100,000 places at once. What is counted here is never less than what the engine does.
Pure, bounded, and no judge of whether the pattern is right: the engine's own word on that comes after.
"""

import re
from dataclasses import dataclass
from typing import Final

TEXT_CHARS_MAX: Final = 1 << 24
"""Longer than any text in an event."""
AT_ONCE_MAX: Final = 150
"""Places at once that are taken on any text; 64 KiB of the worst take some 0.2 s."""
STEPS_MAX: Final = 1_000_000
"""Places at once times characters looked at, where there are more of them; the worst take some 0.05 s."""
NESTED_MAX: Final = 100

_COUNTED: Final = re.compile(r"\{\s*+(\d*+)\s*+(?:(,)\s*+(\d*+)\s*+)?+\}")
_CLASS_BEGUN: Final = re.compile(r"\^?\]?")
"""A `]` right at the beginning of a class is a member of it."""
_BRACED: Final = re.compile(r"[pPux]\{[^{}]*\}")
_ESCAPED_OR_COUNTED: Final = re.compile(
    r"(?P<escaped>\\(?:[pPux]\{[^{}]*\}|.))|\{\s*+\d++\s*+(?:,\s*+\d*+\s*+)?+\}", re.DOTALL
)
_FLAGS: Final = re.compile(r"\?[A-Za-z]*(?:-[A-Za-z]+)?[:)]")
_NAME: Final = re.compile(r"\?P?<[^>=!]*>")
_LOOKING: Final = ("?=", "?!", "?<=", "?<!")
_ENDLESS: Final = TEXT_CHARS_MAX


class PatternError(ValueError):
    """The pattern uses what the engine does not have; says what, as a clause."""


@dataclass(frozen=True, slots=True)
class Extent:
    """What a pattern, or a part of one, comes to.

    Attributes:
        places: In the whole, with what is repeated counted as often as it is repeated.
        at_once: Where the engine may be at one time, when it enters the part at one time.
        shortest: Characters that fit it, at least.
        longest: At most; `TEXT_CHARS_MAX` without an end.
        anchored: It begins with `^` in every case.
    """

    places: int
    at_once: int
    shortest: int
    longest: int
    anchored: bool = False

    def entered(self, times: int) -> int:
        """Where the engine may be at one time, when it enters the part at any of so many times."""
        return min(self.places, times * self.at_once)


_NOTHING: Final = Extent(0, 0, 0, 0)
_BEGINNING: Final = Extent(0, 0, 0, 0, anchored=True)
_CHARACTER: Final = Extent(1, 1, 1, 1)


def too_slow(pattern: str, chars_max: int | None) -> str | None:
    """Say why a pattern is not taken, as a clause; None if it may be.

    Args:
        pattern: The regular expression.
        chars_max: No longer text comes to it; None without a bound.
    """
    try:
        limit = chars_limit(pattern)
    except PatternError as error:
        return str(error)
    if limit is None or (chars_max is not None and chars_max <= limit):
        return None
    extent = extent_of(pattern)
    ways = (
        [] if extent.anchored else ["a ^ at its beginning, so that it is not looked for anywhere in the text"]
    )
    ways += [f"a maxLength of {limit} or less beside it"] if limit else []
    ways.append("smaller counts, and none of them inside another repetition")
    places = extent.places if extent.places < _ENDLESS else f"more than {_ENDLESS}"
    return f"takes too long on a long text, with {places} places to be at: needs {'; or '.join(ways)}"


def chars_limit(pattern: str) -> int | None:
    """Return how long a text may be so that the pattern is done with it in time; None where any may.

    Raises:
        PatternError: The pattern uses what the engine does not have.
    """
    extent = extent_of(pattern)
    at_once = extent.at_once if extent.anchored else extent.places
    if at_once <= AT_ONCE_MAX:
        return None
    limit = STEPS_MAX // at_once
    # What begins with ^ and has an end is through with a longer text where it ends itself.
    return None if extent.anchored and extent.longest <= limit else limit


def extent_of(pattern: str) -> Extent:
    """Return what a pattern comes to.

    Raises:
        PatternError: The pattern uses what the engine does not have, or has more than `NESTED_MAX` groups in one
            another.
    """
    return _Scanner(pattern).whole()


def without_counts(pattern: str) -> str:
    """Return the pattern with each counted repetition left out: what is right about it stays so."""
    return _ESCAPED_OR_COUNTED.sub(lambda found: found["escaped"] or "", pattern)


class _Scanner:
    """One way through the text of a pattern. Where two readings are possible it takes the one that makes more work."""

    def __init__(self, pattern: str) -> None:
        self._text = pattern
        self._at = 0
        self._depth = 0
        self._lines = False

    def whole(self) -> Extent:
        cases = [self._case()]
        while self._at < len(self._text):
            self._at += 1  # `|`, or a bracket too many, which the engine refuses
            cases.append(self._case())
        extent = _one_of(cases)
        return extent if not self._lines else Extent(*_figures(extent), anchored=False)

    def _group(self) -> Extent:
        self._depth += 1
        if self._depth > NESTED_MAX:
            raise PatternError(f"has more than {NESTED_MAX} groups in one another")
        if self._text.startswith(_LOOKING, self._at):
            raise PatternError(
                "looks ahead or behind, which the engine, that takes linear time, does not do: say it without, or "
                'as another schema, such as "not" with a "pattern"'
            )
        opened = _NAME.match(self._text, self._at) or _FLAGS.match(self._text, self._at)
        if opened is not None:
            self._at = opened.end()
            flags = "" if "<" in opened[0] else opened[0].strip("?:)")
            if "x" in flags:
                raise PatternError("has the flag x, which is not taken: write it without blanks and comments")
            self._lines |= "m" in flags
            if opened[0].endswith(")"):
                self._depth -= 1
                return _NOTHING
        cases = [self._case()]
        while self._text.startswith("|", self._at):
            self._at += 1
            cases.append(self._case())
        self._at += 1  # `)`
        self._depth -= 1
        return _one_of(cases)

    def _case(self) -> Extent:
        parts = []
        while self._at < len(self._text) and self._text[self._at] not in "|)":
            parts.append(self._repeated(self._atom()))
        return _one_after_another(parts)

    def _atom(self) -> Extent:
        sign = self._text[self._at]
        self._at += 1
        if sign == "(":
            return self._group()
        if sign == "[":
            self._class()
        elif sign == "\\":
            return self._escape()
        elif sign == "^":
            return _BEGINNING
        elif sign == "$":
            return _NOTHING
        return _CHARACTER

    def _escape(self) -> Extent:
        braced = _BRACED.match(self._text, self._at)
        if braced is not None:
            self._at = braced.end()
            return _CHARACTER
        sign = self._text[self._at : self._at + 1]
        self._at += 1
        if sign and sign in "123456789k":
            raise PatternError(
                "refers back to what a group has taken, which the engine, that takes linear time, does not do"
            )
        return _NOTHING if sign and sign in "bB" else _CHARACTER

    def _class(self) -> None:
        # As the engine reads it: one that ended earlier would leave brackets behind that are members of it.
        begun = _CLASS_BEGUN.match(self._text, self._at)
        self._at = self._at if begun is None else begun.end()
        while self._at < len(self._text) and self._text[self._at] != "]":
            self._at += 2 if self._text[self._at] == "\\" else 1
        self._at += 1

    def _repeated(self, extent: Extent) -> Extent:
        while self._at < len(self._text):
            counts = self._counts()
            if counts is None:
                return extent
            extent = _repeat(extent, *counts)
            if self._text.startswith("?", self._at):
                self._at += 1  # as few as possible: as much work
        return extent

    def _counts(self) -> tuple[int, int | None] | None:
        sign = self._text[self._at]
        if sign in "*+?":
            self._at += 1
            return int(sign == "+"), 1 if sign == "?" else None
        found = _COUNTED.match(self._text, self._at)
        if found is None or not (found[1] or found[3]):
            return None
        self._at = found.end()
        least = _count(found[1] or "0")
        most = least if found[2] is None else _count(found[3]) if found[3] else None
        return least, most


def _count(digits: str) -> int:
    return int(digits) if len(digits) <= len(str(_ENDLESS)) else _ENDLESS


def _figures(extent: Extent) -> tuple[int, int, int, int]:
    return extent.places, extent.at_once, extent.shortest, extent.longest


def _one_of(cases: list[Extent]) -> Extent:
    return Extent(
        sum(case.places for case in cases),
        sum(case.at_once for case in cases),
        min(case.shortest for case in cases),
        max(case.longest for case in cases),
        all(case.anchored for case in cases),
    )


def _one_after_another(parts: list[Extent]) -> Extent:
    """Behind parts of one length, one part is entered at one time; behind others, at as many as lengths differ by."""
    in_turn, together, times = 0, 0, 1
    shortest = longest = 0
    for part in parts:
        if times == 1 and part.shortest == part.longest:
            in_turn = max(in_turn, part.at_once)
        else:
            together += part.entered(times)
        shortest = min(shortest + part.shortest, _ENDLESS)
        longest = min(longest + part.longest, _ENDLESS)
        times = longest - shortest + 1 if longest < _ENDLESS else _ENDLESS
    anchored = bool(parts) and parts[0].anchored
    return Extent(sum(part.places for part in parts), max(in_turn, together), shortest, longest, anchored)


def _repeat(body: Extent, least: int, most: int | None) -> Extent:
    copies = least + 1 if most is None else max(most, least)
    places = body.places * copies
    # Parts of one length are gone through in step, however often; others are all under way at the same time.
    at_once = body.at_once if body.shortest == body.longest else places
    longest = (_ENDLESS if body.longest else 0) if most is None else body.longest * copies
    return Extent(
        places,
        at_once,
        min(body.shortest * least, _ENDLESS),
        min(longest, _ENDLESS),
        body.anchored and least > 0,
    )
