"""Out of quarantine (S7b): judged again, appended at the end, or kept with the new reasons."""

import asyncio
import json
import random
from dataclasses import replace

import pytest

from gateway.adapters.memory import MemoryLog, MemoryQuarantine, MemoryStore
from gateway.errors import Conflict, StillQuarantined, Unavailable
from gateway.ingest.batcher import Batcher
from gateway.ingest.door import Door, DoorPolicy
from gateway.ingest.redriving import Redriver
from gateway.ports import NewQuarantine
from schemas import Problem

EVENT = {"specversion": "1.0", "id": "1", "source": "/s", "type": "t.a", "data": {"n": 1}}


class Contracts:
    """One type has a contract, which may be mended."""

    broken = True

    def knows(self, type_: str) -> bool:
        return type_ == "t.a"

    def validate(self, _type: str, _data: object, _dataschema: object):
        return [Problem("/data/n", "must be 2")] if self.broken else []


class Setting:
    def __init__(self) -> None:
        numbers = iter(range(1, 10_000))
        self.store = MemoryStore(now=lambda: next(numbers), random=random.Random(1).randbytes)
        self.contracts = Contracts()
        door = Door(self.contracts, DoorPolicy(fact_source="/gateway", event_bytes_max=1_000))
        self.quarantine = MemoryQuarantine(self.store)
        batcher = Batcher(MemoryLog(self.store), lambda _events, _until: None)
        self.redriver = Redriver(door, batcher, self.quarantine)

    def put(self, payload: bytes, entry_id: str = "1-0"):
        self.store.put_aside([NewQuarantine("redis:s", entry_id, "contract-broken", [], payload)])
        return self.store.quarantine["redis:s", entry_id]

    def redrive(self, record):
        return asyncio.run(self.redriver.redrive(record))


@pytest.fixture
def setting() -> Setting:
    return Setting()


def test_s7b_what_is_fine_now_is_appended_at_the_end_and_marked(setting):
    record = setting.put(json.dumps(EVENT).encode())
    setting.contracts.broken = False
    appended = setting.redrive(record)
    assert (appended.position, appended.duplicate) == (1, False)
    assert setting.store.rows[0].entry.redriven_from == record.id
    assert setting.store.rows[0].entry.envelope == json.dumps(EVENT).encode()
    [after] = setting.store.quarantine.values()
    assert (after.state, after.position) == ("redriven", 1)


def test_what_is_still_bad_stays_with_the_reasons_of_now(setting):
    record = setting.put(json.dumps(EVENT).encode())
    with pytest.raises(StillQuarantined) as caught:
        setting.redrive(record)
    assert [(field.pointer, field.detail) for field in caught.value.fields] == [("/data/n", "must be 2")]
    [after] = setting.store.quarantine.values()
    assert (after.state, after.reason) == ("open", "contract-broken")
    assert after.problems == [{"pointer": "/data/n", "detail": "must be 2"}]
    assert setting.store.head == 0


@pytest.mark.parametrize(
    ("payload", "reason"),
    [(b"", "malformed"), (b"{", "malformed"), (b"\xff", "malformed"), (b"x" * 1_001, "too-large")],
)
def test_whatever_it_is_it_is_told(setting, payload, reason):
    record = setting.put(payload)
    with pytest.raises(StillQuarantined):
        setting.redrive(record)
    [after] = setting.store.quarantine.values()
    assert after.reason == reason
    assert after.problems


def test_twice_is_the_same_position(setting):
    record = setting.put(json.dumps(EVENT).encode())
    setting.contracts.broken = False
    first = setting.redrive(record)
    again = setting.redrive(record)  # by somebody who has read it before
    late = setting.redrive(next(iter(setting.store.quarantine.values())))
    assert (again.position, again.duplicate) == (late.position, late.duplicate) == (first.position, True)
    assert setting.store.head == 1


def test_what_has_come_in_another_way_meanwhile_is_not_appended_again(setting):
    setting.contracts.broken = False
    first, second = (setting.put(json.dumps(EVENT).encode(), entry_id) for entry_id in ("1-0", "2-0"))
    position = setting.redrive(first).position
    appended = setting.redrive(second)
    assert (appended.position, appended.duplicate) == (position, True)


def test_what_the_log_does_not_take_stays_and_a_log_that_is_away_is_no_reason(setting, monkeypatch):
    record = setting.put(json.dumps(EVENT).encode())
    setting.contracts.broken = False

    def fails(error: Exception):
        async def redrive(*_: object):
            raise error

        monkeypatch.setattr(setting.quarantine, "redrive", redrive)

    fails(ValueError("no such number"))
    with pytest.raises(StillQuarantined):
        setting.redrive(record)
    [after] = setting.store.quarantine.values()
    assert (after.state, after.reason) == ("open", "not-stored")
    fails(Unavailable("away"))
    with pytest.raises(Unavailable):
        setting.redrive(record)


def test_what_is_erased_is_not_judged(setting):
    record = replace(setting.put(b""), state="erased")
    with pytest.raises(Conflict):
        setting.redrive(record)
