"""Replays as a lane feeds them (S5), pure: each a second, bounded cursor over the log."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from gateway.domain.feed import Feed, IllegalTransition, Queued
from gateway.domain.pending import PendingDelivery


@dataclass(slots=True)
class ReplayFeed:
    """One replay.

    Attributes:
        replay: Its number: the position of the fact that asked for it.
        until: The last position of its range.
        feed: What of the range was offered and not started.
        open: Deliveries that it started and that are not terminal.
        claimed: Positions that are here and not started, and the replay whose open delivery each of them is till then.
        taken: Those of them that were pending before, and are until they start; and whether a lane counts each.
    """

    replay: int
    until: int
    feed: Feed
    open: int = 0
    claimed: dict[int, int | None] = field(default_factory=dict)
    taken: dict[int, bool] = field(default_factory=dict)

    @property
    def fed(self) -> bool:
        """Whether nothing of the range is left to be offered or started."""
        return self.feed.seen >= self.until and not (
            self.feed.queue or self.feed.next_up or self.feed.blocked_keys
        )

    @property
    def finished(self) -> bool:
        """Whether each delivery of the range is terminal in this replay's round."""
        return self.fed and not self.open


class ReplayFeeds:
    """The replays of a lane. Iterating is in the order in which it is their turn."""

    __slots__ = ("feeds", "taken")

    def __init__(self) -> None:
        self.feeds: dict[int, ReplayFeed] = {}
        self.taken = 0
        """How many pending deliveries are taken over and not started again yet, of those that a lane counts."""

    def __len__(self) -> int:
        return len(self.feeds)

    def __iter__(self) -> Iterator[ReplayFeed]:
        return iter(self.feeds.values())

    def __contains__(self, replay: int) -> bool:
        return replay in self.feeds

    def add(self, replay: ReplayFeed) -> None:
        """Feed one more."""
        self.feeds[replay.replay] = replay

    def end(self, number: int) -> int:
        """Feed it no more. Says how many of those that it had taken over wait as before, in the database."""
        ended = self.feeds.pop(number, None)
        if ended is None:
            return 0
        counted = sum(ended.taken.values())
        self.taken -= counted
        return counted

    def claim(self, replay: ReplayFeed, item: Queued, pending: PendingDelivery | None) -> bool:
        """Offer a delivery to a replay; False, and nothing changed, where it has no room."""
        if item.delivery is None:
            raise IllegalTransition(f"{item.position} is replayed from no state")
        if not replay.feed.offer(item):
            return False
        replay.claimed[item.position] = None if pending is None else pending.replay
        if pending is not None:
            replay.taken[item.position] = not pending.asked
            self.taken += not pending.asked
        return True

    def claims(self, position: int) -> bool:
        """Whether one of them is to start this delivery."""
        return any(position in replay.claimed for replay in self)

    def started(self, replay: ReplayFeed, position: int) -> None:
        """It is this replay's from now on, and no longer the one's that had it open."""
        owner = replay.claimed.pop(position)
        self.taken -= replay.taken.pop(position, False)
        if owner in self.feeds:
            self.feeds[owner].open -= 1
        replay.open += 1

    def ended(self, position: int, replay: int | None) -> None:
        """A delivery is terminal. Whatever stands behind it in any of them may go on, whoever started it last."""
        for other in self:
            other.feed.release(position)
        if replay in self.feeds:
            self.feeds[replay].open -= 1

    def had_its_turn(self, replay: ReplayFeed) -> None:
        """The next one in turn is another one."""
        self.feeds[replay.replay] = self.feeds.pop(replay.replay)
