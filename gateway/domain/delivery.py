"""The life of a delivery: what its attempts make of it (S3, S5b). `docs/state-machine.md` is drawn from here.

Every settlement is an attempt, sent or not, and carries its decision (S3b). The state of a delivery is the
fold of its attempts and nothing else: no clock, no jitter, no settings of today. An attempt that cannot
follow the ones before it raises `IllegalTransition`, and the state, being a value, is what it was.

`refused` is a settlement only at the end. An attempt that had nowhere to go (a name that does not resolve,
an address that the egress guard refuses) is `failed` while the schedule lasts, with the error class
`refused` and a next time, like any other failure; as the last of its round it makes the delivery `refused`
and not `exhausted`, since then the receiver never had a say. So the decision of the last attempt is always
the state, `failed` aside.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, Protocol


class Decision(StrEnum):
    """What an attempt settled."""

    DELIVERED = "delivered"
    FAILED = "failed"
    """Not delivered, and to be tried again at a given time: the only one that leaves the delivery pending."""
    EXHAUSTED = "exhausted"
    EXPIRED = "expired"
    REFUSED = "refused"
    ERASED = "erased"
    CANCELLED = "cancelled"


class State(StrEnum):
    """Where a delivery stands, in its last round."""

    PENDING = "pending"
    DELIVERED = "delivered"
    EXHAUSTED = "exhausted"
    EXPIRED = "expired"
    REFUSED = "refused"
    ERASED = "erased"
    CANCELLED = "cancelled"

    @property
    def terminal(self) -> bool:
        """Whether nothing more happens by itself."""
        return self is not State.PENDING

    @property
    def failed(self) -> bool:
        """Whether a replay of `only: failed` takes it up (S5b)."""
        return self in {State.EXHAUSTED, State.REFUSED}


class Round(StrEnum):
    """Which round an attempt belongs to, as seen from the attempt before it."""

    SAME = "same round"
    NEXT = "next round"


_OUTCOMES: Final = {
    decision: State.PENDING if decision is Decision.FAILED else State(decision.value) for decision in Decision
}

TRANSITIONS: Final[dict[tuple[State, Round, Decision], State]] = {
    # An open round goes on, or a replay takes over what was pending (S5b).
    **{(State.PENDING, round_, decision): after for round_ in Round for decision, after in _OUTCOMES.items()},
    # What has ended begins again only by a new round: a replay, or a retry by hand.
    **{
        (state, Round.NEXT, decision): after
        for state in State
        if state.terminal and state is not State.ERASED
        for decision, after in _OUTCOMES.items()
    },
    # What is erased is gone: a replay can only say so again.
    (State.ERASED, Round.NEXT, Decision.ERASED): State.ERASED,
}
"""Every transition there is; a combination that is not here is illegal."""


class Attempt(Protocol):
    """What the fold reads of a journaled attempt. Times are microseconds since the Unix epoch."""

    @property
    def attempt(self) -> int:
        """Which attempt of the delivery it is, over all rounds, from 1."""

    @property
    def round(self) -> int:
        """Its round, from 0; a replay and a retry by hand open the next one."""

    @property
    def decision(self) -> Decision:
        """What it settled."""

    @property
    def counts(self) -> bool:
        """Whether it counts against the retry schedule."""

    @property
    def started_at_us(self) -> int:
        """When it began."""

    @property
    def duration_us(self) -> int:
        """How long it took."""

    @property
    def next_at_us(self) -> int | None:
        """When the next one is due; None where the decision ends the round."""


@dataclass(frozen=True, slots=True)
class DeliveryState:
    """A delivery as its attempts left it.

    Attributes:
        state: Where it stands; before its first attempt `pending`.
        round: The last round that has an attempt, from 0.
        attempts: How many attempts there are, over all rounds: the next one has this number + 1 (S3b).
        failures: Attempts of the last round that count against the retry schedule.
        next_at_us: When the next attempt is due; None where there is none to come, or none was made yet.
        round_started_at_us: When the last round's first attempt began.
        first_delivered_at_us: When it was first delivered, whatever came after (S5b).
    """

    state: State = State.PENDING
    round: int = 0
    attempts: int = 0
    failures: int = 0
    next_at_us: int | None = None
    round_started_at_us: int | None = None
    first_delivered_at_us: int | None = None


class IllegalTransition(Exception):
    """An attempt that cannot follow the ones before it: the journal is damaged, or its writer is wrong."""


def fold(attempts: Iterable[Attempt]) -> DeliveryState:
    """The state of a delivery from all its attempts in order. Raises IllegalTransition."""
    state = DeliveryState()
    for attempt in attempts:
        state = follow(state, attempt)
    return state


def follow(state: DeliveryState, attempt: Attempt) -> DeliveryState:
    """The state after one more attempt. Raises IllegalTransition."""
    round_ = _round(state, attempt)
    _check(state, attempt)
    after = TRANSITIONS.get((state.state, round_, attempt.decision))
    if after is None:
        raise IllegalTransition(f"{attempt.decision} in the {round_} cannot follow {state.state}")
    fresh = round_ is Round.NEXT or not state.attempts
    delivered_at_us = attempt.started_at_us + attempt.duration_us if after is State.DELIVERED else None
    return replace(
        state,
        state=after,
        round=attempt.round,
        attempts=attempt.attempt,
        failures=(0 if fresh else state.failures) + int(attempt.counts),
        next_at_us=attempt.next_at_us,
        round_started_at_us=attempt.started_at_us if fresh else state.round_started_at_us,
        first_delivered_at_us=(
            delivered_at_us if state.first_delivered_at_us is None else state.first_delivered_at_us
        ),
    )


def _round(state: DeliveryState, attempt: Attempt) -> Round:
    if attempt.round == state.round:
        return Round.SAME
    if attempt.round == state.round + 1:
        return Round.NEXT
    raise IllegalTransition(f"round {attempt.round} cannot follow round {state.round}")


def _check(state: DeliveryState, attempt: Attempt) -> None:
    """What must hold of an attempt whatever state it meets."""
    if attempt.attempt != state.attempts + 1:
        raise IllegalTransition(f"attempt {attempt.attempt} cannot follow attempt {state.attempts}")
    if (attempt.next_at_us is None) is (attempt.decision is Decision.FAILED):
        raise IllegalTransition(f"{attempt.decision} has a next time exactly where it is failed")
    if attempt.counts and attempt.decision not in {Decision.FAILED, Decision.EXHAUSTED, Decision.REFUSED}:
        raise IllegalTransition(f"{attempt.decision} does not count against the schedule")
