"""The shapes of what the API answers, as models that are only described: a test holds real answers to them."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from gateway.api.document.cloudevent import CloudEvent
from gateway.domain.delivery import Decision, State
from gateway.domain.erasure import Scope
from gateway.domain.handshake import HandshakeState
from gateway.ports import ArchiveState, RunState
from gateway.views.verdicts import Verdict

Count = Annotated[int, Field(ge=0)]
Position = Annotated[int, Field(ge=1)]
SubscriptionState = Literal["active", "paused", "disabled"]


class Shape(BaseModel):
    """An object in an answer. Members may be added later: a reader passes over what it does not know."""

    model_config = ConfigDict(use_attribute_docstrings=True, populate_by_name=True)


class Accepted(Shape):
    """What became of the events of a request."""

    accepted: Count
    """Appended by this request."""
    duplicates: Count
    """Known before by `(source, id)`."""
    positions: list[Position]
    """Where each stands in the log, in the order of the request; a duplicate's is the original's."""


class LogItem(Shape):
    """One entry of the log."""

    position: Position
    appended_at: datetime
    hash: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    """The row's hash in the chain."""
    redriven_from: str | None = None
    """The record in quarantine that it came out of; absent where it never was there."""
    event: CloudEvent | None
    """The envelope as received; null once its payload was erased."""


class EventName(Shape):
    """What a delivery is of."""

    id: str | None
    """Null once the event was erased."""
    source: str | None
    """Null once the event was erased."""
    type: str


class Attempt(Shape):
    """One attempt, or one decision without one."""

    id: str
    number: Annotated[int, Field(ge=1)]
    round: Count
    """Replays and retries by hand begin another round, with a schedule of its own."""
    cause: str
    """Why it was made: the stream, a schedule, a replay, a command."""
    batch: str | None
    """The `webhook-id` that the receiver knows it by where it went with others."""
    replay: int | None
    """The replay that asked for it."""
    decision: Decision
    started_at: datetime
    duration_ms: Annotated[float, Field(ge=0)]
    status: int | None
    """What the sink answered; null where no answer came."""
    error_class: str | None
    detail: str | None
    next_at: datetime | None
    revision: int
    """The subscription's revision that was used."""
    trace_id: str | None
    span_id: str | None
    response_headers: list[Annotated[list[str], Field(min_length=2, max_length=2)]]
    response_body: str | None
    """The beginning of the answer's body, where it is text."""
    response_body_base64: str | None


class Delivery(Shape):
    """One event for one subscription: the fold of its attempts."""

    id: str
    """The `webhook-id` of every attempt."""
    subscription: str
    position: Position
    event: EventName
    state: State
    round: Count
    next_at: datetime | None
    first_delivered_at: datetime | None
    attempts: list[Attempt]


class Clause(Shape):
    """A part of a selection, held against the event."""

    pointer: str
    rule: str
    matches: bool
    detail: str
    attribute: str | None
    expected: str | None
    actual: str | None
    parts: "list[Clause]"


class RevisionPair(Shape):
    """Which revision decided, and which is in force now."""

    in_force: int
    present: int


class Explanation(Shape):
    """Why an event was, or was not, delivered."""

    position: Position
    subscription: str
    verdict: Annotated[str, Field(examples=[Verdict.DELIVERED.value])]
    sentence: str
    """What it comes to, for a person."""
    until: datetime | None
    lag_events: int | None
    blocked_by: int | None
    state: Literal["active", "paused", "disabled", "deleted"]
    revision: RevisionPair
    clauses: list[Clause]
    delivery: Delivery | None


Explanation.model_fields[
    "verdict"
].description = (
    f"A stable word, others may be added: {', '.join(f'`{verdict.value}`' for verdict in Verdict)}."
)
Explanation.model_rebuild(force=True)


class PreviousKey(Shape):
    """A public key that is being replaced."""

    public_key: str
    until: datetime


class HandshakeStanding(Shape):
    """Where the handshake with the sink stands."""

    state: HandshakeState
    since: datetime | None = None
    allowed_per_minute: int | None = None
    detail: str | None = None
    callback_until: datetime | None = None
    next_at: datetime | None = None


