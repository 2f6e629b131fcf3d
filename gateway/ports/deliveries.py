"""Deliveries, their attempts, and the one transaction that writes them (S2c, S3b)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Protocol

from gateway.domain.asking import Asked, once_more, still_asked
from gateway.domain.breaker import StreamNote
from gateway.domain.delivery import Decision, State
from gateway.domain.erasure import NO_TRACE
from gateway.domain.pending import PendingDelivery
from gateway.domain.statistics import Tried
from gateway.ports.streams import Moment, ReplayRecord, ReplayUpdate


@dataclass(slots=True)
class AttemptRecord:
    """One settlement (S3b), as it is journaled: a value, not frozen for the cost of it (``PendingDelivery``)."""

    id: str
    number: int
    position: int
    hash6: bytes
    attempt: int
    round: int
    cause: str
    decision: Decision
    counts: bool
    started_at_us: int
    duration_us: int
    revision: int
    trace_id: str
    span_id: str
    error_class: str | None = None
    detail: str | None = None
    status: int | None = None
    next_at_us: int | None = None
    response_headers: Sequence[tuple[str, str]] = ()
    response_body: bytes = b""
    batch: str | None = None
    replay: int | None = None

    @property
    def ended_at_us(self) -> int:
        """When its outcome was known."""
        return self.started_at_us + self.duration_us

    @property
    def batch_trace_id(self) -> str | None:
        """Its trace, where that is a batch's and not the event's own."""
        return None if self.batch is None else self.trace_id

    def untold(self) -> "AttemptRecord":
        """The same without what it says of an event that was erased (S8b): the answer, and the event's trace."""
        return replace(self, response_headers=(), response_body=b"", detail=None, trace_id=NO_TRACE)


@dataclass(frozen=True, slots=True)
class Standing:
    """Where one delivery stands, for a replay that comes to it.

    Attributes:
        round: The round of its last attempt.
        attempts: How many attempts there are.
        failed: It was exhausted or refused when the replay was asked for.
        pending: Its row, where it is not terminal.
        late: Its first attempt was begun after the replay was asked for: the live stream came to it by itself.
        replays: The replays that have sent it.
        last_span_id: The span of its last attempt.
        last_trace_id: The trace of that, where it was a batch's (``PendingDelivery``).
    """

    round: int
    attempts: int
    failed: bool
    pending: PendingDelivery | None
    late: bool = False
    replays: frozenset[int] = frozenset()
    last_span_id: str | None = None
    last_trace_id: str | None = None


@dataclass(frozen=True, slots=True)
class CursorUpdate:
    """How far one stream has been dispatched, and whether it follows the router."""

    number: int
    cursor: int
    live: bool


@dataclass(frozen=True, slots=True)
class JournalBatch:
    """Outcomes, pending deliveries, cursors and the router's position: one transaction (S2c)."""

    attempts: Sequence[AttemptRecord]
    pending: Sequence[PendingDelivery]
    settled: Sequence[tuple[int, int]]
    cursors: Sequence[CursorUpdate]
    routed: int
    replays: Sequence[ReplayUpdate] = ()
    notes: Sequence[StreamNote] = ()
    requests: Mapping[tuple[int, int], int] = field(default_factory=dict)
    """Of what has settled: the last request by hand that its attempt answers, where there is one (S3h)."""

    def kept(self, asked: Mapping[tuple[int, int], Asked]) -> list[PendingDelivery]:
        """The pending rows that are to be written, where these requests are newer than what is written here (S3h)."""
        if not asked:
            return list(self.pending)
        last = {
            (item.number, item.position): item
            for item in self.attempts
            if (item.number, item.position) in asked
        }
        pending = [
            still_asked(asked[item.key], item, last.get(item.key)) if item.key in asked else item
            for item in self.pending
        ]
        there = {item.key for item in self.pending}
        return pending + [
            once_more(asked[key], last[key]) for key in self.settled if key in last and key not in there
        ]

    def newer(self, touched: Mapping[tuple[int, int], Asked]) -> dict[tuple[int, int], Asked]:
        """Those of these rows that a command has touched since what is written here of them was started."""
        known = {**self.requests, **{item.key: item.request for item in self.pending}}
        return {key: asked for key, asked in touched.items() if asked.request > known.get(key, 0)}


class DeliveryPlace(NamedTuple):
    """Where a delivery stands in a list: by its event, the latest first, and of one event by its subscription.

    A number of 0 stands behind all deliveries of the event.
    """

    position: int
    number: int


