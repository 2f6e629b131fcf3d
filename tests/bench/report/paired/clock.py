"""The one clock of a run: monotonic, and the same in every process of this machine, Node's included."""

import time


def now_us() -> int:
    """Microseconds since an arbitrary moment."""
    return time.monotonic_ns() // 1_000
