"""When an event says that it happened, as a clock shows it, pure."""

from datetime import datetime
from typing import Final

from schemas import Envelope

_SECOND_US: Final = 1_000_000


def emitted_at_us(envelope: Envelope) -> int:
    """The event's own ``time``; 0: it has none, or one that no clock shows (a leap second)."""
    text = envelope.attributes.get("time")
    if not isinstance(text, str):
        return 0
    try:
        # That it has an offset was checked at the door.
        return int(datetime.fromisoformat(text).timestamp() * _SECOND_US)
    except (ValueError, OverflowError):
        return 0
