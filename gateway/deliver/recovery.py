"""What a process finds in flight when it starts: repeated, and parked where it has brought down three (S2d, S3c)."""

from dataclasses import replace

from gateway.deliver.world import World
from gateway.domain.delivery import Decision
from gateway.domain.ids import HASH_BYTES, RANDOM_BYTES, attempt_id
from gateway.domain.lane import PendingDelivery
from gateway.ports import AttemptRecord, JournalBatch
from otel.traceparent import derive

CRASHES_MAX = 3


async def take_up(world: World, routed: int) -> list[PendingDelivery]:
    """Count a crash for everything that was in flight, durably, before any of it is started again.

    Returns what is to be repeated. A delivery that three processes ended on is settled ``exhausted``: kept,
    listed, and to be retried by hand once somebody has looked at it.
    """
    found = [replace(item, crashes=item.crashes + 1) for item in await world.deliveries.in_flight()]
    if not found:
        return []
    repeated = [item for item in found if item.crashes < CRASHES_MAX]
    parked = [item for item in found if item.crashes >= CRASHES_MAX]
    attempts = [await _parked(world, item) for item in parked]
    settled = [(item.number, item.position) for item in parked]
    await world.deliveries.commit(JournalBatch(attempts, repeated, settled, (), routed))
    return repeated


async def _parked(world: World, delivery: PendingDelivery) -> AttemptRecord:
    entry = await world.log.get(delivery.position)
    trace = derive("parked", str(delivery.number), str(delivery.position))
    now_us = world.now()
    return AttemptRecord(
        id=attempt_id(world.random(RANDOM_BYTES)),
        number=delivery.number,
        position=delivery.position,
        hash6=bytes(HASH_BYTES) if entry is None else entry.row_hash[:HASH_BYTES],
        attempt=delivery.attempts + 1,
        round=delivery.round,
        cause="recovery",
        decision=Decision.EXHAUSTED,
        counts=False,
        started_at_us=now_us,
        duration_us=0,
        revision=0,
        trace_id=trace.trace_id,
        span_id=trace.span_id,
        error_class="crash",
        detail=f"{delivery.crashes} processes ended while they delivered this",
    )
