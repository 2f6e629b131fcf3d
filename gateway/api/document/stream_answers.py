"""The shapes of answers about subscriptions, their streams, and webhooks."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from gateway.api.document.shape import Count, Position, Shape, SubscriptionState
from gateway.domain.handshake import HandshakeState


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


class HandshakeGranted(Shape):
    """The sink has agreed."""

    granted: Literal[True]
    allowed_per_minute: int | None


class Subscriptions(Shape):
    """A page of subscriptions."""

    items: list[Subscription]
    next: str | None


class Replays(Shape):
    """The replays that run."""

    items: list[Replay]
    next: None
