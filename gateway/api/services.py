"""What the routes work with, put together by ``gateway.parts``."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from fastapi import Request

from gateway.api.credentials import Credentials
from gateway.api.idempotency import Idempotency
from gateway.api.slots import Slots
from gateway.deliver.tail import Tail
from gateway.domain.payload_links import PayloadLinks
from gateway.ingest.batcher import Batcher
from gateway.ingest.door import Door
from gateway.ingest.pace import Pace
from gateway.ingest.spans import IngestSpans
from gateway.ports import (
    Archives,
    Deliveries,
    Erasures,
    EventLog,
    Now,
    Quarantine,
    Random,
    StreamCommands,
    Subscriptions,
    VaultKeys,
)
from gateway.registry.catalogue import Catalogue
from gateway.registry.registering import Registering
from gateway.views.metrics import Metrics


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what a request may carry."""

    event_bytes_max: int
    batch_bytes_max: int
    batch_events_max: int


@dataclass(frozen=True, slots=True)
class Readiness:
    """Each thing the gateway needs, and whether it is there; ``lag_events``: appended and not routed yet."""

    checks: Mapping[str, bool]
    lag_events: int | None


@dataclass(frozen=True, slots=True)
class Services:
    """Everything behind the routes.

    Attributes:
        pace: Bounds what one agent may bring in; None: it is not bounded.
        admit_sink: Judges a sink at creation; raises ``SinkRefused`` of the domain.
        changed: Tells the dispatcher that a subscription was changed by a command.
        in_force: Tells it the same, and waits, for a second at most, until nothing more is sent as it was before.
        appended: Tells the dispatcher that the log has grown.
        archive: Tells the archivist that something was commanded.
        erase: Tells the eraser that something was commanded.
        readiness: Each thing the gateway needs, and whether it is there.
        catalogue: The contracts as they are now.
        registering: Adds to them.
        handshake_required: Whether every sink has to agree before it is sent anything.
        spans: Tells a tracing backend of what comes in; None: nothing is traced.
    """

    log: EventLog
    tail: Tail
    slots: Slots
    batcher: Batcher
    door: Door
    pace: Pace | None
    subscriptions: Subscriptions
    commands: StreamCommands
    deliveries: Deliveries
    quarantine: Quarantine
    vault_keys: VaultKeys
    erasures: Erasures
    catalogue: Catalogue
    registering: Registering
    archives: Archives
    limits: Limits
    public_url: str
    credentials: Credentials
    idempotency: Idempotency
    timeout_s: float
    production: bool
    allowed_hosts: frozenset[str]
    random: Random
    admit_sink: Callable[[str, bool], Awaitable[None]]
    changed: Callable[[int], None]
    in_force: Callable[[int], Awaitable[None]]
    appended: Callable[[], None]
    erase: Callable[[], None]
    archive: Callable[[], None]
    readiness: Callable[[], Awaitable[Readiness]]
    payload_links: PayloadLinks
    now: Now
    metrics: Metrics
    handshake_required: bool = False
    spans: IngestSpans | None = None


def services(request: Request) -> Services:
    """The services of the application that serves this request."""
    found: Services = request.app.state.services
    return found
