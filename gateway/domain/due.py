"""What of a stream is due to be tried again, pure: single deliveries, and batches once their members are all here."""

from collections import OrderedDict
from typing import Final, TypeAlias

from gateway.domain.pending import PendingDelivery

Started: TypeAlias = tuple[PendingDelivery, ...]
"""What goes into one POST: a delivery, or the members of a batch in log order."""

INCOMPLETE_US: Final = 2_000_000
"""How long the due members of a batch wait for the others. Some may have been taken over by a replay."""


class Due:
    """Deliveries that may be started again, in the order in which they came."""

    __slots__ = ("_arrived_us", "_partial", "_ready", "deliveries")

    def __init__(self) -> None:
        self._arrived_us: dict[str, int] = {}
        self.deliveries: dict[int, PendingDelivery] = {}
        # The first key of a plain dict is found past every key that was taken out before it.
        self._ready: OrderedDict[int, Started] = OrderedDict()
        self._partial: dict[str, dict[int, PendingDelivery]] = {}

    def __len__(self) -> int:
        return len(self.deliveries)

    def __contains__(self, position: int) -> bool:
        return position in self.deliveries

    @property
    def ready(self) -> bool:
        """Whether something is complete."""
        return bool(self._ready)

    @property
    def incomplete(self) -> bool:
        """Whether a batch waits for members."""
        return bool(self._partial)

    @property
    def wakes_at_us(self) -> int | None:
        """When a batch goes on without those that did not come."""
        return min((at_us + INCOMPLETE_US for at_us in self._arrived_us.values()), default=None)

    def add(self, delivery: PendingDelivery, now_us: int) -> None:
        """One more. A batch is frozen: it is started whole (S10a)."""
        self.deliveries[delivery.position] = delivery
        if delivery.batch is None:
            self._ready[delivery.position] = (delivery,)
            return
        members = self._partial.setdefault(delivery.batch, {})
        members[delivery.position] = delivery
        self._arrived_us[delivery.batch] = now_us
        if len(members) == delivery.batch_size:
            self._complete(delivery.batch)

    def ripen(self, now_us: int) -> None:
        """Let batches go that have waited long enough for members that do not come."""
        if not self._arrived_us:
            return
        for batch, at_us in list(self._arrived_us.items()):
            if now_us >= at_us + INCOMPLETE_US:
                self._complete(batch)

    def first(self) -> Started:
        """Take out what came first."""
        return self._take(next(iter(self._ready)))

    def oldest(self) -> Started:
        """Take out what is lowest in the log."""
        return self._take(min(self._ready))

    def forget(self, position: int) -> None:
        """A delivery is taken over by a replay; those of its batch go on without it."""
        batch = self.deliveries.pop(position).batch
        members = None if batch is None else self._partial.get(batch)
        # A batch that was let go may have late members, which wait apart from those that are ready.
        if batch is not None and members is not None and position in members:
            del members[position]
            if not members:
                del self._partial[batch], self._arrived_us[batch]
            return
        whole = next(first for first, started in self._ready.items() if _has(started, position))
        rest = tuple(item for item in self._ready.pop(whole) if item.position != position)
        if rest:
            self._ready[rest[0].position] = rest

    def _take(self, first: int) -> Started:
        started = self._ready.pop(first)
        for item in started:
            del self.deliveries[item.position]
        return started

    def _complete(self, batch: str) -> None:
        members = self._partial.pop(batch)
        del self._arrived_us[batch]
        ordered = tuple(members[position] for position in sorted(members))
        self._ready[ordered[0].position] = ordered


def _has(started: Started, position: int) -> bool:
    return any(item.position == position for item in started)
