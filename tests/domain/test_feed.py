"""S4 and S5a in one feed: heads, what stands behind them in memory or in the log, and where the cursor may be."""

from unittest import mock

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gateway.domain import feed as feed_module
from gateway.domain.feed import FOLLOWERS_MAX, KEYS_MAX, Feed, IllegalTransition, Queued
from gateway.domain.replay import ReplayFeed


def feed(*items: tuple[int, str | None], covers: bool = True, **options: int) -> Feed:
    one = Feed(**{"seen": 0, "queue_max": 1_000, **options}, covers=covers)
    for position, key in items:
        assert one.offer(Queued(position, key))
    return one


def taken(one: Feed) -> list[int]:
    """Whatever can be started now."""
    positions = []
    while one.has_next():
        positions.append(one.take().position)
    return positions


def test_without_keys_it_is_a_queue() -> None:
    one = feed((2, None), (5, None))
    assert (one.cursor, one.first_queued, one.room) == (1, 2, 998)
    assert taken(one) == [2, 5]
    assert (one.cursor, one.first_queued, one.blocked_keys, one.has_next()) == (5, None, 0, False)
    assert one.release(2) is None
    with pytest.raises(IndexError):
        one.take()


def test_positions_come_in_order_and_a_full_queue_keeps_its_place() -> None:
    one = feed((3, None), (4, None), queue_max=2)
    assert not one.offer(Queued(5))
    assert (one.seen, one.room) == (4, 0)
    with pytest.raises(IllegalTransition, match="4 is not behind 4"):
        one.offer(Queued(4))
    one.pass_over(9)
    one.pass_over(7)
    assert (one.seen, one.cursor) == (9, 2)


def test_s4a_one_of_a_key_at_a_time_and_in_order() -> None:
    one = feed((1, "a"), (2, "a"), (3, "b"), (4, "a"), (5, None))
    assert taken(one) == [1, 3, 5]
    assert one.blocked_keys == 2
    following = one.release(1)
    assert following is not None
    assert (following.position, following.key) == (2, "a")
    assert taken(one) == [2]
    assert one.release(3) is None
    assert one.blocked_keys == 1
    one.release(2)
    assert taken(one) == [4]
    assert one.release(4) is None
    assert (one.blocked_keys, one.has_next()) == (0, False)


def test_s4b_a_successor_goes_before_what_is_queued() -> None:
    one = feed((1, "a"), (2, "a"), (3, "b"))
    assert one.take().position == 1
    assert taken(one) == [3]
    one.offer(Queued(4, "c"))
    one.release(1)
    assert [item.position for item in one.next_up] == [2]
    assert taken(one) == [2, 4]


def test_s4b_one_blocked_key_does_not_hold_the_cursor() -> None:
    one = feed((1, "a"), *((position, "a") for position in range(2, 50)), (50, "b"))
    assert taken(one) == [1, 50]
    assert (one.cursor, one.first_queued, one.room) == (50, None, 1_000)


def test_a_position_that_is_no_head_releases_nothing() -> None:
    one = feed((1, "a"), (2, "a"), (3, "a"))
    taken(one)
    assert one.release(2) is None
    assert one.release(77) is None
    assert one.blocked_keys == 1
    assert one.release(1) is not None
    assert one.release(1) is None, "it is no head any more"


def test_s4b_at_most_so_many_keys_and_then_the_cursor_halts() -> None:
    one = feed((1, "a"), (2, "b"), (3, "c"), (4, "a"), (5, None), keys_max=2)
    assert taken(one) == [1, 2]
    assert (one.cursor, one.blocked_keys) == (2, 2)
    one.release(2)
    assert taken(one) == [3, 5]
    assert one.cursor == 5
    one.release(1)
    assert taken(one) == [4]
    assert KEYS_MAX == 1_000


