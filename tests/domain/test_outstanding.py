"""What is still to be done of a delivery, by its attempts alone."""

from dataclasses import replace

import pytest

from gateway.domain.delivery import Decision, IllegalTransition
from gateway.domain.outstanding import Heads, Told, arrived, outstanding
from gateway.domain.pending import PendingDelivery
from gateway.domain.stories import Ask

FAILED, EXHAUSTED, DELIVERED = Decision.FAILED, Decision.EXHAUSTED, Decision.DELIVERED


def attempts(*decisions: Decision, **last: object) -> list[Told]:
    """Attempts of one round, or of the next after each end."""
    made: list[Told] = []
    round_ = 0
    for number, decision in enumerate(decisions, 1):
        failed = decision is FAILED
        made.append(
            Told(
                attempt=number,
                round=round_,
                decision=decision,
                counts=failed,
                started_at_us=100 * number,
                duration_us=1,
                next_at_us=1_000 * number if failed else None,
                span_id=str(number),
            )
        )
        round_ += not failed
    made[-1] = replace(made[-1], **last)  # type: ignore[arg-type]  # members of it
    return made


def test_what_failed_waits_with_all_that_the_next_attempt_needs() -> None:
    assert outstanding(1, 7, attempts(FAILED, FAILED, replay=3, batch="bat_1"), None) == PendingDelivery(
        1,
        7,
        attempts=2,
        failures=2,
        first_at_us=100,
        next_at_us=2_000,
        last_span_id="2",
        replay=3,
        batch="bat_1",
    )


def test_a_round_counts_its_own_failures() -> None:
    found = outstanding(1, 7, attempts(FAILED, EXHAUSTED, FAILED), None)
    assert found is not None
    assert (found.round, found.attempts, found.failures, found.first_at_us) == (1, 3, 1, 300)


@pytest.mark.parametrize("decision", [item for item in Decision if item is not FAILED])
def test_what_has_ended_is_not_outstanding(decision: Decision) -> None:
    assert outstanding(1, 7, attempts(decision), None) is None


def test_a_retry_by_hand_counts_until_it_was_made() -> None:
    asked = outstanding(1, 7, attempts(EXHAUSTED), Ask(1, 50))
    assert asked == PendingDelivery(
        1, 7, round=1, attempts=1, first_at_us=50, next_at_us=50, last_span_id="1", asked=True
    )
    assert outstanding(1, 7, attempts(EXHAUSTED, DELIVERED), Ask(1, 50)) is None


def test_s3h_an_attempt_that_was_under_way_does_not_answer_a_retry_by_hand() -> None:
    found = outstanding(1, 7, attempts(EXHAUSTED, DELIVERED), Ask(1, 201))
    assert found is not None
    assert (found.round, found.attempts, found.next_at_us, found.asked) == (2, 2, 201, True)


@pytest.mark.parametrize(("asked_us", "due_us"), [(50, 50), (5_000, 1_000)])
def test_a_retry_by_hand_brings_forward_what_waits(asked_us: int, due_us: int) -> None:
    found = outstanding(1, 7, attempts(FAILED), Ask(1, asked_us))
    assert found is not None
    assert (found.next_at_us, found.round, found.asked) == (due_us, 0, False)


def test_attempts_that_do_not_follow_are_damage() -> None:
    with pytest.raises(IllegalTransition):
        outstanding(1, 7, attempts(FAILED)[:0] + attempts(FAILED, FAILED)[1:], None)


def test_what_has_arrived_blocks_nothing() -> None:
    assert not arrived(attempts(FAILED, FAILED))
    assert arrived(attempts(FAILED, EXHAUSTED, FAILED))


def test_of_a_key_the_first_one_goes_first() -> None:
    heads = Heads()
    assert [heads.take(1, "a"), heads.take(1, "a"), heads.take(1, "b"), heads.take(2, "a")] == [
        True,
        False,
        True,
        True,
    ]
