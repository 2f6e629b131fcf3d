"""What is made of measured values: pure functions.

The machine is shared and noisy, so a value alone says little. A median with its range says how far to trust it,
and a ratio is taken within a round, where both sides had the same machine, before anything is summed up.
"""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

_RESAMPLES = 10_000
Figures: TypeAlias = Mapping[str, float]
"""What one measurement of one row gave, by name; the unit is the end of the name."""

Summary: TypeAlias = dict[str, float | list[float]]
"""Median, least and greatest of a figure over the rounds, and the values themselves."""


def percentile(sorted_values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of the values does not exceed (nearest rank)."""
    if not sorted_values:
        raise ValueError("a percentile of nothing")
    return sorted_values[max(0, math.ceil(share * len(sorted_values)) - 1)]


def summary(values: Iterable[float]) -> Summary:
    """Median and range, with the values in the order in which they were measured."""
    kept = list(values)
    return {"median": statistics.median(kept), "min": min(kept), "max": max(kept), "values": kept}


def summaries(rounds: Sequence[Figures]) -> dict[str, Summary]:
    """Each figure over the rounds in which it was measured."""
    names = dict.fromkeys(name for figures in rounds for name in figures)
    return {name: summary(figures[name] for figures in rounds if name in figures) for name in names}


def ratios(over: Mapping[int, float], under: Mapping[int, float]) -> Summary | None:
    """`over` divided by `under`, round by round; None where no round has both."""
    pairs = [over[number] / under[number] for number in sorted(over) if under.get(number)]
    return summary(pairs) if pairs else None


def interval(ratios: Sequence[float], share: float = 0.95) -> tuple[float, float, float]:
    """The geometric mean of ratios that were each taken within a round, and its confidence interval, by bootstrap.

    Seeded: the same values give the same interval.
    """
    logs = [math.log(ratio) for ratio in ratios]
    dice = random.Random(1)
    means = sorted(statistics.fmean(dice.choices(logs, k=len(logs))) for _ in range(_RESAMPLES))
    low, high = percentile(means, (1 - share) / 2), percentile(means, (1 + share) / 2)
    return math.exp(statistics.fmean(logs)), math.exp(low), math.exp(high)


def by_round(measured: Mapping[int, Figures], name: str) -> dict[int, float]:
    """One figure by the round it was measured in."""
    return {number: figures[name] for number, figures in measured.items() if name in figures}


def best_by_round(several: Iterable[Mapping[int, float]]) -> dict[int, float]:
    """The greatest value of each round."""
    best: dict[int, float] = {}
    for values in several:
        for number, value in values.items():
            best[number] = max(value, best.get(number, value))
    return best


def latency_ms(latencies_us: Iterable[int]) -> tuple[float, float]:
    """p50 and p99, in milliseconds."""
    ordered = sorted(latencies_us)
    return percentile(ordered, 0.5) / 1e3, percentile(ordered, 0.99) / 1e3
