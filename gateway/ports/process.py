"""What a process has of the world: the right to write, a sender, a clock, randomness."""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from gateway.domain.sending import Answer, OutboundRequest


class Leadership(Protocol):
    """Whether this process, and no other, acts for the log (S6a).

    Writing needs no question: the transaction of a process that lost the log fails with ``LeaseLost``. What goes
    out to others does, since nobody can take a POST back.
    """

    def holds_for_s(self) -> float:
        """Seconds for which nobody can take the log over; infinite where none ever could, not positive in doubt.

        A POST may start while this is at least its own ``timeout_s`` and 2 s.
        """
        ...

    async def until_it_holds(self, for_s: float) -> None:
        """Return once it holds for that many seconds: at once, unless the database has been away.

        Raises ``LeaseLost`` where another process has taken the log over.
        """
        ...


class Sender(Protocol):
    """Sends requests to where strangers say. Raises ``SendError`` of a closed set of kinds, never another error."""

    async def send(self, request: OutboundRequest) -> Answer:
        """One attempt, whole, within the request's time."""
        ...


class Exchange(Protocol):
    """A request that is on its way, without anybody who waits for it."""

    @property
    def stale(self) -> bool:
        """Once ``answer`` has raised: whether nothing can have come of it, and it is to be sent ``again``."""
        ...

    def answer(self) -> Answer:
        """What came, once that was told. Raises ``SendError``, as ``Sender.send``."""
        ...

    async def again(self) -> Answer:
        """The rest of the attempt, within its time. Raises ``SendError``."""
        ...

    def abort(self) -> None:
        """Give it up."""
        ...


@runtime_checkable
class PromptSender(Sender, Protocol):
    """A sender that can send at once, where nothing is to be waited for."""

    def begin(self, request: OutboundRequest, told: Callable[[], object], /) -> Exchange | None:
        """Send it now, and tell when that has ended, once. None: it was not sent, and is to be sent by ``send``."""
        ...


Now = Callable[[], int]
"""The wall clock: microseconds since the Unix epoch."""


Random = Callable[[int], bytes]
"""That many random bytes."""
