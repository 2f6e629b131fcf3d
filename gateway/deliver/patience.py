"""Storage that is away for a while is waited for: nothing that delivers ends by it, or drops what it was doing."""

import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

from gateway.errors import Unavailable

T = TypeVar("T")
_LOGGER = logging.getLogger(__name__)
_FIRST_S = 0.1
_MAX_S = 1.0


async def patiently(work: Callable[[], Awaitable[T]], what: str) -> T:
    """Do it again until the storage answers. ``what`` says in the log what is held up."""
    wait_s = _FIRST_S
    while True:
        try:
            return await work()
        except Unavailable as error:
            _LOGGER.warning("%s, trying again in %.1f s: %s", what, wait_s, error)
        await anyio.sleep(wait_s)
        wait_s = min(wait_s * 2, _MAX_S)
