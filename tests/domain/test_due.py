"""What is due again: deliveries as they come, batches whole (S10a); nothing is lost where a replay takes some."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gateway.domain.due import INCOMPLETE_US, Due, Started
from gateway.domain.pending import PendingDelivery

NOW = 1_000


def single(position: int) -> PendingDelivery:
    return PendingDelivery(1, position, attempts=1, next_at_us=NOW)


def member(position: int, batch: str = "a", of: int = 3) -> PendingDelivery:
    return PendingDelivery(1, position, attempts=1, next_at_us=NOW, batch=batch, batch_size=of)


def due(*deliveries: PendingDelivery, now_us: int = NOW) -> Due:
    one = Due()
    for delivery in deliveries:
        one.add(delivery, now_us)
    return one


def positions(started: Started) -> list[int]:
    return [delivery.position for delivery in started]


def test_nothing_is_due() -> None:
    one = due()
    assert (len(one), one.ready, one.incomplete, one.wakes_at_us, 1 in one) == (0, False, False, None, False)
    one.ripen(NOW)
    assert not one.ready


def test_single_deliveries_go_in_the_order_in_which_they_came() -> None:
    one = due(single(7), single(3), single(5))
    assert (len(one), 3 in one, one.incomplete) == (3, True, False)
    assert [positions(one.first()) for _ in range(3)] == [[7], [3], [5]]
    assert (len(one), 3 in one, one.ready) == (0, False, False)


def test_s3g_the_oldest_is_the_lowest_in_the_log() -> None:
    one = due(single(7), member(2), member(9), member(4), single(3))
    assert positions(one.oldest()) == [2, 4, 9]
    assert [positions(one.oldest()) for _ in range(2)] == [[3], [7]]


def test_s10a_a_batch_goes_once_its_members_are_all_here_and_in_log_order() -> None:
    one = due(member(9), member(2))
    assert (one.ready, one.incomplete, len(one), 9 in one) == (False, True, 2, True)
    one.add(member(4), NOW)
    assert (one.ready, one.incomplete, one.wakes_at_us) == (True, False, None)
    assert positions(one.first()) == [2, 4, 9]
    assert len(one) == 0


def test_s10a_a_batch_of_one_needs_nobody_else() -> None:
    one = due(member(5, of=1))
    assert (one.ready, one.incomplete) == (True, False)


def test_batches_do_not_mix() -> None:
    one = due(member(1, "a", 2), member(2, "b", 2), member(4, "b", 2), member(3, "a", 2))
    assert [positions(one.first()) for _ in range(2)] == [[2, 4], [1, 3]]


def test_a_batch_whose_members_do_not_all_come_goes_without_them() -> None:
    one = due(member(2))
    one.add(member(9), NOW + 500)
    # The last one that came is what the others are waited for from.
    assert one.wakes_at_us == NOW + 500 + INCOMPLETE_US
    one.ripen(NOW + 500 + INCOMPLETE_US - 1)
    assert not one.ready
    one.ripen(NOW + 500 + INCOMPLETE_US)
    assert positions(one.first()) == [2, 9]
    assert (one.wakes_at_us, one.incomplete) == (None, False)


def test_the_first_batch_that_ripens_is_what_to_wake_for() -> None:
    one = due(member(1, "a"), now_us=NOW)
    one.add(member(2, "b"), NOW + 70)
    assert one.wakes_at_us == NOW + INCOMPLETE_US
    one.ripen(NOW + INCOMPLETE_US)
    assert one.wakes_at_us == NOW + 70 + INCOMPLETE_US


def test_s5b_what_a_replay_takes_over_is_gone_from_here() -> None:
    one = due(single(1), member(2, of=2), member(3, of=2), member(5, "b"), member(6, "b"))
    one.forget(1)
    one.forget(2)  # of a batch that is complete
    one.forget(5)  # of one that is not
    assert (len(one), 2 in one, 3 in one) == (2, False, True)
    assert positions(one.first()) == [3]
    one.forget(6)
    assert (len(one), one.incomplete, one.ready, one.wakes_at_us) == (0, False, False, None)


def test_forgetting_what_is_not_here_is_an_error() -> None:
    with pytest.raises(KeyError):
        due(single(1)).forget(2)


def test_a_batch_that_was_let_go_may_still_get_a_late_member() -> None:
    one = due(member(2), member(4))
    one.ripen(NOW + INCOMPLETE_US)
    one.add(member(9), NOW + INCOMPLETE_US)
    assert (one.ready, one.incomplete) == (True, True)
    one.forget(2)  # it is among those that ripened, and not among those that wait
    assert positions(one.first()) == [4]
    one.forget(9)
    assert (len(one), one.incomplete) == (0, False)


class DueMachine(RuleBasedStateMachine):
    """Any order of coming, ripening, taking and forgetting; kept beside it is who is here."""

    def __init__(self) -> None:
        super().__init__()
        self.due = Due()
        self.here: dict[int, PendingDelivery] = {}
        self.now_us = NOW
        self.next = 1

    @rule(batch=st.sampled_from([None, None, "a", "b"]), back=st.booleans())
    def add(self, batch: str | None, *, back: bool) -> None:
        position = 1_000 - self.next if back else 1_000 + self.next
        self.next += 1
        delivery = single(position) if batch is None else member(position, batch)
        self.due.add(delivery, self.now_us)
        self.here[position] = delivery

    @rule(later_us=st.sampled_from([0, 1, INCOMPLETE_US // 2, INCOMPLETE_US]))
    def ripen(self, later_us: int) -> None:
        self.now_us += later_us
        self.due.ripen(self.now_us)
        wakes_at_us = self.due.wakes_at_us
        assert wakes_at_us is None or wakes_at_us > self.now_us

    @precondition(lambda self: self.due.ready)
    @rule(oldest=st.booleans())
    def take(self, *, oldest: bool) -> None:
        started = self.due.oldest() if oldest else self.due.first()
        assert positions(started) == sorted(positions(started))
        assert len({delivery.batch for delivery in started}) == 1
        assert len(started) == 1 or started[0].batch is not None
        for delivery in started:
            assert self.here.pop(delivery.position) == delivery, (
                "nothing is given out that did not come, or twice"
            )

    @precondition(lambda self: self.here)
    @rule(data=st.data())
    def forget(self, data: st.DataObject) -> None:
        position = data.draw(st.sampled_from(sorted(self.here)))
        self.due.forget(position)
        del self.here[position]

    @invariant()
    def who_is_here_is_here(self) -> None:
        assert len(self.due) == len(self.here)
        assert all(position in self.due for position in self.here)
        assert (self.due.wakes_at_us is not None) is self.due.incomplete
        assert self.due.ready or self.due.incomplete or not self.here, (
            "whatever is here can be started one day"
        )
        assert self.due.ready or all(delivery.batch is not None for delivery in self.here.values())


TestDueMachine = DueMachine.TestCase
TestDueMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
