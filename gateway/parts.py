"""The parts of one process: each adapter, flow and face made, by the settings, and joined; nothing is started here."""

import asyncio
import contextlib
import importlib.metadata
import os
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import anyio
import anyio.to_thread

import contracts
from gateway.adapters.http.capacity import limits_for
from gateway.adapters.http.guard import EgressPolicy
from gateway.adapters.http.resolver import SystemResolver
from gateway.adapters.http.sender import EgressSender
from gateway.adapters.http.transport import EgressTransport
from gateway.adapters.metrics_push import MetricsPush
from gateway.adapters.process_figures import process_families
from gateway.adapters.randomness import PooledRandom
from gateway.adapters.redis_figures import RedisFigures
from gateway.adapters.redis_stream import RedisStreamReader
from gateway.adapters.sql.archiving import SqlArchives
from gateway.adapters.sql.commands import SqlStreamCommands
from gateway.adapters.sql.contracts import SqlContracts
from gateway.adapters.sql.database import Database
from gateway.adapters.sql.deliveries import SqlDeliveries
from gateway.adapters.sql.erasing import SqlErasures
from gateway.adapters.sql.idempotency import SqlIdempotencyKeys
from gateway.adapters.sql.log import SqlLog
from gateway.adapters.sql.quarantine import SqlQuarantine
from gateway.adapters.sql.size import size_bytes
from gateway.adapters.sql.subscriptions import SqlSubscriptions
from gateway.adapters.sql.tokens import SqlApiTokens
from gateway.adapters.sql.vault_keys import SqlVaultKeys
from gateway.adapters.vault import Keyring
from gateway.api.application import create_api
from gateway.api.credentials import Credentials
from gateway.api.idempotency import Idempotency
from gateway.api.services import Limits, Readiness, Services
from gateway.api.slots import Slots
from gateway.deliver.archiving import Archivist
from gateway.deliver.dispatcher import Dispatcher
from gateway.deliver.erasing import Eraser
from gateway.deliver.held import Held
from gateway.deliver.meters import DeliveryMeters
from gateway.deliver.tail import Tail
from gateway.deliver.world import DEFAULT_LIMITS, AttemptPolicy, World
from gateway.domain.agent_rate import AgentRates
from gateway.domain.payload_links import PayloadLinks
from gateway.errors import Unavailable
from gateway.ingest.batcher import Batcher
from gateway.ingest.door import Door, DoorPolicy
from gateway.ingest.meters import IngestMeters
from gateway.ingest.pace import Pace
from gateway.ingest.spans import IngestSpans
from gateway.ingest.stream import StreamIngest
from gateway.ports import Event, Head
from gateway.registry.catalogue import Catalogue
from gateway.registry.registering import Registering
from gateway.settings import Settings
from gateway.views.metrics import Metrics, Sources
from otel.metrics_setup import start_metrics
from otel.spans import Tracing

_READY_S = 2.0
_FACT_SOURCE = "/gateway"
ARCHIVE_FOLDER = "archive"
"""Of the data directory, where GATEWAY_ARCHIVE_DIR names no other."""

LOOPBACK_ADDRESS = "127.0.0.1"
INGESTING = frozenset({"all", "ingest"})
"""The roles of a process that reads the stream."""
DELIVERING = frozenset({"all", "deliver"})
"""The roles of a process that posts."""
_DAY_S = 86_400
_LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "[::1]"})


