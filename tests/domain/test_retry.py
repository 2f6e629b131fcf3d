from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.delivery import Decision
from gateway.domain.retry import (
    AGE_S_MAX,
    DEFAULT_SCHEDULE_S,
    WAIT_S_MAX,
    Answered,
    Failed,
    NotSent,
    Outcome,
    Parked,
    Settlement,
    decide,
    splits,
    spread,
    succeeded,
)
from gateway.domain.retry_after import parse_retry_after
from gateway.domain.sending import SendErrorKind
from gateway.domain.state_machine import markdown

NOW = 1_767_268_800.0  # 2026-01-01T12:00:00Z


def settle(
    outcome: Outcome,
    *,
    failures: int = 0,
    schedule: tuple[float, ...] = DEFAULT_SCHEDULE_S,
    jitter: float = 0.5,
    age_s: float = 0,
    counting: bool = True,
) -> Settlement:
    return decide(
        outcome,
        failures_in_round=failures,
        schedule=schedule,
        now_s=NOW,
        jitter=jitter,
        round_started_s=NOW - age_s,
        counting=counting,
    )


def test_s3e_the_default_schedule() -> None:
    hour = 3600
    expected = (
        5,
        300,
        1800,
        2 * hour,
        5 * hour,
        10 * hour,
        14 * hour,
        20 * hour,
        24 * hour,
    )
    assert expected == DEFAULT_SCHEDULE_S


@pytest.mark.parametrize("status", [*range(200, 207), 226, 299])
def test_conformance_25_any_2xx_is_delivered(status: int) -> None:
    assert settle(Answered(status)) == Settlement(Decision.DELIVERED)
    late = settle(Answered(status, retry_after_s=5), failures=9, schedule=())
    assert late == Settlement(Decision.DELIVERED)


@pytest.mark.parametrize("status", [401, 403, 404, 408, 409, 500, 501, 502, 503, 504, 505, 599])
def test_s3e_what_is_retried_on_the_schedule(status: int) -> None:
    for failures, delay_s in enumerate(DEFAULT_SCHEDULE_S):
        assert settle(Answered(status), failures=failures) == Settlement(
            Decision.FAILED, counts=True, next_at=NOW + delay_s, error_class=str(status)
        )
    assert settle(Answered(status), failures=9) == Settlement(
        Decision.EXHAUSTED, counts=True, error_class=str(status)
    )


@pytest.mark.parametrize("kind", list(SendErrorKind))
def test_s3e_no_answer_is_retried_on_the_schedule(kind: SendErrorKind) -> None:
    nowhere = kind in {SendErrorKind.REFUSED, SendErrorKind.DNS}
    first, last = settle(Failed(kind)), settle(Failed(kind), failures=9)
    assert (first.decision, first.counts, first.next_at) == (Decision.FAILED, True, NOW + 5)
    assert last.decision is (Decision.REFUSED if nowhere else Decision.EXHAUSTED)
    assert (last.counts, last.next_at) == (True, None)
    assert first.error_class == last.error_class == ("refused" if nowhere else kind.value)


@pytest.mark.parametrize(
    "status", [300, 301, 302, 303, 304, 307, 308, 400, 402, 405, 406, 407, 411, 413, 415, 421, 422, 451, 499]
)
def test_s3e_conformance_24_28_what_is_exhausted_at_once(status: int) -> None:
    assert settle(Answered(status)) == Settlement(Decision.EXHAUSTED, counts=True, error_class=str(status))
    assert settle(Answered(status, retry_after_s=5)).decision is Decision.EXHAUSTED


def test_a_status_that_does_not_exist_is_exhausted() -> None:
    assert settle(Answered(700)).decision is Decision.EXHAUSTED
    assert settle(Answered(101)).decision is Decision.EXHAUSTED


def test_s3f_conformance_26_gone_disables_and_leaves_the_delivery_pending() -> None:
    for answer in (Answered(410), Answered(410, retry_after_s=5)):
        assert settle(answer) == Settlement(
            Decision.FAILED, counts=True, next_at=NOW + 5, disable=True, error_class="410"
        )
    last = settle(Answered(410), schedule=())
    assert (last.decision, last.disable) == (Decision.EXHAUSTED, True)


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("failures", [0, 5, 9])
def test_s3e_conformance_27_the_lane_waits_as_long_as_asked(status: int, failures: int) -> None:
    assert settle(Answered(status, 120), failures=failures) == Settlement(
        Decision.FAILED, next_at=NOW + 120, wait_lane_s=120, error_class=str(status)
    )
    assert settle(Answered(status, WAIT_S_MAX), schedule=()).wait_lane_s == WAIT_S_MAX


