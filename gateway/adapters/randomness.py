"""Random bytes from the system, fetched many at a time: an attempt takes several handfuls."""

import os
import threading

_POOL_BYTES = 8_192


class PooledRandom:
    """As ``os.urandom``. What was given out is not kept; a child process starts with a pool of its own."""

    def __init__(self) -> None:
        self._pool = b""
        self._used = 0
        self._lock = threading.Lock()
        os.register_at_fork(after_in_child=self._forget)

    def __call__(self, size: int) -> bytes:
        """So many random bytes."""
        with self._lock:
            end = self._used + size
            if end > len(self._pool):
                if size > _POOL_BYTES:
                    return os.urandom(size)
                self._pool, self._used, end = os.urandom(_POOL_BYTES), 0, size
            start, self._used = self._used, end
            return self._pool[start:end]

    def _forget(self) -> None:
        self._pool, self._used = b"", 0
        self._lock = threading.Lock()
