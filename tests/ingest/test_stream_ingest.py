"""From stream entries to the log: S7a, S7b and S1b, S1c at the door, with each kind of bad entry."""

import asyncio
import base64
import json
from collections.abc import Sequence

import pytest

import contracts
from contracts.validation import Validator
from gateway.adapters.memory import MemoryLog, MemoryStore
from gateway.errors import Unavailable
from gateway.ingest.batcher import Batcher
from gateway.ingest.door import Door, DoorPolicy
from gateway.ingest.stream import StreamEntry, StreamIngest
from gateway.ports import Appended, Event, NewEntry, NewQuarantine, QuarantineRecord
from schemas import Envelope, Problem, source_of, type_of

FACT_SOURCE = "https://gateway.test/gateway"
BYTES_MAX = 1_000_000


class Known:
    """The contracts as they are."""

    def __init__(self) -> None:
        self.types = frozenset(contracts.load().types())
        self.validator = Validator(contracts.load())

    def knows(self, type_: str) -> bool:
        return type_ in self.types

    def validate(self, type_: str, data: object, _dataschema: object) -> Sequence[Problem]:
        return self.validator.validate(type_, data)


class Appender:
    """Appends into a store in memory; fails as it is told to."""

    def __init__(self) -> None:
        self.store = MemoryStore(now=lambda: 1, random=bytes)
        self.log = MemoryLog(self.store)
        self.failures: list[Exception] = []
        self.poison: str | None = None
        self.calls: list[list[str]] = []

    async def append(
        self, entries: Sequence[NewEntry], quarantine: Sequence[NewQuarantine] = ()
    ) -> Sequence[Appended]:
        self.calls.append([entry.id for entry in entries])
        if self.failures:
            raise self.failures.pop(0)
        if any(entry.id == self.poison for entry in entries):
            raise ValueError("no such character in this encoding")
        return await self.log.append(entries, quarantine)

    @property
    def ids(self) -> list[str]:
        return [row.entry.id for row in self.store.rows]

    @property
    def aside(self) -> dict[str, QuarantineRecord]:
        return {record.entry_id: record for record in self.store.quarantine.values()}


@pytest.fixture
def appender() -> Appender:
    return Appender()


@pytest.fixture
def ingest(appender: Appender) -> StreamIngest:
    door = Door(Known(), DoorPolicy(fact_source=FACT_SOURCE, event_bytes_max=BYTES_MAX))
    return StreamIngest(door, appender, stream="letta.events")


def event(id_: str, **changes: object) -> bytes:
    members: dict[str, object] = {
        "specversion": "1.0",
        "id": id_,
        "source": "/tests",
        "type": "test.a",
        "data": {"n": 1},
    }
    members |= {"data": {"n": 1}} | changes
    return json.dumps({name: value for name, value in members.items() if value is not None}).encode()


def letta(id_: str, *, organization: str = "org-1", claimed: str = "org-1", **data: object) -> bytes:
    payload = {
        "event_id": id_,
        "event_type": "agent.step.completed",
        "timestamp": "2026-01-01T12:00:00Z",
        "agent_id": "agent-1",
        "organization_id": claimed,
        "data": {"step_id": "step-1", "status": "completed"},
    } | data
    return event(
        id_,
        type=type_of("agent.step.completed"),
        source=source_of("https://letta", organization, "agent-1"),
        datacontenttype="application/json",
        data=payload,
    )


def in_base64(raw: bytes) -> bytes:
    """The same event with its JSON data in the other member."""
    members = json.loads(raw)
    members["data_base64"] = base64.b64encode(json.dumps(members.pop("data")).encode()).decode()
    return json.dumps(members).encode()


def entry(index: int, body: bytes | None) -> StreamEntry:
    return StreamEntry(f"{index}-0", body, body if body is not None else b'{"a":"b"}')


