"""How much of the machine other processes took while something was measured: what a reader has to know of noise."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_IDLE = (3, 4)
# The guests' time, which the system counts under user and nice already.
_COUNTED = 8


def watch(own_cpu_s: Callable[[], float]) -> Callable[[], float]:
    """Begin to watch; what is returned tells the share of all cores that others have taken since.

    Args:
        own_cpu_s: Processor time of whatever of ours this process neither is nor has waited for.
    """

    def now() -> tuple[float, float, float]:
        return time.monotonic(), _busy_s(), sum(os.times()[:4]) + own_cpu_s()

    begun_s, busy_s, own_s = now()

    def share() -> float:
        ended_s, busy_then_s, own_then_s = now()
        others_s = (busy_then_s - busy_s) - (own_then_s - own_s)
        return max(0.0, others_s / ((ended_s - begun_s) * (os.cpu_count() or 1)))

    return share


def _busy_s() -> float:
    """What all processes together have used since the machine's start."""
    fields = Path("/proc/stat").read_text().splitlines()[0].split()[1 : 1 + _COUNTED]
    return sum(int(field) for at, field in enumerate(fields) if at not in _IDLE) / _TICKS_PER_S
