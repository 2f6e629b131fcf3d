"""The way of an event as a waterfall for a terminal: what is drawn where, and nothing of the network."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from rich.text import Text

from gateway.cli.client import Json

BAR_CHARS: Final = 36
_POINT, _GAP, _WORK = "◆", "┈", "█"
_STYLES: Final = {_POINT: "cyan", _GAP: "dim", _WORK: "green"}
_ASCII: Final = {_POINT: "*", _GAP: ".", _WORK: "#"}
"""For a terminal whose encoding does not have the others."""
_FAILED: Final = "red"
_SECOND_US: Final = 1_000_000
_MINUTE_S: Final = 60


@dataclass(frozen=True, slots=True)
class Line:
    """One line: a moment, a gap, or an attempt; times in milliseconds since the beginning of what is drawn.

    Attributes:
        mark: ``_POINT``, ``_GAP`` or ``_WORK``.
        what: What it is called.
        start_ms: When it begins; None: that is not known.
        lasts_ms: How long; None for a moment.
        note: What else there is to say.
        failed: Whether an attempt did not deliver.
    """

    mark: str
    what: str
    start_ms: float | None
    lasts_ms: float | None
    note: str = ""
    failed: bool = False

    @property
    def end_ms(self) -> float | None:
        """When it ends."""
        return None if self.start_ms is None else self.start_ms + (self.lasts_ms or 0.0)


def shared_lines(told: Json, offset_ms: float) -> list[Line]:
    """From the emitter to the log: moments, and the gaps between them."""
    gaps = {gap["from"]: gap for gap in told["gaps"]}
    found: list[Line] = []
    for step in told["steps"]:
        at_ms = None if step["at"] is None else offset_ms + step["since_begin_ms"]
        found.append(Line(_POINT, step["step"], at_ms, None, step["unknown"] or step["span_id"] or ""))
        gap = gaps.get(step["step"])
        if gap is not None and at_ms is not None:
            found.append(Line(_GAP, f"  {gap['name']}", at_ms, gap["duration_ms"]))
    return found


def delivery_lines(delivery: Json, appended_ms: float) -> list[Line]:
    """From the log to the sink: what was waited for, and each attempt."""
    found: list[Line] = []
    at_ms = appended_ms
    for gap, attempt in zip(delivery["gaps"], delivery["attempts"], strict=True):
        found.append(Line(_GAP, f"  {gap['name']}", at_ms, gap["duration_ms"]))
        at_ms += gap["duration_ms"]
        answer = attempt["status"] or attempt["error_class"] or attempt["decision"]
        what = f"attempt {attempt['number']} ({attempt['cause']}): {answer}"
        failed = attempt["decision"] != "delivered"
        found.append(Line(_WORK, what, at_ms, attempt["duration_ms"], attempt["span_id"] or "", failed))
        at_ms += attempt["duration_ms"]
    return found


def appended_at(told: Json) -> float:
    """When the event was in the log, in milliseconds since its first known moment."""
    return float(next(step["since_begin_ms"] for step in told["steps"] if step["step"] == "appended"))


class Scale:
    """Where a time lies in a bar.

    A step takes microseconds and a replay comes a day later, so each stretch between two moments is as wide as the
    logarithm of its length: all of them are seen, and the times beside the bars are what adds up.

    Args:
        lines: All that is drawn.
        ascii_only: Whether the bars are drawn in ASCII.
    """

    def __init__(self, lines: Iterable[Line], *, ascii_only: bool = False) -> None:
        self._ascii_only = ascii_only
        moments = {moment for line in lines for moment in (line.start_ms, line.end_ms) if moment is not None}
        self._places: dict[float, float] = {}
        place = 0.0
        ordered = sorted(moments)
        for before, after in pairwise(ordered):
            self._places[before] = place
            place += math.log1p((after - before) * 1_000)
        if ordered:
            self._places[ordered[-1]] = place
        self._whole = place or 1.0

    def column(self, at_ms: float) -> int:
        """The column of a moment that a line has, from 0 to ``BAR_CHARS``."""
        return round(self._places[at_ms] / self._whole * BAR_CHARS)

    def bar(self, line: Line) -> Text:
        """The bar of a line."""
        if line.start_ms is None or line.end_ms is None:
            return Text("?", style="dim")
        first, last = sorted((self.column(line.start_ms), self.column(line.end_ms)))
        style = _FAILED if line.failed else _STYLES[line.mark]
        mark = _ASCII[line.mark] if self._ascii_only else line.mark
        return Text(" " * first) + Text(mark * max(1, last - first), style=style)


def drawn_in(encoding: str | None) -> bool:
    """Whether an encoding has the characters of the bars; None: that of a stream that keeps text as it is."""
    try:
        (_POINT + _GAP + _WORK).encode(encoding or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def rows(lines: Sequence[Line], scale: Scale) -> Iterator[tuple[object, ...]]:
    """Rows of a table: at, for how long, what, where in the whole, and the span."""
    for line in lines:
        at = "" if line.start_ms is None or line.mark == _GAP else _signed(line.start_ms)
        yield at, "" if line.lasts_ms is None else shown(line.lasts_ms), line.what, scale.bar(line), line.note


def _signed(milliseconds: float) -> str:
    """A time since the beginning; where the clocks of two hosts differ, it may be before it."""
    text = shown(milliseconds)
    return text if text.startswith("-") else f"+{text}"


def shown(milliseconds: float) -> str:
    """A time as a person reads it, to the microsecond, so that what is shown adds up.

    `12.345 ms`, `5.000001 s`, `1 d 00:00:05.000000`.
    """
    micros = round(milliseconds * 1_000)
    sign, micros = ("-" if micros < 0 else ""), abs(micros)
    if micros < _SECOND_US:
        return f"{sign}{micros / 1_000:.3f} ms"
    seconds, micros = divmod(micros, _SECOND_US)
    if seconds < _MINUTE_S:
        return f"{sign}{seconds}.{micros:06d} s"
    days, seconds = divmod(seconds, 24 * 60 * _MINUTE_S)
    hours, seconds = divmod(seconds, 60 * _MINUTE_S)
    minutes, seconds = divmod(seconds, _MINUTE_S)
    clock = f"{hours:02d}:{minutes:02d}:{seconds:02d}.{micros:06d}"
    return f"{sign}{days} d {clock}" if days else f"{sign}{clock}"
