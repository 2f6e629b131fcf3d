"""The append-only log: what goes in, what comes out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from gateway.domain.header_lines import Message
from schemas import Envelope


class Kind(StrEnum):
    """Who said it (S1b): an event came in, a fact is the gateway's own."""

    EVENT = "event"
    FACT = "fact"


@dataclass(slots=True)
class NewEntry:
    """What was admitted and is to be appended: the envelope as received and the columns it is searched by.

    ``parsed`` is the same envelope as the door has read it, for whoever routes it in the same process;
    ``published_at_us`` is when it came to be in the stream that it was read from; ``contract_broken``: its contract
    was not kept, and it was taken all the same. A value, not frozen for the cost of it, like ``Entry``: of both there
    is one for each event.
    """

    type: str
    source: str
    id: str
    envelope: bytes
    subject: str | None = None
    organization: str | None = None
    agent_id: str | None = None
    run_id: str | None = None
    trace_id: str | None = None
    partition_key: str | None = None
    redriven_from: str | None = None
    published_at_us: int | None = None
    contract_broken: bool = False
    parsed: Envelope | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class NewQuarantine:
    """What cannot be admitted, whole, with a reason (S7b). ``(origin, entry_id)`` is recorded once."""

    origin: str
    entry_id: str
    reason: str
    problems: Sequence[Mapping[str, str]]
    payload: bytes
    organization: str | None = None


@dataclass(slots=True)
class Entry:
    """One row of the log, a value. ``envelope`` is None once erased (S8b); ``redriven_from``: it was in quarantine.

    ``published_at_us`` is when Redis had it, by the clock of Redis; None: it did not come by the stream.
    ``contract_broken``: it was taken although it broke its contract, so it goes out under none (CONFORMANCE 43).
    """

    position: int
    kind: Kind
    type: str
    source: str
    id: str
    organization: str | None
    appended_at_us: int
    row_hash: bytes
    envelope: bytes | None
    addressee: int | None = None
    redriven_from: str | None = None
    published_at_us: int | None = None
    contract_broken: bool = False


@dataclass(slots=True)
class Event:
    """An entry of the log with its envelope read once; None: it was erased (S8b).

    ``message`` is what its requests have in common, kept by whoever makes the first one: most subscribers want the
    same mode, and each attempt sends the same again. ``sampled``: whether spans are made of it, once that was asked.
    ``emitted_at_us`` is the event's own time for whoever measures, 0 where it has none, likewise read once. They are
    all that ever changes here.
    """

    entry: Entry
    envelope: Envelope | None
    message: Message | None = field(default=None, compare=False, repr=False)
    sampled: bool | None = field(default=None, compare=False, repr=False)
    emitted_at_us: int | None = field(default=None, compare=False, repr=False)


@dataclass(slots=True)
class Appended:
    """Where one entry stands in the log; for a duplicate, where the original stands (S7c).

    ``entry`` is the row as it was appended; None for a duplicate, whose original is not read for this.
    """

    position: int
    duplicate: bool
    entry: Entry | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Head:
    """The end of the log."""

    position: int
    appended_at_us: int


@dataclass(frozen=True, slots=True)
class EventQuery:
    """Which entries a list shows. ``organization`` None means all of them (an administrator's view).

    ``trace_id``: what is in this trace, and what a batch of the organization's subscriptions posted in this trace.
    """

    organization: str | None = None
    types: Sequence[str] = ()
    source: str | None = None
    subject: str | None = None
    agent_id: str | None = None
    organization_id: str | None = None
    run_id: str | None = None
    trace_id: str | None = None
    since_us: int | None = None
    until_us: int | None = None
    ascending: bool = False
    after: int | None = None
    limit: int = 50


@dataclass(frozen=True, slots=True)
class ArchivedUntil:
    """The end of an archive whose events are not in the log: its last position, and when that was appended (S8)."""

    position: int
    appended_at_us: int


@dataclass(frozen=True, slots=True)
class EventPage:
    """A page of a list of the log.

    Attributes:
        entries: What it shows.
        further: The position that the next page goes on from; None: this is the last one.
        archived_until: Up to there some of what was asked for was archived, between where the page begins and where it
            ends; None: nothing was.
    """

    entries: Sequence[Entry]
    further: int | None
    archived_until: ArchivedUntil | None = None


class EventLog(Protocol):
    """The append-only log and what stands beside it in the same transaction: deduplication and quarantine."""

    async def append(
        self, entries: Sequence[NewEntry], quarantine: Sequence[NewQuarantine] = ()
    ) -> Sequence[Appended]:
        """Append all or nothing, in order, in one transaction; answers in input order."""
        ...

    async def head(self) -> Head:
        """The last position that is committed."""
        ...

    async def read(self, after: int, limit: int) -> Sequence[Entry]:
        """Up to ``limit`` entries that follow ``after``, in log order."""
        ...

    async def get(self, position: int) -> Entry | None:
        """One entry."""
        ...

    async def get_many(self, positions: Sequence[int]) -> Mapping[int, Entry]:
        """The entries at these positions, those that are there."""
        ...

    async def search(self, query: EventQuery) -> Sequence[Entry]:
        """Up to ``limit`` entries; gateway facts only where ``types`` names them."""
        ...

    async def page(self, query: EventQuery) -> EventPage:
        """The same as a page of a list, with word of what was archived of it, both as of one moment."""
        ...

    async def named(
        self, event_id: str, *, organization: str | None, before: int | None, rows: int
    ) -> EventPage:
        """Events with this id, the newest first, among the ``rows`` rows before a position (None: the log's end).

        Ids have no index of their own, for only people look for them; so each look is bounded.
        """
        ...

    async def position_at(self, at_us: int) -> int:
        """The last position that was appended before ``at_us`` (0: none)."""
        ...

    async def absent(self, first: int, last: int) -> tuple[int, int] | None:
        """The first archived range among these positions whose events are not in the log (S8)."""
        ...

    async def read_key(self, key: str, after: int, until: int, limit: int) -> Sequence[Entry]:
        """Up to ``limit`` events of a partition key behind ``after`` and up to ``until``, by index (S4b).

        There may be others among them: those of an agent with this id that carry another key.
        """
        ...
