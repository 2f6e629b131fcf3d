"""What stands behind a blocked key is found in the log by its index, when the head of the key ends (S4b)."""

from collections.abc import Mapping, Sequence

from gateway.deliver.directory import Directory
from gateway.deliver.envelopes import EnvelopeCache, event_of, partition_key
from gateway.deliver.patience import patiently
from gateway.deliver.selecting import awaits
from gateway.domain.feed import FOLLOWERS_MAX, Queued
from gateway.domain.lane import Lane
from gateway.ports import LONG_AGO, Deliveries, EventLog, Standing

_HELD_UP = "the successors of a delivery cannot be read"


class Successors:
    """Looks up the successors that a lane does not hold in memory."""

    def __init__(
        self, log: EventLog, deliveries: Deliveries, directory: Directory, cache: EnvelopeCache
    ) -> None:
        self._log = log
        self._deliveries = deliveries
        self._directory = directory
        self._cache = cache

    async def bring(self, lane: Lane, position: int) -> None:
        """Make a lane ready for the end of this delivery, whose key it has covered in the log."""
        after = position
        while (key := lane.wants_successors(position)) is not None:
            current = self._directory.get(lane.number)
            until = lane.cursor
            entries = await patiently(
                lambda key=key, after=after, until=until: self._log.read_key(  # type: ignore[misc]
                    key, after, until, FOLLOWERS_MAX
                ),
                _HELD_UP,
            )
            sent = await self._sent(lane.number, [entry.position for entry in entries])
            found = []
            for event in map(event_of, entries):
                if event.envelope is None or current is None or partition_key(event.envelope) != key:
                    continue
                following = event.entry.position
                if following in sent or lane.holds(following):
                    continue  # a replay has sent it since: it lies in a part that a resume left out
                if awaits(current.record, event) and self._directory.routable(event):
                    found.append(Queued(following, key, since_us=event.entry.appended_at_us))
                    self._cache.put(event)
            more = len(entries) == FOLLOWERS_MAX
            after = entries[-1].position if more else until
            lane.feed.stand_behind(key, found, until, more=more)

    async def _sent(self, number: int, positions: Sequence[int]) -> Mapping[int, Standing]:
        if not positions:
            return {}
        return await patiently(
            lambda: self._deliveries.standings(number, positions[0], positions[-1], asked=LONG_AGO),
            _HELD_UP,
        )
