"""What a stream has at hand, and what of it goes next (SEMANTICS S2 to S5, S10a), pure.

At hand are the positions that its feed holds, deliveries that are due again, and what its replays hold; beside them
it knows what is in flight, and how many deliveries wait elsewhere. Order and shares are kept here. Whether anything
may go at all just now is for the lane to say.
"""

from dataclasses import replace
from typing import Final

from gateway.domain.batching import Batching
from gateway.domain.due import Due, Started
from gateway.domain.feed import Feed, IllegalTransition, Queued
from gateway.domain.flight import Flight, Kind
from gateway.domain.pending import PendingDelivery
from gateway.domain.replay import ReplayFeed, ReplayFeeds

NO_END: Final = 2**63
"""Later than every moment."""


class Stock:
    """Deliveries of one subscription. ``concurrency``, ``ordered`` and ``batching`` may be changed at any time."""

    __slots__ = (
        "_asked",
        "_due",
        "_flight",
        "_waiting",
        "batching",
        "concurrency",
        "feed",
        "number",
        "old_until_us",
        "ordered",
        "pending_max",
        "replays",
    )

    def __init__(
        self,
        number: int,
        feed: Feed,
        *,
        concurrency: int,
        waiting: int,
        pending_max: int,
        ordered: bool,
        batching: Batching | None,
    ) -> None:
        self.number = number
        self.feed = feed
        self.old_until_us = -1
        """What was appended by then was old when the stream began to move: late for that, not for being slow."""
        self.concurrency = concurrency
        self.pending_max = pending_max
        self.ordered = ordered
        self.batching = batching
        self.replays = ReplayFeeds()
        self._asked: dict[int, int] = {}
        self._due = Due()
        self._flight = Flight()
        self._waiting = waiting

    # What there is.

    @property
    def pending(self) -> int:
        """How many deliveries are dispatched and not terminal."""
        here = len(self._flight.deliveries) + len(self._due.deliveries) + len(self.feed.next_up)
        return here + self._waiting + self.replays.taken

    @property
    def waits_elsewhere(self) -> int:
        """How many deliveries would wait in the database if this were forgotten; of what is in flight none would."""
        counted = sum(not delivery.asked for delivery in self._due.deliveries.values())
        return self._waiting + counted + len(self.feed.next_up)

    @property
    def in_flight(self) -> tuple[PendingDelivery, ...]:
        """What has been started and not settled."""
        return tuple(self._flight.deliveries.values())

    @property
    def backlogged(self) -> bool:
        """Whether so much is pending that the cursor halts (S2e); retries go on."""
        return self.pending >= self.pending_max

    @property
    def one_at_a_time(self) -> bool:
        """Whether a batch must have ended before the next one is made (S10a)."""
        return self.ordered and self.batching is not None

    @property
    def places(self) -> int:
        """How many POSTs may be under way at once."""
        return 1 if self.one_at_a_time else self.concurrency

    @property
    def has_room(self) -> bool:
        """Whether another start fits beside those in flight."""
        return self._flight.posts < (self.concurrency if self.batching is None else self.places)

    def holds(self, position: int) -> bool:
        """Whether this delivery is in memory here, so that no second copy of it may be taken in."""
        return (
            position in self._flight
            or position in self._due
            or self.replays.claims(position)
            or any(item.position == position for item in self.feed.next_up)
        )

    def is_under_way(self, position: int) -> bool:
        """Whether an attempt of this delivery is in flight, or is made next, or by another replay."""
        return self.holds(position) and position not in self._due

    # What comes and what ends.

    def due(self, delivery: PendingDelivery, *, counted: bool = True, now_us: int = 0) -> None:
        """A waiting delivery may be started again. ``counted``: it is among those that wait already."""
        if self.holds(delivery.position):
            raise IllegalTransition(f"{delivery.position} of subscription {self.number} is already here")
        self._due.add(delivery, now_us)
        if counted:
            self._waiting = max(0, self._waiting - 1)

    def asked(self, delivery: PendingDelivery) -> None:
        """A delivery that is here was asked for by hand: where it has not started yet, its next start answers that."""
        if delivery.request and delivery.position not in self._flight:
            self._asked[delivery.position] = delivery.request

    def nothing_waits(self) -> None:
        """The database has nothing pending that is not here: what was counted beyond that is gone."""
        self._waiting = 0

    def settle(self, position: int, *, again: bool) -> list[PendingDelivery]:
        """A start has ended: terminal, or to be tried ``again`` later.

        Returns the successor that its end releases (S4b), if there is one: it is dispatched by that, and to be
        journaled as pending in the same transaction.
        """
        delivery = self._flight.deliveries.get(position)
        if delivery is None:
            raise IllegalTransition(f"{position} of subscription {self.number} is not in flight")
        released = [] if again else self._release(delivery)
        self._flight.land(position)
        if again:
            self._waiting += 1
        return released

    def wants_successors(self, position: int) -> str | None:
        """The key whose successors must be looked up in the log before this delivery may end (S4b)."""
        return self.feed.wants_successors(position)

    def assign(self, members: Started, batch: str) -> Started:
        """The batch that these in-flight deliveries are sent in, from now until they are terminal (S10a)."""
        return self._flight.assign(members, batch)

    def add_replay(self, replay: ReplayFeed) -> None:
        """Feed a replay from now on."""
        self.replays.add(replay)

    def offer_replay(
        self, replay: ReplayFeed, item: Queued, *, pending: PendingDelivery | None = None
    ) -> bool:
        """Queue a delivery of a replay's range; False, and nothing changed, where there is no room.

        ``pending``: what is pending of it by now, which is taken over (S5b).
        """
        position = item.position
        if self.is_under_way(position):
            raise IllegalTransition(f"{position} of subscription {self.number} is under way")
        if not self.replays.claim(replay, item, pending):
            return False
        if position in self._due:
            self._due.forget(position)
        elif pending is not None and not pending.asked:
            self._waiting = max(0, self._waiting - 1)
        return True

    def end_replay(self, replay: int) -> None:
        """Feed it no more; what it has started goes on."""
        self._waiting += self.replays.end(replay)

    def _release(self, delivery: PendingDelivery) -> list[PendingDelivery]:
        following = self.feed.release(delivery.position)
        if self.replays.feeds:
            self.replays.ended(delivery.position, delivery.replay)
        if following is None:
            return []
        position = following.position
        return [
            PendingDelivery(
                self.number,
                position,
                partition_key=following.key,
                blocked_from=position,
                caught_up=following.since_us <= self.old_until_us,
            )
        ]

    # What goes next.

    def choose(self, now_us: int) -> Started | None:
        """What goes next, marked as in flight.

        Due retries go first, but never take more than half of the lane (S2g), so that a stream with many failures
        still moves; a lane of one takes turns. Replays take at most half as well (S5a). While too much is pending, only
        what is pending goes on (S2e).
        """
        if not (self._due.deliveries or self.replays.feeds):  # as nearly always: nothing to be weighed
            return self._first(now_us) if self._may_queue(now_us) else None
        if self._may_retry(now_us):
            return self._retry(self._due.oldest() if self.one_at_a_time else self._due.first())
        replay = self._next_replay()
        if replay is not None and not (self._flight.replayed_last and self._may_queue(now_us)):
            return self._replay(replay, now_us)
        return self._first(now_us) if self._may_queue(now_us) else None

    def choose_oldest(self, now_us: int) -> Started | None:
        """A probe: the oldest pending one, and where nothing is pending, what comes next (S3g)."""
        self._due.ripen(now_us)
        if self._due.ready:
            return self._retry(self._due.oldest())
        if self.feed.next_up:
            return self._first(now_us)
        # What is taken over is pending, and is not brought from the database beside that.
        replays = [replay for replay in self.replays if replay.feed.has_next()]
        replay = next((replay for replay in replays if replay.taken), None)
        if replay is not None:
            return self._replay(replay, now_us)
        if self._waiting or self._due.deliveries:
            return None  # the oldest one is on its way from the database
        if self.feed.has_next():
            return self._first(now_us)
        return self._replay(replays[0], now_us) if replays else None

    def ripens_at_us(self, now_us: int) -> int | None:
        """When ``choose`` may say something else than now for being later alone; None: it will not."""
        moments = [] if self._due.wakes_at_us is None else [self._due.wakes_at_us]
        if self.batching is not None and self.feed.queue:
            moments.append(self.batching.ripe_at_us(self.feed.queue))
        return min((moment for moment in moments if moment > now_us), default=None)

    def _may_retry(self, now_us: int) -> bool:
        self._due.ripen(now_us)
        if not self._due.ready:
            return False
        if self.one_at_a_time:
            # In order: what lies before it may still wait for its own time.
            return not (self._waiting or self._due.incomplete)
        return self._flight.retries_have_share(self.concurrency) or not (
            self._may_queue(now_us) or self._next_replay() is not None
        )

    def _may_queue(self, now_us: int) -> bool:
        feed = self.feed
        if feed.next_up:
            return True
        if not feed.queue or self.pending >= self.pending_max or not feed.has_next():
            return False
        if self.batching is None:
            return True
        return not (self.ordered and self.pending) and self.batching.is_full(feed.queue, now_us)

    def _next_replay(self) -> ReplayFeed | None:
        if not self._flight.replays_have_share(self.places):
            return None
        # What only waits for a replay to start it again must not keep that replay from starting.
        if (self.one_at_a_time or self.backlogged) and self.pending > self.replays.taken:
            return None
        return next((replay for replay in self.replays if self._may_feed(replay)), None)

    def _may_feed(self, replay: ReplayFeed) -> bool:
        if not replay.feed.has_next():
            return False
        full = self.batching is None or len(replay.feed.queue) >= self.batching.events_max
        # It is fed again below half of its room: what is more than that is all that comes until it has moved.
        return full or replay.feed.room < replay.feed.queue_max // 2 or replay.feed.seen >= replay.until

    def _retry(self, due: Started) -> Started:
        started = self._in_flight_now([replace(item, next_at_us=None) for item in due])
        self._flight.launch(Kind.RETRY, started)
        return started

    def _first(self, now_us: int) -> Started:
        if self.batching is None or self.feed.next_up:
            stored = bool(self.feed.next_up)  # a successor was journaled when its head ended
            delivery = self._new(self.feed.take(), now_us, stored=stored)
            self._flight.launch_one(delivery)
            return (delivery,)
        items = self.batching.take(self.feed, self.pending_max - self.pending)
        started = tuple([self._new(item, now_us) for item in items])
        self._flight.launch(Kind.FIRST, started)
        return started

    def _new(self, item: Queued, now_us: int, *, stored: bool = False) -> PendingDelivery:
        caught_up = item.since_us <= self.old_until_us
        if item.key is None:
            return PendingDelivery(
                self.number, item.position, first_at_us=now_us, caught_up=caught_up, stored=stored
            )
        return PendingDelivery(
            self.number,
            item.position,
            first_at_us=now_us,
            partition_key=item.key,
            blocked_from=item.position,
            caught_up=caught_up,
            stored=stored,
        )

    def _replay(self, replay: ReplayFeed, now_us: int) -> Started:
        self.replays.had_its_turn(replay)
        if self.batching is None:
            items = [replay.feed.take()]
        else:
            items = self.batching.take(replay.feed, self.pending_max - self.pending)
        for item in items:
            self.replays.started(replay, item.position)
        started = self._in_flight_now(
            [
                replace(item.delivery, first_at_us=now_us, next_at_us=None)
                for item in items
                if item.delivery is not None
            ]
        )
        self._flight.launch(Kind.REPLAY, started)
        return started

    def _in_flight_now(self, started: list[PendingDelivery]) -> Started:
        """What goes next, with what was asked for while it waited here (S3h)."""
        if not self._asked:
            return tuple(started)
        asked = [(item, self._asked.pop(item.position, 0)) for item in started]
        return tuple([replace(item, request=max(item.request, request)) for item, request in asked])