@dataclass(frozen=True, slots=True)
class DeliveryQuery:
    """Which deliveries a page shows, those of the latest events first.

    Attributes:
        number: Only those of this subscription, whosesoever it is.
        organization: Where no subscription is named: only those of this organization's.
        states: Only those in one of these states; none: in any.
        status: Only those whose last attempt was answered with this status.
        types: Only of events of one of these types.
        agent_id: Only of events of this agent.
        run_id: Only of events of this run.
        trace_id: Only of events in this trace, and what a batch posted in this trace, which is the batch's own.
        after: Only of events behind this position.
        until: Only of events up to this position.
        before: Where the page before it ended: only what comes after that in the list.
        limit: How many at most.
    """

    number: int | None = None
    organization: str | None = None
    states: frozenset[State] = frozenset()
    status: int | None = None
    types: Sequence[str] = ()
    agent_id: str | None = None
    run_id: str | None = None
    trace_id: str | None = None
    after: int = 0
    until: int | None = None
    before: DeliveryPlace | None = None
    limit: int = 50

    @property
    def of_some_events(self) -> bool:
        """Whether it asks for something that stands in the event."""
        return bool(self.types) or (self.agent_id, self.run_id, self.trace_id) != (None, None, None)

    def wants(self, state: State, status: int | None) -> bool:
        """Whether a delivery that stands so is to be shown."""
        return (not self.states or state in self.states) and self.status in {None, status}


@dataclass(frozen=True, slots=True)
class DeliveryItem:
    """One delivery of a page, with its attempts in order and its row, while it is not terminal."""

    number: int
    position: int
    attempts: Sequence[AttemptRecord]
    pending: PendingDelivery | None


@dataclass(frozen=True, slots=True)
class DeliveryPage:
    """A page of deliveries. It may have fewer than were asked for, or none, and yet be followed by another.

    Attributes:
        items: The deliveries, those of the latest events first.
        before: What the next page is asked for with; None: this is the last one.
    """

    items: Sequence[DeliveryItem]
    before: DeliveryPlace | None


class DueKey(NamedTuple):
    """Where a page of waiting deliveries ended: the order in which they are read."""

    next_at_us: int
    number: int
    position: int


class Deliveries(Protocol):
    """Attempts (truth), and the cursors and pending deliveries derived from them."""

    async def commit(self, batch: JournalBatch) -> Sequence[int]:
        """Write it all or nothing. The same batch again, its answer having been lost, changes nothing.

        A delivery that a command has asked for since its attempt began is due again behind it, in the same
        transaction (S3h). Returns the subscriptions of those, each once: what is due of them is news.

        A cursor never goes back: one that a command moved on stays where the command put it.
        """
        ...

    async def routed(self) -> int:
        """Where the router may restart (S2b)."""
        ...

    async def in_flight(self) -> Sequence[PendingDelivery]:
        """What had been started and not settled when the process before this one ended."""
        ...

    async def due(
        self, until_us: int, limit: int, *, after: DueKey | None = None, numbers: Sequence[int] | None = None
    ) -> Sequence[PendingDelivery]:
        """Waiting deliveries that are due until then, the earliest first, from behind a key.

        ``numbers``: of these subscriptions only, at most 512 of them.
        """
        ...

    async def oldest(self, number: int) -> PendingDelivery | None:
        """The pending delivery of a subscription that is lowest in the log: what a probe tries (S3g)."""
        ...

    async def batch(self, number: int, batch: str) -> Sequence[PendingDelivery]:
        """The pending deliveries of one batch (S10a)."""
        ...

    async def heads(self) -> Sequence[PendingDelivery]:
        """The pending deliveries that block a key (S4b)."""
        ...

    async def blocking(self, number: int, key: str) -> PendingDelivery | None:
        """The pending delivery that blocks this key of a subscription (S4b)."""
        ...

    async def notes(self) -> Sequence[StreamNote]:
        """What is remembered of failing streams (S3g)."""
        ...

    async def note(self, number: int) -> StreamNote | None:
        """What is remembered of one stream; None: nothing is wrong with it."""
        ...

    async def replays(self, numbers: Sequence[int] | None = None) -> Sequence[ReplayRecord]:
        """The replays that run, of these subscriptions or of all."""
        ...

    async def replay(self, replay: int) -> ReplayRecord | None:
        """One by its id, ended ones too; None: there never was one."""
        ...

    async def standings(self, number: int, first: int, last: int, *, asked: Moment) -> Mapping[int, Standing]:
        """Where the deliveries of a subscription in a range of positions stand; none for what was never tried."""
        ...

    async def attempts(self, number: int, position: int) -> Sequence[AttemptRecord]:
        """The attempts of one delivery, in order."""
        ...

    async def latest(self, number: int, limit: int) -> Sequence[Tried]:
        """The attempts of a subscription's latest events that were tried, at most so many: what figures are made of.

        Read backwards from the latest event, so a replay of what lies further back is not among them.
        """
        ...

    async def attempts_at(self, position: int) -> Sequence[AttemptRecord]:
        """The attempts of every delivery of one event."""
        ...

    async def page(self, query: DeliveryQuery) -> DeliveryPage:
        """A page of the deliveries of a subscription, of an organization's, or of all.

        Bounded in what it reads: where few match, it ends early, with where to go on.
        """
        ...

    async def pending_at(self, position: int) -> Sequence[PendingDelivery]:
        """The deliveries of one event that are not terminal."""
        ...
