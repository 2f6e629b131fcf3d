"""The breaker of one stream (SEMANTICS S3g), pure: clock and jitter are arguments.

It opens on 20 consecutive answers that are not 2xx, of any kind, or on 80 in the last 100. While it is open the
stream stands still but for one probe at a time; the first 2xx closes it.
"""

from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

CONSECUTIVE_MAX: Final = 20
WINDOW: Final = 100
WINDOW_FAILURES: Final = 80

PROBE_FIRST_S: Final = 5.0
PROBE_S_MAX: Final = 300.0
SPREAD: Final = 0.2
_DOUBLINGS_MAX: Final = 10
_SECOND_US: Final = 1_000_000


class Change(StrEnum):
    """What an outcome did to the breaker."""

    NONE = "none"
    OPENED = "opened"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class StreamNote:
    """What is remembered of a stream over a restart while its sink is not well; all None: nothing is wrong with it.

    Attributes:
        number: The subscription.
        failing_since_us: The first failure after the last success.
        opened_at_us: When the breaker opened.
        probe_at_us: When the next probe is due.
        probes: Probes since it opened.
        waits_until_us: How long its sink has asked for a pause (S3e).
    """

    number: int
    failing_since_us: int | None = None
    opened_at_us: int | None = None
    probe_at_us: int | None = None
    probes: int = 0
    waits_until_us: int | None = None


class Breaker:
    """Counts outcomes, and says whether the stream may move."""

    __slots__ = (
        "_consecutive",
        "_failures",
        "_recent",
        "changed",
        "failing_since_us",
        "opened_at_us",
        "probe_at_us",
        "probes",
    )

    def __init__(self, note: StreamNote | None = None) -> None:
        self._recent: deque[bool] = deque()
        self._failures = 0
        self._consecutive = 0
        self.failing_since_us = None if note is None else note.failing_since_us
        self.opened_at_us = None if note is None else note.opened_at_us
        self.probe_at_us = None if note is None else note.probe_at_us
        self.probes = 0 if note is None else note.probes
        self.changed = False
        """Whether the note has changed since the journal last took it."""

    @property
    def open(self) -> bool:
        """Whether the stream stands still."""
        return self.opened_at_us is not None

    @property
    def quiet(self) -> bool:
        """Whether there is nothing to remember."""
        return not (
            self.opened_at_us is not None
            or self._failures
            or self.failing_since_us is not None
            or self.changed
        )

    def probe_due(self, now_us: int) -> bool:
        """Whether an open breaker lets one through now."""
        return self.open and self.probe_at_us is not None and now_us >= self.probe_at_us

    def record(self, *, success: bool, at_us: int, jitter: float) -> Change:
        """Note the outcome of an attempt that was sent. ``jitter`` is from [0, 1)."""
        self._note(success=success)
        if success:
            if self.failing_since_us is not None:
                self.failing_since_us, self.changed = None, True
            return self._close() if self.open else Change.NONE
        if self.failing_since_us is None:
            self.failing_since_us, self.changed = at_us, True
        if self.open:
            # What ends before a probe is due was under way when it opened: that says nothing new.
            if self.probe_due(at_us):
                self._next_probe(at_us, jitter)
            return Change.NONE
        if self._consecutive < CONSECUTIVE_MAX and self._failures < WINDOW_FAILURES:
            return Change.NONE
        self.opened_at_us, self.probes = at_us, 0
        self._next_probe(at_us, jitter)
        return Change.OPENED

    def failed_for(self, now_us: int) -> float:
        """Seconds since the stream last did anything but fail."""
        return 0.0 if self.failing_since_us is None else (now_us - self.failing_since_us) / _SECOND_US

    def reset(self) -> None:
        """Somebody resumed or changed the subscription: begin anew, and trust it."""
        self.changed = not self.quiet
        self._recent.clear()
        self._failures = self._consecutive = self.probes = 0
        self.failing_since_us = self.opened_at_us = self.probe_at_us = None

    def note(self, number: int) -> StreamNote:
        """What is to be remembered."""
        return StreamNote(number, self.failing_since_us, self.opened_at_us, self.probe_at_us, self.probes)

    def _note(self, *, success: bool) -> None:
        self._consecutive = 0 if success else self._consecutive + 1
        if success and not self._failures:
            return  # a stream that never fails keeps no window: what is not in it succeeded
        self._recent.append(success)
        self._failures += not success
        if len(self._recent) > WINDOW:
            self._failures -= not self._recent.popleft()

    def _next_probe(self, at_us: int, jitter: float) -> None:
        delay_s = min(PROBE_S_MAX, PROBE_FIRST_S * 2 ** min(self.probes, _DOUBLINGS_MAX))
        self.probe_at_us = at_us + int(delay_s * (1 - SPREAD + 2 * SPREAD * jitter) * _SECOND_US)
        self.probes += 1
        self.changed = True

    def _close(self) -> Change:
        self._recent.clear()
        self._failures = self._consecutive = self.probes = 0
        self.opened_at_us = self.probe_at_us = None
        self.changed = True
        return Change.CLOSED
