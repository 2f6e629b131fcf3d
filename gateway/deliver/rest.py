"""What is known of streams that have no lane: they follow the router, or stand where they were stopped (S2b, S2g)."""

from collections.abc import Iterable, Iterator
from itertools import islice

from gateway.domain.breaker import StreamNote
from gateway.domain.lane import Lane
from gateway.domain.pending import PendingDelivery
from gateway.ports import CursorUpdate

WRITTEN_MAX = 1_000
"""Cursors of stopped streams that one journal transaction takes; nothing waits for them."""


class AtRest:
    """Streams without a lane, by subscription number.

    Of one that *follows*, everything that matches up to the router's position is dispatched. One that *stands* is
    dispatched up to a cursor of its own: the one here, since the stored one may lag behind it, or the stored one where
    a resume from now has moved that on (S3h). Of any other nothing was ever offered: it is as its row says.
    """

    def __init__(self) -> None:
        self.following: set[int] = set()
        """Those that are live, the ones that have a lane among them."""
        self._standing: dict[int, int] = {}
        self._waiting: dict[int, int] = {}
        self._notes: dict[int, StreamNote] = {}
        self._heads: dict[int, list[PendingDelivery]] = {}
        self._unwritten: dict[int, None] = {}

    def remember(self, notes: Iterable[StreamNote], heads: Iterable[PendingDelivery]) -> None:
        """What the process before this one left behind: failing streams, and keys that are blocked."""
        self._notes = {note.number: note for note in notes}
        for head in heads:
            if head.blocked_from is not None:
                self._heads.setdefault(head.number, []).append(head)

    def is_unwell(self, number: int) -> bool:
        """Whether a stream fails, or has a blocked key."""
        return number in self._notes or number in self._heads

    def stands(self, number: int) -> bool:
        """Whether it was stopped, and nothing has gone on with it since."""
        return number in self._standing

    def stand(self, number: int, cursor: int, *, waiting: int = 0, stored: bool = False) -> None:
        """It stands still at this cursor. ``waiting``: its pending deliveries; ``stored``: its row says the same."""
        self.following.discard(number)
        self._standing[number] = cursor
        if waiting:
            self._waiting[number] = waiting
        if not stored:
            self._unwritten[number] = None

    def lay_down(self, lane: Lane) -> None:
        """The lane of a stopped stream goes away: keep what another one begins with. The checkpoint has its cursor."""
        self.stand(lane.number, lane.cursor, waiting=lane.waits_elsewhere, stored=True)
        if lane.breaker.failing_since_us is not None:
            self._notes[lane.number] = lane.breaker.note(lane.number)
        heads = [
            PendingDelivery(lane.number, position, partition_key=key, blocked_from=position)
            for position, key in lane.feed.heads
        ]
        if heads:
            self._heads[lane.number] = heads

    def take_cursor(self, number: int) -> int | None:
        """Where it stood, to go on from there; None: it did not stand."""
        self._unwritten.pop(number, None)
        return self._standing.pop(number, None)

    def take_waiting(self, number: int) -> int:
        """How many of its deliveries wait in the database."""
        return self._waiting.pop(number, 0)

    def take_note(self, number: int) -> StreamNote | None:
        """What is remembered of its sink; None: nothing is wrong with it."""
        return self._notes.pop(number, None)

    def take_heads(self, number: int) -> Iterable[PendingDelivery]:
        """The heads of its blocked keys."""
        return self._heads.pop(number, ())

    def forget(self, number: int) -> None:
        """It is deleted."""
        self.following.discard(number)
        for known in (
            self._standing,
            self._waiting,
            self._notes,
            self._heads,
            self._unwritten,
        ):
            known.pop(number, None)

    @property
    def has_unwritten(self) -> bool:
        """Whether the journal is to write where some of them stand."""
        return bool(self._unwritten)

    def to_write(self) -> Iterator[CursorUpdate]:
        """Where some of them stand that the database does not know yet: the next ``WRITTEN_MAX``."""
        for number in list(islice(self._unwritten, WRITTEN_MAX)):
            del self._unwritten[number]
            yield CursorUpdate(number, self._standing[number], live=False)
