"""Figures of a stream: which attempts they are of, and what they come to."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.delivery import Decision
from gateway.domain.statistics import ATTEMPTS_MAX, PERCENTS, Tried, figures, spread

NOW_US = 1_800_000_000_000_000
SECOND_US = 1_000_000


def tried(age_s: float = 1, **members) -> Tried:
    started = NOW_US - int(age_s * SECOND_US)
    found = Tried(Decision.DELIVERED, started, 20_000, started - 80_000, sent=True, replayed=False)
    return replace(found, **members)


def test_nothing_was_tried():
    found = figures([], window_s=60, now_us=NOW_US)
    assert (found.attempts, found.seconds, found.complete) == (0, 60.0, True)
    assert found.rate(*Decision) == 0
    assert (found.latency.count, found.latency.max_ms, found.latency.percentiles_ms) == (0, None, {})


def test_rates_are_of_what_began_within_the_window():
    latest = [tried(1), tried(59), tried(10, decision=Decision.FAILED), tried(61)]
    found = figures(latest, window_s=60, now_us=NOW_US)
    assert found.attempts == 3
    assert found.rate(Decision.DELIVERED) == pytest.approx(2 / 60)
    assert found.rate(Decision.FAILED) == pytest.approx(1 / 60)
    assert found.decisions[Decision.EXHAUSTED] == 0


def test_where_there_are_more_than_are_read_the_window_is_as_long_as_they_took():
    latest = [tried(age_s=10 * n / ATTEMPTS_MAX) for n in range(1, ATTEMPTS_MAX + 1)]
    found = figures(latest, window_s=60, now_us=NOW_US)
    assert (found.complete, found.seconds) == (False, 10.0)
    assert found.rate(Decision.DELIVERED) == pytest.approx(ATTEMPTS_MAX / 10)
    assert figures(latest, window_s=5, now_us=NOW_US).complete


def test_latency_is_from_append_to_the_end_of_what_delivered_it():
    latest = [
        tried(duration_us=20_000),
        tried(decision=Decision.FAILED, duration_us=9_000_000),
        tried(replayed=True, appended_at_us=1),
        tried(appended_at_us=None),
    ]
    found = figures(latest, window_s=60, now_us=NOW_US)
    assert (found.latency.count, found.latency.max_ms) == (1, 100.0)


def test_answers_are_of_what_was_sent():
    latest = [tried(duration_us=7_000), tried(sent=False, decision=Decision.FAILED, duration_us=5_000_000)]
    found = figures(latest, window_s=60, now_us=NOW_US)
    assert (found.answers.count, found.answers.max_ms) == (1, 7.0)


def test_percentiles_by_nearest_rank():
    found = spread([n * 1_000 for n in range(1, 201)])
    assert found.percentiles_ms == {50: 100.0, 90: 180.0, 95: 190.0, 99: 198.0}


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=300))
def test_a_percentile_is_the_smallest_that_so_many_do_not_exceed(durations):
    found = spread(durations)
    for percent in PERCENTS:
        value = found.percentiles_ms[percent] * 1_000
        assert round(value) in durations
        assert sum(one <= round(value) for one in durations) * 100 >= percent * len(durations)
        assert sum(one < round(value) for one in durations) * 100 < percent * len(durations)
    assert found.max_ms == max(durations) / 1_000
