"""Replays: a second, bounded cursor per request, which feeds the lane that the live stream has (S5).

What a delivery has behind it (rounds, attempts) is read from the database between two commits of the journal, when
that and the memory of this process say the same; so a replay never begins a round that exists already.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from gateway.deliver.directory import Current, Directory
from gateway.deliver.envelopes import EnvelopeCache, Event, event_of, partition_key
from gateway.deliver.journal import Journal
from gateway.deliver.lanes import Lanes
from gateway.deliver.patience import patiently
from gateway.deliver.selecting import awaits
from gateway.deliver.timers import Timers
from gateway.deliver.world import DEFAULT_LIMITS, Limits, World
from gateway.domain.feed import Queued
from gateway.domain.filters import Selector
from gateway.domain.lane import Lane
from gateway.domain.pending import PendingDelivery
from gateway.domain.replay import ReplayFeed
from gateway.ports import ReplayRecord, ReplayState, Standing

_HELD_UP = "a replay cannot be read"
_NEW = Standing(0, 0, failed=False, pending=None)


class Replays:
    """Feeds the replays of this process, and says when they are finished."""

    def __init__(
        self,
        world: World,
        *,
        directory: Directory,
        lanes: Lanes,
        cache: EnvelopeCache,
        journal: Journal,
        timers: Timers,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self._log = world.log
        self._deliveries = world.deliveries
        self._commands = world.commands
        self._now = world.now
        self._directory = directory
        self._lanes = lanes
        self._cache = cache
        self._journal = journal
        self._timers = timers
        self._page = limits.batch
        self._records: dict[int, ReplayRecord] = {}
        self._last = 0

    async def load(self, numbers: Sequence[int] | None = None) -> None:
        """Take up the replays that run: of some subscriptions after commands, of all at the start."""
        records = await patiently(lambda: self._deliveries.replays(numbers), _HELD_UP)
        for record in records:
            current = self._directory.get(record.number)
            if current is None:
                continue
            lane = self._lanes.get(record.number) or self._lanes.open(current)
            self._records[record.replay] = record
            self._lanes.replay(lane, record)
        running = {record.replay for record in records}
        for lane, replay in self._lanes.replaying():
            if replay.replay not in running and (numbers is None or lane.number in numbers):
                self._lanes.end_replay(lane, replay.replay)  # it was cancelled
                self._records.pop(replay.replay, None)
                self._journal.replay_ended(replay.replay)

    @property
    def wanting(self) -> bool:
        """Whether a replay has room for more of its range."""
        return any(self._wants(lane, replay) for lane, replay in self._lanes.replaying())

    def finished(self) -> list[int]:
        """The replays whose deliveries are all terminal: once this is durable, they are at their end."""
        return [replay.replay for _, replay in self._lanes.replaying() if replay.finished]

    async def end(self, finished: Sequence[int]) -> None:
        """Say that they are finished. Called behind the commit that wrote their last outcome."""
        for number in finished:
            record = self._records.pop(number, None)
            if record is None:
                continue
            await patiently(
                lambda number=number: self._commands.end_replay(number, ReplayState.FINISHED),  # type: ignore[misc]
                "the end of a replay cannot be written",
            )
            lane = self._lanes.get(record.number)
            if lane is not None:
                self._lanes.end_replay(lane, number)
            self._journal.replay_ended(number)

    async def look_ahead(self) -> None:
        """Feed one of them a page. Called between two commits of the journal, never beside one."""
        turn = self._turn()
        if turn is None:
            return
        lane, replay = turn
        record = self._records[replay.replay]
        after = replay.feed.seen
        last = min(replay.until, after + self._page)
        entries = await patiently(lambda: self._log.read(after, self._page), _HELD_UP)
        standings = await patiently(
            lambda: self._deliveries.standings(lane.number, after + 1, last, asked=record.asked),
            _HELD_UP,
        )
        current = self._directory.get(lane.number)
        if current is None or self._lanes.get(lane.number) is not lane:
            return
        events = [event_of(entry) for entry in entries if entry.position <= last]
        if self._feed(lane, replay, current, events, standings):
            replay.feed.pass_over(last)
        self._lanes.pump(lane)
        self._journal.touch()

    def _turn(self) -> tuple[Lane, ReplayFeed] | None:
        wanting = [pair for pair in self._lanes.replaying() if self._wants(*pair)]
        if not wanting:
            return None
        chosen = next((pair for pair in wanting if pair[1].replay > self._last), wanting[0])
        self._last = chosen[1].replay
        return chosen

    def _wants(self, lane: Lane, replay: ReplayFeed) -> bool:
        if lane.halted or lane.breaker.open or replay.feed.room < replay.feed.queue_max // 2:
            return False
        # Where the live stream has not come to yet, it is not known what it will send by itself.
        return replay.feed.seen < min(replay.until, self._lanes.reached(lane))

    def _feed(
        self,
        lane: Lane,
        replay: ReplayFeed,
        current: Current,
        events: Sequence[Event],
        standings: Mapping[int, Standing],
    ) -> bool:
        """Offer what is to be sent again; False where it must be looked at again from ``seen`` on."""
        record = self._records[replay.replay]
        selector = _selector_of(current, record.revision)
        reached = self._lanes.reached(lane)
        for event in events:
            position = event.entry.position
            if position > reached:
                return False
            key = (lane.number, position)
            if self._journal.unwritten(key):
                return False  # how it stands is not known before its outcome is written
            standing = standings.get(position, _NEW)
            wanted = _wanted(record, standing) and not _to_come(lane, current, event, standing)
            if not (wanted and self._selects(selector, event, standing)):
                replay.feed.pass_over(position)
                continue
            if lane.is_under_way(position):
                return False  # it ends first
            if standing.pending is not None and lane.one_at_a_time:
                return False  # taken over it would leave its place in the order; so it ends first (S4a)
            again = _next_round(lane.number, position, standing, replay.replay)
            if not self._offer(lane, replay, event, again, standing):
                return False
        return True

    def _offer(
        self, lane: Lane, replay: ReplayFeed, event: Event, again: PendingDelivery, standing: Standing
    ) -> bool:
        by_key = lane.ordered and lane.batching is None and event.envelope is not None
        key = partition_key(event.envelope) if by_key and event.envelope is not None else None
        item = Queued(
            event.entry.position,
            key,
            len(event.entry.envelope or b""),
            self._now(),
            replace(again, partition_key=again.partition_key or key),
        )
        if not lane.offer_replay(replay, item, pending=standing.pending):
            return False
        self._timers.forget(again.key)
        self._cache.put(event)
        return True

    def _selects(self, selector: Selector, event: Event, standing: Standing) -> bool:
        if event.entry.addressee is not None:
            return False  # a test is not repeated
        if event.envelope is None:
            return standing.attempts > 0  # erased: whoever was sent it can only be told so (S8b)
        return self._directory.routable(event) and selector.matches(
            event.envelope.attributes, event.entry.organization
        )


def _wanted(record: ReplayRecord, standing: Standing) -> bool:
    """Whether this replay still has to send it."""
    if standing.pending is not None and standing.pending.replay == record.replay:
        return False
    # It may have sent it before a crash, whichever other one has sent it since.
    if standing.late or (record.replay in standing.replays and standing.pending is None):
        return False
    return standing.failed or not record.range.only_failed


def _to_come(lane: Lane, current: Current, event: Event, standing: Standing) -> bool:
    """Whether the live stream still has it to send for the first time: it stands behind a blocked key (S4b)."""
    if standing.attempts or standing.pending is not None or event.envelope is None:
        return False
    key = partition_key(event.envelope)
    covered = key is not None and lane.feed.covers(key, event.entry.position)
    return covered and awaits(current.record, event)


def _next_round(number: int, position: int, standing: Standing, replay: int) -> PendingDelivery:
    """The delivery at the beginning of its next round; what is pending is taken over with what it blocks (S5b)."""
    pending = standing.pending
    return PendingDelivery(
        number,
        position,
        round=standing.round + 1,
        attempts=standing.attempts,
        last_span_id=standing.last_span_id,
        last_trace_id=standing.last_trace_id,
        partition_key=None if pending is None else pending.partition_key,
        blocked_from=None if pending is None else pending.blocked_from,
        request=0 if pending is None else pending.request,
        replay=replay,
    )


def _selector_of(current: Current, revision: int) -> Selector:
    revisions = current.record.revisions
    return next((item.selector for item in revisions if item.revision == revision), revisions[-1].selector)
