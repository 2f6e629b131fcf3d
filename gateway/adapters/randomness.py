"""Random bytes from the system, fetched many at a time: an attempt takes several handfuls."""

import os
from typing import Final

_POOL_BYTES: Final = 8_192
_POOLED_MAX: Final = 64
"""The largest handful that is fetched with others of its size, and so how many sizes there are at most."""


class PooledRandom:
    """As ``os.urandom``, for any thread. What was given out is not kept; a child process starts anew."""

    def __init__(self) -> None:
        self._pools: dict[int, list[bytes]] = {}
        os.register_at_fork(after_in_child=self._forget)

    def __call__(self, size: int) -> bytes:
        """So many random bytes."""
        try:
            return self._pools[size].pop()  # one step of the interpreter: no two threads get the same
        except (KeyError, IndexError):
            return self._fetch(size)

    def _fetch(self, size: int) -> bytes:
        if not 0 < size <= _POOLED_MAX:
            return os.urandom(size)
        fetched = os.urandom(_POOL_BYTES - _POOL_BYTES % size)
        pool = [fetched[start : start + size] for start in range(size, len(fetched), size)]
        self._pools[size] = pool
        return fetched[:size]

    def _forget(self) -> None:
        self._pools = {}
