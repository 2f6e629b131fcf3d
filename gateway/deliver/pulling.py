"""Reading a stream of events page by page, for who fetches them (S10b). Nothing here changes any state.

What is read is chosen by a ``Choice``: the selection of a subscription, by the same rule that feeds its lane, or the
filters of a list. A page ends where its bounds end, and says how far the log was looked at, so that a client moves
on over what is not for it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.deliver.envelopes import Event
from gateway.deliver.selecting import asks_for_facts, selects
from gateway.deliver.tail import Tail
from gateway.domain.facts import ABOUT_SUBSCRIPTIONS
from gateway.ports import Kind, SubscriptionRecord, Subscriptions

_ROWS_MIN = 50
"""Rows that are read at a time, at least: of those, a page may want only a few."""


@dataclass(frozen=True, slots=True)
class PageBounds:
    """Where a page ends. ``bytes_max`` counts envelopes; one event fits always. ``rows_max`` is what is looked at."""

    events_max: int
    bytes_max: int
    rows_max: int


@dataclass(frozen=True, slots=True)
class StreamPage:
    """Events in log order, and how far the log was looked at.

    Attributes:
        events: What the stream has there.
        next: Everything up to this position was looked at: the ``after`` of the next page.
        at_end: Whether the log had nothing more.
    """

    events: Sequence[Event]
    next: int
    at_end: bool


class Choice(Protocol):
    """What of the log is in a stream."""

    gone: bool
    """Whether there is no such stream any more."""

    async def takes(self, event: Event) -> bool:
        """Whether the stream has this row. Asked of every row, in log order. Raises ``Unavailable``."""
        ...


class OfSubscription:
    """The stream of a subscription: what its selection takes, position by position (S3d)."""

    def __init__(self, subscriptions: Subscriptions, record: SubscriptionRecord) -> None:
        self._subscriptions = subscriptions
        self._record = record
        self.gone = False

    async def takes(self, event: Event) -> bool:
        """See ``Choice.takes``."""
        taken = selects(self._record, event)
        if event.entry.kind is Kind.FACT and event.envelope is not None:
            subject = event.envelope.subject
            taken = taken and not await self._asks_for_facts(subject)
            if subject == self._record.id and event.entry.type.startswith(ABOUT_SUBSCRIPTIONS):
                await self._renew(event.entry.position)
        return taken

    async def _renew(self, position: int) -> None:
        """It was changed here: what comes behind goes by what it was changed to."""
        if position <= max(revision.position for revision in self._record.revisions):
            return
        record = await self._subscriptions.get(self._record.id)
        if record is None:
            self.gone = True
        else:
            self._record = record

    async def _asks_for_facts(self, subject: str | None) -> bool:
        """Whether a fact is about a subscription that gets facts itself: those go to nobody (S1e)."""
        if subject == self._record.id:
            return asks_for_facts(self._record)
        about = None if subject is None else await self._subscriptions.get(subject)
        return about is not None and asks_for_facts(about)


class StreamReader:
    """Reads one stream from a position on."""

    def __init__(self, tail: Tail, choice: Choice, after: int) -> None:
        self._tail = tail
        self._choice = choice
        self.position = after

    @property
    def gone(self) -> bool:
        """Whether the stream has ended for good."""
        return self._choice.gone

    async def page(self, bounds: PageBounds, *, follows: bool = False) -> StreamPage:
        """The next events, within bounds; ``follows``: it had come to the end of the log before.

        Raises ``Unavailable`` where the log cannot be read.
        """
        page = _Filling(bounds)
        at_end = False
        while not (at_end or page.full or self.gone):
            at_most = max(_ROWS_MIN, bounds.events_max - len(page.events))
            async with self._tail.rows(self.position, at_most, follows=follows) as rows:
                at_end = await self._fill(page, rows.events) and rows.last
        return StreamPage(page.events, self.position, at_end)

    async def _fill(self, page: "_Filling", events: Sequence[Event]) -> bool:
        """Look at these rows; False where the page, or the stream, ended before them."""
        for event in events:
            if page.full or self.gone:
                return False
            if await self._choice.takes(event) and not page.add(event):
                return False
            page.rows += 1
            self.position = event.entry.position
        return True


class _Filling:
    """A page that is being filled."""

    def __init__(self, bounds: PageBounds) -> None:
        self._bounds = bounds
        self._bytes = 0
        self._overflows = False
        self.events: list[Event] = []
        self.rows = 0

    @property
    def full(self) -> bool:
        return (
            self._overflows
            or len(self.events) >= self._bounds.events_max
            or self.rows >= self._bounds.rows_max
        )

    def add(self, event: Event) -> bool:
        """Put an event in; False, and the page is full, where it would be too large with it."""
        size = len(event.entry.envelope or b"")
        self._overflows = bool(self.events) and self._bytes + size > self._bounds.bytes_max
        if not self._overflows:
            self.events.append(event)
            self._bytes += size
        return not self._overflows
