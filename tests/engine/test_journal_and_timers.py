"""The journal's rhythm and patience (S2c), the timers' windows (S2g), the directory's memory (S3d)."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from typing import Any

import pytest
from simulation.clock import now_us
from simulation.small import Engine

from gateway.adapters.memory import MemoryDeliveries, MemoryStore
from gateway.deliver.directory import Directory
from gateway.deliver.journal import OUTCOMES_MAX, Checkpoint, Journal
from gateway.deliver.lanes import Lanes
from gateway.deliver.timers import NEAR_US, Timers
from gateway.domain.delivery import Decision
from gateway.domain.pending import PendingDelivery
from gateway.errors import Unavailable
from gateway.ports import AttemptRecord, JournalBatch

Virtually = Callable[[Coroutine[Any, Any, None]], None]


class Recorder(MemoryDeliveries):
    """Keeps every batch, and fails as long as it is told to."""

    def __init__(self, store: MemoryStore) -> None:
        super().__init__(store)
        self.batches: list[JournalBatch] = []
        self.failures = 0

    async def commit(self, batch: JournalBatch) -> Sequence[int]:
        self.batches.append(batch)
        if self.failures:
            self.failures -= 1
            raise Unavailable("away")
        return await super().commit(batch)


def _recorder() -> Recorder:
    return Recorder(MemoryStore(now=now_us, random=bytes))


def _nothing() -> Checkpoint:
    return Checkpoint((), (), 0)


def _attempt(position: int, *, again: bool = False) -> AttemptRecord:
    return AttemptRecord(
        id=f"att_{position}",
        number=1,
        position=position,
        hash6=bytes(6),
        attempt=1,
        round=0,
        cause="first",
        decision=Decision.FAILED if again else Decision.DELIVERED,
        counts=again,
        started_at_us=0,
        duration_us=0,
        revision=1,
        trace_id="0" * 31 + "1",
        span_id="0" * 15 + "1",
        next_at_us=1 if again else None,
    )


def test_s2c_an_outcome_is_written_within_50_ms(virtually: Virtually) -> None:
    async def main() -> None:
        journal = Journal(_recorder(), _nothing)
        journal.settle(_attempt(1), None)
        before = now_us()
        await journal.wait(10)
        assert now_us() - before == pytest.approx(50_000, abs=1_000)

    virtually(main())


def test_s2c_500_outcomes_are_written_at_once(virtually: Virtually) -> None:
    async def main() -> None:
        journal = Journal(_recorder(), _nothing)
        for position in range(1, OUTCOMES_MAX + 1):
            journal.settle(_attempt(position), None)
        before = now_us()
        await journal.wait(10)
        assert now_us() == before

    virtually(main())


def test_nothing_to_say_is_not_written(virtually: Virtually) -> None:
    async def main() -> None:
        deliveries = _recorder()
        journal = Journal(deliveries, _nothing)
        await journal.commit()
        await journal.commit()
        assert len(deliveries.batches) == 1  # where the router stands, once

    virtually(main())


def test_s2c_a_write_that_fails_is_repeated_with_the_same_content(virtually: Virtually) -> None:
    async def main() -> None:
        deliveries = _recorder()
        deliveries.failures = 5
        journal = Journal(deliveries, _nothing)
        journal.settle(_attempt(1), None)
        writing = asyncio.create_task(journal.commit())
        await asyncio.sleep(0.05)
        journal.settle(_attempt(2), None)
        assert journal.unwritten((1, 1))
        await writing
        assert all(batch == deliveries.batches[0] for batch in deliveries.batches)
        assert journal.unwritten((1, 2))
        assert not journal.unwritten((1, 1))

    virtually(main())


def test_a_process_that_ends_does_not_wait_for_storage_for_ever(virtually: Virtually) -> None:
    async def main() -> None:
        deliveries = _recorder()
        deliveries.failures = 10**9
        journal = Journal(deliveries, _nothing)
        journal.settle(_attempt(1), None)
        journal.give_up_after(5)
        before = now_us()
        await journal.commit()
        assert now_us() - before < 8_000_000

    virtually(main())


def test_written_waits_for_a_checkpoint_that_was_taken_after_the_call(virtually: Virtually) -> None:
    async def main() -> None:
        deliveries = _recorder()
        deliveries.failures = 3
        journal = Journal(deliveries, _nothing)
        journal.settle(_attempt(1), None)
        first = asyncio.create_task(journal.commit())
        await asyncio.sleep(0.05)
        journal.settle(_attempt(2), None)
        written = asyncio.create_task(journal.written())
        await first
        await asyncio.sleep(0.05)
        assert not written.done()
        await journal.commit()
        await written
        assert (1, 2) in deliveries._store.attempts

    virtually(main())


class _Due(Recorder):
    """Counts what is read."""

    rows = 0

    async def due(self, *args: Any, **kwargs: Any) -> Sequence[PendingDelivery]:
        found = await super().due(*args, **kwargs)
        self.rows += len(found)
        return found


def _timers(engine: Engine) -> tuple[Timers, _Due, Lanes, Journal]:
    deliveries = _Due(engine.store)
    directory = Directory(engine.subscriptions)
    lanes = Lanes(directory, now_us)
    journal = Journal(deliveries, lanes.checkpoint)
    return Timers(deliveries, lanes, journal, now_us), deliveries, lanes, journal


def _waiting(position: int, in_us: int) -> PendingDelivery:
    return PendingDelivery(1, position, attempts=1, next_at_us=now_us() + in_us)


def test_s2g_what_was_read_is_not_read_again(virtually: Virtually) -> None:
    async def main() -> None:
        engine = Engine()
        await engine.subscribe()
        timers, deliveries, lanes, _ = _timers(engine)
        await lanes._directory.load(0)
        for current in lanes._directory:
            lanes.open(current, waiting=3)
        far = NEAR_US + 5_000_000
        await deliveries.commit(
            JournalBatch((), [_waiting(1, 0), _waiting(2, 1_000), _waiting(3, far)], (), (), 0)
        )
        await timers.look_ahead()
        await timers.look_ahead()
        assert deliveries.rows == 2
        await asyncio.sleep(10)
        await timers.look_ahead()
        assert deliveries.rows == 3

    virtually(main())


def test_s2g_a_retry_whose_outcome_is_unwritten_while_its_window_is_read_is_not_forgotten(
    virtually: Virtually,
) -> None:
    async def main() -> None:
        engine = Engine()
        await engine.subscribe()
        timers, _, lanes, journal = _timers(engine)
        await lanes._directory.load(0)
        started: list[int] = []
        lanes.start = lambda _lane, group: started.extend(item.position for item in group)
        for current in lanes._directory:
            lanes.open(current, waiting=1)
        far = replace(_waiting(1, NEAR_US + 20_000_000), attempts=1)
        journal.settle(_attempt(1, again=True), far)
        timers.add(far)  # too far off for the memory, and not yet in the database either
        await asyncio.sleep(25)
        await timers.look_ahead()
        await journal.commit()
        running = asyncio.create_task(timers.run())
        await asyncio.sleep(30)
        running.cancel()
        assert started == [1]

    virtually(main())


def test_s3e_a_lane_that_waits_is_looked_at_again_at_the_first_of_its_moments(virtually: Virtually) -> None:
    async def main() -> None:
        timers, *_ = _timers(Engine())
        timers.lane_wakes(1, now_us() + 60_000_000)
        timers.lane_wakes(1, now_us() + 1_000_000)
        assert timers._wakes[1] == now_us() + 1_000_000

    virtually(main())


def test_s3h_a_read_that_began_before_a_deletion_does_not_bring_it_back(virtually: Virtually) -> None:
    async def main() -> None:
        engine = Engine()
        record = await engine.subscribe()
        directory = Directory(engine.subscriptions)
        await directory.load(0)
        await engine.subscriptions.delete(1)
        await directory.refresh([1], lambda: engine.store.head)
        assert directory.get(1) is None
        assert directory._keep_newer(record) is None
        assert directory.get(1) is None

    virtually(main())


def test_a_read_that_began_before_a_change_does_not_undo_it(virtually: Virtually) -> None:
    async def main() -> None:
        engine = Engine()
        record = await engine.subscribe()
        directory = Directory(engine.subscriptions)
        await directory.load(0)
        await engine.subscriptions.update(1, replace(record.spec, sink="https://moved.test/"))
        await directory.refresh([1], lambda: engine.store.head)
        directory._keep_newer(record)
        current = directory.get(1)
        assert current is not None
        assert current.record.spec.sink == "https://moved.test/"

    virtually(main())