def test_s4b_what_does_not_fit_in_memory_is_looked_up_in_the_log() -> None:
    last = FOLLOWERS_MAX + 6
    one = feed(*((position, "a") for position in range(1, last + 1)))
    assert taken(one) == [1]
    assert one.cursor == last
    for position in range(1, FOLLOWERS_MAX + 1):
        assert one.wants_successors(position) is None
        assert one.release(position) is not None
        assert taken(one) == [position + 1]
    head = FOLLOWERS_MAX + 1
    assert one.wants_successors(head) == "a"
    with pytest.raises(IllegalTransition, match="were not looked up"):
        one.release(head)
    assert one.blocked_keys == 1, "and its state is as before"
    one.stand_behind("a", [Queued(head + 1, "a"), Queued(head + 2, "a")], last, more=True)
    assert one.wants_successors(head) is None
    for position in (head, head + 1):
        assert one.release(position) is not None
    assert taken(one) == [head + 1, head + 2]
    assert one.wants_successors(head + 2) == "a"
    one.stand_behind("a", [Queued(position, "a") for position in range(head + 3, last + 1)], last, more=False)
    for position in range(head + 2, last):
        assert one.release(position) is not None
    assert one.wants_successors(last) is None
    assert one.release(last) is None
    assert one.blocked_keys == 0


def test_s4b_what_came_while_the_log_was_read_is_read_once_more() -> None:
    one = Feed(seen=10, queue_max=1_000)
    one.block("a", 4)
    assert one.wants_successors(4) == "a"
    # Read up to 10; meanwhile 11 and 12 have been moved behind the head.
    for position in (11, 12):
        one.offer(Queued(position, "a"))
    assert not one.has_next()
    one.stand_behind("a", [Queued(7, "a")], 10, more=False)
    assert one.release(4) is not None
    assert taken(one) == [7]
    assert one.wants_successors(7) == "a"
    one.stand_behind("a", [Queued(11, "a"), Queued(12, "a")], 12, more=False)
    assert one.release(7) is not None
    assert taken(one) == [11]
    assert one.release(11) is not None
    assert one.wants_successors(12) is None


def test_s4b_a_page_without_any_of_them_is_not_the_end() -> None:
    one = Feed(seen=10, queue_max=1_000)
    one.block("a", 4)
    one.stand_behind("a", [], 10, more=True)
    assert one.wants_successors(4) == "a"
    one.stand_behind("a", [], 10, more=False)
    assert one.wants_successors(4) is None
    assert one.release(4) is None


def test_s4b_a_key_that_was_blocked_before_this_process() -> None:
    one = Feed(seen=10, queue_max=1_000)
    one.block("a", 4)
    one.offer(Queued(11, "a"))
    one.offer(Queued(12, "b"))
    assert taken(one) == [12]
    assert (one.blocked_keys, one.cursor) == (2, 12)
    assert one.wants_successors(12) is None, "this process has seen all of it"


def test_s5a_the_cursor_of_a_replay_waits_and_a_restart_offers_what_is_behind_it_again() -> None:
    one = feed((1, "a"), (2, "a"), (3, "b"), (4, "a"), (5, None), covers=False)
    assert taken(one) == [1, 3, 5]
    assert one.cursor == 1
    one.release(1)
    assert one.cursor == 1, "2 is to be started, and no row says so"
    assert one.take().position == 2
    assert one.cursor == 3
    one.release(3)
    one.release(2)
    assert one.take().position == 4
    assert one.cursor == 5


def test_s5a_what_stands_behind_in_a_replay_takes_its_room() -> None:
    one = feed(*((position, "a") for position in range(1, 6)), covers=False, queue_max=5)
    assert taken(one) == [1]
    assert one.room == 1
    assert one.offer(Queued(6, "a"))
    assert not one.offer(Queued(7, "b"))
    one.release(1)
    assert one.room == 1
    assert one.offer(Queued(7, "b"))


def test_s5a_a_replay_keeps_all_followers_in_memory() -> None:
    last = FOLLOWERS_MAX + 6
    one = feed(*((position, "a") for position in range(1, last + 1)), covers=False)
    for position in range(1, last + 1):
        assert taken(one) == [position]
        assert one.wants_successors(position) is None
        assert (one.release(position) is None) is (position == last)


def test_s5a_a_head_from_before_this_process_holds_its_key_in_a_replay() -> None:
    one = Feed(seen=3, queue_max=10, covers=False)
    one.block("a", 2)
    one.offer(Queued(4, "a"))
    assert not one.has_next()
    assert (one.wants_successors(2), one.cursor) == (None, 3)
    following = one.release(2)
    assert following is not None
    assert following.position == 4


