"""What the flows need from the outside, declared by the flows: protocols and the records that cross them.

An adapter implements a protocol; a flow never knows which one. Times are integers, microseconds since the
Unix epoch, UTC (``_us``); positions count from 1, and 0 stands before the first row.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import NamedTuple, Protocol

from gateway.domain.api_tokens import ApiToken
from gateway.domain.breaker import StreamNote
from gateway.domain.delivery import Decision, State
from gateway.domain.erasure import NO_TRACE, Scope, Target
from gateway.domain.filters import Selector
from gateway.domain.handshake import UNASKED, Consent
from gateway.domain.header_lines import Message
from gateway.domain.pending import PendingDelivery
from gateway.domain.rotation import Secret
from gateway.domain.sending import Answer, OutboundRequest
from gateway.domain.skips import Skip, skipped
from gateway.domain.statistics import Tried
from gateway.domain.subscription import Handshake, SubscriptionSpec
from schemas import Envelope


class Kind(StrEnum):
    """Who said it (S1b): an event came in, a fact is the gateway's own."""

    EVENT = "event"
    FACT = "fact"


@dataclass(slots=True)
class NewEntry:
    """What was admitted and is to be appended: the envelope as received and the columns it is searched by.

    ``parsed`` is the same envelope as the door has read it, for whoever routes it in the same process. A value, not
    frozen for the cost of it, like ``Entry``: of both there is one for each event.
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
    """One row of the log, a value. ``envelope`` is None once erased (S8b); ``redriven_from``: it was in quarantine."""

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


@dataclass(slots=True)
class Event:
    """An entry of the log with its envelope read once; None: it was erased (S8b).

    ``message`` is what its requests have in common, kept by whoever makes the first one: most subscribers want the
    same mode, and each attempt sends the same again. It is all that ever changes here.
    """

    entry: Entry
    envelope: Envelope | None
    message: Message | None = field(default=None, compare=False, repr=False)


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
    """Which entries a list shows. ``organization`` None means all of them (an administrator's view)."""

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
class QuarantineRecord:
    """An entry of the quarantine. ``payload`` is None in a page, which may have many large ones."""

    id: str
    received_at_us: int
    origin: str
    entry_id: str
    organization: str | None
    reason: str
    problems: Sequence[Mapping[str, str]]
    payload: bytes | None
    size_bytes: int
    state: str
    position: int | None


class QuarantineState(StrEnum):
    """What became of an entry of the quarantine."""

    OPEN = "open"
    REDRIVEN = "redriven"
    """It is in the log, at its ``position``."""
    ERASED = "erased"
    """What came in was erased (S8b)."""
    DISCARDED = "discarded"
    """Only that it was there is kept, so that the same entry of the stream is not taken for a new one."""


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
        """A page of entries; gateway facts only where ``types`` names them."""
        ...

    async def position_at(self, at_us: int) -> int:
        """The last position that was appended before ``at_us`` (0: none)."""
        ...

    async def read_key(self, key: str, after: int, until: int, limit: int) -> Sequence[Entry]:
        """Up to ``limit`` events of a partition key behind ``after`` and up to ``until``, by index (S4b).

        There may be others among them: those of an agent with this id that carry another key.
        """
        ...


class SubscriptionState(StrEnum):
    """What a subscription does now."""

    ACTIVE = "active"
    PAUSED = "paused"
    DISABLED = "disabled"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class Revision:
    """The selection in force behind ``position`` (S3d)."""

    revision: int
    position: int
    selector: Selector


class Private(Protocol):
    """What of a subscription is stored sealed.

    It is opened when it is asked for, so that of many subscriptions only those lie open that are at work.
    """

    @property
    def spec(self) -> SubscriptionSpec:
        """What was asked for, the sink and its credential included."""
        ...

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """The signing secrets, the oldest first, the present one last."""
        ...

    @property
    def pull_only(self) -> bool:
        """Whether nothing is ever sent (S10b): known of every one, without opening it."""
        ...

    @property
    def fetches_token(self) -> bool:
        """Whether each POST takes an access token that is fetched first: likewise."""
        ...

    @property
    def wants_handshake(self) -> bool:
        """Whether it asked that its sink agree first: likewise."""
        ...


@dataclass(frozen=True, slots=True)
class Opened:
    """What was sealed, open."""

    spec: SubscriptionSpec = field(repr=False)
    secrets: tuple[Secret, ...] = field(repr=False)

    @property
    def pull_only(self) -> bool:
        """See ``Private.pull_only``."""
        return self.spec.pull_only

    @property
    def fetches_token(self) -> bool:
        """See ``Private.fetches_token``."""
        return self.spec.token_url is not None

    @property
    def wants_handshake(self) -> bool:
        """See ``Private.wants_handshake``."""
        return self.spec.config.handshake is Handshake.REQUIRED


@dataclass(frozen=True, slots=True)
class NewSubscription:
    """A subscription that is to be made.

    Attributes:
        privileged: An administrator asks for it (S11b).
        webhook: Which webhook of the organization it is (``WebhookScope.key``); there is one of each at most.
        paused: It is not to send anything before it is resumed.
    """

    spec: SubscriptionSpec
    organization: str
    privileged: bool
    secret: str = field(repr=False)
    webhook: str | None = None
    paused: bool = False


@dataclass(frozen=True, slots=True)
class SubscriptionRecord:
    """A subscription as it is now, with the history of its selection and of what was left out."""

    number: int
    id: str
    organization: str
    privileged: bool
    state: SubscriptionState
    revision: int
    created_at_us: int
    updated_at_us: int
    created_position: int
    start_position: int
    cursor: int
    live: bool
    pending: int
    private: Private = field(repr=False)
    revisions: tuple[Revision, ...] = ()
    skips: tuple[Skip, ...] = ()
    webhook: str | None = None
    consent: Consent = UNASKED

    @property
    def spec(self) -> SubscriptionSpec:
        """What was asked for, at the present revision."""
        return self.private.spec

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """The signing secrets, the oldest first, the present one last."""
        return self.private.secrets

    @property
    def pull_only(self) -> bool:
        """Whether nothing is ever sent: its events are fetched (S10b)."""
        return self.private.pull_only

    def skipped(self, position: int) -> bool:
        """Whether a resume from now has left this position out of the stream (S3h)."""
        return bool(self.skips) and skipped(self.skips, position)

    def selector_at(self, position: int) -> Selector:
        """The selection in force at a position; before the first revision, the first (S3d)."""
        for revision in reversed(self.revisions):
            if revision.position < position:
                return revision.selector
        return self.revisions[0].selector


@dataclass(frozen=True, slots=True)
class SubscriptionHistory:
    """A subscription without anything sealed, deleted or not: what it selected when, and how far its stream has come.

    Attributes:
        cursor: Where its stream is dispatched to; None once it is deleted.
        live: Whether it follows the router, whose position then counts where it is ahead of the cursor.
        pending: Its deliveries that are dispatched and not terminal, but for those that a command put there.
    """

    number: int
    id: str
    organization: str
    state: SubscriptionState
    start_position: int
    revisions: tuple[Revision, ...]
    cursor: int | None
    live: bool
    pending: int

    def revision_at(self, position: int) -> Revision:
        """The revision in force at a position; before the first one, the first (S3d)."""
        return next(
            (item for item in reversed(self.revisions) if item.position < position), self.revisions[0]
        )

    def passed(self, routed: int) -> int:
        """The position up to which everything that matches has been dispatched, once the router was at ``routed``."""
        if self.cursor is None:
            return 0
        follows = self.live and self.state is SubscriptionState.ACTIVE
        return max(self.cursor, routed) if follows else self.cursor


RowKey = tuple[str, str, int]
"""Kind, owner and revision of a row of the vault."""


@dataclass(frozen=True, slots=True)
class Resealed:
    """One batch of a rotation: ``unreadable`` are rows that do not open; ``after`` is None at the vault's end."""

    checked: int
    resealed: int
    unreadable: tuple[RowKey, ...]
    after: RowKey | None


@dataclass(frozen=True, slots=True)
class KeyUse:
    """What one of the keys that this process was given is still good for.

    Attributes:
        id: The key's id, which is no secret.
        sealed: How many values of the vault are sealed under it.
        replaced_at_us: When another key took its place; None for the first key, and only for that.
    """

    id: str
    sealed: int
    replaced_at_us: int | None


class VaultKeys(Protocol):
    """The keys of the vault, and moving what is sealed from one to the next while the gateway serves."""

    async def begin(self) -> None:
        """Note which key seals from now on. Raises ``GatewayError`` where a value is sealed under none of the keys."""
        ...

    async def reseal(self, after: RowKey | None, limit: int) -> Resealed:
        """Seal again what is not under the first key, of the next ``limit`` rows, in one transaction.

        Done twice, or begun anew after a crash, it changes nothing more.
        """
        ...

    async def uses(self) -> Sequence[KeyUse]:
        """Each key, the first one first."""
        ...


class Subscriptions(Protocol):
    """The commands on subscriptions: each one a fact, the vault and the projection in one transaction (S1d)."""

    async def create(
        self,
        spec: SubscriptionSpec,
        *,
        organization: str,
        privileged: bool,
        secret: str,
    ) -> SubscriptionRecord:
        """Make a subscription; its start is resolved to a position in the same transaction."""
        ...

    async def create_many(self, wanted: Sequence[NewSubscription]) -> Sequence[SubscriptionRecord]:
        """Make them all or none, in order, in one transaction; ``create`` is the case of one.

        Bounding their number is for the caller: nothing else is written meanwhile. Raises ``InvalidRequest``, whose
        pointers begin with the place of the subscription that is wrong (``/3/config/start``), and ``Conflict`` where
        the organization has this webhook already.
        """
        ...

    async def update(
        self,
        number: int,
        spec: SubscriptionSpec,
        *,
        unchanged_since_us: int | None = None,
        privileged: bool = True,
    ) -> SubscriptionRecord:
        """Replace it by a new revision. Raises ``PreconditionFailed`` if it was changed since the given moment.

        ``privileged`` False: who asks is no administrator. Where that moves the sink, private networks are closed to
        it for good (S11b): they were opened to the one that the administrator has named.
        """
        ...

    async def set_state(
        self,
        number: int,
        state: SubscriptionState,
        *,
        cause: str,
        revision: int | None = None,
        skip: bool = False,
    ) -> SubscriptionRecord:
        """Pause, resume or disable; ``skip`` moves the cursor to the head. The same state again changes nothing.

        Raises ``PreconditionFailed`` if ``revision`` is given and no longer the present one (S3f).
        """
        ...

    async def rotate_secret(self, number: int, secret: str) -> SubscriptionRecord:
        """Sign with a new secret, beside the old one for a day. The present one given again changes nothing."""
        ...

    async def set_consent(
        self, number: int, consent: Consent, *, revision: int | None = None, callback: str | None = None
    ) -> SubscriptionRecord:
        """Note where the handshake with the sink stands: a fact.

        Raises ``PreconditionFailed`` if a ``revision`` is given that is not the present one, or a ``callback`` that
        is not the one that is open.
        """
        ...

    async def called_back(self, callback: str, per_minute: int | None) -> SubscriptionRecord:
        """The sink agrees by its callback, which is over with this. Raises ``NotFound`` where none such is open."""
        ...

    async def delete(self, number: int, *, unchanged_since_us: int | None = None) -> None:
        """Drop cursor, pending and secrets; attempts stay until retention (S3h)."""
        ...

    async def get(self, subscription_id: str) -> SubscriptionRecord | None:
        """One that is not deleted, by its id."""
        ...

    async def webhook(self, organization: str, key: str) -> SubscriptionRecord | None:
        """The one that is this webhook of an organization (``WebhookScope.key``)."""
        ...

    async def by_number(self, number: int) -> SubscriptionRecord | None:
        """One that is not deleted, by its number."""
        ...

    async def by_numbers(self, numbers: Sequence[int]) -> Sequence[SubscriptionRecord]:
        """Those of these numbers that are not deleted, in order of their numbers: one look for all of them."""
        ...

    async def page(self, *, organization: str | None, after: int, limit: int) -> Sequence[SubscriptionRecord]:
        """Those of an organization (None: all), in order of creation, behind number ``after``."""
        ...

    async def history(self, subscription_id: str) -> SubscriptionHistory | None:
        """One by its id, deleted ones too; None for an id that never was."""
        ...

    async def ids(self, numbers: Sequence[int]) -> Mapping[int, tuple[str, str]]:
        """Id and organization of these numbers, deleted ones too: their attempts are still to be read."""
        ...


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

    def untold(self) -> "AttemptRecord":
        """The same without what it says of an event that was erased (S8b): the answer, and the event's trace."""
        return replace(self, response_headers=(), response_body=b"", detail=None, trace_id=NO_TRACE)


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


@dataclass(frozen=True, slots=True)
class Standing:
    """Where one delivery stands, for a replay that comes to it.

    Attributes:
        round: The round of its last attempt.
        attempts: How many attempts there are.
        failed: It was exhausted or refused when the replay was asked for.
        pending: Its row, where it is not terminal.
        late: Its first attempt was made after the replay was asked for: the live stream came to it by itself.
        replay: The last replay that sent it.
        last_span_id: The span of its last attempt.
    """

    round: int
    attempts: int
    failed: bool
    pending: PendingDelivery | None
    late: bool = False
    replay: int | None = None
    last_span_id: str | None = None


class ReplayUpdate(NamedTuple):
    """How far a replay has come."""

    replay: int
    cursor: int


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


@dataclass(frozen=True, slots=True)
class DeliveryQuery:
    """Which deliveries of a subscription a page shows, those of the latest events first.

    Attributes:
        number: The subscription.
        state: Only those in this state.
        status: Only those whose last attempt was answered with this status.
        after: Only of events behind this position.
        until: Only of events up to this position.
        before: Where the page before it ended: only of events ahead of that.
        limit: How many at most.
    """

    number: int
    state: State | None = None
    status: int | None = None
    after: int = 0
    until: int | None = None
    before: int | None = None
    limit: int = 50

    def wants(self, state: State, status: int | None) -> bool:
        """Whether a delivery that stands so is to be shown."""
        return self.state in {None, state} and self.status in {None, status}


@dataclass(frozen=True, slots=True)
class DeliveryItem:
    """One delivery of a page, with its attempts in order and its row, while it is not terminal."""

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
    before: int | None


class DueKey(NamedTuple):
    """Where a page of waiting deliveries ended: the order in which they are read."""

    next_at_us: int
    number: int
    position: int


class Deliveries(Protocol):
    """Attempts (truth), and the cursors and pending deliveries derived from them."""

    async def commit(self, batch: JournalBatch) -> None:
        """Write it all or nothing. The same batch again, its answer having been lost, changes nothing.

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

    async def standings(
        self, number: int, first: int, last: int, *, attempts_until: int
    ) -> Mapping[int, Standing]:
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
        """A page of a subscription's deliveries.

        Bounded in what it reads: where few match, it ends early, with where to go on.
        """
        ...

    async def pending_at(self, position: int) -> Sequence[PendingDelivery]:
        """The deliveries of one event that are not terminal."""
        ...


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


class ErasureState(StrEnum):
    """Where an erasure stands (S8b)."""

    RUNNING = "running"
    SCRUBBING = "scrubbing"
    """Everything is erased, and the storage is asked to let go of what it still has of it in its files."""
    FINISHED = "finished"


@dataclass(frozen=True, slots=True)
class ErasureRecord:
    """An erasure as it is now, without whom it is about: that is forgotten with the rest.

    Attributes:
        until_position: The head at the command: what came later is not erased.
        events: The events erased so far.
        attempts: The attempts whose stored answers are gone.
        quarantined: The records of the quarantine that are empty now.
        rewritten: Whether the storage's files were written anew, so that nothing is left in space that is free.
    """

    id: str
    scope: Scope
    state: ErasureState
    until_position: int
    requested_at_us: int
    finished_at_us: int | None = None
    events: int = 0
    attempts: int = 0
    quarantined: int = 0
    rewritten: bool = False


@dataclass(frozen=True, slots=True)
class ErasureCount:
    """What an erasure would take now."""

    events: int
    quarantined: int


@dataclass(frozen=True, slots=True)
class ErasureStep:
    """What one step of an erasure came to.

    Attributes:
        finished: Whether there is nothing left to do.
        waits: Whether nothing could be done now; try again in a while.
        appended: Whether the log has grown by a fact.
        numbers: Subscriptions that have deliveries pending of what was erased: these are due now, to be settled.
    """

    finished: bool = False
    waits: bool = False
    appended: bool = False
    numbers: frozenset[int] = frozenset()


class Erasures(Protocol):
    """Erasure (S8b): commanded by a fact, then done step by step, each in a bounded transaction of its own."""

    async def request(self, target: Target) -> ErasureRecord:
        """Command it, of everything up to the head. Raises ``Conflict`` where too many are not finished yet.

        The same again finds what has come since, if anything.
        """
        ...

    async def count(self, target: Target) -> ErasureCount:
        """What it would take now, a part of the log at a time."""
        ...

    async def get(self, erasure_id: str) -> ErasureRecord | None:
        """One erasure."""
        ...

    async def page(self, *, before: int | None, limit: int) -> Sequence[tuple[int, ErasureRecord]]:
        """The latest first, each with its number; from behind one."""
        ...

    async def open(self) -> Sequence[ErasureRecord]:
        """Those that are not finished, in the order of their commands."""
        ...

    async def step(self, erasure_id: str) -> ErasureStep:
        """Do a bounded part of what is left. The same again, its answer having been lost, does no harm."""
        ...


class Quarantine(Protocol):
    """What could not be admitted. What is discarded is not there any more, for any of these."""

    async def page(
        self,
        *,
        organization: str | None,
        before: tuple[int, str] | None,
        limit: int,
        state: QuarantineState | None = None,
    ) -> Sequence[QuarantineRecord]:
        """The newest first, from behind a record's time (microseconds) and id; None: in whatever state."""
        ...

    async def get(self, quarantine_id: str) -> QuarantineRecord | None:
        """One record."""
        ...

    async def redrive(self, quarantine_id: str, entry: NewEntry) -> Appended:
        """Append what it has become, and note where: one transaction. Again, it answers with the same position.

        Raises ``NotFound`` where it is not there, ``Conflict`` where it is not open.
        """
        ...

    async def keep(self, quarantine_id: str, reason: str, problems: Sequence[Mapping[str, str]]) -> None:
        """It was judged again and stays: why, as of now. What is not open is left as it is."""
        ...

    async def discard(self, quarantine_id: str) -> None:
        """Forget it and what came in. Raises ``NotFound`` where it is not there."""
        ...


@dataclass(frozen=True, slots=True)
class NewApiToken:
    """A token that is to be made; of the token itself only its hash gets here. ``by``: who asks, by token id."""

    hash: bytes = field(repr=False)
    name: str | None
    organization: str | None
    read_only: bool
    expires_at_us: int | None
    by: str | None


class ApiTokens(Protocol):
    """The tokens of the API, by their hashes. Making and revoking one is a fact (S1d)."""

    async def create(self, wanted: NewApiToken) -> ApiToken:
        """Make one; the fact names everything but the token. Raises ``Conflict`` where there are too many."""
        ...

    async def revoke(self, token_id: str, *, by: str | None) -> None:
        """It opens nothing from now on. Raises ``NotFound`` for one that is revoked already, or never was."""
        ...

    async def by_hash(self, token_hash: bytes) -> ApiToken | None:
        """The one of this hash, revoked and expired ones too, for as long as they are remembered."""
        ...

    async def get(self, token_id: str) -> ApiToken | None:
        """One that is not revoked."""
        ...

    async def get_many(self, token_ids: Sequence[str]) -> Mapping[str, ApiToken]:
        """Those that are not revoked."""
        ...

    async def page(self, *, after: tuple[int, str] | None, limit: int) -> Sequence[ApiToken]:
        """Those that are not revoked, in order of creation, from behind one's time (microseconds) and id."""
        ...

    async def used(self, times: Mapping[str, int]) -> None:
        """Note when each was used last, by id; a time never goes back, and no fact says so."""
        ...


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


Now = Callable[[], int]
"""The wall clock: microseconds since the Unix epoch."""

Random = Callable[[int], bytes]
"""That many random bytes."""
