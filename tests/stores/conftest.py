"""The stores of one backend, by the same four ports; a suite runs on each of them."""

import asyncio
import itertools
import random
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import pytest

from gateway.adapters.memory import (
    MemoryDeliveries,
    MemoryLog,
    MemoryQuarantine,
    MemoryStore,
    MemorySubscriptions,
)
from gateway.adapters.sql.deliveries import SqlDeliveries
from gateway.adapters.sql.log import SqlLog
from gateway.adapters.sql.migrate import upgrade
from gateway.adapters.sql.quarantine import SqlQuarantine
from gateway.adapters.sql.sqlite import SqliteDatabase
from gateway.adapters.sql.subscriptions import SqlSubscriptions
from gateway.adapters.vault import Keyring
from gateway.ports import Deliveries, EventLog, Quarantine, Subscriptions

T = TypeVar("T")
FACT_SOURCE = "http://gateway/gateway"
START_US = 1_767_225_600_000_000


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
    clock: Clock
    run: Callable[[Coroutine[Any, Any, T]], T]
    database: SqliteDatabase | None = None


def memory(_folder) -> Iterator[Stores]:
    clock = Clock()
    store = MemoryStore(now=clock, random=random.Random(1).randbytes)
    yield Stores(
        MemoryLog(store),
        MemoryDeliveries(store),
        MemorySubscriptions(store, fact_source=FACT_SOURCE),
        MemoryQuarantine(store),
        clock,
        asyncio.run,
    )


def sqlite(folder) -> Iterator[Stores]:
    clock, dice = Clock(), random.Random(1).randbytes
    database = SqliteDatabase(folder / "gateway.db")
    upgrade(database.engine)
    keyring = Keyring((bytes(range(32)),))
    with asyncio.Runner() as runner:
        yield Stores(
            SqlLog(database, now=clock, random=dice),
            SqlDeliveries(database),
            SqlSubscriptions(database, keyring, fact_source=FACT_SOURCE, now=clock, random=dice),
            SqlQuarantine(database),
            clock,
            runner.run,
            database,
        )
    database.close_now()


BACKENDS = {"memory": memory, "sqlite": sqlite}


@pytest.fixture(params=BACKENDS)
def stores(request, tmp_path) -> Iterator[Stores]:
    yield from BACKENDS[request.param](tmp_path)


@pytest.fixture
def sqlite_stores(tmp_path) -> Iterator[Stores]:
    yield from sqlite(tmp_path)


@pytest.fixture
def numbers() -> Iterator[int]:
    return itertools.count(1)
