"""The dispatcher: router, scans, lanes, timers and journal of one process, put together and started in order (S2)."""

from collections.abc import Sequence

import anyio
from anyio.abc import TaskGroup

from gateway.deliver.attempt import Attempts
from gateway.deliver.bounds import configure
from gateway.deliver.catchup import CatchUp
from gateway.deliver.directory import Directory
from gateway.deliver.envelopes import EnvelopeCache, Event
from gateway.deliver.handshakes import Handshakes
from gateway.deliver.journal import Journal
from gateway.deliver.lanes import Lanes
from gateway.deliver.notices import Notices
from gateway.deliver.patience import patiently
from gateway.deliver.probes import Probes
from gateway.deliver.recovery import take_up
from gateway.deliver.replays import Replays
from gateway.deliver.router import Router
from gateway.deliver.settling import Settling
from gateway.deliver.signal import Signal
from gateway.deliver.spans import DeliverySpans
from gateway.deliver.standing import Standing
from gateway.deliver.successors import Successors
from gateway.deliver.timers import LOOK_S, Timers
from gateway.deliver.volleys import Volleys
from gateway.deliver.world import DEFAULT_LIMITS, Limits, World
from gateway.domain import facts
from gateway.domain.lane import Lane
from gateway.errors import CursorAhead

_STOP_S = 20.0
_LAST_WRITE_S = 5.0
_FINISH_POLL_S = 0.01
_IN_FORCE_S = 1.0
_APPLIED = 500
"""Subscriptions that were changed and are read again at a time."""


