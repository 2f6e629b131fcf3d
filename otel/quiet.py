"""What goes wrong while something is told of an event is said once, and goes no further."""

import functools
import logging
from collections.abc import Callable
from typing import ParamSpec

_LOGGER = logging.getLogger(__name__)
_P = ParamSpec("_P")


def quietly(tell: Callable[_P, None]) -> Callable[_P, None]:
    """Make a function that raises no `Exception`: neither ingest nor a delivery is to fail for its span."""
    said = False

    @functools.wraps(tell)
    def told(*args: _P.args, **kwargs: _P.kwargs) -> None:
        nonlocal said
        try:
            tell(*args, **kwargs)
        except Exception:
            if not said:
                said = True
                _LOGGER.exception(
                    "spans are missing: %s failed; events and deliveries go on", tell.__qualname__
                )

    return told
