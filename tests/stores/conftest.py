"""The stores of each backend, by the same ports: one suite runs on memory, SQLite and PostgreSQL."""

import asyncio
import itertools
import random
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest
from sqlalchemy import Connection, text

from gateway.adapters.memory import (
    MemoryApiTokens,
    MemoryContracts,
    MemoryDeliveries,
    MemoryErasures,
    MemoryIdempotencyKeys,
    MemoryLog,
    MemoryQuarantine,
    MemoryStore,
    MemoryStreamCommands,
    MemorySubscriptions,
)
from gateway.adapters.sql.archiving import SqlArchives
from gateway.adapters.sql.commands import SqlStreamCommands
from gateway.adapters.sql.contracts import SqlContracts
from gateway.adapters.sql.database import Database
from gateway.adapters.sql.deliveries import SqlDeliveries
from gateway.adapters.sql.erasing import SqlErasures
from gateway.adapters.sql.idempotency import SqlIdempotencyKeys
from gateway.adapters.sql.log import SqlLog
from gateway.adapters.sql.migrate import upgrade
from gateway.adapters.sql.opening import open_database
from gateway.adapters.sql.quarantine import SqlQuarantine
from gateway.adapters.sql.subscriptions import SqlSubscriptions
from gateway.adapters.sql.tokens import SqlApiTokens
from gateway.adapters.vault import Keyring
from gateway.ports import (
    ApiTokens,
    Archives,
    ContractStore,
    Deliveries,
    Erasures,
    EventLog,
    IdempotencyKeys,
    Quarantine,
    StreamCommands,
    Subscriptions,
)
from gateway.settings import load_settings

T = TypeVar("T")
FACT_SOURCE = "http://gateway/gateway"
START_US = 1_767_225_600_000_000
_NUMBERS = itertools.count(1)


class Clock:
    """Moves by hand; `steps` more with each look, so that times differ."""

    def __init__(self) -> None:
        self.now_us = START_US

    def __call__(self) -> int:
        self.now_us += 1_000
        return self.now_us


@dataclass
class Stores:
    log: EventLog
    deliveries: Deliveries
    subscriptions: Subscriptions
    quarantine: Quarantine
    commands: StreamCommands
    erasures: Erasures
    tokens: ApiTokens
    contracts: ContractStore
    idempotency: IdempotencyKeys
    clock: Clock
    run: Callable[[Coroutine[Any, Any, T]], T]
    database: Database | None = None
    archives: Archives | None = None
    folder: Path | None = None

    def sql(self, statement: str, **parameters: object) -> Any:
        """Run a statement behind the stores' back; gives the rows, if it has any."""

        def work(connection: Connection) -> Any:
            found = connection.execute(text(statement), parameters)
            return found.all() if found.returns_rows else None

        return self.run(self.database.write(work))


def memory() -> Iterator[Stores]:
    clock = Clock()
    store = MemoryStore(now=clock, random=random.Random(1).randbytes)
    yield Stores(
        MemoryLog(store),
        MemoryDeliveries(store),
        MemorySubscriptions(store, fact_source=FACT_SOURCE),
        MemoryQuarantine(store),
        MemoryStreamCommands(store, fact_source=FACT_SOURCE),
        MemoryErasures(store, fact_source=FACT_SOURCE),
        MemoryApiTokens(store, fact_source=FACT_SOURCE),
        MemoryContracts(store, fact_source=FACT_SOURCE),
        MemoryIdempotencyKeys(store),
        clock,
        asyncio.run,
    )


