"""A replay as its lane feeds it (S5), pure: a second, bounded cursor over the log."""

from dataclasses import dataclass, field

from gateway.domain.feed import Feed


@dataclass(slots=True)
class ReplayFeed:
    """One replay.

    Attributes:
        replay: Its number: the position of the fact that asked for it.
        until: The last position of its range.
        feed: What of the range was offered and not started.
        open: Deliveries that it started and that are not terminal.
        claimed: Positions that are here and not started.
        taken: Those of them that were pending before, and are until they start.
    """

    replay: int
    until: int
    feed: Feed
    open: int = 0
    claimed: set[int] = field(default_factory=set)
    taken: set[int] = field(default_factory=set)

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
