"""S3g: 20 in a row or 80 of the last 100 open it; probes 5 s apart, doubling to 5 min; the first success closes it."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.breaker import Breaker, Change, StreamNote

NOW = 1_767_268_800_000_000
SECOND_US = 1_000_000
PROBES_S = (5, 10, 20, 40, 80, 160, 300, 300, 300)
"""Delays before the probes, written down by hand."""


def feed(breaker: Breaker, outcomes: Sequence[bool], since_us: int = NOW) -> list[Change]:
    """Note outcomes a second apart."""
    return [
        breaker.record(success=success, at_us=since_us + step * SECOND_US, jitter=0.5)
        for step, success in enumerate(outcomes)
    ]


def opened(at_us: int = NOW) -> Breaker:
    breaker = Breaker()
    for _ in range(20):
        breaker.record(success=False, at_us=at_us, jitter=0.5)
    assert breaker.open
    return breaker


def probed(times: int) -> Breaker:
    """One that is open, and whose probes have failed this often, each as soon as it was due."""
    breaker = opened()
    for _ in range(times):
        assert breaker.probe_at_us is not None
        breaker.record(success=False, at_us=breaker.probe_at_us, jitter=0.5)
    return breaker


def test_a_new_one_is_closed_and_quiet() -> None:
    breaker = Breaker()
    assert (breaker.open, breaker.quiet, breaker.changed, breaker.failed_for(NOW)) == (
        False,
        True,
        False,
        0.0,
    )
    assert not breaker.probe_due(NOW)
    assert breaker.note(7) == StreamNote(7)


# Every state and every outcome: closed and well, closed and failing, one before it opens, open.


def test_closed_and_a_success() -> None:
    breaker = Breaker()
    assert feed(breaker, [True] * 200) == [Change.NONE] * 200
    assert (breaker.quiet, breaker.changed) == (True, False)


def test_closed_and_a_failure() -> None:
    breaker = Breaker()
    assert feed(breaker, [False]) == [Change.NONE]
    assert (breaker.open, breaker.quiet, breaker.changed, breaker.failing_since_us) == (
        False,
        False,
        True,
        NOW,
    )
    assert breaker.failed_for(NOW + 90 * SECOND_US) == 90.0


def test_failing_and_a_success() -> None:
    breaker = Breaker()
    assert feed(breaker, [False] * 19 + [True] + [False] * 19) == [Change.NONE] * 39
    assert breaker.failing_since_us == NOW + 20 * SECOND_US, "since the last success"
    feed(breaker, [True])
    assert breaker.failing_since_us is None


def test_failing_and_the_twentieth_failure_in_a_row() -> None:
    breaker = Breaker()
    assert feed(breaker, [False] * 20) == [Change.NONE] * 19 + [Change.OPENED]
    assert (breaker.open, breaker.opened_at_us) == (True, NOW + 19 * SECOND_US)
    assert breaker.probe_at_us == NOW + (19 + 5) * SECOND_US


def test_failing_and_the_eightieth_failure_of_the_last_hundred() -> None:
    breaker = Breaker()
    # Four of five fail, never 20 in a row.
    outcomes = [False, False, False, False, True] * 20
    changes = feed(breaker, outcomes)
    assert changes[:98] == [Change.NONE] * 98
    assert changes[98] is Change.OPENED
    assert sum(not success for success in outcomes[:99]) == 80


def test_seventy_nine_of_a_hundred_do_not_open_it_however_long_it_goes_on() -> None:
    breaker = Breaker()
    # 15 or 16 failures before each success: 79 in any hundred.
    pattern = ([False] * 4 + [True]) * 19 + [False] * 3 + [True] * 2
    assert sum(not success for success in pattern) == 79
    assert feed(breaker, pattern * 5) == [Change.NONE] * 500


def test_open_and_a_failed_probe() -> None:
    breaker = opened()
    assert breaker.probe_at_us == NOW + 5 * SECOND_US
    assert not breaker.probe_due(NOW + 5 * SECOND_US - 1)
    assert breaker.probe_due(NOW + 5 * SECOND_US)
    assert breaker.record(success=False, at_us=NOW + 6 * SECOND_US, jitter=0.5) is Change.NONE
    assert (breaker.open, breaker.probe_at_us) == (True, NOW + (6 + 10) * SECOND_US)
    assert not breaker.probe_due(NOW + 6 * SECOND_US)


@pytest.mark.parametrize("failed_probes", range(9))
def test_open_and_a_success(failed_probes: int) -> None:
    breaker = probed(failed_probes)
    assert breaker.record(success=True, at_us=NOW + 9_000 * SECOND_US, jitter=0.5) is Change.CLOSED
    assert (breaker.open, breaker.probe_at_us, breaker.failing_since_us) == (False, None, None)
    assert breaker.changed, "the next process is to know"
    # It begins anew: what had failed before it closed does not count any more.
    assert feed(breaker, [False] * 20) == [Change.NONE] * 19 + [Change.OPENED]
    assert breaker.probes == 1


def test_probes_are_ever_further_apart_up_to_five_minutes() -> None:
    breaker, last_us, gaps_s = opened(), NOW, []
    for _ in PROBES_S:
        assert breaker.probe_at_us is not None
        gaps_s.append((breaker.probe_at_us - last_us) / SECOND_US)
        last_us = breaker.probe_at_us
        breaker.record(success=False, at_us=last_us, jitter=0.5)
    assert tuple(gaps_s) == PROBES_S


@given(st.floats(0, 1, exclude_max=True), st.integers(0, 60))
def test_probes_are_spread_by_a_fifth(jitter: float, failed_probes: int) -> None:
    breaker = probed(failed_probes)
    at_us = breaker.probe_at_us
    assert at_us is not None
    breaker.record(success=False, at_us=at_us, jitter=jitter)
    assert breaker.probe_at_us is not None
    delay_s = min(300, 5 * 2 ** (failed_probes + 1))
    assert 0.8 * delay_s - 1e-6 <= (breaker.probe_at_us - at_us) / SECOND_US <= 1.2 * delay_s


def test_what_was_under_way_when_it_opened_is_no_probe() -> None:
    # With 32 at once, a dozen more may fail within the second; the first probe is due in 5 s all the same.
    breaker = opened()
    probe_at_us = breaker.probe_at_us
    for late_us in range(12):
        assert breaker.record(success=False, at_us=NOW + late_us, jitter=0.5) is Change.NONE
    assert (breaker.probe_at_us, breaker.probes) == (probe_at_us, 1)
    # One that is well closes it whenever it was started.
    assert breaker.record(success=True, at_us=NOW + 12, jitter=0.5) is Change.CLOSED


def test_a_note_survives_a_restart() -> None:
    before = probed(2)
    note = before.note(7)
    assert note == StreamNote(7, NOW, NOW, before.probe_at_us, 3)
    after = Breaker(note)
    assert (after.open, after.quiet, after.changed) == (True, False, False)
    assert after.note(7) == note
    assert after.probe_at_us is not None
    assert after.probe_due(after.probe_at_us)
    # It goes on where it was: the next gap is the one that comes after.
    assert after.record(success=False, at_us=after.probe_at_us, jitter=0.5) is Change.NONE
    assert after.note(7) == StreamNote(7, NOW, NOW, after.probe_at_us, 4)
    assert (after.probe_at_us - (note.probe_at_us or 0)) / SECOND_US == 40
    assert after.record(success=True, at_us=NOW, jitter=0.5) is Change.CLOSED


def test_a_note_of_a_stream_that_fails_and_is_not_open_yet() -> None:
    before = Breaker()
    feed(before, [False] * 19)
    after = Breaker(before.note(7))
    assert (after.open, after.failing_since_us, after.quiet) == (False, NOW, False)
    # What it counted is no part of the note (a working note, S3g); since when it fails is.
    assert feed(after, [False] * 20, NOW + 100 * SECOND_US)[-1] is Change.OPENED
    assert after.failing_since_us == NOW


def test_a_reset_trusts_it_again() -> None:
    breaker = probed(3)
    breaker.changed = False
    breaker.reset()
    assert (breaker.open, breaker.probes, breaker.failed_for(NOW)) == (False, 0, 0.0)
    assert breaker.note(7) == StreamNote(7)
    assert breaker.changed, "the note that is stored is to go"
    breaker.changed = False
    assert breaker.quiet
    breaker.reset()
    assert not breaker.changed, "there was nothing to forget"
    assert feed(breaker, [False] * 19) == [Change.NONE] * 19


class Naive:
    """The rule of S3g, said as slowly as it is written."""

    def __init__(self) -> None:
        self.history: list[bool] = []
        self.opened_at_us: int | None = None
        self.probe_at_us = 0
        self.probes = 0
        self.failing_since_us: int | None = None

    def record(self, *, success: bool, at_us: int) -> Change:
        self.history.append(success)
        if success:
            self.failing_since_us = None
        elif self.failing_since_us is None:
            self.failing_since_us = at_us
        if self.opened_at_us is not None:
            if success:
                self.history, self.opened_at_us = [], None
                return Change.CLOSED
            if at_us >= self.probe_at_us:
                self.wait_for_probe(at_us)
            return Change.NONE
        twenty = self.history[-20:] == [False] * 20
        eighty = self.history[-100:].count(False) >= 80
        if not (twenty or eighty):
            return Change.NONE
        self.opened_at_us, self.probes = at_us, 0
        self.wait_for_probe(at_us)
        return Change.OPENED

    def wait_for_probe(self, at_us: int) -> None:
        self.probe_at_us = at_us + PROBES_S[min(self.probes, len(PROBES_S) - 1)] * SECOND_US
        self.probes += 1


runs = st.tuples(st.booleans(), st.integers(1, 25))
patterns = st.tuples(st.lists(st.booleans(), min_size=1, max_size=12), st.integers(1, 30))
mostly_failing = st.tuples(
    st.lists(st.integers(0, 9).map(lambda digit: digit == 0), min_size=5, max_size=40), st.integers(1, 4)
)
histories = st.lists(
    st.one_of(
        runs.map(lambda run: [run[0]] * run[1]),
        patterns.map(lambda pattern: pattern[0] * pattern[1]),
        mostly_failing.map(lambda pattern: pattern[0] * pattern[1]),
    ),
    max_size=12,
).map(lambda parts: [success for part in parts for success in part])


@given(histories, st.sampled_from([1, SECOND_US, 70 * SECOND_US]))
def test_it_does_what_the_rule_says_on_any_history(history: list[bool], gap_us: int) -> None:
    breaker, naive, at_us = Breaker(), Naive(), NOW
    for success in history:
        at_us += gap_us
        change = breaker.record(success=success, at_us=at_us, jitter=0.5)
        assert change is naive.record(success=success, at_us=at_us)
        assert breaker.opened_at_us == naive.opened_at_us
        assert breaker.failing_since_us == naive.failing_since_us
        assert not breaker.open or breaker.probe_at_us == naive.probe_at_us
        assert not breaker.quiet or (not breaker.open and (success or not history))
        breaker.changed = False


@given(histories, st.integers(0, 300))
def test_a_stream_that_is_quiet_need_not_be_told_of_a_success(history: list[bool], at: int) -> None:
    # What delivers skips that call; it must come to the same.
    told, spared = Breaker(), Breaker()
    for step, success in enumerate(history):
        told.changed = spared.changed = False
        at_us = NOW + step * SECOND_US
        change = told.record(success=success, at_us=at_us, jitter=0.5)
        if not success or not spared.quiet:
            assert spared.record(success=success, at_us=at_us, jitter=0.5) is change
        if step == at:
            told.reset()
            spared.reset()
        assert spared.note(1) == told.note(1)
