"""What delivering needs from outside, in one place."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from gateway.deliver.held import Held
from gateway.deliver.meters import DeliveryMeters
from gateway.domain.lane import PENDING_MAX, QUEUE_MAX
from gateway.ports import (
    Deliveries,
    Entry,
    Event,
    EventLog,
    Leadership,
    Now,
    Random,
    Sender,
    StreamCommands,
    Subscriptions,
)
from otel.spans import Tracing
from schemas import Envelope


@dataclass(frozen=True, slots=True)
class AttemptPolicy:
    """What is the same for every attempt.

    Attributes:
        timeout_s: One attempt, whole, where the subscription does not say.
        as_sent: An event as it goes out, and the URL of its contract, where it gets one.
        dataref_of: The link to the data of a delivery, by its id (S11d).
        disable_after_s: How long a subscription may do nothing but fail, before it is disabled (S3g).
        handshake_required: Whether every sink has to agree before it is sent anything.
        webhook_origin: The DNS name by which sinks know this gateway (CONFORMANCE 29).
        callback_of: Where a sink calls back to agree, by the token (S11e).
    """

    timeout_s: float
    as_sent: Callable[[Entry, Envelope], tuple[Envelope, str | None]]
    dataref_of: Callable[[str], str]
    disable_after_s: float = 5 * 24 * 3600.0
    handshake_required: bool = False
    webhook_origin: str = "localhost"
    callback_of: Callable[[str], str] = "/handshake/".__add__


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of one process.

    Attributes:
        queue_max: Positions that wait in one lane for their first start.
        pending_max: Deliveries of one subscription that are dispatched and not terminal (S2e).
        in_flight_max: Attempts in flight, of all lanes together.
        batch: Rows that the router, or a scan, reads at a time.
        lag_max: Positions by which a live lane may hold the router's restart back (S2b).
        unwritten_max: Outcomes that wait for the journal; beyond them nothing more is started.
        due_rows_max: Waiting deliveries that are read at a time.
    """

    queue_max: int = QUEUE_MAX
    pending_max: int = PENDING_MAX
    in_flight_max: int = 2_000
    batch: int = 500
    lag_max: int = 1_000
    unwritten_max: int = 5_000
    due_rows_max: int = 2_000


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class World:
    """Stores, sender, clock and randomness.

    ``jitter`` draws from [0, 1); ``held``: what is not to be sent yet; ``told``: which attempts the log tells of;
    ``tracing`` is None where nothing is traced; ``tell_again``: tells of an event that another process appended.
    """

    log: EventLog
    deliveries: Deliveries
    subscriptions: Subscriptions
    commands: StreamCommands
    sender: Sender
    policy: AttemptPolicy
    now: Now
    random: Random
    jitter: Callable[[], float]
    leadership: Leadership
    held: Held = field(default_factory=Held)
    tracing: Tracing | None = None
    tell_again: Callable[[Event], None] = lambda _event: None
    meters: DeliveryMeters = field(default_factory=DeliveryMeters)
    told: Literal["failed", "all", "none"] = "failed"