BAD: dict[str, tuple[bytes | None, str, str]] = {
    "no event in any field": (None, "malformed", ""),
    "empty": (b"", "malformed", ""),
    "no JSON": (b"{not json", "malformed", ""),
    "cut off": (event("x")[:-5], "malformed", ""),
    "invalid UTF-8": (b'{"specversion":"1.0","id":"\xff"}', "malformed", ""),
    "nul bytes": (bytes(100), "malformed", ""),
    "an array": (b"[]", "malformed", ""),
    "a missing attribute": (event("x", source=None), "malformed", "/source"),
    "two of them": (event("x", source=None, type=None), "malformed", "/type"),
    "an empty id": (event(""), "malformed", "/id"),
    "another version": (event("x", specversion="0.3"), "malformed", "/specversion"),
    "an object for an attribute": (event("x", subject={"a": 1}), "malformed", "/subject"),
    "half a surrogate pair": (event("x", data={"a": "\ud800"}), "malformed", ""),
    "a duplicate key": (event("x")[:-1] + b',"id":"y"}', "malformed", ""),
    "nested without end": (b'{"data":' + b"[" * 100_000, "malformed", ""),
    "a number without end": (b'{"data":' + b"9" * 100_000 + b"}", "malformed", ""),
    "too large": (event("x", data="a" * (10 * 1024 * 1024)), "too-large", ""),
    "a reserved type": (event("x", type="com.letta.gateway.subscription.paused"), "reserved-name", "/type"),
    "a reserved source": (event("x", source=FACT_SOURCE + "/1"), "reserved-name", "/source"),
    "another organization in the data": (letta("x", claimed="org-2"), "organization-mismatch", "/source"),
    "no organization in the source": (
        letta("x").replace(b"/organizations/org-1/agents/agent-1", b"/elsewhere"),
        "organization-mismatch",
        "/source",
    ),
    "a broken contract": (letta("x", data={"step_id": 7}), "contract-broken", "/data/data/step_id"),
    "no JSON in data_base64": (
        event("x", datacontenttype="application/json", data=None, data_base64="bm8="),
        "malformed",
        "/data_base64",
    ),
    "no bytes in data_base64": (
        event("x", datacontenttype="text/json", data=None, data_base64=""),
        "malformed",
        "/data_base64",
    ),
    "a broken contract in data_base64": (
        in_base64(letta("x", data={"step_id": 7})),
        "contract-broken",
        "/data/data/step_id",
    ),
    "another organization in data_base64": (
        in_base64(letta("x", claimed="org-2")),
        "organization-mismatch",
        "/source",
    ),
    "no data under a contract": (letta("x").replace(b'"data":', b'"extension":"1","dat":'), "malformed", ""),
}


@pytest.mark.parametrize("kind", BAD)
def test_s7b_what_is_wrong_is_put_aside_with_a_reason_and_the_next_one_goes_on(
    ingest: StreamIngest, appender: Appender, kind: str
) -> None:
    body, reason, pointer = BAD[kind]
    asyncio.run(ingest.take([entry(1, event("a")), entry(2, body), entry(3, event("b"))]))
    assert appender.ids == ["a", "b"]
    (record,) = appender.aside.values()
    assert (record.entry_id, record.reason, record.origin) == ("2-0", reason, "redis:letta.events")
    assert record.payload == (body if body is not None else b'{"a":"b"}')
    assert all(problem["detail"] for problem in record.problems)
    assert pointer in {problem["pointer"] for problem in record.problems} or not pointer


def test_an_event_of_letta_gets_its_columns(ingest: StreamIngest, appender: Appender) -> None:
    asyncio.run(ingest.take([entry(1, letta("evt_1"))]))
    (row,) = appender.store.rows
    assert (row.columns.organization, row.columns.agent_id, row.columns.subject) == ("org-1", "agent-1", None)
    assert row.entry.envelope == letta("evt_1")


def test_json_data_in_base64_are_json_data(ingest: StreamIngest, appender: Appender) -> None:
    asyncio.run(ingest.take([entry(1, in_base64(letta("evt_1")))]))
    (row,) = appender.store.rows
    assert (row.columns.organization, row.columns.agent_id) == ("org-1", "agent-1")
    assert row.entry.envelope == in_base64(letta("evt_1"))


def test_s7a_storage_that_is_away_is_waited_for_with_the_same_batch(
    ingest: StreamIngest, appender: Appender
) -> None:
    appender.failures = [Unavailable("away"), Unavailable("away")]
    asyncio.run(ingest.take([entry(1, event("a")), entry(2, b"bad"), entry(3, event("b"))]))
    assert appender.calls == [["a", "b"]] * 3
    assert appender.ids == ["a", "b"]
    assert list(appender.aside) == ["2-0"]


def test_s7b_data_that_the_log_refuses_is_isolated_and_order_stays(
    ingest: StreamIngest, appender: Appender
) -> None:
    appender.poison = "c"
    asyncio.run(ingest.take([entry(index, event(id_)) for index, id_ in enumerate("abcde")]))
    assert appender.ids == ["a", "b", "d", "e"]
    (record,) = appender.aside.values()
    assert (record.entry_id, record.reason) == ("2-0", "not-stored")
    assert "no such character" in record.problems[0]["detail"]


