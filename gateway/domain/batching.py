"""When a batch is full and what goes into it (S10a), pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.domain.feed import Feed, Queued


@dataclass(frozen=True, slots=True)
class Batching:
    """When a batch is full: whichever comes first. Bytes are those of the envelopes."""

    events_max: int
    bytes_max: int
    age_us: int

    def is_full(self, queue: Sequence[Queued], now_us: int) -> bool:
        """Whether what is queued fills a batch, or has waited long enough to go as it is."""
        if len(queue) >= self.events_max or now_us >= self.ripe_at_us(queue):
            return True
        size_bytes = 0
        for item in queue:
            size_bytes += item.size_bytes
            if size_bytes >= self.bytes_max:
                return True
        return False

    def ripe_at_us(self, queue: Sequence[Queued]) -> int:
        """When what is queued has waited long enough."""
        return queue[0].since_us + self.age_us

    def take(self, feed: Feed, most: int) -> list[Queued]:
        """As many as a batch takes, ``most`` at most, and one in any case."""
        items = [feed.take()]
        size_bytes = items[0].size_bytes
        while len(items) < min(self.events_max, most) and feed.queue and feed.has_next():
            size_bytes += feed.queue[0].size_bytes
            if size_bytes > self.bytes_max:
                break
            items.append(feed.take())
        return items