@pytest.mark.parametrize("status", [429, 503])
def test_s3e_conformance_27_a_wait_over_a_day_pauses(status: int) -> None:
    assert settle(Answered(status, WAIT_S_MAX + 1)) == Settlement(
        Decision.FAILED, next_at=NOW, pause=True, error_class=str(status)
    )


@pytest.mark.parametrize("status", [429, 503])
def test_s3e_waits_end_by_age(status: int) -> None:
    assert settle(Answered(status, 60), age_s=AGE_S_MAX - 1).decision is Decision.FAILED
    ended = Settlement(Decision.EXHAUSTED, error_class=str(status))
    assert settle(Answered(status, 60), age_s=AGE_S_MAX) == ended
    assert settle(Answered(status, WAIT_S_MAX + 1), age_s=AGE_S_MAX) == ended


def test_a_429_that_does_not_say_how_long_waits_like_a_first_retry() -> None:
    assert settle(Answered(429), failures=7).wait_lane_s == 5
    assert settle(Answered(429), jitter=0).wait_lane_s == 4
    assert settle(Answered(429), schedule=(30,)).wait_lane_s == 30
    assert settle(Answered(429), schedule=()).wait_lane_s == 5
    assert settle(Answered(429), schedule=(0.01,)).wait_lane_s == 1
    assert settle(Answered(429), schedule=(10 * WAIT_S_MAX,)).wait_lane_s == WAIT_S_MAX


def test_a_wait_is_never_nothing() -> None:
    assert settle(Answered(429, 0)).wait_lane_s == 1
    assert settle(Answered(503, 0.2)).wait_lane_s == 1


def test_an_empty_schedule_is_one_attempt() -> None:
    assert settle(Answered(500), schedule=()).decision is Decision.EXHAUSTED
    assert settle(Failed(SendErrorKind.DNS), schedule=()).decision is Decision.REFUSED


def test_fractions_of_seconds_are_kept() -> None:
    assert settle(Answered(500), schedule=(0.25,)).next_at == NOW + 0.25


@pytest.mark.parametrize("decision", list(Decision))
def test_only_three_decisions_are_made_before_sending(decision: Decision) -> None:
    if decision in {Decision.EXPIRED, Decision.ERASED, Decision.CANCELLED}:
        assert settle(NotSent(decision)) == Settlement(decision)
    else:
        with pytest.raises(ValueError, match="decided by an attempt"):
            NotSent(decision)


outcomes = st.one_of(
    st.builds(Answered, st.integers(100, 599), st.none() | st.floats(0, 10 * WAIT_S_MAX)),
    st.builds(Failed, st.sampled_from(SendErrorKind)),
    st.sampled_from([NotSent(Decision.EXPIRED), NotSent(Decision.ERASED), NotSent(Decision.CANCELLED)]),
    st.builds(Parked, st.integers(1, 9)),
)
jitters = st.floats(0, 1, exclude_max=True)
schedules = st.lists(st.floats(0, 7 * 24 * 3600), max_size=100).map(tuple)


@given(
    outcome=outcomes,
    schedule=schedules,
    failures=st.integers(0, 120),
    jitter=jitters,
    age_s=st.floats(0, 2 * AGE_S_MAX),
    counting=st.booleans(),
)
def test_every_settlement_hangs_together(
    outcome: Outcome,
    schedule: tuple[float, ...],
    failures: int,
    jitter: float,
    age_s: float,
    *,
    counting: bool,
) -> None:
    one = settle(outcome, failures=failures, schedule=schedule, jitter=jitter, age_s=age_s, counting=counting)
    assert (one.decision is Decision.DELIVERED) is succeeded(outcome)
    assert counting or not one.counts
    assert not splits(outcome) or one.decision is Decision.EXHAUSTED
    assert (one.next_at is not None) is (one.decision is Decision.FAILED)
    assert (one.error_class is None) is isinstance(outcome, NotSent) or one.decision is Decision.DELIVERED
    assert one.next_at is None or one.next_at >= NOW
    assert one.wait_lane_s is None or (1 <= one.wait_lane_s <= WAIT_S_MAX and not one.counts)
    assert not (one.pause and one.wait_lane_s is not None)
    if one.counts and one.decision is Decision.FAILED:
        assert failures < len(schedule)


