"""A lane told anything in any order (S2 to S5, S10a): kept beside it is where every position must be.

Positions are never lost nor doubled, a cursor never goes back, and every bound and every order holds. In the end
nothing is in the way any more, and then everything must come to its end.
"""

import copy
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from unittest import mock

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gateway.domain import feed as feed_module
from gateway.domain.batching import Batching
from gateway.domain.breaker import Breaker, Change
from gateway.domain.due import INCOMPLETE_US, Due, Started
from gateway.domain.feed import Feed, Queued
from gateway.domain.lane import Lane
from gateway.domain.pending import PendingDelivery
from gateway.domain.rate import Rate
from gateway.domain.replay import ReplayFeed

SECOND_US = 1_000_000
BEGIN_US = 1_000 * SECOND_US
QUEUE_MAX = 5
PENDING_MAX = 6
REPLAY_QUEUE_MAX = 4
PAGE = 2
AGE_US = SECOND_US
MANY = 400


@dataclass
class Post:
    """One POST under way."""

    kind: str
    left: set[int]
    batch: str | None = None


@dataclass
class Replay:
    """A replay as the database knows it, and what it still has to do."""

    number: int
    until: int
    cursor: int
    done: set[int] = field(default_factory=set)


class LaneMachine(RuleBasedStateMachine):
    """The lane, and beside it a log, the rows of what is pending, and what a process does with both."""

    def __init__(self) -> None:
        super().__init__()
        self.few = mock.patch.object(feed_module, "FOLLOWERS_MAX", PAGE)
        self.few.start()
        self.now_us = BEGIN_US
        self.log: dict[int, str] = {}
        self.passed = 0
        self.skipped: set[int] = set()
        self.started: set[int] = set()
        self.ended: set[int] = set()
        self.rows: dict[int, PendingDelivery] = {}
        """What is pending, as the database has it: in flight, due, waiting, or released by the end of a head."""
        self.outside: set[int] = set()
        """Rows that are in the database alone: nothing in the lane knows them, but for a number."""
        self.due_here: set[int] = set()
        self.posts: list[Post] = []
        self.replays: dict[int, Replay] = {}
        self.cursor = 0
        self.batches = 0
        self.steady = True
        """Whether the subscription has always been what it is: only then order can be promised."""

    def teardown(self) -> None:
        try:
            if hasattr(self, "lane"):
                self.come_to_an_end()
        finally:
            self.few.stop()

    @initialize(
        concurrency=st.sampled_from([1, 2, 3, 4]),
        ordered=st.booleans(),
        batching=st.booleans(),
        rate=st.sampled_from([None, None, 0.5, 20.0]),
    )
    def begin(self, concurrency: int, rate: float | None, *, ordered: bool, batching: bool) -> None:
        self.concurrency, self.ordered = concurrency, ordered
        self.batching = Batching(3, 5, AGE_US) if batching else None
        self.rate = rate
        self.lane = self.new_lane(0, live=True)

    def new_lane(self, seen: int, *, live: bool, waiting: int = 0, breaker: Breaker | None = None) -> Lane:
        return Lane(
            1,
            seen=seen,
            live=live,
            concurrency=self.concurrency,
            waiting=waiting,
            queue_max=QUEUE_MAX,
            pending_max=PENDING_MAX,
            ordered=self.ordered,
            rate=None if self.rate is None else Rate(self.rate),
            batching=self.batching,
            breaker=breaker,
        )

    # What is where.

    @property
    def by_key(self) -> bool:
        return self.ordered and self.batching is None

    @property
    def places(self) -> int:
        return 1 if self.ordered and self.batching is not None else self.concurrency

    def in_flight(self) -> set[int]:
        return {position for post in self.posts for position in post.left}

    def claimed(self) -> set[int]:
        return {position for replay in self.lane.replays for position in replay.claimed}

    def next_up(self) -> set[int]:
        return {item.position for item in self.lane.feed.next_up}

    def to_start(self) -> list[int]:
        """What the live stream still has to start, in log order."""
        return sorted(set(self.log) - self.started - self.skipped)

    def pending(self) -> int:
        """What the lane must count: every row but those that only a command knows of."""
        uncounted = {
            position
            for position in self.outside | self.claimed()
            if position in self.rows and self.rows[position].asked
        }
        return len(set(self.rows) - uncounted)

    # The live stream.

    @rule(gap=st.integers(1, 2), key=st.sampled_from("aab"), size_bytes=st.integers(1, 3))
    def offer(self, gap: int, key: str, size_bytes: int) -> None:
        # What lies behind the lane's place in the log comes first: after a demotion it is offered again.
        again = next((position for position in self.to_start() if position > self.lane.seen), None)
        position = self.passed + gap if again is None else again
        key = self.log.get(position, key)
        room = self.lane.room
        assert room == QUEUE_MAX - self.lane.queued
        if self.lane.offer(position, key, size_bytes=size_bytes, now_us=self.now_us):
            assert room > 0
            self.log[position] = key
            self.passed = max(self.passed, position)
        else:
            assert room == 0

    @rule()
    def pass_over(self) -> None:
        if not any(position > self.lane.seen for position in self.to_start()):
            self.passed = max(self.passed, self.lane.seen) + 1
            self.lane.pass_over(self.passed)

    @rule(halt=st.booleans())
    def demote(self, *, halt: bool) -> None:
        # Live, it has been offered everything up to the router; scanning, it may be anywhere behind it.
        routed = self.passed
        if self.lane.live and any(position > self.lane.seen for position in self.to_start()):
            routed = self.lane.seen
        if halt:
            self.lane.halt(routed)
        else:
            self.lane.demote(routed)
        assert (self.lane.live, self.lane.queued) == (False, 0)

    @rule(skip=st.sampled_from([False, False, True]))
    def resume(self, *, skip: bool) -> None:
        self.lane.halted = False
        self.lane.breaker.reset()
        if skip:
            to = max(self.passed, self.lane.cursor)
            # What stands behind a head was dispatched, as far as the cursor had come; beyond, it is left out. Where
            # that must be read from the log again, it is not known any more which of them that was.
            covered = {
                position
                for position in self.to_start()
                if self.lane.feed.covers(self.log[position], position)
            }
            self.skipped |= set(self.to_start()) - covered - self.next_up()
            self.lane.skip((), to)
            self.passed = max(self.passed, to)

    @rule()
    def join(self) -> None:
        could = not (self.lane.halted or self.lane.queued or self.lane.breaker.open)
        assert self.lane.join(self.lane.seen) is (self.lane.live or could)

    # Starting and settling.

    @rule(assign=st.booleans())
    def start(self, *, assign: bool) -> None:
        self.start_one(assign=assign)

    @rule()
    def start_all(self) -> None:
        while self.start_one(assign=True):
            pass

    def start_one(self, *, assign: bool) -> bool:
        before = copy.deepcopy(self.lane)
        pending = self.pending()
        started = self.lane.start(self.now_us)
        if started is None:
            self.nothing_changes_by_itself()
            return False
        positions = [item.position for item in started]
        assert positions == sorted(set(positions))
        assert not self.lane.halted
        assert self.now_us >= self.lane.waits_until_us
        assert len(self.posts) < self.places
        assert not self.in_flight().intersection(positions), "one attempt of a delivery at a time (S3c)"
        kind = self.kind_of(started, before)
        getattr(self, f"was_{kind}")(started, before, pending)
        self.started |= set(positions)
        self.ended -= set(positions)
        self.rows.update((item.position, item) for item in started)
        post = Post(kind, set(positions))
        self.posts.append(post)
        if self.lane.breaker.open:
            assert len(self.posts) == 1, "one probe at a time (S3g)"
        if self.lane.batching is None and (len(started) > 1 or started[0].batch is not None):
            # It was a batch under an earlier revision: its members go one by one from now on.
            for position in positions:
                self.rows[position] = replace(self.rows[position], batch=None)
                self.settle_one(position, again=True)
        elif self.lane.batching is not None and assign:
            self.batches += 1
            post.batch = f"bat_{self.batches}"
            for item in self.lane.assign(started, post.batch):
                self.rows[item.position] = item
        return True

    def kind_of(self, started: Started, before: Lane) -> str:
        positions = {item.position for item in started}
        if positions <= self.due_here:
            return "retried"
        claimed = [replay for replay in before.replays if positions <= set(replay.claimed)]
        return "replayed" if claimed else "first"

    def was_retried(self, started: Started, before: Lane, _pending: int) -> None:
        positions = [item.position for item in started]
        self.due_here -= set(positions)
        for item in started:
            row = self.rows[item.position]
            assert item == replace(row, next_at_us=None)
        if len(started) > 1:
            assert len({item.batch for item in started}) == 1
            assert started[0].batch is not None
        under_way = sum(post.kind == "retried" for post in self.posts)
        if not before.breaker.open and self.places > 1 and under_way >= self.places // 2:
            before._waiting += len(before._due)  # as many are pending
            before._due = Due()
            assert before.start(self.now_us) is None, (
                "more than half only where nothing else can be started (S2g)"
            )
        if self.steady and self.ordered and self.batching is not None and not before.breaker.open:
            earlier = [position for position in self.rows if position < positions[0]]
            assert not set(earlier) & self.outside - self.asked(), (
                "in order, what lies before has ended (S10a)"
            )

    def was_replayed(self, started: Started, before: Lane, _pending: int) -> None:
        owner = next(replay for replay in before.replays if started[0].position in replay.claimed)
        replay = self.replays[owner.replay]
        for item in started:
            assert item.replay == replay.number
            assert item.next_at_us is None
            replay.done.add(item.position)
            assert not any(item.position in other.claimed for other in self.lane.replays)
            self.outside.discard(item.position)
        under_way = sum(post.kind == "replayed" for post in self.posts)
        assert under_way < max(1, self.places // 2), "at most half of a lane (S5a)"
        if self.by_key and self.steady:
            key = self.log[started[0].position]
            for post in self.posts:
                for position in post.left:
                    theirs = self.rows[position]
                    same = self.log[position] == key and theirs.replay == replay.number
                    assert not same, "one of a key at a time, in a replay as well (S4a)"
            # Those that it has started already, first arrivals of this replay, lie before.
            mine = [position for position in replay.done if self.log[position] == key]
            assert max(mine) == started[0].position, "in log order in each replay"

    def was_first(self, started: Started, before: Lane, pending: int) -> None:
        positions = [item.position for item in started]
        successors = {item.position for item in before.feed.next_up}
        for item in started:
            assert item.replay is None
            assert item.attempts == 0
            assert (item.position in self.started) is (item.position in successors), (
                "first arrivals come once"
            )
        if not set(positions) <= successors:
            assert pending < PENDING_MAX, "backlogged, only what is pending goes on (S2e)"
            assert pending + len(positions) <= PENDING_MAX
        if self.steady and self.by_key:
            for item in started:
                key = self.log[item.position]
                assert (item.partition_key, item.blocked_from) == (key, item.position)
                earlier = {
                    position
                    for position, other in self.log.items()
                    if other == key and position < item.position
                }
                assert not earlier & set(self.to_start()), "first arrivals of a key in log order (S4a)"
                heads = {
                    position
                    for position in earlier & set(self.rows)
                    if self.rows[position].blocked_from is not None
                }
                assert not heads, "one of a key at a time (S4b)"
        elif self.steady:
            assert all(
                position < min(self.to_start_behind(positions), default=MANY**2) for position in positions
            )
        if self.steady and self.ordered and self.batching is not None and not before.breaker.open:
            assert not pending, "a batch in order waits for all that lies before (S10a)"
        if self.batching is not None:
            assert len(positions) <= self.batching.events_max

    def to_start_behind(self, positions: Iterable[int]) -> list[int]:
        return sorted(set(self.to_start()) - set(positions))

    def asked(self) -> set[int]:
        return {position for position, row in self.rows.items() if row.asked}

    def nothing_changes_by_itself(self) -> None:
        """Until the lane says that it wakes, time alone changes nothing; if it does not say so, it never does."""
        wakes_at_us = self.lane.wakes_at_us(self.now_us)
        assert wakes_at_us is None or wakes_at_us > self.now_us
        until_us = self.now_us + 1_000_000 * SECOND_US if wakes_at_us is None else wakes_at_us - 1
        for at_us in {(self.now_us + until_us) // 2, until_us}:
            assert copy.deepcopy(self.lane).start(at_us) is None, f"it does not wake before {wakes_at_us}"
        if self.lane.breaker.open and wakes_at_us is None and not (self.lane.halted or self.posts):
            # A probe is due, and nothing here can be it: then it is in the database, or the next event is.
            if self.lane.wants_probe(self.now_us):
                assert self.outside - self.claimed()
            else:
                assert self.lane.wants_rows(self.now_us)

    @precondition(lambda self: self.posts)
    @rule(data=st.data(), again=st.booleans(), whole=st.booleans())
    def settle(self, data: st.DataObject, *, again: bool, whole: bool) -> None:
        post = data.draw(st.sampled_from(self.posts))
        positions = sorted(post.left) if whole else [data.draw(st.sampled_from(sorted(post.left)))]
        for position in positions:
            self.settle_one(position, again=again)

    def settle_one(self, position: int, *, again: bool) -> None:
        if not again:
            self.bring_successors(position)
        released = self.lane.settle(position, again=again)
        for post in list(self.posts):
            post.left.discard(position)
            if not post.left:
                self.posts.remove(post)
        if again:
            assert released == []
            row = self.rows[position]
            self.rows[position] = replace(row, attempts=row.attempts + 1, next_at_us=self.now_us, asked=False)
            self.outside.add(position)
            return
        row = self.rows.pop(position)
        self.ended.add(position)
        for successor in released:
            assert self.log[successor.position] == self.log[position] == successor.partition_key
            assert successor.position not in self.started, "a successor is one that was never started"
            assert row.blocked_from == position
            self.rows[successor.position] = replace(successor, next_at_us=self.now_us)
            self.started.add(successor.position)

    def bring_successors(self, position: int) -> None:
        """What the log holds behind a head, page by page (S4b)."""
        after = position
        while (key := self.lane.wants_successors(position)) is not None:
            until = self.lane.cursor
            found = [
                row
                for row in sorted(self.log)
                if self.log[row] == key and after < row <= until and row not in self.skipped | self.started
            ]
            more = len(found) >= PAGE
            after = found[PAGE - 1] if more else until
            self.lane.feed.stand_behind(key, [Queued(row, key) for row in found[:PAGE]], until, more=more)

    @precondition(lambda self: self.outside - self.claimed())
    @rule(data=st.data())
    def due(self, data: st.DataObject) -> None:
        self.bring(data.draw(st.sampled_from(sorted(self.outside - self.claimed()))))

    def bring(self, position: int) -> None:
        row = self.rows[position]
        self.lane.due(row, counted=not row.asked, now_us=self.now_us)
        self.outside.remove(position)
        self.due_here.add(position)

    @precondition(lambda self: self.ended - self.claimed())
    @rule(data=st.data())
    def ask(self, data: st.DataObject) -> None:
        """A retry by hand of what has ended: a row that no lane counts (S3h)."""
        position = data.draw(st.sampled_from(sorted(self.ended - self.claimed())))
        self.ended.remove(position)
        self.rows[position] = PendingDelivery(
            1, position, round=1, attempts=1, next_at_us=self.now_us, asked=True
        )
        self.outside.add(position)

    # Time, waits, outcomes.

    @rule(later_us=st.sampled_from([1, AGE_US // 2, AGE_US, INCOMPLETE_US, 20 * SECOND_US]))
    def later(self, later_us: int) -> None:
        self.now_us += later_us

    @rule()
    def sleep(self) -> None:
        """As long as the lane says."""
        wakes_at_us = self.lane.wakes_at_us(self.now_us)
        if wakes_at_us is not None:
            self.now_us = max(self.now_us, wakes_at_us)

    @rule(for_us=st.sampled_from([1, SECOND_US]))
    def wait(self, for_us: int) -> None:
        self.lane.wait(self.now_us + for_us)

    @rule(success=st.booleans(), times=st.sampled_from([1, 1, 20]))
    def record(self, times: int, *, success: bool) -> None:
        for _ in range(times):
            was_open = self.lane.breaker.open
            routed = self.passed
            if self.lane.live and any(position > self.lane.seen for position in self.to_start()):
                routed = self.lane.seen
            change = self.lane.record(success=success, at_us=self.now_us, jitter=0.5, routed=routed)
            assert (change is Change.OPENED) is (self.lane.breaker.open and not was_open)
            if change is Change.OPENED:
                assert (self.lane.live, self.lane.queued) == (False, 0)

    @precondition(lambda self: self.pending() and not (self.posts or self.lane.halted))
    @rule()
    def fail_and_probe(self) -> None:
        """With something pending an open breaker comes to a probe by itself (S3g)."""
        if not self.lane.breaker.open:
            self.record(times=20, success=False)
        for _ in range(10):
            wakes_at_us = self.lane.wakes_at_us(self.now_us)
            self.now_us = self.now_us + SECOND_US if wakes_at_us is None else max(self.now_us, wakes_at_us)
            if self.start_one(assign=True):
                return
            self.probe()
        raise AssertionError("nothing is tried, and something is pending")

    @rule()
    def probe(self) -> None:
        """What brings the oldest pending one for a probe."""
        if not self.lane.wants_probe(self.now_us):
            return
        oldest = min(self.rows, default=None)
        if oldest is None:
            self.lane.nothing_waits()
            return
        batch = self.rows[oldest].batch
        for position, row in list(self.rows.items()):
            of_it = position == oldest or (batch is not None and row.batch == batch)
            if of_it and position in self.outside - self.claimed():
                self.bring(position)

    # Replays.

    @precondition(lambda self: self.lane.cursor and len(self.replays) < 3)
    @rule(data=st.data())
    def replay(self, data: st.DataObject) -> None:
        first = data.draw(st.integers(1, self.lane.cursor))
        until = data.draw(st.integers(first, self.lane.cursor))
        number = 10_000 + self.batches
        self.batches += 1
        self.replays[number] = Replay(number, until, first - 1)
        self.lane.add_replay(ReplayFeed(number, until, self.replay_feed(first - 1)))

    def replay_feed(self, seen: int) -> Feed:
        return Feed(seen=seen, queue_max=REPLAY_QUEUE_MAX, covers=False)

    @precondition(lambda self: len(self.lane.replays))
    @rule(data=st.data())
    def feed_replay(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(replay.replay for replay in self.lane.replays)))
        self.feed_one(next(replay for replay in self.lane.replays if replay.replay == number))

    def feed_one(self, replay: ReplayFeed) -> bool:
        """Offer a replay the next one of its range; False where that must be looked at again."""
        known = self.replays[replay.replay]
        position = replay.feed.seen + 1
        if position > replay.until or position > self.lane.cursor:
            return False
        row = self.rows.get(position)
        key = self.log.get(position)
        to_come = key is None or (position not in self.started and position not in self.skipped)
        if to_come or position in known.done or (row is not None and row.replay == known.number):
            replay.feed.pass_over(position)
            return True
        if self.lane.is_under_way(position):
            return False
        if row is not None and self.lane.one_at_a_time:
            return False
        delivery = PendingDelivery(
            1,
            position,
            round=1 if row is None else row.round + 1,
            attempts=1 if row is None else row.attempts,
            partition_key=key if self.by_key else None,
            blocked_from=None if row is None else row.blocked_from,
            replay=known.number,
        )
        item = Queued(position, key if self.by_key else None, 1, self.now_us, delivery)
        room = replay.feed.room
        taken = self.lane.offer_replay(replay, item, pending=row)
        assert taken is (room > 0)
        if taken and row is not None:
            # Its row stays as it is until the replay has started it.
            self.due_here.discard(position)
            self.outside.add(position)
        return taken

    @precondition(lambda self: len(self.lane.replays))
    @rule(data=st.data())
    def cancel_replay(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(replay.replay for replay in self.lane.replays)))
        self.lane.end_replay(number)
        del self.replays[number]

    # What rarely happens.

    @rule(ordered=st.booleans(), batching=st.booleans(), often=st.integers(0, 3))
    def configure(self, often: int, *, ordered: bool, batching: bool) -> None:
        """The subscription is changed while it goes on."""
        if often:
            return
        self.ordered, self.batching = ordered, Batching(3, 5, AGE_US) if batching else None
        self.lane.ordered, self.lane.batching = self.ordered, self.batching
        self.steady = False

    @rule(often=st.integers(0, 2))
    def restart(self, often: int) -> None:
        """Memory is gone: there are cursors, rows, and the note of the breaker (S2c, S2d)."""
        if often:
            return
        old = self.lane
        for replay in old.replays:
            self.replays[replay.replay].cursor = replay.feed.cursor
        self.posts.clear()
        self.due_here.clear()
        self.outside = set(self.rows)
        for position, row in self.rows.items():
            if row.next_at_us is None:
                self.rows[position] = replace(
                    row, next_at_us=self.now_us, crashes=row.crashes + 1, asked=False
                )
        waiting = sum(not row.asked for row in self.rows.values())
        self.lane = self.new_lane(
            old.cursor, live=False, waiting=waiting, breaker=Breaker(old.breaker.note(1))
        )
        self.lane.halted = old.halted
        heads = [row for row in self.rows.values() if row.partition_key is not None]
        for row in heads:
            if row.blocked_from is not None:
                self.lane.feed.block(row.partition_key or "", row.position)
        for known in self.replays.values():
            feed = self.replay_feed(known.cursor)
            for row in heads:
                if row.replay == known.number:
                    feed.block(row.partition_key or "", row.position)
            mine = sum(row.replay == known.number for row in self.rows.values())
            self.lane.add_replay(ReplayFeed(known.number, known.until, feed, open=mine))

    # What must hold.

    @invariant()
    def every_position_is_in_its_place(self) -> None:
        if not hasattr(self, "lane"):
            return
        lane = self.lane
        queued = {item.position for item in lane.feed.queue}
        following = self.next_up()
        assert {item.position for item in lane.in_flight} == self.in_flight()
        assert lane.cursor >= self.cursor, "a cursor never goes back (S2a)"
        self.cursor = lane.cursor
        assert all(position > lane.cursor for position in queued)
        assert all(position <= lane.cursor for position in self.started)
        assert lane.first_queued == min(queued, default=None)
        assert len(queued) <= QUEUE_MAX
        for position in self.to_start():
            behind = lane.feed.covers(self.log[position], position)
            places = (position in queued) + behind + (position > lane.seen)
            assert places == 1, f"{position} is in {places} places"
        for position in self.rows:
            places = (
                (position in self.in_flight())
                + (position in self.due_here)
                + (position in self.outside)
                + (position in following)
            )
            assert places == 1, f"{position} is in {places} places"
            here = position not in self.outside or position in self.claimed()
            assert lane.holds(position) is here
            assert lane.is_under_way(position) is (here and position not in self.due_here)

    @invariant()
    def every_bound_holds(self) -> None:
        if not hasattr(self, "lane"):
            return
        lane = self.lane
        assert lane.pending == self.pending()
        assert lane.backlogged is (self.pending() >= PENDING_MAX)
        assert len(self.posts) <= max(self.places, 0 if self.steady else 4)
        replaying = sum(post.kind == "replayed" for post in self.posts)
        assert replaying <= max(1, (self.places if self.steady else 4) // 2)
        assert lane.idle is not bool(
            lane.queued
            or self.due_here
            or self.posts
            or len(lane.replays)
            or lane.feed.blocked_keys
            or not lane.breaker.quiet
        )
        for replay in lane.replays:
            known = self.replays[replay.replay]
            mine = {position for position, row in self.rows.items() if row.replay == known.number}
            assert replay.open == len(mine), "what it has open is what its rows say (S5b)"
            assert replay.feed.cursor >= known.cursor
            known.cursor = replay.feed.cursor
            assert len(replay.feed.queue) <= REPLAY_QUEUE_MAX

    def come_to_an_end(self) -> None:
        """Nothing is in the way any more: the sink is well, nothing stands still, and time goes by."""
        lane = self.lane
        lane.halted, lane.rate = False, None
        lane.breaker.reset()
        for _ in range(MANY):
            self.now_us = max(self.now_us, lane.waits_until_us) + AGE_US + INCOMPLETE_US
            for position in sorted(self.outside - self.claimed()):
                self.bring(position)
            self.now_us += INCOMPLETE_US
            for position in [position for position in self.to_start() if position > lane.seen]:
                if not lane.offer(position, self.log[position], size_bytes=1, now_us=self.now_us - AGE_US):
                    break
            for replay in lane.replays:
                while self.feed_one(replay):
                    pass
                if replay.feed.seen < replay.until and replay.feed.seen >= self.lane.cursor:
                    replay.feed.pass_over(replay.until)
            while self.start_one(assign=True):
                pass
            for position in sorted(self.in_flight()):
                self.settle_one(position, again=False)
            for replay in list(lane.replays):
                if replay.finished:
                    lane.end_replay(replay.replay)
                    del self.replays[replay.replay]
            self.every_position_is_in_its_place()
            self.every_bound_holds()
            if not (self.to_start() or self.rows or self.replays):
                break
        assert not self.to_start(), "each is started"
        assert not self.rows, "each has ended"
        assert not self.replays, "each replay is finished"
        assert set(self.log) == self.ended | self.skipped - self.started
        assert lane.pending == 0
        lane.breaker.changed = False
        assert lane.idle


TestLaneMachine = pytest.mark.interpreted(LaneMachine.TestCase)  # it makes copies of lanes
TestLaneMachine.settings = settings(max_examples=60, stateful_step_count=50, deadline=None)
