"""One start: first try, retry, replay and batch are this one path (S3)."""

from dataclasses import dataclass, replace
from functools import partial

from gateway.deliver.batches import Batches
from gateway.deliver.directory import Current, Directory
from gateway.deliver.envelopes import EnvelopeCache, Event
from gateway.deliver.handshakes import Handshakes
from gateway.deliver.journal import Journal
from gateway.deliver.lanes import Lanes
from gateway.deliver.patience import patiently
from gateway.deliver.posting import LEASE_S, Ended, Posting
from gateway.deliver.settling import Settling
from gateway.deliver.spans import DeliverySpans, Tried
from gateway.deliver.terms import Terms
from gateway.deliver.timers import Timers
from gateway.deliver.world import World
from gateway.domain.due import Started
from gateway.domain.ids import HASH_BYTES
from gateway.domain.lane import Lane
from gateway.domain.pending import PendingDelivery
from gateway.ports import AttemptRecord

_NO_HASH = bytes(HASH_BYTES)


@dataclass(slots=True, eq=False)
class Try:
    """One attempt: of what, and how its subscription was when it began."""

    lane: Lane
    delivery: PendingDelivery
    current: Current
    event: Event | None
    terms: Terms


class Attempts:
    """Makes attempts and hands how they ended to ``Settling``."""

    def __init__(
        self,
        *,
        directory: Directory,
        lanes: Lanes,
        cache: EnvelopeCache,
        journal: Journal,
        timers: Timers,
        settling: Settling,
        handshakes: Handshakes,
        world: World,
        spans: DeliverySpans | None = None,
    ) -> None:
        self._spans = spans
        self._directory = directory
        self._lanes = lanes
        self._cache = cache
        self._journal = journal
        self._timers = timers
        self._settling = settling
        self._handshakes = handshakes
        self._now = world.now
        self._leadership = world.leadership
        self._held = world.held
        self.posting = Posting(world)
        self._batches = Batches(
            posting=self.posting,
            settling=settling,
            journal=journal,
            directory=directory,
            cache=cache,
            world=world,
            spans=spans,
        )
        self.write_ahead_until = 0

    async def once(self, lane: Lane, started: Started) -> None:
        """One attempt, from start to settlement. It ends unsettled only where the process or the stream ends."""
        forgotten = self._cache.forgotten
        events = self._at_hand(started) or await self._read(started)
        if started[0].position <= self.write_ahead_until:
            # It may have been what the process before this one died of: count this start first (S3c).
            await self._journal.written()
        asked = self._directory.get(lane.number)
        if asked is not None and asked.fetches_token and asked.active and not asked.unasked:
            await self.posting.access.prepare(asked)
        if self._leadership.holds_for_s() < LEASE_S:
            # Another process may take the log over while this POST is under way (S6a).
            await self._leadership.until_it_holds(LEASE_S)
        # Between here and the POST nothing is waited for, so this is how the subscription is now (S3d).
        current = self._directory.get(lane.number)
        if current is None:
            return
        if self._held:
            started, events = self._without_held(lane, started, events, current)
            if not started:
                return
        now_us = self._now()
        if (
            not current.active
            or lane.halted  # its sink is gone (410), and that is still to be written (S3f)
            or now_us < lane.waits_until_us
            or self.posting.held_up(current)
            or self._cache.forgotten != forgotten  # what was read before a wait may be erased by now (S8b)
        ):
            self._stand(lane, started, current)
        elif lane.batching is not None:
            await self._batches.attempt(lane, started, events, current)
        elif len(started) > 1 or started[0].batch is not None:
            # It was a batch under an earlier revision: its members go one by one now.
            self._settling.postpone(lane, tuple(replace(item, batch=None) for item in started), current)
        else:
            await self._attempt(lane, started[0], current, events[0], now_us)

    def may_start_us(self) -> int | None:
        """The present moment, where attempts may start in it; None where something is to be waited for first."""
        if self._held or self._leadership.holds_for_s() < LEASE_S:
            return None
        return self._now()

    def at_once(self, lane: Lane, delivery: PendingDelivery, now_us: int) -> tuple[Event, Current] | None:
        """The event and the subscription of a delivery for which nothing is to be waited for; None: see ``once``.

        What is asked is what ``once`` asks, in a moment in which attempts may start.
        """
        position = delivery.position
        event, current = self._cache.peek(position), self._directory.get(lane.number)
        if (
            event is None
            or current is None
            or event.envelope is None
            or "expirytime" in event.envelope.attributes
            or position <= self.write_ahead_until
            or delivery.batch is not None
            or delivery.crashes
            or not current.active
            or lane.halted
            or current.unasked
            or current.fetches_token
            or now_us < lane.waits_until_us
        ):
            return None
        return event, current

    def _stand(self, lane: Lane, started: Started, current: Current) -> None:
        """The stream may not go on now; a sink that was not asked yet is asked, and the lane waits for that."""
        self._settling.postpone(lane, started, current)
        if current.unasked:
            self._lanes.halt(lane)
            self._handshakes.ask(lane.number)

    def _without_held(
        self, lane: Lane, started: Started, events: list[Event | None], current: Current
    ) -> tuple[Started, list[Event | None]]:
        """Put off the first tries of what came in faster than its agent may, and go on with the others."""
        now_us = self._now()
        self._held.forget(now_us)
        until_us = [self._held.until_us(item.position) if _is_first_try(item) else 0 for item in started]
        if lane.ordered and lane.batching is not None:
            # Batches keep their order by going one at a time, and would not if one of them were taken apart (S10a).
            until_us = [max(until_us)] * len(started)
        for delivery, moment_us in zip(started, until_us, strict=True):
            if moment_us > now_us:
                self._settling.postpone(lane, (delivery,), current, until_us=moment_us)
        kept = [index for index, moment_us in enumerate(until_us) if moment_us <= now_us]
        return tuple(started[index] for index in kept), [events[index] for index in kept]

    def forget(self, number: int) -> None:
        """A subscription is deleted: let go of what it was let in with at its sink."""
        self.posting.access.forget(number)

    def _at_hand(self, started: Started) -> list[Event | None]:
        """The events of these, where all are in the cache; else nothing."""
        events = [self._cache.peek(item.position) for item in started]
        return [] if None in events else events

    async def _read(self, started: Started) -> list[Event | None]:
        return [
            await patiently(partial(self._cache.get, item.position), "the log cannot be read")
            for item in started
        ]

    async def _attempt(
        self, lane: Lane, delivery: PendingDelivery, current: Current, event: Event | None, now_us: int
    ) -> None:
        # Opened once: what was sent is what an answer is masked by, also of one that is deleted meanwhile.
        terms = current.terms(now_us)
        ended = self.posting.unsent(event, delivery)
        if ended is None:
            ended = await self.posting.one(event, terms, delivery, now_us)
        await self.end(Try(lane, delivery, current, event, terms), ended)

    async def end(self, tried: Try, ended: Ended) -> None:
        """Make of a try that has ended what it comes to. It waits only for successors that are to be looked up."""
        unsettled = self.conclude(tried, ended)
        if unsettled is not None:
            await self.end_behind(tried, unsettled)

    def conclude(self, tried: Try, ended: Ended) -> AttemptRecord | None:
        """The same without waiting; what is returned is to be given to ``end_behind``."""
        lane, delivery, current = tried.lane, tried.delivery, tried.current
        event, terms = tried.event, tried.terms
        # Of a subscription that was deleted meanwhile the attempt is kept, and nothing else (S3h).
        settlement = self._settling.judge(lane, delivery, terms, ended)
        if self._spans is not None and event is not None and self._spans.wants(event):
            self._spans.attempt(event, Tried(current.record.id, terms, delivery, ended, settlement))
        self._settling.account.attempt(current, event, delivery, ended=ended, settlement=settlement)
        hash6 = _NO_HASH if event is None else event.entry.row_hash[:HASH_BYTES]
        # First what it means for the stream: settling may have to wait for the log, and others go on meanwhile.
        self._settling.conclude(lane, current, ended, settlement, delivery.position)
        return self._settling.settle_now(lane, delivery, terms, ended, settlement, hash6=hash6)

    async def end_behind(self, tried: Try, attempt: AttemptRecord) -> None:
        """Settle a delivery whose key has successors that are to be looked up first (S4b)."""
        await self._settling.end_behind(tried.lane, tried.delivery, attempt)


def _is_first_try(delivery: PendingDelivery) -> bool:
    """Whether nobody has asked for it: a retry, a replay and a frozen batch go at their own time."""
    return not (delivery.attempts or delivery.asked or delivery.batch) and delivery.replay is None
