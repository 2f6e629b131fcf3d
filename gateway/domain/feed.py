"""A feed: positions that wait to be started for the first time, in log order, pure.

The live stream of a subscription is one feed, each of its replays another one (S5a). With an order per key (S4) a
feed gives out one delivery of a key at a time: its *head*. What else there is of the key stands behind it: in
memory as far as there is room, and in any case in the log, where it is found again by its index.

The head's stored row covers what stands behind it in the live stream, so that one blocked key does not hold the
cursor. A replay is bounded and in no hurry: there the cursor waits, and a restart goes over that part again.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from gateway.domain.pending import PendingDelivery

KEYS_MAX: Final = 1_000
"""Keys that may be blocked at once; then the cursor halts (S4b)."""

FOLLOWERS_MAX: Final = 100
"""Successors of one key that are kept in memory; what lies behind them is read from the log again."""


class Queued(NamedTuple):
    """What waits for its first start in this feed.

    Attributes:
        position: The event.
        key: What it is ordered by; None: nothing.
        size_bytes: The size of its envelope, for batches.
        since_us: When it was appended: batches ripen by that, and it says whether it was old for its stream.
        delivery: As it left its last round, in a replay; None: it was never started.
    """

    position: int
    key: str | None = None
    size_bytes: int = 0
    since_us: int = 0
    delivery: PendingDelivery | None = None


class IllegalTransition(Exception):
    """A feed or a lane was told something that cannot be; its state is as before."""


@dataclass(slots=True)
class _Key:
    """A key with a delivery that is not terminal.

    ``followers`` are the next ones in log order, without a gap; ``unread``: the log may hold more of them, up to
    ``skipped_to`` at least.
    """

    head: int
    unread: bool = False
    skipped_to: int = 0
    followers: deque[Queued] = field(default_factory=deque)


class Feed:
    """Positions in order. ``seen`` is the highest one that was offered or passed over."""

    __slots__ = (
        "_behind",
        "_covers",
        "_heads",
        "_keys",
        "keys_max",
        "next_up",
        "queue",
        "queue_max",
        "seen",
    )

    def __init__(self, *, seen: int, queue_max: int, keys_max: int = KEYS_MAX, covers: bool = True) -> None:
        self.seen = seen
        self._covers = covers
        self._behind = 0
        self.queue_max = queue_max
        self.keys_max = keys_max
        self.queue: deque[Queued] = deque()
        """What was offered and not started, in order. Others only look at it."""
        self.next_up: deque[Queued] = deque()
        """Successors whose head has ended, to be started. Others only look at it."""
        self._keys: dict[str, _Key] = {}
        self._heads: dict[int, str] = {}

    @property
    def cursor(self) -> int:
        """Everything that matches at or below it has been started, or is covered by a head (S2a)."""
        cursor = self.queue[0].position - 1 if self.queue else self.seen
        if self._covers or not self._keys:
            return cursor
        behind = [busy.followers[0].position for busy in self._keys.values() if busy.followers]
        return min([cursor + 1, *behind, *(item.position for item in self.next_up)]) - 1

    @property
    def first_queued(self) -> int | None:
        """The oldest position that was offered and not started."""
        return self.queue[0].position if self.queue else None

    @property
    def room(self) -> int:
        """How many more positions can be offered."""
        return self.queue_max - len(self.queue) - (0 if self._covers else self._behind)

    @property
    def blocked_keys(self) -> int:
        """How many keys have a delivery that is not terminal."""
        return len(self._keys)

    @property
    def heads(self) -> Iterable[tuple[int, str]]:
        """The deliveries that block a key, by position, each with its key."""
        return self._heads.items()

    def offer(self, item: Queued) -> bool:
        """Queue a matching position; False, and nothing changed, where the queue is full."""
        if item.position <= self.seen:
            raise IllegalTransition(f"{item.position} is not behind {self.seen}")
        if self.room <= 0:
            return False
        self.seen = item.position
        self.queue.append(item)
        return True

    def pass_over(self, position: int) -> None:
        """Note that nothing else up to this position matches."""
        self.seen = max(self.seen, position)

    def rewind(self) -> None:
        """Forget what is queued; it will be offered again from the cursor on."""
        if self.queue:
            self.seen = self.queue[0].position - 1
            self.queue.clear()

    def leave_out(self, after: int, until: int) -> None:
        """Forget what of this range stands behind a head: it is not to follow it."""
        for busy in self._keys.values():
            kept = deque(item for item in busy.followers if not after < item.position <= until)
            self._behind -= len(busy.followers) - len(kept)
            busy.followers = kept

    def skip_to(self, position: int) -> None:
        """Leave out what lies before. What came behind it stays."""
        while self.queue and self.queue[0].position <= position:
            self.queue.popleft()
        self.seen = max(self.seen, position)

    def has_next(self) -> bool:
        """Whether ``take`` gives one out. What stands behind a busy key is moved out of the way on this look."""
        if self.next_up:
            return True
        while self.queue:
            item = self.queue[0]
            if item.key is None:
                return True
            busy = self._keys.get(item.key)
            if busy is None:
                return len(self._keys) < self.keys_max
            self.queue.popleft()
            self._stand_behind(busy, item)
        return False

    def take(self) -> Queued:
        """The next one. Raises ``IndexError`` where ``has_next`` is false."""
        if self.next_up:
            return self.next_up.popleft()
        item = self.queue.popleft()
        if item.key is not None:
            self._keys[item.key] = _Key(item.position)
            self._heads[item.position] = item.key
        return item

    def block(self, key: str, position: int) -> None:
        """A delivery of this key is not terminal since before this process: what it covers is in the log."""
        self._keys[key] = _Key(position, unread=self._covers, skipped_to=self.seen)
        self._heads[position] = key

    def covers(self, key: str, position: int) -> bool:
        """Whether this position stands behind a head of its key, and is still to be started by this feed."""
        busy = self._keys.get(key)
        if busy is None or position <= busy.head:
            return False
        if not busy.unread:
            return any(item.position == position for item in busy.followers)
        return position <= busy.skipped_to

    def wants_successors(self, position: int) -> str | None:
        """The key whose successors must be looked up in the log before this head may be released."""
        key = self._heads.get(position)
        if key is None or not self._keys[key].unread or self._keys[key].followers:
            return None
        return key

    def stand_behind(self, key: str, found: Sequence[Queued], read_to: int, *, more: bool) -> None:
        """What the log holds of a key behind its head, up to ``read_to``; with ``more``, up to the last one found."""
        busy = self._keys[key]
        busy.followers.extend(found)
        self._behind += len(found)
        busy.unread = more or busy.skipped_to > read_to

    def release(self, position: int) -> Queued | None:
        """A head has ended: its key's next one, which is the head now, or None. It goes before the queue."""
        key = self._heads.get(position)
        if key is None:
            return None
        busy = self._keys[key]
        if not busy.followers:
            if busy.unread:
                raise IllegalTransition(f"the successors of {position} were not looked up")
            del self._keys[key], self._heads[position]
            return None
        del self._heads[position]
        following = busy.followers.popleft()
        self._behind -= 1
        busy.head = following.position
        self._heads[following.position] = key
        self.next_up.append(following)
        return following

    def _stand_behind(self, busy: _Key, item: Queued) -> None:
        busy.skipped_to = item.position
        if self._covers and (busy.unread or len(busy.followers) >= FOLLOWERS_MAX):
            busy.unread = True
        else:
            busy.followers.append(item)
            self._behind += 1
