"""What can go wrong in the emitter, for the few callers that want to know; `Emitter.emit` itself never raises."""

from __future__ import annotations


class EmitterError(Exception):
    """The root of the emitter's exceptions; its text is one sentence that says what to do."""


class SettingsError(EmitterError):
    """A setting is missing or wrong; the text names it and says what is allowed."""


class SpoolError(EmitterError):
    """The spool did not take a record; `kind` is the counter it goes under."""

    kind = "spool_failed"


class SpoolFullError(SpoolError):
    """The spool is at its bound; the oldest records are kept and this one was not taken."""

    kind = "overflow"


class SpoolUnwritableError(SpoolError):
    """The spool's folder or file cannot be written (disk full, read-only, no permission)."""

    kind = "unwritable"


class SpoolBusyError(SpoolError):
    """Neither the shared segment nor this process's side file could be had in time."""

    kind = "busy"


class EventTooLargeError(SpoolError):
    """One event is larger than a spool record may be."""

    kind = "oversize"


class NotDeliveredError(EmitterError):
    """An event is safe in the spool, but Redis did not have it within the time given."""