def test_what_a_head_covers() -> None:
    one = feed((1, "a"), (3, "a"), (5, "b"), (8, "a"))
    assert one.take().position == 1
    assert taken(one) == [5]
    assert [position for position in range(10) if one.covers("a", position)] == [3, 8]
    assert not any(one.covers("b", position) for position in range(10))
    assert not any(one.covers("c", position) for position in range(10))
    one.release(1)
    assert [position for position in range(10) if one.covers("a", position)] == [8]


def test_what_a_head_covers_in_the_log() -> None:
    one = Feed(seen=10, queue_max=10)
    one.block("a", 4)
    assert [position for position in range(15) if one.covers("a", position)] == list(range(5, 11))
    one.offer(Queued(12, "a"))
    assert not one.covers("a", 12), "it is queued"
    assert not one.has_next()
    assert one.covers("a", 12)
    one.stand_behind("a", [Queued(7, "a")], 9, more=True)
    one.release(4)
    assert [position for position in range(15) if one.covers("a", position)] == list(range(8, 13))


def test_s2b_a_rewind_forgets_what_is_queued_and_not_what_stands_behind() -> None:
    one = feed((1, "a"), (2, "a"), (3, "b"), (4, "c"))
    assert [one.take().position, one.has_next(), one.take().position] == [1, True, 3]
    one.rewind()
    assert (one.seen, one.cursor) == (3, 3)
    assert one.covers("a", 2)
    one.rewind()
    assert one.seen == 3
    assert one.offer(Queued(4, "c"))


def test_s3h_a_skip_leaves_out_what_is_queued() -> None:
    one = feed((1, "a"), (2, "a"), (3, "b"), (4, "b"))
    assert one.take().position == 1
    assert one.has_next()
    one.skip_to(3)
    assert (one.first_queued, one.seen) == (4, 4)
    one.skip_to(20)
    assert (one.first_queued, one.cursor) == (None, 20)
    assert one.covers("a", 2), "that was dispatched"


def test_s3h_what_a_skip_leaves_out_does_not_follow_a_head() -> None:
    one = feed((1, "a"), (2, "a"), (3, "a"), (4, "a"), (5, "b"))
    assert one.take().position == 1
    assert one.has_next()
    one.leave_out(2, 4)
    assert [one.covers("a", position) for position in (2, 3, 4)] == [True, False, False]
    following = one.release(1)
    assert following is not None
    assert following.position == 2
    assert one.take().position == 2
    assert one.release(2) is None
    assert one.take().position == 5


def test_s5b_a_replay_is_finished_when_each_of_its_deliveries_is() -> None:
    replay = ReplayFeed(50, 4, feed((1, "a"), (2, "a"), covers=False))
    assert not replay.fed
    one = replay.feed
    one.pass_over(4)
    assert taken(one) == [1]
    replay.open += 1
    assert not replay.fed, "2 stands behind it"
    one.release(1)
    replay.open -= 1
    assert not replay.fed, "2 is next"
    assert taken(one) == [2]
    replay.open += 1
    assert (replay.fed, replay.finished) == (False, False)
    one.release(2)
    assert (replay.fed, replay.finished) == (True, False)
    replay.open -= 1
    assert replay.finished


KEYS = (None, "a", "a", "a", "b", "c")