class Dispatcher:
    """Delivers every event to every subscription that selects it, at least once."""

    def __init__(self, world: World, limits: Limits = DEFAULT_LIMITS) -> None:
        self._world = world
        self._changed_numbers: set[int] = set()
        self._changed = Signal()
        self._awaited: list[anyio.Event] = []
        self._stopping = anyio.Event()
        self.running = False
        self.directory = Directory(
            world.subscriptions,
            handshake_required=world.policy.handshake_required,
            webhook_origin=world.policy.webhook_origin,
        )
        self.lanes = Lanes(self.directory, world.now, limits)
        self.standing = Standing(self.directory, self.lanes, world.now)
        self.cache = EnvelopeCache(world.log)
        self.journal = Journal(world.deliveries, self.lanes.checkpoint, limits, world.meters.committed)
        self.timers = Timers(world.deliveries, self.lanes, self.journal, world.now, limits)
        self._spans = spans = None if world.tracing is None else DeliverySpans(world.tracing, world)
        self.router = Router(
            world.log,
            self.directory,
            self.lanes,
            self.cache,
            self.journal,
            changed=self.changed,
            limits=limits,
            spans=spans,
        )
        self.notices = Notices(world.commands, world.now)
        self.catch_up = CatchUp(
            world.log,
            self.directory,
            self.lanes,
            self.cache,
            self.journal,
            caught_up=self.router.wake,
            now=world.now,
            limits=limits,
        )
        self.replays = Replays(
            world,
            directory=self.directory,
            lanes=self.lanes,
            cache=self.cache,
            journal=self.journal,
            timers=self.timers,
            limits=limits,
        )
        self.probes = Probes(
            world.deliveries,
            self.lanes,
            self.journal,
            self.timers,
            now=world.now,
            wants_rows=self.catch_up.wake,
        )
        self.settling = Settling(
            directory=self.directory,
            lanes=self.lanes,
            journal=self.journal,
            timers=self.timers,
            successors=Successors(world.log, world.deliveries, self.directory, self.cache),
            notices=self.notices,
            world=world,
            changed=self.changed,
        )
        self.handshakes = Handshakes(world, changed=self.changed)
        self.attempts = Attempts(
            directory=self.directory,
            lanes=self.lanes,
            cache=self.cache,
            journal=self.journal,
            timers=self.timers,
            settling=self.settling,
            handshakes=self.handshakes,
            world=world,
            spans=spans,
        )
        self.volleys = Volleys(self.attempts, self.lanes, world.sender)
        self._connect()

    def _connect(self) -> None:
        """What the lanes tell the others."""
        self.lanes.blocked = lambda: self.journal.full
        self.journal.asked = self.timers.resumed
        self.router.between_batches = self.catch_up.close_gaps
        self.lanes.wakes = self.timers.lane_wakes
        self.lanes.probes = self.probes.ask
        self.lanes.wanting = self._wanting
        self.lanes.backlogged = lambda lane: self.notices.tell(
            lane.number, facts.SUBSCRIPTION_BACKLOGGED, lane.cursor
        )

    def _wanting(self, lane: Lane) -> None:
        if not lane.live:
            self.catch_up.wake.set()
        if lane.replays:
            self.journal.touch()

    def appended(self) -> None:
        """The log has grown."""
        self.router.look()

    def take(self, events: Sequence[Event], until: int) -> None:
        """The log has grown by these, in log order, and up to here."""
        self.router.take(events, until)

    def changed(self, number: int) -> None:
        """A command changed this subscription: what it is now counts from now on (S3d)."""
        self._changed_numbers.add(number)
        self._changed.set()

    async def in_force(self, number: int) -> None:
        """Wait until a change counts for whatever is sent from here on, so that a command's answer can promise that.

        Not for long: a storage that is away, or another process that sends, comes to it when it can.
        """
        self.changed(number)
        if self.running:
            applied = anyio.Event()
            self._awaited.append(applied)
            with anyio.move_on_after(_IN_FORCE_S):
                await applied.wait()

    async def run(self) -> None:
        """Deliver until told to stop; then start nothing more, finish what is in flight, and journal it (S6b)."""
        await self._recover()
        async with anyio.create_task_group() as attempts:
            self._start_with(attempts)
            async with anyio.create_task_group() as loops:
                loops.start_soon(self.router.run)
                loops.start_soon(self.router.watch)
                loops.start_soon(self._follow_router)
                loops.start_soon(self.catch_up.run)
                loops.start_soon(self.timers.run)
                loops.start_soon(self.timers.suspects.run)
                loops.start_soon(self.probes.run)
                loops.start_soon(self.notices.run)
                loops.start_soon(self.handshakes.run)
                loops.start_soon(self._journal)
                loops.start_soon(self._watch_changes)
                self.running = True
                await self._stopping.wait()
                self.running = False
                await self._finish()
                self.journal.give_up_after(_LAST_WRITE_S)
                loops.cancel_scope.cancel()
            await self.journal.commit()
            # What is left waits for a storage that is away; it was not sent, or it will be sent again.
            attempts.cancel_scope.cancel()

    def stop(self) -> None:
        """Ask ``run`` to end in good order."""
        self._stopping.set()

    def _start_with(self, group: TaskGroup) -> None:
        self.settling.spawn = self.volleys.spawn = group.start_soon
        self.lanes.start = self.volleys.start
        group.start_soon(self.volleys.run)
        for lane in self.lanes:
            self.lanes.pump(lane)

    async def _finish(self) -> None:
        """No new start; every attempt has a bound, so what is in flight ends within it."""
        self.lanes.stopping = True
        with anyio.move_on_after(_STOP_S):
            while self.lanes.under_way:
                await anyio.sleep(_FINISH_POLL_S)

    async def _journal(self) -> None:
        while True:
            if self.timers.wants_look:
                await self.timers.look_ahead()
            if self.timers.wants_look:
                self.journal.touch()  # one page was not all: the next one after the next commit
            await self.replays.look_ahead()
            await self.journal.wait(LOOK_S)
            finished = self.replays.finished()
            await self.journal.commit()
            await self.replays.end(finished)
            if self.lanes.has_unwritten:
                self.journal.touch()
            self.lanes.go_on()

    async def _follow_router(self) -> None:
        """A router that moved on gives the scanning lanes more to read."""
        while True:
            await self.router.advanced.wait(LOOK_S)
            self.catch_up.wake.set()

    async def _watch_changes(self) -> None:
        while True:
            await self._changed.wait(LOOK_S)
            numbers, self._changed_numbers = self._changed_numbers, set()
            awaited, self._awaited = self._awaited, []
            changed = sorted(numbers)
            for start in range(0, len(changed), _APPLIED):
                await self._apply(changed[start : start + _APPLIED])
            for applied in awaited:
                applied.set()

    async def _apply(self, numbers: Sequence[int]) -> None:
        """Bring lanes in line with what their subscriptions are now: a look for all of them, since they may be many."""
        await self.directory.refresh(numbers, lambda: self.lanes.routed)
        for number in numbers:
            self._bring_in_line(number)
        await self.replays.load(numbers)
        for number in numbers:
            current, lane = self.directory.get(number), self.lanes.get(number)
            if current is not None and current.active:
                # Whatever the command was, a retry or the end of a pause or of a replay: what is due now may be news
                # (S3h). Not before: as long as the lane stands still, or a replay has it, it would be passed over and
                # not read again.
                self.timers.resumed(number)
            if lane is not None:
                self.lanes.moved(lane)
                self.lanes.pump(lane)
        self.journal.touch()
        self.catch_up.wake.set()
        self.router.look()

    def _bring_in_line(self, number: int) -> None:
        current, lane = self.directory.get(number), self.lanes.get(number)
        if current is None:
            self.lanes.drop(number)
            self.attempts.forget(number)
            return
        self.handshakes.look(current)
        if lane is None:
            if not self.lanes.has_work(current):
                return  # it stands, or it is where the router is: what it waits for will make its lane (S2g)
            lane = self.lanes.open(current)
        elif current.active and lane.halted:
            if lane.stopping_at == current.record.revision:
                return  # its sink is gone (410), and that is still to be written (S3f)
            self.lanes.resume(lane)
        elif not current.active and not lane.halted:
            self.lanes.halt(lane)
        # What is stored comes from here, so it can be ahead only by a resume from now (S3h).
        if current.record.skips and lane.skip(current.record.skips, current.record.cursor):
            # Also of one that goes on: whoever commands it wants it tried (S3g).
            lane.trust(self._world.now())
            self.lanes.mark(lane)
        configure(lane, current)

    async def _recover(self) -> None:
        """Go on where the process before this one stopped (S2c, S2d)."""
        world, lanes = self._world, self.lanes
        lanes.routed = await patiently(world.deliveries.routed, "the cursors cannot be read")
        repeated = await take_up(world, lanes.routed)
        await self.directory.load(lanes.routed)
        lanes.remember(
            await patiently(world.deliveries.notes, "what failed cannot be read"),
            await patiently(world.deliveries.heads, "blocked keys cannot be read"),
        )
        # After the subscriptions: what is commanded meanwhile makes the log longer, too.
        head = await patiently(world.log.head, "the log cannot be read")
        furthest = max([lanes.routed, *(current.record.cursor for current in self.directory)])
        if furthest > head.position:
            raise CursorAhead(f"The log ends at position {head.position}; deliveries had come to {furthest}.")
        lanes.began_at_us = world.now()
        for current in self.directory:
            lanes.follow(current)
            self.handshakes.look(current)
        await self.replays.load()
        for delivery in repeated:
            self.timers.add(delivery)
        self.attempts.write_ahead_until = head.position
        if self._spans is not None:
            await self._spans.follow(world.log)
