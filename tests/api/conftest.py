"""The API over real stores: SQLite in a temporary folder, the real door, guard and contracts; nothing is delivered."""

import asyncio
import os
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import httpx
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from fastapi import FastAPI
from starlette.testclient import TestClient

import contracts
from gateway.adapters.http.guard import EgressPolicy
from gateway.adapters.http.sender import EgressSender
from gateway.adapters.http.transport import EgressTransport
from gateway.adapters.sql.archiving import SqlArchives
from gateway.adapters.sql.commands import SqlStreamCommands
from gateway.adapters.sql.contracts import SqlContracts
from gateway.adapters.sql.deliveries import SqlDeliveries
from gateway.adapters.sql.erasing import SqlErasures
from gateway.adapters.sql.idempotency import SqlIdempotencyKeys
from gateway.adapters.sql.log import SqlLog
from gateway.adapters.sql.migrate import upgrade
from gateway.adapters.sql.quarantine import SqlQuarantine
from gateway.adapters.sql.sqlite import SqliteDatabase
from gateway.adapters.sql.subscriptions import SqlSubscriptions
from gateway.adapters.sql.tokens import SqlApiTokens
from gateway.adapters.sql.vault_keys import SqlVaultKeys
from gateway.adapters.vault import Keyring
from gateway.adapters.web_server import WebServer, listening_socket
from gateway.api.application import create_api
from gateway.api.credentials import Credentials
from gateway.api.idempotency import Idempotency
from gateway.api.services import Limits, Readiness, Services
from gateway.api.slots import Slots
from gateway.deliver.tail import Tail
from gateway.domain.api_tokens import new_token
from gateway.domain.payload_links import PayloadLinks
from gateway.ingest.batcher import Batcher
from gateway.ingest.door import Door, DoorPolicy
from gateway.ingest.meters import IngestMeters
from gateway.ports import NewApiToken
from gateway.registry.catalogue import Catalogue
from gateway.registry.registering import Registering
from gateway.views.metrics import Metrics, Sources

sys.path.insert(0, str(Path(__file__).parent))

import documented

TOKEN = "lgw_test_token_of_sixteen"
PUBLIC_URL = "http://127.0.0.1:8080"


def registering_on(database: SqliteDatabase) -> Registering:
    store = SqlContracts(
        database,
        fact_source=PUBLIC_URL + "/gateway",
        now=lambda: time.time_ns() // 1_000,
        random=os.urandom,
    )
    return Registering(store, Catalogue(PUBLIC_URL), contracts.load())