def sql(settings: dict[str, str], folder: Path) -> Iterator[Stores]:
    """The stores on a database that is opened as a gateway opens it."""
    clock, dice = Clock(), random.Random(1).randbytes
    keyring = Keyring((bytes(range(32)),))
    with asyncio.Runner() as runner:
        opened = Opened(runner, settings, folder)
        database = opened.database
        runner.run(upgrade(database))
        subscriptions = SqlSubscriptions(database, keyring, fact_source=FACT_SOURCE, now=clock, random=dice)
        files = folder / "archive"
        archives = SqlArchives(
            database, subscriptions, files, fact_source=FACT_SOURCE, now=clock, random=dice
        )
        yield Stores(
            SqlLog(database, now=clock, random=dice),
            SqlDeliveries(database),
            subscriptions,
            SqlQuarantine(database, now=clock, random=dice),
            SqlStreamCommands(database, fact_source=FACT_SOURCE, now=clock, random=dice),
            SqlErasures(database, fact_source=FACT_SOURCE, now=clock, random=dice, archive_dir=files),
            SqlApiTokens(database, fact_source=FACT_SOURCE, now=clock, random=dice),
            SqlContracts(database, fact_source=FACT_SOURCE, now=clock, random=dice),
            SqlIdempotencyKeys(database, keyring, now=clock),
            clock,
            runner.run,
            database,
            archives,
            files,
        )
        opened.close()


class Opened:
    """A database that stays open between the runs of one event loop."""

    def __init__(self, runner: asyncio.Runner, settings: dict[str, str], folder: Path) -> None:
        self._runner = runner
        self._closing = asyncio.Event()
        found: asyncio.Future[Database] = runner.get_loop().create_future()

        async def keep() -> None:
            async with open_database(load_settings(settings), folder) as database:
                found.set_result(database)
                await self._closing.wait()

        async def opening() -> Database:
            await asyncio.wait({found, self._task}, return_when=asyncio.FIRST_COMPLETED)
            return self._task.result() if self._task.done() else found.result()

        self._task = runner.get_loop().create_task(keep())
        self.database = runner.run(opening())

    def close(self) -> None:
        async def ending() -> None:
            self._closing.set()
            await self._task

        self._runner.run(ending())


@pytest.fixture(scope="session")
def postgres_template(postgres_server, tmp_path_factory) -> str:
    """A database with the schema, to be copied: making it anew takes as long as a whole test."""
    url = postgres_server.create("template_of_stores")
    for _ in sql({"GATEWAY_DATABASE_URL": url}, tmp_path_factory.mktemp("unused")):
        pass
    return "template_of_stores"


@pytest.fixture
def postgres_url(postgres_server, postgres_template) -> Iterator[str]:
    name = f"stores_{next(_NUMBERS)}"
    yield postgres_server.create(name, template=postgres_template)
    postgres_server.drop(name)


@pytest.fixture
def memory_stores() -> Iterator[Stores]:
    yield from memory()


@pytest.fixture
def sqlite_stores(tmp_path) -> Iterator[Stores]:
    yield from sql({}, tmp_path)


@pytest.fixture
def postgres_stores(postgres_url, tmp_path) -> Iterator[Stores]:
    yield from sql({"GATEWAY_DATABASE_URL": postgres_url}, tmp_path)


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def stores(request) -> Stores:
    """Each backend in turn: nothing above the adapters knows which it is."""
    return request.getfixturevalue(f"{request.param}_stores")


@pytest.fixture(params=["sqlite", "postgres"])
def sql_stores(request) -> Stores:
    """Each database in turn, for what is written in SQL behind the stores' back."""
    return request.getfixturevalue(f"{request.param}_stores")


@pytest.fixture(scope="module", params=["memory", "sqlite", "postgres"])
def module_stores(request, tmp_path_factory) -> Iterator[Stores]:
    """Each backend in turn, once for all tests of a module that only read what it wrote at its beginning."""
    if request.param == "memory":
        yield from memory()
    elif request.param == "sqlite":
        yield from sql({}, tmp_path_factory.mktemp("stores"))
    else:
        server, template = (request.getfixturevalue(f"postgres_{name}") for name in ("server", "template"))
        name = f"stores_{next(_NUMBERS)}"
        settings = {"GATEWAY_DATABASE_URL": server.create(name, template=template)}
        yield from sql(settings, tmp_path_factory.mktemp("stores"))
        server.drop(name)


@pytest.fixture
def numbers() -> Iterator[int]:
    return itertools.count(1)
