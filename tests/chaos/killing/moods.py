"""How a receiver answers: it changes its mind from round to round, and with it breakers open and close."""

import random
from dataclasses import dataclass
from enum import StrEnum

_SLOW_S = (0.05, 0.7)
_BATCH_MAX = 5


class Mood(StrEnum):
    WELL = "well"
    FLAKY = "flaky"
    SLOW = "slow"
    FAILING = "failing"
    BUSY = "busy"
    GONE = "gone"
    NARROW = "narrow"


WEIGHTS = {
    Mood.WELL: 6,
    Mood.FLAKY: 4,
    Mood.SLOW: 3,
    Mood.FAILING: 4,
    Mood.BUSY: 1,
    Mood.GONE: 1,
    Mood.NARROW: 1,
}


@dataclass(frozen=True)
class Reply:
    status: int = 200
    after_s: float = 0.0
    retry_after_s: int | None = None


def reply(mood: Mood, dice: random.Random, events: int) -> Reply:
    """The answer to one POST of this many events."""
    match mood:
        case Mood.SLOW:
            return Reply(after_s=dice.uniform(*_SLOW_S))
        case Mood.FAILING:
            return Reply(500)
        case Mood.BUSY:
            return Reply(429, retry_after_s=1)
        case Mood.GONE:
            return Reply(410)
        case Mood.NARROW if events > _BATCH_MAX:
            return Reply(413)
        case Mood.FLAKY:
            # 400 ends a delivery at once: something for a replay of what failed.
            return Reply(dice.choice((503, 500, 400, 200, 200, 200, 200, 200)), after_s=dice.uniform(0, 0.02))
        case _:
            return Reply()
