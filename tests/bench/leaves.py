"""What each step of a delivery costs by itself: `just bench leaves`.

    python tests/bench/leaves.py [--rows 500] [--rounds 20] [--log 10000] [--json]

Processor time (user + system, all threads of this process), not the clock's, so that neighbours on the
machine hardly show; each figure is of several rounds, for one event or one delivery. The
database is a real file with `synchronous=FULL`, in batches as the gateway makes them; the receiver is
another process. What the engine does between these steps is not in here.
"""

import argparse
import asyncio
import dataclasses
import itertools
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvloop
from rich.console import Console
from rich.table import Table
from sender import LOOPBACK, receive

import contracts
import schemas
from contracts.validation import Validator
from gateway.adapters.http.headers import block_from_text
from gateway.adapters.http.sender import EgressSender
from gateway.adapters.http.transport import EgressTransport
from gateway.adapters.sql.deliveries import SqlDeliveries
from gateway.adapters.sql.log import SqlLog
from gateway.adapters.sql.migrate import upgrade
from gateway.adapters.sql.sqlite import SqliteDatabase
from gateway.adapters.sql.subscriptions import SqlSubscriptions
from gateway.adapters.stream_entries import raw_entry
from gateway.adapters.vault import Keyring
from gateway.cli.memory import settle_collector
from gateway.deliver.directory import Current
from gateway.deliver.envelopes import event_of
from gateway.deliver.masking import mask
from gateway.deliver.request import AttemptContext, build_request
from gateway.deliver.terms import OpenTerms
from gateway.domain.delivery import Decision
from gateway.domain.ids import ATTEMPT_BYTES, attempt_id
from gateway.domain.pending import PendingDelivery
from gateway.domain.sending import Answer, OutboundRequest
from gateway.domain.signing import Signer, new_secret
from gateway.domain.subscription import SubscriptionSpec
from gateway.ingest.door import Door, DoorPolicy
from gateway.parts import now_us
from gateway.ports import AttemptRecord, CursorUpdate, Entry, Event, JournalBatch, NewEntry
from otel.origin import origin_trace
from otel.traceparent import span_id_from

ANSWER = Answer(
    status=200,
    headers=(("Content-Length", "2"), ("Date", "Thu, 01 Jan 2026 12:00:00 GMT")),
    body=b"ok",
    truncated=False,
    duration_s=0.001,
)
ORIGIN = "https://gateway.example"


class AllContracts:
    """The contracts as the door asks for them."""

    def __init__(self) -> None:
        known = contracts.load()
        self._types = frozenset(known.types())
        self._validator = Validator(known)
        self.validate = self._validator.validate

    def knows(self, type_: str) -> bool:
        return type_ in self._types


def event_bytes(number: int) -> bytes:
    """A step of one of a thousand agents, about 1 KB, as the emitter publishes it; ids as random as Letta's."""
    event = schemas.StepCompleted(
        event_id=schemas.event_id("agent.step.completed", f"{os.getpid()}-{number}"),
        timestamp=datetime.now(UTC),
        agent_id=f"agent-{uuid.UUID(int=number % 1000)}",
        organization_id="org-11111111-2222-4333-8444-555555555555",
        data=schemas.StepCompletedData(
            step_id=f"step-{uuid.uuid4()}",
            run_id=f"run-{uuid.uuid4()}",
            status="success",
            usage=schemas.Usage(prompt_tokens=10, completion_tokens=20, total_tokens=30),
        ),
    )
    trace = f"00-{os.urandom(16).hex()}-{os.urandom(8).hex()}-01"
    return schemas.to_envelope(
        event, source_base="https://letta", traceparent=trace, sequence=f"{number:020d}"
    ).raw


@dataclass
class Case:
    """One step: `prepare` makes its input outside the measurement, `work` is measured, for `count` items."""

    name: str
    count: int
    work: Callable[[Any], object]
    prepare: Callable[[], Any] = lambda: None
    writes: bool = False
    part_of: bool = False


def us_each(case: Case, rounds: int) -> float:
    """Processor time per item, microseconds: the best round; of what writes the mean, for checkpoints come seldom."""
    taken = []
    for _ in range(rounds):
        given = case.prepare()
        start = time.process_time()
        case.work(given)
        taken.append(time.process_time() - start)
    return (statistics.mean(taken) if case.writes else min(taken)) / case.count * 1e6


def each(function: Callable[..., object], items: Sequence[Any]) -> Callable[[object], None]:
    def work(_: object) -> None:
        for item in items:
            function(item)

    return work


