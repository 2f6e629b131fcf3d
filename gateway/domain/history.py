"""The words by which a list of deliveries is asked for states."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Final

from gateway.domain.delivery import State

UNDELIVERED: Final = frozenset({State.PENDING, State.EXHAUSTED, State.EXPIRED, State.REFUSED})
"""What the receiver has not had and somebody may wait for; what was erased or cancelled was so by command."""


class StateWord(StrEnum):
    """A state, or `undelivered` for all in which the receiver has not had it: pending, exhausted, expired, refused."""

    PENDING = "pending"
    DELIVERED = "delivered"
    EXHAUSTED = "exhausted"
    EXPIRED = "expired"
    REFUSED = "refused"
    ERASED = "erased"
    CANCELLED = "cancelled"
    UNDELIVERED = "undelivered"


def states_of(words: Iterable[StateWord]) -> frozenset[State]:
    """The states that the words name, together; none for no word, which asks for every state."""
    named: set[State] = set()
    for word in words:
        named |= UNDELIVERED if word is StateWord.UNDELIVERED else {State(word.value)}
    return frozenset(named)
