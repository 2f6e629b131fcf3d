"""What of a stream has been started and not settled, and whose turn is next (S2g, S5a), pure."""

from dataclasses import dataclass, replace
from enum import Enum, auto

from gateway.domain.due import Started
from gateway.domain.pending import PendingDelivery


class Kind(Enum):
    """What a POST is made for."""

    FIRST = auto()
    RETRY = auto()
    REPLAY = auto()


@dataclass(slots=True)
class _Post:
    """A POST that is more than the first attempt of one delivery: ``left`` of its members have not ended."""

    kind: Kind
    left: int


class Flight:
    """Deliveries in flight by position, and the POSTs that they are in. ``posts``: how many of those there are."""

    __slots__ = ("_posts", "_retried_last", "_retries", "deliveries", "posts", "replayed_last", "replays")

    def __init__(self) -> None:
        self.posts = 0
        self.replays = 0
        self.replayed_last = False
        self._retries = 0
        self._retried_last = False
        self.deliveries: dict[int, PendingDelivery] = {}
        self._posts: dict[int, _Post] = {}

    def __contains__(self, position: int) -> bool:
        return position in self.deliveries

    def launch_one(self, delivery: PendingDelivery) -> None:
        """The first attempt of one delivery begins, as nearly all do."""
        self.posts += 1
        self.deliveries[delivery.position] = delivery
        self._retried_last = self.replayed_last = False

    def launch(self, kind: Kind, started: Started) -> None:
        """Any other POST begins."""
        self.posts += 1
        if kind is Kind.RETRY:
            self._retries += 1
            self._retried_last = True
        else:
            self.replays += kind is Kind.REPLAY
            self._retried_last, self.replayed_last = False, kind is Kind.REPLAY
        post = _Post(kind, len(started))
        for delivery in started:
            self.deliveries[delivery.position] = delivery
            self._posts[delivery.position] = post

    def assign(self, members: Started, batch: str) -> Started:
        """The batch that these are sent in, from now until they are terminal (S10a)."""
        assigned = tuple(replace(item, batch=batch, batch_size=len(members)) for item in members)
        self.deliveries.update((item.position, item) for item in assigned)
        return assigned

    def land(self, position: int) -> None:
        """One delivery has ended; the last one of a POST makes room."""
        del self.deliveries[position]
        post = self._posts.pop(position, None) if self._posts else None
        if post is not None:
            post.left -= 1
            if post.left:
                return
            self._retries -= post.kind is Kind.RETRY
            self.replays -= post.kind is Kind.REPLAY
        self.posts -= 1

    def retries_have_share(self, places: int) -> bool:
        """Whether retries have less than half of the lane; one that has one place takes turns (S2g)."""
        return not self._retried_last if places == 1 else self._retries < places // 2

    def replays_have_share(self, places: int) -> bool:
        """Whether replays have less than half of the lane (S5a); where there is one place, they may have that."""
        return self.replays < max(1, places // 2)