@dataclass(frozen=True, slots=True)
class Running:
    """Where a gateway that has started is to be found."""

    url: str
    redis_url: str = field(repr=False)
    stream: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where this process listens and keeps its files."""

    role: str
    host: str
    port: int
    data_dir: Path


class Parts:
    """The parts of one process, made and not yet started."""

    def __init__(
        self,
        settings: Settings,
        place: Place,
        database: Database,
        *,
        redis_url: str,
        url: str,
        listens: tuple[str, int],
        tracing: Tracing | None,
    ) -> None:
        self.place = place
        self._database = database
        self.running = Running(url=url, redis_url=redis_url, stream=settings.stream)
        public_url = settings.public_url or url
        fact_source = public_url + _FACT_SOURCE
        catalogue = Catalogue(public_url)
        self.registering = Registering(
            SqlContracts(database, fact_source=fact_source, now=now_us, random=os.urandom),
            catalogue,
            contracts.load(),
        )
        links = PayloadLinks(public_url, settings.secret_keys_raw)
        self.log = SqlLog(database, now=now_us, random=os.urandom)
        self.tail = Tail(self.log)
        self.deliveries = SqlDeliveries(database)
        keyring = Keyring(settings.secret_keys_raw)
        self.vault_keys = SqlVaultKeys(database, keyring, now=now_us)
        self.subscriptions = SqlSubscriptions(
            database,
            keyring,
            fact_source=fact_source,
            now=now_us,
            random=os.urandom,
        )
        self.commands = SqlStreamCommands(database, fact_source=fact_source, now=now_us, random=os.urandom)
        policy = EgressPolicy(
            allow=settings.allowed_networks,
            https_only=settings.production,
            own=frozenset({listens, *_redis_listens(redis_url)}),
        )
        self.sender = EgressSender(
            EgressTransport(
                policy, resolver=SystemResolver(), limits=limits_for(DEFAULT_LIMITS.in_flight_max)
            )
        )
        held = Held()
        spans = None if tracing is None else IngestSpans(tracing, now_us, stream=settings.stream)
        self._delivery_meters = DeliveryMeters()
        ingest_meters = IngestMeters(None if spans is None else spans.wants)
        self.dispatcher = Dispatcher(
            World(
                log=self.log,
                deliveries=self.deliveries,
                subscriptions=self.subscriptions,
                commands=self.commands,
                sender=self.sender,
                policy=AttemptPolicy(
                    settings.delivery_timeout,
                    catalogue.as_sent,
                    links.url,
                    disable_after_s=settings.disable_after_days * _DAY_S,
                    handshake_required=settings.handshake == "required",
                    webhook_origin=settings.origin_for(public_url),
                    callback_of=f"{public_url}/handshake/".__add__,
                ),
                now=now_us,
                random=PooledRandom(),
                jitter=random.random,
                leadership=database,
                held=held,
                tracing=tracing,
                tell_again=(lambda _event: None) if spans is None else spans.again,
                meters=self._delivery_meters,
                told=settings.log_deliveries,
            )
        )
        archive_dir = settings.archive_dir or place.data_dir / ARCHIVE_FOLDER
        files = asyncio.Lock()
        archives = SqlArchives(
            database,
            self.subscriptions,
            archive_dir,
            fact_source=fact_source,
            now=now_us,
            random=os.urandom,
            files=files,
        )
        self.archivist = Archivist(archives, appended=self._appended)
        erasures = SqlErasures(
            database,
            fact_source=fact_source,
            now=now_us,
            random=os.urandom,
            archive_dir=archive_dir,
            files=files,
        )
        self.eraser = Eraser(
            erasures,
            forget=self._forget,
            resume=self.dispatcher.cache.resume,
            changed=self.dispatcher.changed,
            appended=self._appended,
        )
        self.batcher = Batcher(self.log, self._take, ingest_meters)
        door = Door(
            catalogue,
            DoorPolicy(
                fact_source=fact_source,
                event_bytes_max=settings.event_bytes_max,
                unknown_types=settings.unknown_types,
                contract_policy=settings.contract_policy,
            ),
        )
        pace = None
        if settings.agent_events_per_second is not None:
            pace = Pace(AgentRates(settings.agent_events_per_second), held.hold, now_us)
        ingest = StreamIngest(door, self.batcher, stream=settings.stream, pace=pace, spans=spans)
        self.reader = RedisStreamReader(redis_url, settings.stream, ingest, owner=database.identity)
        self.credentials = Credentials(
            SqlApiTokens(database, fact_source=fact_source, now=now_us, random=os.urandom),
            settings.api_token.get_secret_value() if settings.api_token else "",
            now=now_us,
        )
        self.idempotency = Idempotency(SqlIdempotencyKeys(database, keyring, now=now_us), now=now_us)
        slots = Slots()
        self.redis_figures = RedisFigures(redis_url, settings.stream)
        self.metrics = Metrics(self._sources(ingest_meters, slots))
        self.metrics_push = MetricsPush(start_metrics(os.environ, version=version()), self.metrics.families)
        self.api = create_api(
            Services(
                log=self.log,
                tail=self.tail,
                slots=slots,
                batcher=self.batcher,
                door=door,
                pace=pace,
                subscriptions=self.subscriptions,
                commands=self.commands,
                deliveries=self.deliveries,
                quarantine=SqlQuarantine(database, now=now_us, random=os.urandom),
                vault_keys=self.vault_keys,
                erasures=erasures,
                catalogue=catalogue,
                registering=self.registering,
                archives=archives,
                limits=Limits(settings.event_bytes_max, settings.batch_bytes_max, settings.batch_events_max),
                public_url=public_url,
                credentials=self.credentials,
                idempotency=self.idempotency,
                timeout_s=settings.delivery_timeout,
                production=settings.production,
                allowed_hosts=_LOOPBACK_NAMES | {place.host.lower()},
                random=os.urandom,
                admit_sink=self._admit_sink,
                changed=self._changed,
                in_force=self._in_force,
                appended=self._appended,
                erase=self.eraser.ask,
                archive=self.archivist.ask,
                readiness=self._readiness,
                payload_links=links,
                now=now_us,
                metrics=self.metrics,
                handshake_required=settings.handshake == "required",
                spans=spans,
            ),
            version(),
        )

    async def _admit_sink(self, url: str, privileged: bool) -> None:  # noqa: FBT001 - the port's shape
        await self.sender.admit(url, privileged=privileged)

    def _take(self, events: Sequence[Event], until: int) -> None:
        """The log has grown by these: who sends has them at hand, who is followed reads for himself."""
        self.dispatcher.take(events, until)
        self.tail.appended()

    def _appended(self) -> None:
        """The log has grown: who sends and who is followed are told, and read for themselves."""
        self.dispatcher.appended()
        self.tail.appended()

    def _forget(self, until: int) -> None:
        """What is up to here is being erased: nobody goes on with what memory has of it."""
        self.dispatcher.cache.forget(until)
        self.tail.forget()

    def _changed(self, number: int) -> None:
        self.dispatcher.changed(number)
        self._appended()

    async def _in_force(self, number: int) -> None:
        self._appended()
        await self.dispatcher.in_force(number)

    def _sources(self, ingest_meters: IngestMeters, slots: Slots) -> Sources:
        """Where figures come from: what a process of this role does not do, it does not show."""
        delivers = self.place.role in DELIVERING
        counted = [ingest_meters.families, *([self._delivery_meters.families] if delivers else [])]
        return Sources(
            log=self.log,
            readiness=self._readiness,
            now=now_us,
            open=lambda: slots.taken,
            counted=counted,
            streams=self.dispatcher.standing.figures if delivers else None,
            attempts=(lambda: self.dispatcher.lanes.under_way) if delivers else None,
            redis=self.redis_figures.size if self.place.role in INGESTING else None,
            database_bytes=lambda: size_bytes(self._database),
            process=lambda: process_families(version()),
        )

    async def _readiness(self) -> Readiness:
        role = self.place.role
        head: Head | None = None
        with contextlib.suppress(Unavailable), anyio.move_on_after(_READY_S):
            head = await self.log.head()
        checks = {"database": head is not None and self._database.writable}
        if role in INGESTING:
            checks["redis"] = self.reader.healthy
        if role in DELIVERING:
            checks["delivery"] = self.dispatcher.running
        lag = None if head is None else max(0, head.position - self.dispatcher.lanes.routed)
        return Readiness(checks, lag if self.dispatcher.running else None)


def now_us() -> int:
    """The wall clock in microseconds since the Unix epoch."""
    return time.time_ns() // 1_000


def version() -> str:
    """The version of this distribution."""
    return importlib.metadata.version("letta-gateway")


def _redis_listens(redis_url: str) -> set[tuple[str, int]]:
    """Where a Redis on this machine listens: it is no sink either (S11b)."""
    parts = urlsplit(redis_url)
    if parts.hostname not in {LOOPBACK_ADDRESS, "localhost"} or parts.port is None:
        return set()
    return {(LOOPBACK_ADDRESS, parts.port)}
