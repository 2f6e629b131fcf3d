"""Instruments that a hot path can afford, and the figures they come to, whoever they are shown to.

A count is an integer in a dictionary, a duration one step in a list that was made before (docs/decisions/0022): there
is no lock, since everything that counts runs in one thread, the event loop's. Durations and moments are integers,
microseconds, and become seconds where they are shown.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NamedTuple

LABEL_CHARS_MAX: Final = 64
LABEL_SETS_MAX: Final = 64
"""Of one counter. What a label says is from a closed set anyhow: this is where a mistake about that ends."""

OTHER: Final = "other"
"""What a label says beyond that."""

SECONDS: Final = (
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
    30.0,
    60.0,
    300.0,
    1_800.0,
    7_200.0,
)
"""From what a loaded gateway takes to the third retry of a sink that was away."""

SIZES: Final = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0, 5_000.0)
_SECOND_US: Final = 1_000_000

Labels = tuple[tuple[str, str], ...]


class Kind(StrEnum):
    """What may be done with a figure: a counter only grows, a gauge is as it is, an info is always 1."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"
    INFO = "info"


class Exemplar(NamedTuple):
    """One observation that stands for others like it: the trace it belongs to."""

    trace_id: str
    value: float
    at_us: int
    span_id: str = ""


@dataclass(frozen=True, slots=True)
class Sample:
    """One figure. A histogram's is ``Spread``."""

    value: float
    labels: Labels = ()


@dataclass(frozen=True, slots=True)
class Spread:
    """How observations are spread.

    Attributes:
        bounds: The upper end of each bucket but the last, which has none; an observation on it is inside.
        counts: Observations in each bucket, the last one included; not summed up.
        total: The sum of all observations.
        exemplars: For each bucket an observation whose trace is kept, or None.
    """

    bounds: Sequence[float]
    counts: Sequence[int]
    total: float
    exemplars: Sequence[Exemplar | None]
    labels: Labels = ()

    @property
    def count(self) -> int:
        """How many observations there were."""
        return sum(self.counts)


@dataclass(frozen=True, slots=True)
class Family:
    """Figures of one name.

    Attributes:
        name: Without the endings that a format adds (``_total``, ``_bucket``, ``_info``).
        meaning: In a sentence.
        unit: The last word of the name where it is one: ``seconds``, ``bytes``.
    """

    name: str
    kind: Kind
    meaning: str
    samples: Sequence[Sample] = ()
    spreads: Sequence[Spread] = ()
    unit: str = ""


def gauge(name: str, meaning: str, value: float | None, *, unit: str = "") -> Family:
    """One figure without labels; None: it is not known now, and so not shown."""
    return Family(name, Kind.GAUGE, meaning, () if value is None else (Sample(value),), unit=unit)


def gauges(name: str, meaning: str, label: str, values: Mapping[str, float]) -> Family:
    """One figure for each value of a label."""
    return Family(
        name, Kind.GAUGE, meaning, [Sample(value, ((label, said),)) for said, value in values.items()]
    )


class Counter:
    """Counts, by label values from closed sets."""

    __slots__ = ("_labels", "_meaning", "_name", "values")

    def __init__(
        self, name: str, meaning: str, labels: Sequence[str] = (), known: Iterable[tuple[str, ...]] = ()
    ) -> None:
        """``known``: label values to be shown from the first day on: a rate needs the 0 it begins at."""
        self._name = name
        self._meaning = meaning
        self._labels = tuple(labels)
        self.values: dict[tuple[str, ...], int] = dict.fromkeys(known, 0)
        """By label values. Whoever is in a hurry adds here, to one of ``known``."""

    def add(self, *said: str, by: int = 1) -> None:
        """Count; what a label says that is new, when there are many already, is counted as ``other``."""
        if said not in self.values:
            cut = tuple(value[:LABEL_CHARS_MAX] for value in said)
            said = cut if cut in self.values or len(self.values) < LABEL_SETS_MAX else (OTHER,) * len(said)
            self.values.setdefault(said, 0)
        self.values[said] += by

    def family(self) -> Family:
        """What it has come to."""
        samples = [
            Sample(value, tuple(zip(self._labels, said, strict=True))) for said, value in self.values.items()
        ]
        return Family(self._name, Kind.COUNTER, self._meaning, samples)


@dataclass(slots=True)
class Durations:
    """Durations in buckets.

    ``observe`` is on the path of each delivery: whoever changes it measures it (``tests/bench/meters.py``).
    """

    labels: Labels = ()
    seconds: Sequence[float] = SECONDS
    _bounds_us: list[int] = field(init=False)
    _counts: list[int] = field(init=False)
    _exemplars: list[tuple[str, int, int, str] | None] = field(init=False)
    _total_us: int = 0

    def __post_init__(self) -> None:
        self._bounds_us = [round(bound * _SECOND_US) for bound in self.seconds]
        self._counts = [0] * (len(self.seconds) + 1)
        self._exemplars = [None] * (len(self.seconds) + 1)

    def observe(
        self, duration_us: int, trace_id: str | None = None, at_us: int = 0, span_id: str = ""
    ) -> None:
        """Note one. Less than nothing, of two clocks that differ, counts as nothing."""
        if duration_us < 0:  # noqa: PLR1730 - `max` costs a call
            duration_us = 0
        bucket = bisect_left(self._bounds_us, duration_us)
        self._counts[bucket] += 1
        self._total_us += duration_us
        if trace_id is not None:
            self._exemplars[bucket] = (trace_id, duration_us, at_us, span_id)

    def spread(self) -> Spread:
        """What they have come to, in seconds."""
        exemplars = [
            None if item is None else Exemplar(item[0], item[1] / _SECOND_US, item[2], item[3])
            for item in self._exemplars
        ]
        return Spread(
            tuple(self.seconds), tuple(self._counts), self._total_us / _SECOND_US, exemplars, self.labels
        )


@dataclass(slots=True)
class Numbers:
    """Sizes in buckets: how many there were at a time."""

    bounds: Sequence[float] = SIZES
    _counts: list[int] = field(init=False)
    _total: int = 0

    def __post_init__(self) -> None:
        self._counts = [0] * (len(self.bounds) + 1)

    def observe(self, size: int) -> None:
        """Note one."""
        self._counts[bisect_left(self.bounds, size)] += 1
        self._total += size

    def spread(self) -> Spread:
        """What they have come to."""
        nothing: list[Exemplar | None] = [None] * len(self._counts)
        return Spread(tuple(self.bounds), tuple(self._counts), self._total, nothing)


def histogram(name: str, meaning: str, *of: Durations | Numbers) -> Family:
    """Figures of one name, of one instrument for each label set."""
    unit = "seconds" if isinstance(of[0], Durations) else ""
    return Family(name, Kind.HISTOGRAM, meaning, spreads=[item.spread() for item in of], unit=unit)
