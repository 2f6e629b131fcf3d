"""The journal: outcomes, pending deliveries, cursors and the router's position, written together (SEMANTICS S2c).

What a crash repeats is what had been started and is not in here. A write that fails is repeated with the same
content until the storage takes it; meanwhile no more is started than ``Limits.unwritten_max`` outcomes allow.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import anyio

from gateway.deliver.world import DEFAULT_LIMITS, Limits
from gateway.domain.breaker import StreamNote
from gateway.domain.pending import PendingDelivery
from gateway.errors import Unavailable
from gateway.ports import AttemptRecord, CursorUpdate, Deliveries, JournalBatch, ReplayUpdate

_LOGGER = logging.getLogger(__name__)
INTERVAL_S = 0.05
OUTCOMES_MAX = 500
_RETRY_FIRST_S = 0.1
_RETRY_MAX_S = 2.0
_SECOND_US = 1_000_000


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What the lanes say of themselves at one instant: cursors that moved, what is in flight, the router's restart."""

    cursors: Sequence[CursorUpdate]
    in_flight: Sequence[PendingDelivery]
    routed: int
    replays: Sequence[ReplayUpdate] = ()
    notes: Sequence[StreamNote] = ()


class Journal:
    """Gathers outcomes and commits them with a checkpoint of the lanes."""

    def __init__(
        self,
        deliveries: Deliveries,
        checkpoint: Callable[[], Checkpoint],
        limits: Limits = DEFAULT_LIMITS,
        committed: Callable[[int, int], None] = lambda _attempts, _duration_us: None,
    ) -> None:
        """``committed`` is told of each write: how many attempts, and how many microseconds it took."""
        self._deliveries = deliveries
        self._committed = committed
        self._checkpoint = checkpoint
        self._unwritten_max = limits.unwritten_max
        self._attempts: list[AttemptRecord] = []
        self._waiting: dict[tuple[int, int], PendingDelivery] = {}
        self._settled: dict[tuple[int, int], bool] = {}
        self._requests: dict[tuple[int, int], int] = {}
        self.asked: Callable[[int], None] = lambda _number: None
        """Told of each stream in which a command's request outlives the attempt that was just written (S3h)."""
        self._committing: frozenset[tuple[int, int]] = frozenset()
        self._stored: dict[tuple[int, int], tuple[PendingDelivery, str | None]] = {}
        self._replayed: dict[int, int] = {}
        self._routed = -1
        self._gives_up_at: float | None = None
        self._dirty = anyio.Event()
        self._full = anyio.Event()
        self._next = anyio.Event()
        self._lock = anyio.Lock()

    @property
    def full(self) -> bool:
        """Whether so much is unwritten that nothing more may be started."""
        return len(self._attempts) >= self._unwritten_max

    @property
    def waiting(self) -> list[PendingDelivery]:
        """Deliveries that wait for an attempt, and of which the database does not know that yet."""
        return list(self._waiting.values())

    def unwritten(self, key: tuple[int, int]) -> bool:
        """Whether the database still shows this delivery as it was before its latest outcome."""
        return key in self._waiting or key in self._settled or key in self._committing

    def settle(
        self, attempt: AttemptRecord, again: PendingDelivery | None, *, stored: bool = True, request: int = 0
    ) -> None:
        """Note an outcome: with the delivery as it waits for another attempt, or None where it is terminal.

        ``stored``: whether it may have a row that the engine did not write as one in flight. ``request``: the last
        one by hand that a terminal outcome answers (S3h).
        """
        key = (attempt.number, attempt.position)
        self._attempts.append(attempt)
        if again is None:
            self._settled[key] = stored or key in self._stored or key in self._waiting
            self._waiting.pop(key, None)
            if request:
                self._requests[key] = request
        else:
            self._waiting[key] = again
            self._settled.pop(key, None)
        outcomes = len(self._attempts)
        if outcomes == 1:  # whoever waited has been told by the first one, and takes them all
            self._dirty.set()
        if outcomes >= OUTCOMES_MAX:
            self._full.set()

    def postpone(self, delivery: PendingDelivery) -> None:
        """Note that a delivery was taken up and not tried: it waits as it is."""
        key = (delivery.number, delivery.position)
        self._waiting[key] = delivery
        self._settled.pop(key, None)
        self._dirty.set()

    def replay_ended(self, replay: int) -> None:
        """How far it came is not to be written any more."""
        self._replayed.pop(replay, None)

    def touch(self) -> None:
        """Ask for a checkpoint although no outcome came: the router or a cursor moved."""
        self._dirty.set()

    async def wait(self, at_most_s: float) -> None:
        """Until the next commit is due: 50 ms after there is something to write, at once where it is much."""
        with anyio.move_on_after(at_most_s):
            await self._dirty.wait()
            with anyio.move_on_after(INTERVAL_S):
                await self._full.wait()
        self._dirty, self._full = anyio.Event(), anyio.Event()

    async def written(self) -> None:
        """Until a checkpoint taken after this call is durable."""
        done = self._next
        self._dirty.set()
        self._full.set()
        await done.wait()

    def give_up_after(self, seconds: float) -> None:
        """The process ends: storage that is away is waited for no longer than this (S2d then holds)."""
        self._gives_up_at = anyio.current_time() + seconds

    async def commit(self) -> None:
        """Write everything noted so far and a checkpoint; returns when it is durable. Nothing to say: no write."""
        async with self._lock:
            done, self._next = self._next, anyio.Event()
            batch, written = self._take(), True
            if batch is not None:
                # A cancelled write would still happen, or be lost: either way it must be seen to its end.
                with anyio.CancelScope(shield=True):
                    written = await self._write(batch)
            self._committing = frozenset()
            if written:
                # Else whoever waits for it must not go on, and is cancelled: the process ends.
                done.set()

    def _take(self) -> JournalBatch | None:
        checkpoint = self._checkpoint()
        attempts, self._attempts = self._attempts, []
        waiting, self._waiting = self._waiting, {}
        settled, self._settled = self._settled, {}
        requests, self._requests = self._requests, {}
        self._committing = frozenset(waiting) | frozenset(settled)
        # A delivery in flight has a row until its outcome is written; one that settled in time never gets one.
        for key in self._committing:
            self._stored.pop(key, None)
        in_flight = [item for item in checkpoint.in_flight if not self._is_stored(item)]
        self._stored.update((item.key, (item, item.span_id)) for item in in_flight)
        ended = tuple(key for key, stored in settled.items() if stored)
        # One that was settled and started again meanwhile is in flight: that is its row.
        pending = waiting | {item.key: item for item in in_flight}
        replays = [item for item in checkpoint.replays if self._replayed.get(item.replay) != item.cursor]
        self._replayed.update(replays)
        moved = checkpoint.cursors or replays or checkpoint.notes or checkpoint.routed != self._routed
        if not (attempts or pending or settled or moved):
            return None
        self._routed = checkpoint.routed
        return JournalBatch(
            attempts,
            tuple(pending.values()),
            ended,
            checkpoint.cursors,
            checkpoint.routed,
            replays,
            checkpoint.notes,
            requests,
        )

    def _is_stored(self, item: PendingDelivery) -> bool:
        """Whether its row says what is in flight; once more when its POST begins, for the span that is sent."""
        known = self._stored.get(item.key)
        return known is not None and known[0] is item and known[1] == item.span_id

    async def _write(self, batch: JournalBatch) -> bool:
        """Whether it is durable; not, where the process ends before the storage is back."""
        wait_s = _RETRY_FIRST_S
        while True:
            began_s = anyio.current_time()
            try:
                asked = await self._deliveries.commit(batch)
            except Unavailable as error:
                if self._gives_up_at is not None and anyio.current_time() >= self._gives_up_at:
                    _LOGGER.warning("the journal was not written; what is not in it will be repeated")
                    return False
                _LOGGER.error("the journal cannot be written, trying again in %.1f s: %s", wait_s, error)  # noqa: TRY400
                await anyio.sleep(wait_s)
                wait_s = min(wait_s * 2, _RETRY_MAX_S)
            else:
                self._committed(len(batch.attempts), int((anyio.current_time() - began_s) * _SECOND_US))
                for number in asked:
                    self.asked(number)
                return True
