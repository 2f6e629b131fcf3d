"""Files that one process at a time holds: an advisory lock (flock) that ends with its holder."""

import errno
import fcntl
import os
from pathlib import Path


def try_lock(path: Path) -> int | None:
    """Take the lock of a file, made with mode 0600 where missing; never waits.

    Returns:
        The descriptor that carries the lock, or None while somebody else holds it. The lock goes when the
        last copy of the descriptor is closed, so a child that inherits it holds it for as long as it lives.

    Raises:
        OSError: The file cannot be opened.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        if error.errno in {errno.EWOULDBLOCK, errno.EACCES}:
            return None
        raise
    return descriptor
