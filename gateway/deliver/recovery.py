"""What a process finds in flight when it starts: repeated, and parked where it has brought down three (S2d, S3c)."""

from dataclasses import replace

from gateway.deliver.patience import patiently
from gateway.deliver.suspects import CRASHES_MAX
from gateway.deliver.world import World
from gateway.domain.delivery import Decision
from gateway.domain.ids import HASH_BYTES, RANDOM_BYTES, attempt_id
from gateway.domain.pending import PendingDelivery
from gateway.ports import AttemptRecord, JournalBatch
from otel.traceparent import derive


async def take_up(world: World, routed: int) -> list[PendingDelivery]:
    """Count a crash for everything that was in flight, durably, before any of it is started again.

    Returns what is to be repeated. A delivery that three processes ended on is settled ``exhausted``: kept,
    listed, and to be retried by hand once somebody has looked at it.
    """
    in_flight = await patiently(world.deliveries.in_flight, "what was in flight cannot be read")
    if not in_flight:
        return []
    # Due, and not in flight: a delivery that waits for its turn (``Suspects``), or on a stopped stream, takes no
    # blame for the next crash. Its start is written ahead (``Attempts.write_ahead_until``).
    now_us = world.now()
    found = [replace(item, crashes=item.crashes + 1, next_at_us=now_us, asked=False) for item in in_flight]
    repeated = [item for item in found if item.crashes < CRASHES_MAX]
    parked = [item for item in found if item.crashes >= CRASHES_MAX]
    attempts = [await _parked(world, item) for item in parked]
    settled = [(item.number, item.position) for item in parked]
    batch = JournalBatch(attempts, repeated, settled, (), routed)
    await patiently(lambda: world.deliveries.commit(batch), "what was in flight cannot be taken up")
    return repeated


async def _parked(world: World, delivery: PendingDelivery) -> AttemptRecord:
    entry = await patiently(lambda: world.log.get(delivery.position), "the log cannot be read")
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
