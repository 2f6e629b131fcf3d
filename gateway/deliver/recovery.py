"""What a process finds in flight when it starts: to be repeated, with one more crash to its name (S2d, S3c)."""

from dataclasses import replace

from gateway.deliver.patience import patiently
from gateway.deliver.world import World
from gateway.domain.pending import PendingDelivery
from gateway.ports import JournalBatch


async def take_up(world: World, routed: int) -> list[PendingDelivery]:
    """Count a crash for everything that was in flight, durably, before any of it is started again.

    Returns what is to be repeated. One that three processes ended on is not sent again: its next start parks it
    (``Posting.unsent``).
    """
    in_flight = await patiently(world.deliveries.in_flight, "what was in flight cannot be read")
    if not in_flight:
        return []
    # Due, and not in flight: a delivery that waits for its turn (``Suspects``), or on a stopped stream, takes no
    # blame for the next crash. Its start is written ahead (``Attempts.write_ahead_until``).
    now_us = world.now()
    repeated = [replace(item, crashes=item.crashes + 1, next_at_us=now_us, asked=False) for item in in_flight]
    batch = JournalBatch([], repeated, (), (), routed)
    await patiently(lambda: world.deliveries.commit(batch), "what was in flight cannot be taken up")
    return repeated
