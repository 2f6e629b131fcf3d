"""The spool's system calls, made without letting go of the interpreter.

`fcntl.flock`, `os.lseek` and `os.write` release the interpreter's lock, and each time the drain's thread may take it: an
`emit()` then waits for a piece of the drain's work, which is what made its slowest percent slow. The first two return at
once. A write to a file does too, into the page cache; should a sick disk make it wait, then the event loop that called
`emit()` waits in either way. Where libc cannot be reached like this, the usual calls serve.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
from collections.abc import Callable
from typing import NamedTuple

_WRITE_BYTES_MAX = 64 * 1024
_TRY_EXCLUSIVE = fcntl.LOCK_EX | fcntl.LOCK_NB


def _try_lock_plainly(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, _TRY_EXCLUSIVE)
    except BlockingIOError:
        return False
    return True


def _unlock_plainly(descriptor: int) -> None:
    fcntl.flock(descriptor, fcntl.LOCK_UN)


def _size_plainly(descriptor: int) -> int:
    return os.lseek(descriptor, 0, os.SEEK_END)


def _libc() -> ctypes.PyDLL | None:
    try:
        libc = ctypes.PyDLL(None, use_errno=True)
        libc.flock.argtypes = [ctypes.c_int, ctypes.c_int]
        libc.flock.restype = ctypes.c_int
        libc.lseek.argtypes = [ctypes.c_int, ctypes.c_long, ctypes.c_int]
        libc.lseek.restype = ctypes.c_long
        libc.write.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t]
        libc.write.restype = ctypes.c_ssize_t
    except (OSError, AttributeError):
        return None
    # Where a long has 32 bits, so may lseek's offset.
    return libc if ctypes.sizeof(ctypes.c_long) == 8 else None  # noqa: PLR2004 (bytes of a 64-bit offset)


class _Calls(NamedTuple):
    try_lock: Callable[[int], bool]
    unlock: Callable[[int], None]
    size: Callable[[int], int]
    write: Callable[[int, bytes], int]


def _through(libc: ctypes.PyDLL) -> _Calls:
    flock, lseek, libc_write = libc.flock, libc.lseek, libc.write

    def failed() -> OSError:
        number = ctypes.get_errno()
        return OSError(number, os.strerror(number))

    def try_lock(descriptor: int) -> bool:
        if flock(descriptor, _TRY_EXCLUSIVE) == 0:
            return True
        if ctypes.get_errno() in {errno.EWOULDBLOCK, errno.EINTR}:
            return False
        raise failed()

    def unlock(descriptor: int) -> None:
        if flock(descriptor, fcntl.LOCK_UN) != 0:
            raise failed()

    def size(descriptor: int) -> int:
        end: int = lseek(descriptor, 0, os.SEEK_END)
        if end < 0:
            raise failed()
        return end

    def write(descriptor: int, data: bytes) -> int:
        if len(data) > _WRITE_BYTES_MAX:
            return os.write(descriptor, data)
        written: int = libc_write(descriptor, data, len(data))
        if written >= 0:
            return written
        if ctypes.get_errno() == errno.EINTR:
            return os.write(descriptor, data)
        raise failed()

    return _Calls(try_lock, unlock, size, write)


_found = _libc()
_plain = _Calls(_try_lock_plainly, _unlock_plainly, _size_plainly, os.write)
try_lock, unlock, size, write = _plain if _found is None else _through(_found)
