"""Figures of a stream from its latest attempts, pure: rates, and percentiles of how long things took."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.domain.delivery import Decision

ATTEMPTS_MAX: Final = 1_000
"""So many attempts the figures are of, at most: what one question reads has a bound."""

_SECOND_US: Final = 1_000_000
_MS_US: Final = 1_000
PERCENTS: Final = (50, 90, 95, 99)


@dataclass(frozen=True, slots=True)
class Tried:
    """What the figures need of one attempt.

    Attributes:
        appended_at_us: When its event was appended; None: the log does not have it any more.
        sent: Whether the sink had a say: an answer came.
        replayed: Whether a replay, or a person, asked for it: then the event was not late.
    """

    decision: Decision
    started_at_us: int
    duration_us: int
    appended_at_us: int | None
    sent: bool
    replayed: bool

    @property
    def ended_at_us(self) -> int:
        """When the answer was there."""
        return self.started_at_us + self.duration_us


@dataclass(frozen=True, slots=True)
class Spread:
    """Percentiles of durations in milliseconds, by nearest rank: each is one that was measured."""

    count: int
    percentiles_ms: Mapping[int, float]
    max_ms: float | None


@dataclass(frozen=True, slots=True)
class Figures:
    """What became of the attempts of a window.

    Attributes:
        from_us: Where the window begins: at what was asked for, or at the earliest attempt that was read.
        complete: Whether the window is as long as was asked for; else there were more attempts than are read.
        decisions: How many attempts there were of each decision.
        latency: From append to the end of the attempt that delivered; replays and retries by hand are left out.
        answers: How long the sink took to answer.
    """

    from_us: int
    until_us: int
    complete: bool
    decisions: Mapping[Decision, int]
    latency: Spread
    answers: Spread

    @property
    def seconds(self) -> float:
        """How long the window is."""
        return (self.until_us - self.from_us) / _SECOND_US

    @property
    def attempts(self) -> int:
        """How many attempts began in it."""
        return sum(self.decisions.values())

    def rate(self, *decisions: Decision) -> float:
        """Attempts a second with one of these decisions."""
        count = sum(self.decisions[decision] for decision in decisions)
        return count / self.seconds if self.seconds > 0 else 0.0


def figures(latest: Sequence[Tried], *, window_s: int, now_us: int) -> Figures:
    """The figures of the latest attempts that began within the window; of ``ATTEMPTS_MAX`` there may be more."""
    begin_us = now_us - window_s * _SECOND_US
    found = [item for item in latest if begin_us <= item.started_at_us]
    complete = len(latest) < ATTEMPTS_MAX or len(found) < len(latest)
    if not complete:
        begin_us = min(item.started_at_us for item in found)
    counted = Counter(item.decision for item in found)
    return Figures(
        from_us=begin_us,
        until_us=now_us,
        complete=complete,
        decisions={decision: counted[decision] for decision in Decision},
        latency=spread(
            [
                item.ended_at_us - item.appended_at_us
                for item in found
                if item.appended_at_us is not None
                and item.decision is Decision.DELIVERED
                and not item.replayed
            ]
        ),
        answers=spread([item.duration_us for item in found if item.sent]),
    )


def spread(durations_us: Collection[int]) -> Spread:
    """Percentiles of these; without any, none."""
    ordered = sorted(durations_us)
    if not ordered:
        return Spread(0, {}, None)
    # Nearest rank: the smallest of which at least so many per cent are no larger.
    ranks = {percent: -(-percent * len(ordered) // 100) for percent in PERCENTS}
    percentiles = {percent: ordered[rank - 1] / _MS_US for percent, rank in ranks.items()}
    return Spread(len(ordered), percentiles, ordered[-1] / _MS_US)