@pytest.mark.interpreted
def test_s7b_an_entry_that_makes_the_judge_stumble_is_put_aside(
    ingest: StreamIngest, appender: Appender, monkeypatch: pytest.MonkeyPatch
) -> None:
    admit = ingest._door.admit

    def stumble(envelope: Envelope, **given: object) -> NewEntry:
        if envelope.id == "b":
            raise ZeroDivisionError
        return admit(envelope, **given)  # type: ignore[arg-type]  # as they came

    monkeypatch.setattr(ingest._door, "admit", stumble)
    asyncio.run(ingest.take([entry(index, event(id_)) for index, id_ in enumerate("abc")]))
    assert appender.ids == ["a", "c"]
    assert "ZeroDivisionError" in appender.aside["1-0"].problems[0]["detail"]


def test_the_same_entry_again_is_one_record(ingest: StreamIngest, appender: Appender) -> None:
    asyncio.run(ingest.take([entry(1, b"bad")]))
    asyncio.run(ingest.take([entry(1, b"bad")]))
    assert len(appender.aside) == 1


class SlowLog:
    """Notes every transaction; fails those that hold a given id."""

    def __init__(self) -> None:
        self.transactions: list[list[str]] = []
        self.refuse: dict[str, Exception] = {}
        self.gate = asyncio.Event()

    async def append(self, entries: Sequence[NewEntry], _quarantine: object = ()) -> Sequence[Appended]:
        await self.gate.wait()
        self.transactions.append([entry.id for entry in entries])
        for one in entries:
            if one.id in self.refuse:
                raise self.refuse[one.id]
        return [Appended(int(one.id), duplicate=False) for one in entries]


def new(id_: int) -> NewEntry:
    return NewEntry(type="test.a", source="/tests", id=str(id_), envelope=b"{}")


def test_s7d_what_arrives_meanwhile_shares_a_transaction_and_each_gets_its_own_answer() -> None:
    async def main() -> None:
        log = SlowLog()
        batcher = Batcher(log, lambda _events, _until: None)  # type: ignore[arg-type]  # only append is used
        running = asyncio.create_task(batcher.run())
        calls = [asyncio.create_task(batcher.append([new(10 * n), new(10 * n + 1)])) for n in range(5)]
        await asyncio.sleep(0)
        log.gate.set()
        answers = await asyncio.gather(*calls)
        assert [[item.position for item in answer] for answer in answers] == [
            [10 * n, 10 * n + 1] for n in range(5)
        ]
        assert len(log.transactions) <= 2
        running.cancel()

    asyncio.run(main())


@pytest.mark.parametrize("error", [ValueError("bad"), Unavailable("away")])
def test_one_caller_s_bad_data_fails_nobody_else_and_an_outage_fails_all_at_once(error: Exception) -> None:
    async def main() -> None:
        log = SlowLog()
        log.refuse = {"3": error}
        batcher = Batcher(log, lambda _events, _until: None)  # type: ignore[arg-type]  # likewise
        running = asyncio.create_task(batcher.run())
        calls = [asyncio.create_task(batcher.append([new(n)])) for n in range(5)]
        await asyncio.sleep(0)
        log.gate.set()
        answers = await asyncio.gather(*calls, return_exceptions=True)
        failed = [index for index, answer in enumerate(answers) if answer is error]
        if isinstance(error, Unavailable):
            assert failed == [0, 1, 2, 3, 4]
            assert len(log.transactions) == 1
        else:
            assert failed == [3]
        running.cancel()

    asyncio.run(main())


def test_more_than_the_log_can_take_is_refused_at_once() -> None:
    async def main() -> None:
        log = SlowLog()
        batcher = Batcher(log, lambda _events, _until: None)  # type: ignore[arg-type]  # likewise
        calls = [asyncio.create_task(batcher.append([new(n)] * 1_000)) for n in range(20)]
        await asyncio.sleep(0)
        with pytest.raises(Unavailable):
            await batcher.append([new(1)])
        for call in calls:
            call.cancel()

    asyncio.run(main())


def test_what_was_appended_is_told_with_its_envelope_in_log_order() -> None:
    appender = Appender()
    told: list[Event] = []
    reached: list[int] = []

    async def work() -> None:
        batcher = Batcher(appender.log, lambda events, until: (told.extend(events), reached.append(until)))  # type: ignore[arg-type,return-value]
        writing = asyncio.create_task(batcher.run())
        ingest = StreamIngest(Door(Known(), DoorPolicy(FACT_SOURCE, BYTES_MAX)), batcher, stream="s")
        batch = [entry(index, event(id_)) for index, id_ in enumerate("abac")]
        await ingest.take(batch)
        await ingest.take(batch[2:])
        writing.cancel()

    asyncio.run(work())
    assert [item.envelope.id for item in told if item.envelope is not None] == ["a", "b", "c"]
    assert reached == [3]  # of a repeated batch nobody is told
    assert [item.entry for item in told] == [row.entry for row in appender.store.rows]
    assert all(item.envelope is not None and item.envelope.raw == item.entry.envelope for item in told)