# While the breaker is open (S3g): every kind of outcome, as above, with nothing that counts.


@pytest.mark.parametrize("status", [401, 404, 408, 409, 410, 500, 503, 599])
@pytest.mark.parametrize("failures", [0, 4, 9, 40])
def test_s3g_what_is_tried_while_the_breaker_is_open_does_not_count(status: int, failures: int) -> None:
    # However often: the schedule is not used up, and its last delay goes on.
    assert settle(Answered(status), failures=failures, counting=False) == Settlement(
        Decision.FAILED,
        next_at=NOW + DEFAULT_SCHEDULE_S[min(failures, 8)],
        disable=status == 410,
        error_class=str(status),
    )


@pytest.mark.parametrize("kind", list(SendErrorKind))
def test_s3g_no_answer_while_the_breaker_is_open_does_not_count(kind: SendErrorKind) -> None:
    one = settle(Failed(kind), failures=9, counting=False)
    assert (one.decision, one.counts, one.next_at) == (Decision.FAILED, False, NOW + DEFAULT_SCHEDULE_S[-1])


def test_s3g_what_does_not_count_ends_by_age() -> None:
    for outcome in (Answered(500), Failed(SendErrorKind.TIMEOUT)):
        assert settle(outcome, counting=False, age_s=AGE_S_MAX - 1).decision is Decision.FAILED
        ended = settle(outcome, counting=False, age_s=AGE_S_MAX)
        assert (ended.decision, ended.counts, ended.next_at) == (Decision.EXHAUSTED, False, None)
        # What counts ends by its schedule, and by nothing else.
        assert settle(outcome, age_s=AGE_S_MAX).decision is Decision.FAILED
    nowhere = settle(Failed(SendErrorKind.DNS), counting=False, age_s=AGE_S_MAX)
    assert (nowhere.decision, nowhere.counts) == (Decision.REFUSED, False)


def test_s3g_an_empty_schedule_is_one_attempt_with_the_breaker_open_too() -> None:
    for outcome in (Answered(500), Answered(410), Failed(SendErrorKind.CLOSED)):
        one = settle(outcome, schedule=(), counting=False)
        assert (one.decision, one.counts, one.next_at) == (Decision.EXHAUSTED, False, None)


@pytest.mark.parametrize("status", [302, 400, 413, 422])
def test_s3g_what_no_retry_would_change_ends_with_the_breaker_open_too(status: int) -> None:
    assert settle(Answered(status), counting=False) == Settlement(Decision.EXHAUSTED, error_class=str(status))


def test_s3g_a_success_and_a_wait_are_what_they_are_with_the_breaker_open() -> None:
    for outcome in (Answered(204), Answered(429, 60), Answered(503, 60), Answered(429, WAIT_S_MAX + 1)):
        assert settle(outcome, counting=False) == settle(outcome)


@given(schedules.filter(len), st.integers(0, 120), jitters)
def test_s3g_a_delay_that_does_not_count_is_one_of_the_schedule(
    schedule: tuple[float, ...], failures: int, jitter: float
) -> None:
    one = settle(Answered(500), failures=failures, schedule=schedule, jitter=jitter, counting=False)
    counted = settle(
        Answered(500), failures=min(failures, len(schedule) - 1), schedule=schedule, jitter=jitter
    )
    assert one == replace(counted, counts=False)


@pytest.mark.parametrize("counting", [True, False])
@pytest.mark.parametrize("schedule", [DEFAULT_SCHEDULE_S, ()])
def test_s3c_what_is_parked_has_ended_whatever_is_left_to_try(
    schedule: tuple[float, ...], *, counting: bool
) -> None:
    assert settle(Parked(3), schedule=schedule, counting=counting) == Settlement(
        Decision.EXHAUSTED, error_class="crash"
    )


