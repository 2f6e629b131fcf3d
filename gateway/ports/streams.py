"""What is commanded of a stream: tests, retries, replays (S3h, S5)."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple, Protocol


class ReplayState(StrEnum):
    """Where a replay stands (S5)."""

    RUNNING = "running"
    FINISHED = "finished"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class ReplayRange:
    """What is to be replayed: positions, both included; ``only_failed``: what is exhausted or refused by now."""

    from_position: int
    until_position: int
    only_failed: bool = False


class Moment(NamedTuple):
    """The moment of a command, as it divides the attempts.

    What the journal did not show yet counts too: whoever has been sent something, and asks for it again at once, means
    that as well.

    Attributes:
        seq: The last attempt that was journaled then.
        at_us: When it was.
    """

    seq: int
    at_us: int

    def follows(self, seq: int, at_us: int) -> bool:
        """Whether it was behind this time, or end, of an attempt."""
        return seq <= self.seq or at_us <= self.at_us


LONG_AGO: Final = Moment(0, 0)
"""Of no command: no attempt was begun before it."""


@dataclass(frozen=True, slots=True)
class ReplayRecord:
    """A replay as it is now.

    Attributes:
        replay: Its number: the position of the fact that asked for it.
        number: The subscription.
        revision: The selection that decides what it sends: the one in force at the command.
        range: What is replayed.
        attempts_until: The last attempt (``seq``) at the command.
        cursor: Everything of the range up to here was started.
        open: Its deliveries that are not terminal.
    """

    replay: int
    number: int
    revision: int
    range: ReplayRange
    attempts_until: int
    cursor: int
    state: ReplayState
    requested_at_us: int
    ended_at_us: int | None = None
    open: int = 0

    @property
    def asked(self) -> Moment:
        """When the command was, among the attempts."""
        return Moment(self.attempts_until, self.requested_at_us)


class ReplayUpdate(NamedTuple):
    """How far a replay has come."""

    replay: int
    cursor: int


class StreamCommands(Protocol):
    """What is asked of a stream, or told about it: each a fact, with its projections in one transaction (S1d, S6b)."""

    async def test(self, number: int) -> int:
        """Append an event that is addressed to this subscription alone; its position."""
        ...

    async def retry(self, number: int, position: int) -> None:
        """Ask for one more attempt of a delivery now (S3h); one that has ended begins a new round.

        Raises ``NotFound`` for one that was never tried, ``Conflict`` while it is in flight or the subscription is
        disabled, ``Gone`` where that is deleted.
        """
        ...

    async def request_replay(self, number: int, wanted: ReplayRange) -> ReplayRecord:
        """Begin a replay of a range, by the selection in force now (S5a)."""
        ...

    async def end_replay(self, replay: int, state: ReplayState) -> None:
        """It is finished, or cancelled: a fact. One that has ended already stays as it is."""
        ...

    async def notice(self, number: int, kind: str, data: Mapping[str, object]) -> None:
        """Tell operators something about a stream, as a fact that nothing is derived from (S1e)."""
        ...
