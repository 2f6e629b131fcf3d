"""What happens in a round: drawn by a seeded dice, before the round begins."""

import random
from dataclasses import dataclass

from killing.moods import WEIGHTS, Mood
from killing.producers import TYPES

UP_S = (0.3, 2.5)
ACTS_MAX = 6
ORDERLY = 0.08
EARLY = 0.15
EARLY_S = (0.1, 1.5)
_CHANGES_MOOD = 0.35
_RETRY = [0.05, 0.1, 0.2, 0.5, 1]

STREAMS: dict[str, dict[str, object]] = {
    "binary": {"config": {"retry": _RETRY}},
    "structured": {
        "types": [TYPES[0]],
        "config": {"format": "structured", "max_concurrency": 4, "timeout_s": 0.5, "retry": _RETRY},
    },
    "batch": {"config": {"format": "batch", "batch_events_max": 20, "batch_age_s": 0.1, "retry": _RETRY}},
    "ordered": {"config": {"ordering": "partitionkey", "retry": _RETRY}},
    "limited": {"types": [TYPES[1]], "config": {"max_per_second": 150, "retry": _RETRY}},
}
NEWCOMERS: tuple[dict[str, object], ...] = (
    {"start": "beginning", "retry": _RETRY},
    {"start": "beginning", "ordering": "partitionkey", "retry": _RETRY},
    {"start": "beginning", "format": "batch", "batch_events_max": 50, "batch_age_s": 0.1, "retry": _RETRY},
)
"""They catch up from the beginning, and are killed while they do."""
NAMES = (*STREAMS, *(f"newcomer-{number}" for number in range(1, 4)))

ACTS = {
    "replay": 8,
    "replay failed": 4,
    "pause": 1,
    "resume": 4,
    "rotate": 2,
    "retry": 4,
    "burst": 3,
    "revise": 1,
    "test": 2,
    "newcomer": 2,
}


@dataclass(frozen=True)
class Act:
    """One command, `at` seconds into the round. `where` and `width` are fractions of what there is by then."""

    at: float
    kind: str
    stream: str
    where: float
    width: float


@dataclass(frozen=True)
class Round:
    up_s: float
    moods: dict[str, Mood]
    acts: tuple[Act, ...]
    orderly: bool = False
    """Whether it ends by SIGTERM: then nothing may be repeated."""
    early_s: float | None = None
    """When the next process is killed while it starts, before it says that it is ready."""

    def __str__(self) -> str:
        moods = " ".join(f"{stream}={mood}" for stream, mood in self.moods.items())
        acts = ", ".join(f"{act.kind} {act.stream}" for act in self.acts)
        end = "SIGTERM" if self.orderly else "kill"
        early = "" if self.early_s is None else f", and {self.early_s:.1f} s into the next start"
        return f"{end} at {self.up_s:.1f} s{early}  moods: {moods or '-'}  acts: {acts or '-'}"


def draw(dice: random.Random) -> Round:
    """One round. A mood that is not in it stays as it is."""
    up_s = dice.uniform(*UP_S)
    moods = {
        stream: dice.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        for stream in NAMES
        if dice.random() < _CHANGES_MOOD
    }
    acts = [
        Act(
            # Most of them shortly before the kill: what they set going is to be under way then.
            at=up_s * (1 - dice.random() ** 2),
            kind=dice.choices(list(ACTS), list(ACTS.values()))[0],
            stream=dice.choice(NAMES),
            where=dice.random(),
            width=dice.random(),
        )
        for _ in range(dice.randint(1, ACTS_MAX))
    ]
    return Round(
        up_s,
        moods,
        tuple(sorted(acts, key=lambda act: act.at)),
        orderly=dice.random() < ORDERLY,
        early_s=dice.uniform(*EARLY_S) if dice.random() < EARLY else None,
    )
