from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.delivery import (
    TRANSITIONS,
    Decision,
    DeliveryState,
    IllegalTransition,
    Round,
    State,
    fold,
    follow,
)
from gateway.domain.retry import DEFAULT_SCHEDULE_S, Answered, Failed, NotSent, Outcome, Parked, decide
from gateway.domain.sending import SendErrorKind

T0 = 1_000_000


@dataclass(frozen=True, slots=True)
class Row:
    attempt: int
    decision: Decision
    round: int = 0
    counts: bool = False
    started_at_us: int = T0
    duration_us: int = 10
    next_at_us: int | None = None


def row(attempt: int, decision: Decision, round_: int = 0, at_us: int = T0) -> Row:
    again = decision is Decision.FAILED
    counts = decision in {Decision.FAILED, Decision.EXHAUSTED, Decision.REFUSED}
    return Row(attempt, decision, round_, counts, at_us, next_at_us=at_us + 5_000_000 if again else None)


def reached(state: State) -> DeliveryState:
    decision = Decision.FAILED if state is State.PENDING else Decision(state.value)
    return fold([row(1, decision)])


# What must hold, written down by hand and not taken from the table.
LEGAL = {
    *((State.PENDING, round_, decision) for round_ in Round for decision in Decision),
    *(
        (state, Round.NEXT, decision)
        for state in (State.DELIVERED, State.EXHAUSTED, State.EXPIRED, State.REFUSED, State.CANCELLED)
        for decision in Decision
    ),
    (State.ERASED, Round.NEXT, Decision.ERASED),
}


@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("round_", list(Round))
@pytest.mark.parametrize("decision", list(Decision))
def test_s3b_every_state_and_every_attempt(state: State, round_: Round, decision: Decision) -> None:
    before = reached(state)
    assert before.state is state
    attempt = row(2, decision, round_=0 if round_ is Round.SAME else 1, at_us=T0 + 1)
    if (state, round_, decision) in LEGAL:
        after = follow(before, attempt)
        assert after.state.value == ("pending" if decision is Decision.FAILED else decision.value)
        assert TRANSITIONS[state, round_, decision] is after.state
    else:
        kept = replace(before)
        with pytest.raises(IllegalTransition, match="cannot follow"):
            follow(before, attempt)
        assert before == kept
        assert (state, round_, decision) not in TRANSITIONS


def test_a_delivery_without_attempts_is_pending() -> None:
    assert fold([]) == DeliveryState()
    assert fold([]).state is State.PENDING
    assert not State.PENDING.terminal


def test_s3b_numbers_go_up_by_one() -> None:
    failed = row(1, Decision.FAILED)
    for wrong in (0, 1, 3):
        with pytest.raises(IllegalTransition, match=f"attempt {wrong} cannot follow attempt 1"):
            fold([failed, row(wrong, Decision.FAILED)])
    with pytest.raises(IllegalTransition, match="attempt 2 cannot follow attempt 0"):
        fold([row(2, Decision.FAILED)])


@pytest.mark.parametrize("round_", [-1, 2, 7])
def test_s5b_rounds_go_up_by_one(round_: int) -> None:
    with pytest.raises(IllegalTransition, match="cannot follow round 0"):
        fold([row(1, Decision.FAILED), row(2, Decision.FAILED, round_)])


def test_an_attempt_says_when_the_next_one_is_due_exactly_where_it_failed() -> None:
    with pytest.raises(IllegalTransition, match="next time"):
        fold([replace(row(1, Decision.FAILED), next_at_us=None)])
    for decision in set(Decision) - {Decision.FAILED}:
        with pytest.raises(IllegalTransition, match="next time"):
            fold([replace(row(1, decision), next_at_us=T0)])


@pytest.mark.parametrize("decision", list(Decision))
def test_only_a_failure_counts(decision: Decision) -> None:
    attempt = replace(row(1, decision), counts=True)
    if decision in {Decision.FAILED, Decision.EXHAUSTED, Decision.REFUSED}:
        assert fold([attempt]).failures == 1
        assert fold([replace(attempt, counts=False)]).failures == 0
    else:
        with pytest.raises(IllegalTransition, match="does not count"):
            fold([attempt])


def test_s5b_a_round_has_its_own_schedule_and_the_numbers_go_on() -> None:
    state = fold(
        [
            row(1, Decision.FAILED, at_us=1),
            row(2, Decision.FAILED, at_us=2),
            row(3, Decision.EXHAUSTED, at_us=3),
            row(4, Decision.FAILED, 1, at_us=4),
        ]
    )
    assert state == DeliveryState(
        state=State.PENDING,
        round=1,
        attempts=4,
        failures=1,
        next_at_us=5_000_004,
        round_started_at_us=4,
        first_delivered_at_us=None,
    )


def test_s5b_the_first_delivery_is_never_lost() -> None:
    state = fold(
        [
            row(1, Decision.FAILED, at_us=1),
            row(2, Decision.DELIVERED, at_us=100),
            row(3, Decision.DELIVERED, 1, at_us=200),
            row(4, Decision.EXHAUSTED, 2, at_us=300),
        ]
    )
    assert state.state is State.EXHAUSTED
    assert state.first_delivered_at_us == 110
    assert state.round == 2


