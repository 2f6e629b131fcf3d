"""Streams that are open or waited for hold a place of this process, and there are so many places (STYLE 6)."""

from collections import Counter

from gateway.errors import TooManyStreams

STREAMS_MAX = 500
PER_SUBJECT_MAX = 250
_RETRY_S = 5.0


class Slots:
    """Places for streams: of the process, and of one subscription or one organization's events among them."""

    def __init__(self, streams_max: int = STREAMS_MAX, per_subject_max: int = PER_SUBJECT_MAX) -> None:
        self._streams_max = streams_max
        self._per_subject_max = per_subject_max
        self._taken: Counter[str] = Counter()

    @property
    def taken(self) -> int:
        """How many places are taken."""
        return self._taken.total()

    def take(self, subject: str) -> "Slot":
        """Take a place, to be released again. Raises ``TooManyStreams``."""
        if self._taken[subject] >= self._per_subject_max:
            raise TooManyStreams(
                f"{self._per_subject_max} streams are open on this already.", retry_after_s=_RETRY_S
            )
        if self.taken >= self._streams_max:
            raise TooManyStreams(
                f"This gateway has {self._streams_max} streams open already.", retry_after_s=_RETRY_S
            )
        self._taken[subject] += 1
        return Slot(self._taken, subject)


class Slot:
    """One place; a context manager that gives it back."""

    def __init__(self, taken: Counter[str], subject: str) -> None:
        self._taken = taken
        self._subject: str | None = subject

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        self.release()

    def release(self) -> None:
        """Give the place back; again does nothing."""
        subject, self._subject = self._subject, None
        if subject is not None:
            self._taken[subject] -= 1
            if not self._taken[subject]:
                del self._taken[subject]