class Subscription(Shape):
    """A subscription, without what is write-only. Members that were not set are absent."""

    id: str
    name: str | None = None
    description: str | None = None
    labels: dict[str, str] | None = None
    source: str | None = None
    types: list[str] | None = None
    filters: list[dict[str, Any]] | None = None
    sink: str
    sinkcredential: dict[str, Any] | None = None
    """Without its secret."""
    protocol: Literal["HTTP"]
    protocolsettings: dict[str, Any] | None = None
    """The values of headers are `***`."""
    config: dict[str, Any]
    public_key: str | None = None
    """`whpk_…`: what Ed25519 signatures are checked with."""
    previous_public_keys: list[PreviousKey] | None = None
    handshake: HandshakeStanding | None = None
    organization: str
    state: SubscriptionState
    revision: Annotated[int, Field(ge=1)]
    created_at: datetime
    updated_at: datetime


class NewSubscription(Subscription):
    """A subscription that was just made."""

    secret: str
    """`whsec_…`, shown this once."""


class RotatedSubscription(NewSubscription):
    """A subscription that signs with another secret from now on."""

    overlap_until: datetime | None
    """Until then the secret before it signs as well."""


class ImportedSubscription(Shape):
    """One of many that were made."""

    id: str
    secret: str


class Imported(Shape):
    """All that were made, in the order of the request."""

    items: list[ImportedSubscription]


class Commanded(Shape):
    """A test event was appended."""

    position: Position


class Retried(Shape):
    """One more attempt was asked for."""

    id: str
    position: Position


class Replay(Shape):
    """A replay, and how far it is."""

    id: int
    state: Literal["running", "finished", "cancelled"]
    from_position: Position
    until_position: Count
    only: Literal["all", "failed"]
    revision: int
    cursor: Count
    """Up to where it was dispatched."""
    open: Count
    """Dispatched and not ended."""
    requested_at: datetime
    ended_at: datetime | None


class ReplayCount(Shape):
    """What a replay would send (`dry_run`)."""

    count: Count
    from_position: Position
    until_position: Count


class Window(Shape):
    """Of which time the figures are."""

    from_: Annotated[datetime, Field(alias="from")]
    until: datetime
    seconds: float
    complete: bool
    """False: there were more attempts than are looked at, and the window is as long as those took."""


class Rates(Shape):
    """Per second, within the window."""

    attempts_per_s: float
    delivered_per_s: float
    failed_per_s: float
    ended_undelivered_per_s: float
    delivered_ratio: float | None


class Spread(Shape):
    """Percentiles, milliseconds."""

    count: Count
    p50: float | None
    p90: float | None
    p95: float | None
    p99: float | None
    max: float | None


class Lag(Shape):
    """What the stream has not come to."""

    events: Count
    seconds: float


class Oldest(Shape):
    """What waits longest."""

    position: Position
    appended_at: datetime
    age_s: float
    exact: bool


class Breaker(Shape):
    """Whether the stream stands because its sink fails."""

    state: Literal["closed", "open"]
    failing_since: datetime | None
    opened_at: datetime | None
    probe_at: datetime | None
    probes: Count


class Statistics(Shape):
    """How a stream is doing."""

    subscription: str
    state: SubscriptionState
    at: datetime
    window: Window
    attempts: dict[str, Count]
    """How many, by decision, and in `total`."""
    rates: Rates
    latency_ms: Spread
    answer_ms: Spread
    pending: Count
    lag: Lag | None
    oldest_undelivered: Oldest | None
    waits_until: datetime | None
    breaker: Breaker


class Webhook(Shape):
    """A webhook as Letta's own view shows it; `id` is the subscription's underneath."""

    id: str
    url: str
    events: list[str] | None
    """By short names; null where the subscription does not choose by type."""
    enabled: bool
    state: SubscriptionState
    handshake: HandshakeStanding | None = None
    agent_id: str | None
    organization: str
    created_at: datetime
    updated_at: datetime


class NewWebhook(Webhook):
    """A webhook that was just made."""

    secret: str
    """`whsec_…`, shown this once."""


class Quarantined(Shape):
    """What could not be taken into the log."""

    id: str
    received_at: datetime
    origin: str
    entry_id: str | None
    organization: str | None
    reason: str
    errors: list[Any]
    size_bytes: Count
    state: str
    position: int | None
    """Where it stands in the log, once it was taken."""
    payload: str | None = None
    """What came in, where it is text; only at the record itself."""
    payload_base64: str | None = None


