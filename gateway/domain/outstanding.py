"""What of a stream is still to be done, derived from its attempts and the facts alone, pure (S2a, S3b, S4b).

Everything else that a row of pending deliveries knows is a working note, whose loss costs at most a duplicate: that an
attempt was in flight, how many processes ended on it, that it was put off before it was sent.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.domain.delivery import Decision, State, fold
from gateway.domain.pending import PendingDelivery
from gateway.domain.stories import Ask


@dataclass(frozen=True, slots=True)
class Told:
    """An attempt, as far as it says what comes next; its members are those of `gateway.domain.delivery.Attempt`."""

    attempt: int
    round: int
    decision: Decision
    counts: bool
    started_at_us: int
    duration_us: int
    next_at_us: int | None
    span_id: str
    trace_id: str | None = None
    batch: str | None = None
    replay: int | None = None

    @property
    def batch_trace_id(self) -> str | None:
        """Its trace, where that is a batch's and not the event's own."""
        return None if self.batch is None else self.trace_id


def outstanding(
    number: int, position: int, attempts: Sequence[Told], ask: Ask | None
) -> PendingDelivery | None:
    """The delivery as it waits for its next attempt; None: it has ended.

    A retry by hand counts until an attempt was begun after it. Raises IllegalTransition where the attempts do not
    follow each other.
    """
    state, last = fold(attempts), attempts[-1]
    asked = None if ask is None or _answered(ask, attempts) else ask
    if state.state is not State.PENDING:
        if asked is None:
            return None
        return PendingDelivery(
            number,
            position,
            round=state.round + 1,
            attempts=state.attempts,
            first_at_us=asked.at_us,
            next_at_us=asked.at_us,
            last_span_id=last.span_id,
            last_trace_id=last.batch_trace_id,
            asked=True,
        )
    due_us = state.next_at_us or 0
    return PendingDelivery(
        number,
        position,
        round=state.round,
        attempts=state.attempts,
        failures=state.failures,
        first_at_us=state.round_started_at_us or 0,
        next_at_us=due_us if asked is None else min(due_us, asked.at_us),
        last_span_id=last.span_id,
        last_trace_id=last.batch_trace_id,
        replay=last.replay,
        batch=last.batch,
    )


def _answered(ask: Ask, attempts: Sequence[Told]) -> bool:
    """Whether an attempt was begun after this retry was asked for; one that was under way does not answer it."""
    return len(attempts) > ask.attempts and attempts[-1].started_at_us >= ask.at_us


def arrived(attempts: Sequence[Told]) -> bool:
    """Whether the delivery has ended once: then it blocks nothing that stands behind it, whatever comes (S4a)."""
    return any(attempt.decision is not Decision.FAILED for attempt in attempts)


class Heads:
    """Which delivery of a key goes first, in streams that keep an order (S4b). To be asked in log order."""

    def __init__(self) -> None:
        self._heads: set[tuple[int, str]] = set()

    def take(self, number: int, key: str) -> bool:
        """Whether this delivery, which has not arrived yet, is the first of its key; all others stand behind it."""
        if (number, key) in self._heads:
            return False
        self._heads.add((number, key))
        return True