class Bench:
    """A log, a subscription and events, and the cases over them."""

    def __init__(self, folder: Path, url: str, rows: int) -> None:
        self.rows = rows
        self.numbers = itertools.count()
        self.database = SqliteDatabase(folder / "log.db")
        self.log = SqlLog(self.database, now=now_us, random=os.urandom)
        self.deliveries = SqlDeliveries(self.database)
        self.subscriptions = SqlSubscriptions(
            self.database, Keyring([bytes(32)]), fact_source=ORIGIN, now=now_us, random=os.urandom
        )
        policy = DoorPolicy(fact_source=f"{ORIGIN}/gateway", event_bytes_max=262_144)
        self.door = Door(AllContracts(), policy)
        self.sender = EgressSender(EgressTransport(LOOPBACK))
        self.url = url
        self.raws = [event_bytes(next(self.numbers)) for _ in range(rows)]
        self.positions = itertools.count(1)

    async def open(self, log_rows: int) -> None:
        await upgrade(self.database)
        spec = SubscriptionSpec(sink=self.url)
        record = await self.subscriptions.create(
            spec, organization="*", privileged=True, secret=new_secret(os.urandom(32))
        )
        self.current = Current(record, OpenTerms(Signer))
        await self.log.append([self.admitted(raw) for raw in self.raws])
        await self.fill(log_rows)
        self.entries: Sequence[Entry] = await self.log.read(0, self.rows + 1)
        self.entries = [entry for entry in self.entries if entry.kind == "event"]
        self.events = [event_of(entry) for entry in self.entries]
        context = self.context(self.events[0].envelope)
        self.requests = [self.request(event, context) for event in self.events]

    async def fill(self, log_rows: int) -> None:
        """Make the log as long as it is to be: an append costs more where its indexes are large."""
        while (missing := log_rows - (await self.log.head()).position) > 0:
            batch = [
                dataclasses.replace(
                    self.admitted(raw),
                    id=f"evt_{uuid.uuid4()}",
                    subject=f"step-{uuid.uuid4()}",
                    run_id=f"run-{uuid.uuid4()}",
                    trace_id=uuid.uuid4().hex,
                )
                for raw in self.raws
            ]
            await self.log.append(batch[:missing])

    def admitted(self, raw: bytes) -> NewEntry:
        return self.admit(schemas.parse_with_data(raw))

    def admit(self, parsed: tuple[schemas.Envelope, object]) -> NewEntry:
        envelope, data = parsed
        return self.door.admit(envelope, data=data)

    def context(self, envelope: Any) -> AttemptContext:
        trace = origin_trace(envelope).with_span(span_id_from(os.urandom(8)))
        return AttemptContext(trace, now_us() // 1_000_000)

    def request(self, event: Event, context: AttemptContext | None = None) -> OutboundRequest:
        event.message = None  # as for its first subscriber
        assert event.envelope is not None
        return build_request(
            event,
            event.envelope,
            self.current.terms(now_us()),
            context or self.context(event.envelope),
            dataschema=f"{ORIGIN}/registry/a",
            dataref_of=str,
            timeout_s=5.0,
        )

    def fresh(self) -> list[NewEntry]:
        return [self.admitted(event_bytes(next(self.numbers))) for _ in range(self.rows)]

    def journal(self) -> JournalBatch:
        """A batch as it is at full speed: all delivered, a few in flight that need a row."""
        number = self.current.record.number
        positions = [next(self.positions) for _ in range(self.rows)]
        attempts = [
            AttemptRecord(
                id=attempt_id(os.urandom(ATTEMPT_BYTES)),
                number=number,
                position=position,
                hash6=b"123456",
                attempt=1,
                round=0,
                cause="first",
                decision=Decision.DELIVERED,
                counts=False,
                started_at_us=now_us(),
                duration_us=1_000,
                revision=1,
                trace_id="0" * 31 + "1",
                span_id="0" * 15 + "1",
                status=200,
                response_headers=ANSWER.headers,
                response_body=ANSWER.body,
            )
            for position in positions
        ]
        in_flight = [PendingDelivery(number, positions[-1] + ahead + 1) for ahead in range(32)]
        return JournalBatch(
            attempts,
            in_flight,
            [],
            [CursorUpdate(number, positions[-1], live=True)],
            positions[-1],
        )

    def cases(self, run: Callable[[Awaitable[Any]], Any]) -> Iterator[Case]:
        rows = self.rows
        fields = [(b"%d-0" % index, {b"event": raw}) for index, raw in enumerate(self.raws)]
        parsed = [schemas.parse_with_data(raw) for raw in self.raws]
        write_now, read_now = self.database.write_now, self.database.read_now
        yield Case("in: read a stream entry", rows, each(lambda pair: raw_entry(*pair), fields))
        yield Case("in: parse the envelope", rows, each(schemas.parse_with_data, self.raws))
        yield Case("in: admit at the door", rows, each(self.admit, parsed))
        yield Case(
            f"in: append to the log, {rows} per transaction",
            rows,
            lambda entries: run(self.log.append(entries)),
            self.fresh,
            writes=True,
        )
        yield Case("log: read a row", rows, lambda _: run(self.log.read(1, rows)))
        yield Case("log: read its envelope again", rows, each(event_of, self.entries))
        yield Case("out: trace and span", rows, each(lambda event: self.context(event.envelope), self.events))
        context = self.context(self.events[0].envelope)
        yield Case("out: build and sign", rows, each(lambda event: self.request(event, context), self.events))
        yield from self.sending(run)
        yield Case(
            "out: mask an answer", rows, each(lambda _: mask(ANSWER, self.current.terms(0)), self.events)
        )
        yield Case(
            f"journal: write, {rows} per transaction",
            rows,
            lambda batch: run(self.deliveries.commit(batch)),
            self.journal,
            writes=True,
        )
        empty = JournalBatch([], [], [], [], 10_000_000)
        yield Case(
            "journal: a transaction of nothing",
            20,
            each(lambda _: run(self.deliveries.commit(empty)), range(20)),
            part_of=True,
        )
        yield Case(
            "database: a write's hand-off",
            20,
            each(lambda _: run(self.database.write(_nothing)), range(20)),
            part_of=True,
        )
        yield Case(
            "database: a read's hand-off",
            20,
            each(lambda _: run(self.database.read(_nothing)), range(20)),
            part_of=True,
        )
        yield Case(
            "database: a write without hand-off",
            20,
            each(lambda _: write_now(_nothing), range(20)),
            part_of=True,
        )
        yield Case(
            "database: a read without hand-off",
            20,
            each(lambda _: read_now(_nothing), range(20)),
            part_of=True,
        )

    def sending(self, run: Callable[[Awaitable[Any]], Any]) -> Iterator[Case]:
        async def post_all(at_once: int = 32) -> None:
            queue = iter(self.requests)

            async def worker() -> None:
                for request in queue:
                    assert (await self.sender.send(request)).status == 200

            await asyncio.gather(*[worker() for _ in range(at_once)])

        yield Case("out: send and read the answer", self.rows, lambda _: run(post_all()))
        yield Case(
            "out: of that, the header block",
            self.rows,
            each(lambda request: block_from_text(request.headers), self.requests),
            part_of=True,
        )


def _nothing(_connection: object) -> None:
    """What costs nothing."""


def measure(
    folder: Path, url: str, *, rows: int, rounds: int, log_rows: int
) -> list[tuple[str, float, bool]]:
    loop = uvloop.new_event_loop()
    bench = Bench(folder, url, rows)
    try:
        loop.run_until_complete(bench.open(log_rows))
        settle_collector()  # as in the gateway
        return [
            (case.name, us_each(case, rounds), case.part_of) for case in bench.cases(loop.run_until_complete)
        ]
    finally:
        loop.run_until_complete(bench.sender.aclose())
        bench.database.close_now()
        loop.close()


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--log", type=int, default=10_000, help="rows in the log before")
    parser.add_argument("--folder", type=Path, help="where the database is put; default: a new folder")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    ours_end, theirs_end = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=receive, args=(theirs_end,), daemon=True)
    process.start()
    try:
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            url = f"http://127.0.0.1:{ours_end.recv()}/hook"
            measured = measure(
                Path(folder), url, rows=options.rows, rounds=options.rounds, log_rows=options.log
            )
    finally:
        process.kill()
        process.join()
    total = sum(us for _, us, part in measured if not part)
    if options.json:
        print(json.dumps({name: round(us, 2) for name, us, _ in measured} | {"all": round(total, 2)}))
        return 0
    table = Table(title="processor time of one event on its way to one subscriber")
    table.add_column("step")
    table.add_column("µs", justify="right")
    for name, us, part in measured:
        table.add_row(name, f"({us:.1f})" if part else f"{us:.1f}")
    table.add_row("all (without those in brackets)", f"{total:.1f}")
    Console().print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