class FeedMachine(RuleBasedStateMachine):
    """Any order of what a feed can be told, restarts included; kept beside it is the log, and where each one stands.

    Followers in memory are few here, so that the log is asked often; a page of it is as small.
    """

    def __init__(self) -> None:
        super().__init__()
        self.few = mock.patch.object(feed_module, "FOLLOWERS_MAX", 2)
        self.few.start()
        self.log: dict[int, str | None] = {}
        self.started: set[int] = set()
        self.open: set[int] = set()
        self.passed = 0
        self.cursor = 0

    def teardown(self) -> None:
        self.few.stop()

    @initialize(covers=st.booleans())
    def begin(self, *, covers: bool) -> None:
        self.covers = covers
        self.feed = self.new(0)

    def new(self, seen: int) -> Feed:
        return Feed(seen=seen, queue_max=6, keys_max=2, covers=self.covers)

    def to_start(self) -> list[int]:
        return sorted(set(self.log) - self.started)

    @rule(gap=st.integers(1, 2), key=st.sampled_from(KEYS))
    def offer(self, gap: int, key: str | None) -> None:
        # What is behind the feed's place in the log comes first: after a rewind or a restart it is offered again.
        again = next((position for position in self.to_start() if position > self.feed.seen), None)
        position = self.passed + gap if again is None else again
        key = self.log.get(position, key)
        room = self.feed.room
        assert self.feed.offer(Queued(position, key)) is (room > 0)
        if room > 0:
            self.log[position] = key
            self.passed = max(self.passed, position)

    @rule()
    def pass_over(self) -> None:
        if all(position <= self.feed.seen for position in self.to_start()):
            self.passed = max(self.passed, self.feed.seen) + 1
            self.feed.pass_over(self.passed)

    @rule()
    def take(self) -> None:
        if not self.feed.has_next():
            queued = self.feed.first_queued
            assert queued is None or self.feed.blocked_keys == 2, "only keys halt what is queued"
            return
        item = self.feed.take()
        key = self.log[item.position]
        assert item.key == key
        assert item.position not in self.started, "no position is given out twice"
        if key is not None:
            earlier = [other for other in self.log if self.log[other] == key and other < item.position]
            assert self.started.issuperset(earlier), "first arrivals of a key leave in log order"
            assert not self.open.intersection(earlier), "one of a key at a time"
        self.started.add(item.position)
        self.open.add(item.position)

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        position = data.draw(st.sampled_from(sorted(self.open)))
        after = position
        while (key := self.feed.wants_successors(position)) is not None:
            assert self.covers
            until = self.feed.cursor
            rows = [row for row in sorted(self.log) if self.log[row] == key and after < row <= until]
            more = len(rows) >= 2
            found = [Queued(row, key) for row in rows[:2]]
            after = rows[1] if more else until
            self.feed.stand_behind(key, found, until, more=more)
        following = self.feed.release(position)
        self.open.remove(position)
        if following is not None:
            assert self.log[following.position] == self.log[position]

    @rule()
    def rewind(self) -> None:
        if self.covers:
            self.feed.rewind()

    @rule()
    def restart(self) -> None:
        """Memory is gone: there are the cursor, and the rows of what is pending (S2a)."""
        # A successor that was released is pending by its row, whether it was started or not.
        heads = self.open | ({item.position for item in self.feed.next_up} if self.covers else set())
        fresh = self.new(self.feed.cursor)
        for position in sorted(heads):
            key = self.log[position]
            if key is not None:
                fresh.block(key, position)
        # It is started from its row, not by the feed.
        self.started |= heads
        self.open |= heads
        self.feed = fresh

    @invariant()
    def every_position_is_in_its_place(self) -> None:
        if not hasattr(self, "feed"):
            return
        one = self.feed
        queued = {item.position for item in one.queue}
        following = {item.position for item in one.next_up}
        assert one.blocked_keys <= 2
        assert len(queued) <= 6
        assert one.cursor >= self.cursor, "a cursor never goes back"
        self.cursor = one.cursor
        assert all(position > one.cursor for position in queued)
        for position in self.to_start():
            key = self.log[position]
            behind = key is not None and one.covers(key, position)
            assert (position in queued) + (position in following) + behind + (position > one.seen) == 1, (
                position
            )
            assert self.covers or position > one.cursor, "nothing but its cursor says where a replay is"
        for position in self.started:
            key = self.log[position]
            assert not (key is not None and one.covers(key, position))

    @invariant()
    def whatever_waits_waits_for_something(self) -> None:
        if hasattr(self, "feed") and not self.open and self.feed.queue:
            assert self.feed.has_next(), "with nothing open nothing is held back"


TestFeedMachine = FeedMachine.TestCase
TestFeedMachine.settings = settings(max_examples=80, stateful_step_count=50, deadline=None)