class Redriven(Quarantined):
    """A record that was taken into the log."""

    duplicate: bool


class Erasure(Shape):
    """How far an erasure is; never whose data it was."""

    id: str
    scope: Scope
    state: Literal["running", "finished"]
    until_position: Count
    events: Count
    attempts: Count
    quarantined: Count
    archives: Count
    """The archives whose files were written anew."""
    unreachable: list[str]
    """The archives whose files were not in their folder: they may have something of it."""
    rewritten: bool
    """Whether the storage has let go of what it had."""
    requested_at: datetime
    finished_at: datetime | None


class ErasureCount(Shape):
    """What an erasure would take (`dry_run`)."""

    events: Count
    quarantined: Count
    archives: Count
    """How many archives would be looked through besides."""


class Token(Shape):
    """What is known of a token; never the token."""

    id: str
    name: str | None
    admin: bool
    organization: str | None
    read_only: bool
    state: Literal["active", "expired", "revoked"]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None


class NewToken(Token):
    """A token that was just made."""

    token: str
    """Shown this once."""


class KeyUse(Shape):
    """A key of the vault, and what it is needed for."""

    id: str
    first: bool
    sealed: Count
    links_until: datetime | None
    needed: bool


class Unreadable(Shape):
    """A stored secret that no key opens."""

    kind: str
    owner: str
    revision: int


class Resealed(Shape):
    """One batch of a rotation of keys."""

    checked: Count
    resealed: Count
    unreadable: list[Unreadable]
    next: str | None


class HandshakeGranted(Shape):
    """The sink has agreed."""

    granted: Literal[True]
    allowed_per_minute: int | None


class Health(Shape):
    """The process serves."""

    status: Literal["ok"]


class Ready(Shape):
    """Each thing that the gateway needs, and whether it is there."""

    status: Literal["ready", "not ready"]
    checks: dict[str, Literal["ok", "failing"]]
    lag_events: int | None


class FieldProblem(Shape):
    """One offending member."""

    pointer: str
    """JSON Pointer into the body, or the name of a header or parameter; empty for the whole."""
    detail: str


class Problem(Shape):
    """RFC 9457. A program tells problems apart by `type`; each is in docs/problems.md."""

    type: Annotated[str, Field(examples=["urn:letta-gateway:problem:not-found"])]
    title: str
    status: Annotated[int, Field(ge=400, le=599)]
    detail: str
    errors: list[FieldProblem]


class Events(Shape):
    """A page of the log."""

    items: list[LogItem]
    next: str | None


class Deliveries(Shape):
    """A page of deliveries."""

    items: list[Delivery]
    next: str | None


class Subscriptions(Shape):
    """A page of subscriptions."""

    items: list[Subscription]
    next: str | None


class Replays(Shape):
    """The replays that run."""

    items: list[Replay]
    next: None


class Quarantine(Shape):
    """A page of the quarantine."""

    items: list[Quarantined]
    next: str | None


class Erasures(Shape):
    """A page of erasures."""

    items: list[Erasure]
    next: str | None


class Archive(Shape):
    """A range of the log in a file."""

    first_position: Position
    last_position: Position
    state: ArchiveState
    """Where its events are: `archived` in the file alone, `restored` in the log as well, else on their way."""
    file: str
    size_bytes: Count
    sha256: str
    events: Count
    first_appended_at: datetime
    last_appended_at: datetime
    archived_at: datetime


class Archives(Shape):
    """A page of archives, in log order."""

    items: list[Archive]
    next: str | None


class ArchiveHolder(Shape):
    """A subscription that still needs what is behind a position, and why."""

    subscription: str
    position: Count
    why: str


class ArchivePlan(Shape):
    """What would be archived now."""

    first_position: Position
    until_position: Count
    positions: Count
    held_by: list[ArchiveHolder]
    """Why not more."""


class Archiving(Shape):
    """A command to archive, and how far it is."""

    id: Position
    state: RunState
    until_position: Count
    archived_until: Count
    archives: Count
    events: Count
    problem: str | None
    """Why it failed; asking for the same again goes on."""
    requested_at: datetime
    finished_at: datetime | None


class Tokens(Shape):
    """A page of tokens."""

    items: list[Token]
    next: str | None


class Keys(Shape):
    """The keys of the vault."""

    items: list[KeyUse]
    next: None