@pytest.mark.parametrize(
    ("outcome", "taken"),
    [
        *(
            (Answered(status), status // 100 == 2)
            for status in (101, 199, 200, 204, 299, 300, 304, 404, 500, 700)
        ),
        *((Failed(kind), False) for kind in SendErrorKind),
        *((NotSent(decision), False) for decision in (Decision.EXPIRED, Decision.ERASED, Decision.CANCELLED)),
        (Parked(3), False),
    ],
)
def test_conformance_25_what_succeeded(outcome: Outcome, *, taken: bool) -> None:
    assert succeeded(outcome) is taken


def test_s10a_a_batch_is_split_by_what_no_retry_would_change() -> None:
    retried = {401, 403, 404, 408, 409, 410, 429}
    assert {status for status in range(100, 600) if splits(Answered(status))} == set(
        range(400, 500)
    ) - retried
    assert splits(Answered(413))
    assert splits(Answered(413, retry_after_s=60)), "what asks to wait and is no 429 or 503 does not wait"
    assert not splits(Answered(429, retry_after_s=60))
    for outcome in (*map(Failed, SendErrorKind), NotSent(Decision.ERASED), Parked(3)):
        assert not splits(outcome)


@given(schedules, jitters)
def test_a_round_of_failures_ends_after_the_whole_schedule(
    schedule: tuple[float, ...], jitter: float
) -> None:
    for failures in range(len(schedule)):
        assert settle(Answered(500), failures=failures, schedule=schedule, jitter=jitter).next_at is not None
    assert settle(Answered(500), failures=len(schedule), schedule=schedule).decision is Decision.EXHAUSTED


@given(st.floats(0, 1e9), jitters)
def test_s3e_jitter_stays_within_a_fifth(delay_s: float, jitter: float) -> None:
    assert delay_s * 0.8 * (1 - 1e-12) <= spread(delay_s, jitter) <= delay_s * 1.2 * (1 + 1e-12)


def test_jitter_reaches_both_ends() -> None:
    assert spread(100, 0) == pytest.approx(80)
    assert spread(100, 0.999_999) == pytest.approx(120, abs=0.001)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0),
        ("120", 120),
        (" 7\t", 7),
        ("9" * 19, 1e19),
        ("Thu, 01 Jan 2026 12:00:30 GMT", 30),
        ("Thursday, 01-Jan-26 12:01:00 GMT", 60),
        ("Thu Jan  1 13:00:00 2026", 3600),
        ("Thu Jan 01 13:00:00 2026", 3600),
        ("Wed, 31 Dec 2025 23:59:60 GMT", 0),
        ("Fri, 01 Jan 2027 00:00:60 GMT", 364 * 86400 + 12 * 3600 + 60),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 0),
        ("Sunday, 06-Nov-94 08:49:37 GMT", 0),  # 2094 would be more than 50 years ahead
        ("Thursday, 01-Jan-76 12:00:00 GMT", 18_262 * 86400),  # 2076 is not
    ],
)
def test_conformance_27_both_forms_of_retry_after(value: str, seconds: float) -> None:
    assert parse_retry_after(value, NOW) == seconds


@pytest.mark.parametrize(
    "value",
    [
        "",
        "-1",
        "+5",
        "1.5",
        "5s",
        "1e3",
        "\u0665",
        "9" * 65,
        "9" * 5000,
        "soon",
        "5, 5",
        "2026-01-01T12:00:00Z",
        "Thu, 01 Jan 2026 12:00:30 +0000",
        "Thu, 01 Jan 2026 12:00:30",
        "Thu, 1 Jan 2026 12:00:30 GMT",
        "Thu, 31 Feb 2026 12:00:30 GMT",
        "Thu, 01 Jan 2026 25:00:00 GMT",
        "Thu, 01 Jan 2026 12:00:61 GMT",
        "Thu, 01 jan 2026 12:00:30 GMT",
        "Sat, 01 Jan 0000 12:00:30 GMT",
        "Thu, 01 Jan 2026 12:00:30 GMT" + "." * 80,
    ],
)
def test_conformance_27_anything_else_is_no_retry_after(value: str) -> None:
    assert parse_retry_after(value, NOW) is None


@given(st.text(max_size=70), st.floats(0, 4e9))
def test_no_text_makes_the_reader_fail(value: str, now_s: float) -> None:
    seconds = parse_retry_after(value, now_s)
    assert seconds is None or seconds >= 0


def test_the_page_on_the_state_machine_is_fresh() -> None:
    page = Path(__file__).parents[2] / "docs" / "state-machine.md"
    assert page.read_text("utf-8") == markdown(), (
        "run: python -m gateway.domain.state_machine > docs/state-machine.md"
    )