def test_s5b_a_delivery_at_the_epoch_is_a_delivery() -> None:
    first = replace(row(1, Decision.DELIVERED, at_us=0), duration_us=0)
    assert fold([first, row(2, Decision.DELIVERED, 1)]).first_delivered_at_us == 0


def test_s5b_a_replay_takes_over_what_is_pending() -> None:
    state = fold([row(1, Decision.FAILED), row(2, Decision.DELIVERED, 1)])
    assert (state.state, state.round, state.attempts) == (State.DELIVERED, 1, 2)


def test_s5b_a_first_attempt_may_be_a_replays() -> None:
    # A replay may lie before the subscription's creation: then the live round never was.
    state = fold([row(1, Decision.DELIVERED, 1)])
    assert (state.state, state.round, state.attempts) == (State.DELIVERED, 1, 1)


def test_s5b_what_counts_as_failed() -> None:
    assert {state for state in State if state.failed} == {State.EXHAUSTED, State.REFUSED}


def test_the_state_is_the_last_decision() -> None:
    for decision in Decision:
        state = fold([row(1, decision)]).state
        assert state.value == ("pending" if decision is Decision.FAILED else decision.value)


histories = st.lists(
    st.tuples(st.sampled_from(Decision), st.integers(0, 1), st.integers(0, 10**9)), max_size=30
)


@given(histories)
def test_random_histories_keep_their_promises(history: list[tuple[Decision, int, int]]) -> None:
    state, legal = DeliveryState(), list[Row]()
    for decision, step, gap_us in history:
        attempt = row(len(legal) + 1, decision, state.round + step, T0 + gap_us)
        try:
            after = follow(state, attempt)
        except IllegalTransition:
            key = (state.state, Round.NEXT if step else Round.SAME, decision)
            assert key not in LEGAL
            continue
        legal.append(attempt)
        assert after.attempts == len(legal)
        assert after.round == attempt.round >= state.round
        assert (after.next_at_us is None) is after.state.terminal
        if state.first_delivered_at_us is not None:
            assert after.first_delivered_at_us == state.first_delivered_at_us
        state = after
    assert fold(legal) == state
    in_round = [attempt for attempt in legal if attempt.round == state.round]
    assert state.failures == sum(attempt.counts for attempt in in_round)
    delivered = [attempt for attempt in legal if attempt.decision is Decision.DELIVERED]
    assert (state.first_delivered_at_us is not None) is bool(delivered)


outcomes = st.one_of(
    st.builds(
        Answered, st.sampled_from([200, 302, 404, 410, 422, 429, 500, 503]), st.sampled_from([None, 60.0])
    ),
    st.builds(Failed, st.sampled_from(SendErrorKind)),
    st.sampled_from(
        [NotSent(Decision.EXPIRED), NotSent(Decision.ERASED), NotSent(Decision.CANCELLED), Parked(3)]
    ),
)


@given(
    st.lists(st.tuples(outcomes, st.booleans()), min_size=1, max_size=40),
    st.lists(st.floats(1, 1e5), max_size=6),
)
def test_what_is_decided_always_folds(outcomes_: list[tuple[Outcome, bool]], schedule: list[float]) -> None:
    # Decisions and the fold are one machine: whatever is decided can be journaled and read back.
    state, now_s = DeliveryState(), 1000.0
    for outcome, counting in outcomes_:
        fresh = state.state.terminal
        if state.state is State.ERASED:
            break
        started_us = state.round_started_at_us
        settlement = decide(
            outcome,
            failures_in_round=0 if fresh else state.failures,
            schedule=schedule,
            now_s=now_s,
            jitter=0.5,
            round_started_s=now_s if fresh or started_us is None else started_us / 1e6,
            counting=counting,
        )
        next_at_us = None if settlement.next_at is None else round(settlement.next_at * 1e6)
        state = follow(
            state,
            Row(
                state.attempts + 1,
                settlement.decision,
                state.round + int(fresh),
                settlement.counts,
                round(now_s * 1e6),
                0,
                next_at_us,
            ),
        )
        assert state.failures <= len(schedule) + 1
        now_s = settlement.next_at or now_s
    assert not state.state.terminal or state.next_at_us is None


def test_a_delivery_nobody_answers_takes_ten_attempts() -> None:
    state, now_s = DeliveryState(), 0.0
    while not state.state.terminal:
        settlement = decide(
            Failed(SendErrorKind.CONNECT),
            failures_in_round=state.failures,
            schedule=DEFAULT_SCHEDULE_S,
            now_s=now_s,
            jitter=0.5,
            round_started_s=0,
        )
        next_at_us = None if settlement.next_at is None else round(settlement.next_at * 1e6)
        attempt = Row(
            state.attempts + 1, settlement.decision, 0, settlement.counts, round(now_s * 1e6), 0, next_at_us
        )
        state = follow(state, attempt)
        now_s = settlement.next_at or now_s
    assert (state.state, state.attempts, state.failures) == (State.EXHAUSTED, 10, 10)
    assert now_s == sum(DEFAULT_SCHEDULE_S)
