"""S2 in one lane: what is queued is above the cursor, what is below it is started, and nothing is both."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gateway.domain.feed import IllegalTransition
from gateway.domain.lane import Lane
from gateway.domain.pending import PendingDelivery

NOW = 1_000


def lane(**options: int) -> Lane:
    given = {"seen": 0, "concurrency": 4, **options}
    return Lane(1, live=True, **given)


def waiting(position: int) -> PendingDelivery:
    return PendingDelivery(1, position, attempts=1, failures=1, next_at_us=NOW)


def started(one: Lane, now_us: int = NOW) -> tuple[int, ...]:
    """The positions of what it starts now."""
    return tuple(delivery.position for delivery in one.start(now_us) or ())


def test_s2a_the_cursor_stands_before_the_first_that_is_queued() -> None:
    one = lane(concurrency=2)
    for position in (3, 5, 8, 9):
        assert one.offer(position)
    assert (one.cursor, one.first_queued, one.queued) == (2, 3, 4)
    assert [one.start(NOW), one.start(NOW)] == [
        (PendingDelivery(1, 3, first_at_us=NOW),),
        (PendingDelivery(1, 5, first_at_us=NOW),),
    ]
    assert (one.cursor, one.first_queued, one.pending) == (7, 8, 2)
    assert one.start(NOW) is None
    one.settle(5, again=False)
    assert one.start(NOW) == (PendingDelivery(1, 8, first_at_us=NOW),)


def test_positions_come_in_order() -> None:
    one = lane(seen=10)
    with pytest.raises(IllegalTransition):
        one.offer(10)
    assert one.offer(11)
    one.pass_over(20)
    one.pass_over(5)
    with pytest.raises(IllegalTransition):
        one.offer(20)
    assert one.seen == 20


def test_a_full_queue_takes_nothing_and_keeps_its_place() -> None:
    one = lane(queue_max=2)
    assert one.offer(1)
    assert one.offer(2)
    assert not one.offer(3)
    assert (one.seen, one.queued, one.room) == (2, 2, 0)


def test_s2b_a_demoted_lane_goes_back_to_its_cursor() -> None:
    one = lane(concurrency=1)
    for position in (2, 4, 6):
        one.offer(position)
    one.start(NOW)
    one.demote(routed=9)
    assert (one.live, one.seen, one.cursor, one.queued, one.pending) == (False, 3, 3, 0, 1)


def test_s2b_a_live_lane_with_nothing_queued_is_demoted_where_the_router_is() -> None:
    one = lane()
    one.offer(2)
    one.start(NOW)
    one.demote(routed=9)
    assert one.seen == 9
    # One that scans is not where the router is.
    one.demote(routed=20)
    assert one.seen == 9


def test_s2f_a_lane_joins_where_its_cursor_is_the_routers() -> None:
    one = lane()
    one.demote(routed=0)
    one.offer(3)
    one.pass_over(5)
    assert not one.join(5)
    one.start(NOW)
    assert not one.join(4)
    assert one.join(5)
    assert one.live


def test_a_halted_lane_starts_nothing_and_does_not_join() -> None:
    one = lane()
    one.offer(3)
    one.due(waiting(1), counted=False)
    one.halt(routed=5)
    assert (one.cursor, one.live, one.start(NOW), one.join(2)) == (2, False, None, False)
    one.halted = False
    assert one.start(NOW) is not None


def test_s3h_a_skip_leaves_out_what_lies_before_and_keeps_what_lies_behind() -> None:
    one = lane()
    for position in (3, 5, 7):
        one.offer(position)
    one.skip_to(5)
    assert (one.queued, one.cursor, one.seen) == (1, 6, 7)
    one.skip_to(20)
    assert (one.queued, one.cursor) == (0, 20)
    one.skip_to(4)
    assert one.cursor == 20


def test_s2g_retries_take_at_most_half_of_a_lane() -> None:
    one = lane(seen=10, concurrency=4)
    for position in range(1, 7):
        one.due(waiting(position), counted=False)
    for position in range(11, 17):
        one.offer(position)
    assert [started(one) for _ in range(4)] == [(1,), (2,), (11,), (12,)]


def test_s2g_where_nothing_is_new_retries_have_the_whole_lane() -> None:
    one = lane(seen=10, concurrency=4)
    for position in range(1, 7):
        one.due(waiting(position), counted=False)
    assert [one.start(NOW) is not None for _ in range(5)] == [True] * 4 + [False]


def test_s2g_a_lane_of_one_takes_turns() -> None:
    one = lane(seen=10, concurrency=1)
    for position in range(1, 4):
        one.due(waiting(position), counted=False)
    for position in range(11, 14):
        one.offer(position)
    order = []
    for _ in range(6):
        (position,) = started(one)
        order.append(position)
        one.settle(position, again=False)
    assert order == [1, 11, 2, 12, 3, 13]


def test_s2e_a_backlogged_lane_starts_retries_only() -> None:
    one = lane(seen=10, concurrency=4, pending_max=2, waiting=1)
    one.due(waiting(1), counted=False)
    one.offer(11)
    assert one.backlogged
    assert [started(one), started(one)] == [(1,), ()]
    one.settle(1, again=False)
    assert started(one) == (11,)


def test_s3e_nothing_starts_before_the_wait_is_over_and_the_longest_wait_holds() -> None:
    one = lane()
    one.offer(1)
    one.wait(NOW + 10)
    one.wait(NOW + 5)
    assert one.start(NOW + 9) is None
    assert one.start(NOW + 10) is not None


def test_s3c_one_attempt_at_a_time() -> None:
    one = lane()
    one.offer(1)
    one.start(NOW)
    with pytest.raises(IllegalTransition):
        one.due(waiting(1))
    one.settle(1, again=True)
    assert one.pending == 1
    one.due(waiting(1))
    assert (one.pending, one.holds(1)) == (1, True)
    with pytest.raises(IllegalTransition):
        one.due(waiting(1))
    with pytest.raises(IllegalTransition):
        one.settle(1, again=False)


def test_s2g_a_lane_that_has_nothing_to_do_is_idle() -> None:
    one, idle = lane(), []
    for step in (lambda: one.offer(1), lambda: one.start(NOW), lambda: one.settle(1, again=True)):
        idle.append(one.idle)
        step()
    assert [*idle, one.idle] == [True, False, False, True]
    assert one.pending == 1


class LaneMachine(RuleBasedStateMachine):
    """Any order of what a lane can be told; kept beside it is where every position must be."""

    def __init__(self) -> None:
        super().__init__()
        self.lane = Lane(1, seen=0, live=True, concurrency=3, queue_max=5, pending_max=8)
        self.queued: list[int] = []
        self.in_flight: set[int] = set()
        self.ready: set[int] = set()
        self.waits: set[int] = set()
        self.ended: set[int] = set()
        self.cursor = 0

    @rule(gap=st.integers(1, 3))
    def offer(self, gap: int) -> None:
        position = self.lane.seen + gap
        if self.lane.offer(position):
            self.queued.append(position)
        else:
            assert len(self.queued) == 5

    @rule(gap=st.integers(0, 3))
    def pass_over(self, gap: int) -> None:
        self.lane.pass_over(self.lane.seen + gap)

    @rule()
    def start(self) -> None:
        pending = len(self.in_flight) + len(self.ready) + len(self.waits)
        started = self.lane.start(NOW)
        if started is None:
            stopped = self.lane.halted or len(self.in_flight) == 3
            assert stopped or not (self.ready or (self.queued and pending < 8))
            return
        assert len(self.in_flight) < 3
        (delivery,) = started
        if delivery.position in self.ready:
            self.ready.remove(delivery.position)
        else:
            assert delivery.position == self.queued.pop(0), "first arrivals leave in log order"
            assert pending < 8
        self.in_flight.add(delivery.position)

    @precondition(lambda self: self.in_flight)
    @rule(data=st.data(), again=st.booleans())
    def settle(self, data: st.DataObject, *, again: bool) -> None:
        position = data.draw(st.sampled_from(sorted(self.in_flight)))
        assert self.lane.settle(position, again=again) == []
        self.in_flight.remove(position)
        (self.waits if again else self.ended).add(position)

    @precondition(lambda self: self.waits)
    @rule(data=st.data())
    def due(self, data: st.DataObject) -> None:
        position = data.draw(st.sampled_from(sorted(self.waits)))
        self.lane.due(waiting(position))
        self.waits.remove(position)
        self.ready.add(position)

    @rule(ahead=st.integers(0, 4), halt=st.booleans())
    def demote(self, ahead: int, *, halt: bool) -> None:
        routed = self.lane.seen + ahead
        if halt:
            self.lane.halt(routed)
        else:
            self.lane.demote(routed)
        self.queued.clear()

    @rule(ahead=st.integers(0, 4))
    def resume(self, ahead: int) -> None:
        self.lane.halted = False
        if ahead:
            self.lane.skip_to(self.lane.cursor + ahead)
            self.queued = [position for position in self.queued if position > self.lane.cursor]

    @rule()
    def join(self) -> None:
        assert self.lane.join(self.lane.seen) is (
            self.lane.live or (not self.lane.halted and not self.queued)
        )

    @invariant()
    def every_position_is_in_its_place(self) -> None:
        started = self.in_flight | self.ready | self.waits | self.ended
        assert all(position <= self.lane.cursor for position in started)
        assert all(position > self.lane.cursor for position in self.queued)
        assert self.lane.pending == len(self.in_flight) + len(self.ready) + len(self.waits)
        assert self.lane.queued == len(self.queued)
        assert self.lane.first_queued == (self.queued[0] if self.queued else None)
        assert {item.position for item in self.lane.in_flight} == self.in_flight
        assert self.lane.cursor >= self.cursor, "a cursor never goes back"
        self.cursor = self.lane.cursor


TestLaneMachine = LaneMachine.TestCase
TestLaneMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
