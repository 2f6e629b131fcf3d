"""All lanes of this process: made when there is work, started as far as the bounds allow, dropped when idle (S2)."""

from collections import OrderedDict
from collections.abc import Callable, Iterable

from gateway.deliver.bounds import concurrency_of, configure
from gateway.deliver.directory import Current, Directory
from gateway.deliver.journal import Checkpoint
from gateway.deliver.roll import Roll
from gateway.deliver.world import DEFAULT_LIMITS, Limits
from gateway.domain.breaker import Breaker, StreamNote
from gateway.domain.due import Started
from gateway.domain.feed import Feed
from gateway.domain.lane import Lane
from gateway.domain.pending import PendingDelivery
from gateway.domain.replay import ReplayFeed
from gateway.ports import CursorUpdate, Now, ReplayRecord, ReplayUpdate

Start = Callable[[Lane, Started], None]


class Lanes(Roll):
    """Makes lanes and ends them, and knows the position up to which the router has fed the live ones."""

    def __init__(self, directory: Directory, now: Now, limits: Limits = DEFAULT_LIMITS) -> None:
        super().__init__()
        self._directory = directory
        self._now = now
        self._limits = limits
        self._stalled: OrderedDict[int, None] = OrderedDict()
        self._in_flight = 0
        self._replay_heads: dict[int, list[PendingDelivery]] = {}
        self.routed = 0
        self.began_at_us = 0
        """When this process took the streams up: what the log had by then is old for all of them."""
        self.start: Start = _not_started
        self.wakes: Callable[[int, int], None] = lambda _number, _at_us: None
        self.backlogged: Callable[[Lane], None] = lambda _lane: None
        self.wanting: Callable[[Lane], None] = lambda _lane: None
        self.probes: Callable[[Lane], None] = lambda _lane: None
        self.blocked: Callable[[], bool] = lambda: False
        self.stopping = False
        directory.stopped = self.stop

    @property
    def under_way(self) -> int:
        """How many attempts have been started and have not ended."""
        return self._in_flight

    @property
    def has_unwritten(self) -> bool:
        """Whether one checkpoint was too small for all that is to be written."""
        return self.rest.has_unwritten

    # Coming and going.

    def remember(self, notes: Iterable[StreamNote], heads: Iterable[PendingDelivery]) -> None:
        """What the process before this one left behind: failing streams, and keys that are blocked."""
        heads = list(heads)
        self.rest.remember(notes, heads)
        for head in heads:
            if head.replay is not None:
                self._replay_heads.setdefault(head.replay, []).append(head)

    def follow(self, current: Current) -> None:
        """Take in a subscription at the start. One that stands, or is live and has nothing open, needs no lane yet."""
        record = current.record
        if not current.active:
            self.rest.stand(record.number, record.cursor, waiting=record.pending, stored=True)
        elif record.live and not (record.pending or self.rest.is_unwell(record.number)):
            # Also one whose cursor is ahead, where the router had to go back: its lane will begin there (S2c).
            self.rest.following.add(record.number)
        else:
            self.open(current, waiting=record.pending)

    def has_work(self, current: Current) -> bool:
        """Whether a stream without a lane has something to catch up with, or its row is to be brought in line."""
        return current.active and (self.rest.stands(current.record.number) or not current.record.live)

    def open(self, current: Current, *, waiting: int = 0) -> Lane:
        """Make the lane of a subscription that has none: live where it was live, else at its own cursor."""
        record, rest, number = current.record, self.rest, current.record.number
        stood, note = rest.take_cursor(number), rest.take_note(number)
        # What stood missed what came meanwhile, whatever its row says: an older journal may still write that.
        follows = stood is None and (number in rest.following or (current.active and record.live))
        lane = Lane(
            number,
            # A live one has dispatched up to the router, and a little further if the router had to go back (S2c).
            seen=max(record.cursor, self.routed if follows else stood or 0),
            live=follows and current.active,
            concurrency=concurrency_of(current),
            waiting=waiting + rest.take_waiting(number),
            queue_max=self._limits.queue_max,
            pending_max=self._limits.pending_max,
            breaker=Breaker(note),
        )
        lane.waits_until_us = 0 if note is None else note.waits_until_us or 0
        configure(lane, current)
        _block(lane.feed, rest.take_heads(number))
        lane.set_out(max(self.began_at_us, record.created_at_us))
        if stood is not None and current.active:
            lane.trust(self._now())
        elif lane.breaker.open:
            lane.demote(self.routed)
        lane.halted = not current.active
        lane.skipped_to = record.skips[-1][1] if record.skips else 0
        self.add(lane)
        return lane

    def drop(self, number: int) -> None:
        """Forget a deleted subscription; what is in flight ends by itself, and starts nothing more."""
        lane = self._lanes.get(number)
        if lane is not None:
            lane.halt(self.routed)
            self.remove(lane)
        self.rest.forget(number)

    def obtain(self, number: int) -> Lane | None:
        """The lane of a subscription, made where it had nothing to do until now; None: it is deleted, or stands."""
        lane = self._lanes.get(number)
        if lane is None:
            current = self._directory.get(number)
            return None if current is None or not current.active else self.open(current)
        return lane

    def live(self, number: int) -> Lane | None:
        """The lane that the router may feed; None where the subscription stands or goes by its own scan."""
        lane = self.obtain(number)
        return lane if lane is not None and lane.live and not lane.halted else None

    # Which way a lane goes on.

    def demote(self, lane: Lane) -> None:
        """Let a lane that cannot keep up go on by scanning, so that it holds nobody back (S2b)."""
        lane.demote(self.routed)
        self.mark(lane)
        self.moved(lane)

    def halt(self, lane: Lane) -> None:
        """Let a lane stand still where it is (S3f, S3h)."""
        lane.halt(self.routed)
        self.mark(lane)
        self.moved(lane)

    def resume(self, lane: Lane) -> None:
        """Let a lane that stood still go on, as one that is trusted."""
        lane.halted = False
        lane.trust(self._now())
        self.mark(lane)
        self.moved(lane)

    def stop(self, before: Current) -> None:
        """A subscription is known to be stopped from here on: everything up to the router was offered to it.

        At once, and not when its change is applied: the router offers it nothing more, so it must not follow.
        """
        number = before.record.number
        lane = self._lanes.get(number)
        if lane is not None:
            self.halt(lane)
        elif not self.rest.stands(number) and (number in self.rest.following or before.record.live):
            self.rest.stand(number, max(before.record.cursor, self.routed))

    def join(self) -> None:
        """Between two batches of the router: make live what has caught up (S2f)."""
        for lane in self.scanning():
            # Before the router has passed the fact that made it, it would feed this lane nothing.
            if lane.number in self._directory.index and lane.join(self.routed):
                self.mark(lane)
                self.moved(lane)

    def reached(self, lane: Lane) -> int:
        """Everything that matches up to here has been dispatched: a live lane with nothing queued is at the router."""
        return max(lane.cursor, self.routed) if lane.live and not lane.queued else lane.cursor

    def hungry(self, lane: Lane) -> None:
        """A lane that scans, or is replayed, has room, or may move again."""
        self.mark(lane)
        self.wanting(lane)

    # Replays.

    def replay(self, lane: Lane, record: ReplayRecord) -> None:
        """Let a replay go on where it was."""
        if record.replay in lane.replays:
            return
        feed = Feed(
            seen=max(record.cursor, record.range.from_position - 1),
            queue_max=self._limits.queue_max,
            covers=False,
        )
        _block(feed, self._replay_heads.pop(record.replay, ()))
        replay = ReplayFeed(record.replay, record.range.until_position, feed, open=record.open)
        self.add_replay(lane, replay)

    # Starting.

    def pump(self, lane: Lane) -> None:
        """Start whatever the lane and the process have room for."""
        while (started := self._next(lane)) is not None:
            self.start(lane, started)

    def finished(self, lane: Lane) -> Started | None:
        """An attempt has ended: what the same task is to try next, if it is this lane's turn."""
        self._in_flight -= 1
        if self._stalled:
            # Others wait for this room: it is their turn before it is this lane's again.
            if self.is_here(lane):
                self._stalled.setdefault(lane.number)
            self.go_on()
            return None
        if not self.is_here(lane):
            return None
        following = self._next(lane)
        if following is not None and lane.has_room:
            self.pump(lane)
        return following

    def _next(self, lane: Lane) -> Started | None:
        if self.stopping:
            return None
        if self._in_flight >= self._limits.in_flight_max or self.blocked():
            self._stalled.setdefault(lane.number)
            return None
        now_us = self._now()
        started = lane.start(now_us)
        # Also where nothing was started: what stands behind a blocked key was passed by that look.
        self._moved.add(lane.number)
        if started is not None:
            self._in_flight += 1
            self.busy(lane)
            if lane.replays.feeds or (not lane.live and lane.has_room_to_scan):
                self.hungry(lane)  # it is fed by scans, and has room now
            return started
        wakes_at_us = lane.wakes_at_us(now_us)
        if wakes_at_us is not None:
            self.wakes(lane.number, wakes_at_us)
        elif lane.breaker.probe_due(now_us):
            if not (lane.halted or lane.live or lane.wants_probe(now_us)):
                self.wants_probe_from_log(lane)
            self.probes(lane)
        if lane.backlogged and lane.queued:
            self.backlogged(lane)
        return None

    def go_on(self) -> None:
        """Pump the lanes that had to stop for want of room."""
        for _ in range(len(self._stalled)):
            if self._in_flight >= self._limits.in_flight_max or self.blocked():
                return
            lane = self._lanes.get(self._stalled.popitem(last=False)[0])
            if lane is not None:
                self.pump(lane)

    # What is to be kept.

    def checkpoint(self) -> Checkpoint:
        """What the journal writes beside the outcomes. Lanes that have nothing left to do end here (S2g)."""
        lanes, notes = self.take_moved(), []
        for lane in lanes:
            if lane.breaker.changed:
                lane.breaker.changed = False
                notes.append(lane.note(self._now()))
        cursors = [CursorUpdate(lane.number, lane.cursor, lane.live) for lane in lanes]
        cursors += self.rest.to_write()
        replays = [ReplayUpdate(replay.replay, replay.feed.cursor) for _, replay in self.replaying()]
        routed = min([self.routed, *(first - 1 for _, first in self.holding_back())])
        checkpoint = Checkpoint(cursors, self.in_flight(), routed, replays, notes)
        for lane in lanes:
            self._let_go(lane)
        return checkpoint

    def _let_go(self, lane: Lane) -> None:
        """Drop a lane that has no work; whatever may end its work notes that it has moved."""
        if lane.live:
            if not lane.idle or lane.pending or self._keeps_rate(lane):
                return
            if lane.seen <= self.routed:
                self.remove(lane)
            else:
                self.moved(lane)  # the router goes over a part that this one knows: look again behind it
            return
        current = self._directory.get(lane.number)
        stopped = lane.halted and current is not None and not current.active
        # A sink that asked for a pause gets it, whatever is commanded meanwhile (S3e).
        if stopped and not (lane.in_flight or lane.replays or lane.waits_until_us > self._now()):
            if self._keeps_rate(lane):
                return
            self.rest.lay_down(lane)
            self.remove(lane)

    def _keeps_rate(self, lane: Lane) -> bool:
        """Whether the next lane of this stream would allow more than is allowed: then this one is looked at later."""
        rests_us = 0 if lane.rate is None else lane.rate.rests_from_us()
        if rests_us <= self._now():
            return False
        self.wakes(lane.number, rests_us)
        return True


def _block(feed: Feed, heads: Iterable[PendingDelivery]) -> None:
    for head in heads:
        if head.partition_key is not None:
            feed.block(head.partition_key, head.position)


def _not_started(_lane: Lane, _started: Started) -> None:
    raise RuntimeError("the lanes were fed before they had anything to start attempts with")
