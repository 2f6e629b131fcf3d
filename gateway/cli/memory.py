"""The garbage collector of a process that serves: what is loaded once is not looked through again and again."""

import gc
from typing import Final

_YOUNG: Final = 20_000
"""Containers made before the youngest are looked through. A batch of the stream makes some ten thousand that all
live until it is journaled: at Python's 700 every one of them is walked several times, for nothing."""

_MIDDLE: Final = 10
_OLD: Final = 20


def settle_collector() -> None:
    """To be called once everything is loaded; reference counts free nearly all of what a delivery makes.

    Measured under load: a sixth less processor time a delivery. Cycles are still found, a little later.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, _MIDDLE, _OLD)
