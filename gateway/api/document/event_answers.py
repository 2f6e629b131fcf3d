"""The shapes of answers about events and their deliveries."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from gateway.api.document.cloudevent import CloudEvent
from gateway.api.document.shape import Count, Position, Shape
from gateway.domain.delivery import Decision, State
from gateway.views.verdicts import Verdict


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
    contract_broken: bool = False
    """True: it was taken although it broke its contract, and is sent without `dataschema`; absent elsewhere."""
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


class ArchivedUntil(Shape):
    """The end of what was archived."""

    position: Position
    appended_at: datetime


class Events(Shape):
    """A page of the log."""

    items: list[LogItem]
    next: str | None
    archived_until: ArchivedUntil | None = None
    """Events up to there were archived, and are not in this page although it was asked for them; an administrator can
    put them back. Absent where none were."""


class Deliveries(Shape):
    """A page of deliveries."""

    items: list[Delivery]
    next: str | None
