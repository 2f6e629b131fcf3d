"""Streams that are open or waited for hold a place of this process, and there are so many places (STYLE 6)."""

from collections import Counter

from gateway.errors import TooManyStreams

STREAMS_MAX = 500
PER_SUBJECT_MAX = 250
_RETRY_S = 5.0


class Slots:
    """Places for streams: of the process, and of each subject, a subscription or an organization, among them.

    No subject can have more than half of the places, so that one organization leaves the others theirs.
    """

    def __init__(self, streams_max: int = STREAMS_MAX, per_subject_max: int = PER_SUBJECT_MAX) -> None:
        self._streams_max = streams_max
        self._per_subject_max = per_subject_max
        self._subjects: Counter[str] = Counter()
        self.taken = 0
        """How many places are taken."""

    def take(self, *subjects: str) -> "Slot":
        """Take a place for all of these, to be released again. Raises ``TooManyStreams``."""
        if any(self._subjects[subject] >= self._per_subject_max for subject in subjects):
            raise TooManyStreams(
                f"{self._per_subject_max} streams are open on this already.", retry_after_s=_RETRY_S
            )
        if self.taken >= self._streams_max:
            raise TooManyStreams(
                f"This gateway has {self._streams_max} streams open already.", retry_after_s=_RETRY_S
            )
        self._subjects.update(subjects)
        self.taken += 1
        return Slot(self, subjects)

    def give_back(self, subjects: tuple[str, ...]) -> None:
        """End what ``take`` began."""
        self._subjects -= Counter(subjects)  # which drops those at nothing
        self.taken -= 1


class Slot:
    """One place; a context manager that gives it back."""

    def __init__(self, slots: Slots, subjects: tuple[str, ...]) -> None:
        self._slots = slots
        self._subjects: tuple[str, ...] | None = subjects

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        self.release()

    def release(self) -> None:
        """Give the place back; again does nothing."""
        subjects, self._subjects = self._subjects, None
        if subjects is not None:
            self._slots.give_back(subjects)