@pytest.fixture(scope="session")
def migrated(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("migrated") / "gateway.db"
    database = SqliteDatabase(path)
    asyncio.run(upgrade(database))
    asyncio.run(registering_on(database).begin())
    database.close_now()
    return path


@pytest.fixture
def database(tmp_path, migrated) -> Iterator[SqliteDatabase]:
    shutil.copy(migrated, tmp_path / "gateway.db")
    found = SqliteDatabase(tmp_path / "gateway.db")
    yield found
    found.close_now()


@pytest.fixture
def services(database) -> Services:
    def now() -> int:
        return time.time_ns() // 1_000

    log = SqlLog(database, now=now, random=os.urandom)
    tail = Tail(log)
    registering = registering_on(database)
    asyncio.run(registering.begin())
    policy = EgressPolicy(allow=(ip_network("127.0.0.0/8"),), own=frozenset({("127.0.0.1", 8080)}))
    sender = EgressSender(EgressTransport(policy))

    async def admit_sink(url: str, privileged: bool) -> None:  # noqa: FBT001 - the port's shape
        await sender.admit(url, privileged=privileged)

    async def in_force(_number: int) -> None:
        tail.appended()

    async def readiness() -> Readiness:
        return Readiness({"database": True, "redis": False}, lag_events=3)

    subscriptions = SqlSubscriptions(
        database, Keyring((bytes(32),)), fact_source=PUBLIC_URL + "/gateway", now=now, random=os.urandom
    )
    slots, meters = Slots(), IngestMeters()
    return Services(
        log=log,
        tail=tail,
        slots=slots,
        batcher=Batcher(log, lambda _events, _until: tail.appended(), meters),
        door=Door(
            registering.catalogue, DoorPolicy(fact_source=PUBLIC_URL + "/gateway", event_bytes_max=65_536)
        ),
        pace=None,
        commands=SqlStreamCommands(database, fact_source=PUBLIC_URL + "/gateway", now=now, random=os.urandom),
        subscriptions=subscriptions,
        deliveries=SqlDeliveries(database),
        quarantine=SqlQuarantine(database, now=now, random=os.urandom),
        vault_keys=SqlVaultKeys(database, Keyring((bytes(32),)), now=now),
        erasures=SqlErasures(database, fact_source=PUBLIC_URL + "/gateway", now=now, random=os.urandom),
        catalogue=registering.catalogue,
        registering=registering,
        archives=SqlArchives(
            database,
            subscriptions,
            Path(database.name).parent / "archive",
            fact_source=PUBLIC_URL + "/gateway",
            now=now,
            random=os.urandom,
        ),
        limits=Limits(event_bytes_max=65_536, batch_bytes_max=262_144, batch_events_max=10),
        payload_links=PayloadLinks(PUBLIC_URL, [bytes(32)]),
        now=now,
        public_url=PUBLIC_URL,
        credentials=Credentials(
            SqlApiTokens(database, fact_source=PUBLIC_URL + "/gateway", now=now, random=os.urandom),
            TOKEN,
            now=now,
        ),
        idempotency=Idempotency(SqlIdempotencyKeys(database, Keyring((bytes(32),)), now=now), now=now),
        timeout_s=5.0,
        production=False,
        allowed_hosts=frozenset({"testserver", "127.0.0.1"}),
        random=os.urandom,
        admit_sink=admit_sink,
        changed=lambda _number: tail.appended(),
        in_force=in_force,
        appended=tail.appended,
        erase=lambda: None,
        archive=lambda: None,
        readiness=readiness,
        metrics=Metrics(
            Sources(
                log=log,
                readiness=readiness,
                now=now,
                open=lambda: slots.taken,
                counted=[meters.families],
            )
        ),
    )


def background(services: Services) -> list[Any]:
    """What runs beside the API."""
    return [services.batcher.run, services.tail.run, services.credentials.run]


@pytest.fixture
def anonymous(services) -> Iterator[TestClient]:
    with TestClient(create_api(services, "0"), raise_server_exceptions=False) as client:
        client.event_hooks["response"].append(documented.check)
        running = [client.portal.start_task_soon(work) for work in background(services)]
        yield client
        for work in running:
            work.cancel()


@dataclass(frozen=True)
class Served:
    """The API on a real server, in a thread of its own: for answers that go on while the client reads."""

    url: str
    services: Services
    app: FastAPI
    portal: BlockingPortal

    def client(self, **options: Any) -> httpx.Client:
        headers = bearer(TOKEN) | options.pop("headers", {})
        return httpx.Client(base_url=self.url, headers=headers, timeout=30, trust_env=False, **options)


@pytest.fixture
def served(services) -> Iterator[Served]:
    app = create_api(services, "0")
    with listening_socket("127.0.0.1", 0) as listening, start_blocking_portal() as portal:
        server = WebServer(app, listening)
        running = [portal.start_task_soon(work) for work in background(services)]
        serving = portal.start_task_soon(server.run)
        portal.call(server.started)
        yield Served(f"http://127.0.0.1:{listening.getsockname()[1]}", services, app, portal)
        portal.call(services.tail.stop)
        portal.call(server.stop)
        serving.result(timeout=30)
        for work in running:
            work.cancel()


@pytest.fixture
def client(anonymous) -> TestClient:
    anonymous.headers["Authorization"] = f"Bearer {TOKEN}"
    return anonymous


@dataclass(frozen=True)
class Tokens:
    """Tokens of every kind, as ``Authorization`` headers."""

    services: Services

    async def _make(self, members: dict[str, Any]) -> tuple[str, str]:
        text, kept = new_token(os.urandom(32))
        standard = {"name": None, "organization": None, "read_only": False, "expires_at_us": None, "by": None}
        made = await self.services.credentials.create(NewApiToken(kept, **(standard | members)))
        return made.id, text

    def make(self, **members: Any) -> tuple[str, dict[str, str]]:
        """The id of a new token, and the header that it is sent in."""
        made, text = asyncio.run(self._make(members))
        return made, bearer(text)

    def revoked(self, **members: Any) -> dict[str, str]:
        """One that was revoked."""
        made, headers = self.make(**members)
        asyncio.run(self.services.credentials.tokens.revoke(made, by=None))
        return headers

    def expired(self, **members: Any) -> dict[str, str]:
        """One that has expired."""
        return self.make(expires_at_us=1, **members)[1]


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture
def tokens(services) -> Tokens:
    return Tokens(services)


@pytest.fixture
def admin() -> dict[str, str]:
    """The first administrator token, as a header."""
    return bearer(TOKEN)
