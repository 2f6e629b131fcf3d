"""`max_per_second`: never more than `per_second * t` and one burst in any window, and in the long run as many."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.rate import Rate

# Microseconds since the epoch are large: what is counted in them must not be rounded away.
NOW = 1_767_268_800_000_000
SECOND_US = 1_000_000


def burst_of(per_second: float) -> Fraction:
    """How many may start at once: a tenth of a second's worth, and one in any case."""
    return max(Fraction(1), Fraction(per_second) / 10)


def starts(rate: Rate, looks_us: list[int]) -> list[int]:
    """When something started, for a stream that always has something and looks at these times."""
    taken = []
    for now_us in looks_us:
        while rate.allows(now_us):
            rate.take(now_us)
            taken.append(now_us)
    return taken


def saturated(rate: Rate, count: int, since_us: int = NOW) -> list[int]:
    """When something starts, for a stream that wakes exactly when it is told to."""
    now_us, taken = since_us, []
    for _ in range(count):
        now_us = max(now_us, rate.next_us())
        assert rate.allows(now_us)
        rate.take(now_us)
        taken.append(now_us)
    return taken


def test_one_that_is_new_may_start_at_once() -> None:
    assert Rate(5).allows(NOW)
    assert Rate(5).next_us() <= NOW


@pytest.mark.parametrize(
    ("per_second", "at_once"), [(0.01, 1), (1, 1), (10, 1), (20, 2), (55, 5), (10_000, 1_000)]
)
def test_a_burst_is_a_tenth_of_a_second(per_second: float, at_once: int) -> None:
    assert len(starts(Rate(per_second), [NOW])) == at_once


@pytest.mark.parametrize(
    ("per_second", "gap_us"), [(1, SECOND_US), (4, 250_000), (0.5, 2 * SECOND_US), (0.01, 100 * SECOND_US)]
)
def test_a_slow_one_is_spread_evenly(per_second: float, gap_us: int) -> None:
    assert saturated(Rate(per_second), 5) == [NOW + step * gap_us for step in range(5)]


def test_the_next_one_is_allowed_exactly_when_it_is_said() -> None:
    rate = Rate(3)
    rate.take(NOW)
    at_us = rate.next_us()
    assert at_us == NOW + 333_334, "a whole microsecond early would be woken twice for nothing"
    assert not rate.allows(at_us - 1)
    assert rate.allows(at_us)


def test_idle_time_is_not_saved_up() -> None:
    rate = Rate(100)
    saturated(rate, 50)
    assert len(starts(rate, [NOW + 3_600 * SECOND_US])) == 10


def test_a_clock_that_goes_back_allows_no_more() -> None:
    rate = Rate(10)
    rate.take(NOW)
    assert not rate.allows(NOW - SECOND_US)
    rate.take(NOW - SECOND_US)
    assert rate.next_us() == NOW + 200_000


# Rates whose step is no whole number of microseconds, or of quarters of one, are those that could drift.
@pytest.mark.parametrize("per_second", [0.3, 3, 7, 333, 6_999.9, 7_000, 10_000])
def test_no_drift_over_very_many_starts(per_second: float) -> None:
    rate = Rate(per_second)
    count = 100_000
    first_us = rate.next_us()
    for _ in range(count):
        rate.take(NOW)  # a backlog of starts: only the arithmetic counts
    took_us = rate.next_us() - max(NOW, first_us)
    due_us = Fraction(count) / Fraction(per_second) * SECOND_US
    burst_us = burst_of(per_second) / Fraction(per_second) * SECOND_US - Fraction(SECOND_US) / Fraction(
        per_second
    )
    assert due_us - burst_us <= took_us <= due_us - burst_us + 2


rates = st.one_of(
    st.sampled_from([0.01, 0.5, 1, 3, 7, 10, 11, 33.3, 100, 7_000, 10_000]), st.floats(0.01, 10_000)
)


@given(
    rates, st.lists(st.one_of(st.integers(0, 2_000), st.integers(0, 3 * SECOND_US)), min_size=1, max_size=60)
)
def test_never_more_than_the_rate_and_a_burst_in_any_window(per_second: float, gaps_us: list[int]) -> None:
    looks_us, now_us = [], NOW
    for gap_us in gaps_us:
        now_us += gap_us
        looks_us.append(now_us)
    taken = starts(Rate(per_second), looks_us)
    assert taken, "something always starts"
    burst = burst_of(per_second)
    counted: dict[int, int] = {}
    for at_us in taken:
        counted[at_us] = counted.get(at_us, 0) + 1
    moments = sorted(counted)
    for first, since_us in enumerate(moments):
        total = 0
        for until_us in moments[first:]:
            total += counted[until_us]
            allowed = Fraction(per_second) * (until_us - since_us) / SECOND_US + burst
            assert total <= allowed, f"{total} in {until_us - since_us} us"


@given(rates, st.integers(2, 300))
def test_a_stream_that_always_has_something_gets_its_rate(per_second: float, count: int) -> None:
    taken = saturated(Rate(per_second), count)
    assert taken == sorted(taken)
    # The first burst is free; from then on one a step. A stream wakes up to a whole microsecond late for each.
    needed = max(Fraction(0), count - burst_of(per_second)) / Fraction(per_second) * SECOND_US
    assert needed - 1 <= taken[-1] - taken[0] <= needed + count
