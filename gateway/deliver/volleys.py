"""Volleys: what can be sent at once is sent together with all else that can, step by step.

Nearly every attempt is the first one of a single event, over a connection that is at hand, and is answered with 2xx.
Between its start and its POST nothing is waited for, and nothing between the answer and the next start. So those of
one turn of the event loop go through each step in a row: all are signed, then all are written; all answers are
settled, then all lanes are asked for the next. Each alone, from its answer to its next POST, would take nearly twice
as long: at every step its code and data would have been driven out of the processor's caches by all the others.

What has something to wait for (a batch, a token to be fetched, a new connection, …) goes the way of ``Attempts.once``,
each in a task of its own. Every outcome, of either way, is what ``Attempts.conclude`` makes of it (S3).
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import groupby
from typing import Final

import anyio

from gateway.deliver.attempt import Attempts, Try
from gateway.deliver.lanes import Lanes
from gateway.deliver.posting import Ended
from gateway.domain.due import Started
from gateway.domain.lane import Lane
from gateway.domain.sending import OutboundRequest, SendError
from gateway.ports import AttemptRecord, Exchange, PromptSender, Sender
from otel.traceparent import TraceParent

VOLLEY_MAX: Final = 64
"""Attempts that are made, and answers that are settled, before others have their turn: a few milliseconds."""

Spawn = Callable[..., object]
"""Runs an async function with these arguments in the background (a task group's ``start_soon``)."""


@dataclass(slots=True, eq=False)
class Shot(Try):
    """A try that is made at once, from its selection to its answer."""

    started_at_us: int
    volleys: "Volleys"
    request: OutboundRequest = field(init=False)
    trace: TraceParent = field(init=False)
    exchange: Exchange = field(init=False)

    def told(self) -> None:
        """It has ended."""
        self.volleys.ended(self)


class Volleys:
    """Starts attempts, together where that is possible, and goes on with what follows them."""

    def __init__(self, attempts: Attempts, lanes: Lanes, sender: Sender) -> None:
        self._attempts = attempts
        self._lanes = lanes
        self._sender = sender if isinstance(sender, PromptSender) else None
        self._starting: deque[tuple[Lane, Started]] = deque()
        self._ended: deque[Shot] = deque()
        self._under_way: set[Shot] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._called = False
        self._closed = False
        self._broken: BaseException | None = None
        self._awake = anyio.Event()
        self.spawn: Spawn = _not_started

    async def run(self) -> None:
        """Until cancelled, or until something goes wrong that is nobody's fault but ours: raises that."""
        try:
            await self._awake.wait()
            if self._broken is not None:
                raise self._broken
        finally:
            self.close()

    def close(self) -> None:
        """Give up what is under way, and start nothing more."""
        self._closed = True
        for shot in list(self._under_way):
            shot.exchange.abort()
        self._under_way.clear()

    def start(self, lane: Lane, started: Started) -> None:
        """An attempt is to be made."""
        if self._sender is None:
            self.spawn(self._alone, lane, started)
            return
        self._starting.append((lane, started))
        self._call()

    def ended(self, shot: Shot) -> None:
        """There is an answer, or none will come."""
        self._ended.append(shot)
        self._call()

    def _call(self) -> None:
        if not self._called:
            self._called = True
            if self._loop is None:
                self._loop = asyncio.get_running_loop()
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        self._called = False
        if self._closed or self._broken is not None:
            return
        try:
            self._settle([self._ended.popleft() for _ in range(min(len(self._ended), VOLLEY_MAX))])
            self._send([self._starting.popleft() for _ in range(min(len(self._starting), VOLLEY_MAX))])
        except BaseException as error:  # noqa: BLE001 - raised by `run`: a callback of the loop would swallow it
            self._broken = error
            self._awake.set()
            return
        if self._ended or self._starting:
            self._call()

    # From the lane to the POST.

    def _send(self, starting: list[tuple[Lane, Started]]) -> None:
        sender, attempts = self._sender, self._attempts
        if sender is None or not starting:
            return
        shots: list[Shot] = []
        now_us = attempts.may_start_us()
        for lane, started in starting:
            shot = None if now_us is None else self._shot(lane, started, now_us)
            if shot is None:
                self.spawn(self._alone, lane, started)
            else:
                shots.append(shot)
        for _, alike in groupby(shots, key=_terms):
            first, *others = alike
            attempts.posting.prepare([first.event, *(shot.event for shot in others)], first.terms)
        built: list[Shot] = []
        for shot in shots:
            made = attempts.posting.build(shot.event, shot.terms, shot.delivery, shot.started_at_us)
            if made is None:
                self.spawn(self._alone, shot.lane, (shot.delivery,))
            else:
                shot.request, shot.trace = made
                built.append(shot)
        under_way = self._under_way
        for shot in built:
            try:
                exchange = sender.begin(shot.request, shot.told)
            except Exception as error:  # noqa: BLE001 - see `Posting.inside`; what was written of it nobody knows
                self._end(shot, self._inside(shot, error))
                continue
            if exchange is None:
                self.spawn(self._alone, shot.lane, (shot.delivery,))
            else:
                shot.exchange = exchange
                under_way.add(shot)

    def _shot(self, lane: Lane, started: Started, now_us: int) -> Shot | None:
        """An attempt for which nothing is to be waited for, as its subscription is now (S3d); None: there is."""
        if len(started) > 1 or lane.batching is not None:
            return None
        delivery = started[0]
        found = self._attempts.at_once(lane, delivery, now_us)
        if found is None:
            return None
        event, current = found
        return Shot(lane, delivery, current, event, current.terms(now_us), now_us, self)

    async def _alone(self, lane: Lane, started: Started) -> None:
        """One attempt, whatever has to be waited for; and what follows it."""
        following: Started | None = started
        while following is not None:
            try:
                await self._attempts.once(lane, following)
            finally:
                following = self._lanes.finished(lane)
            if following is not None and self._sender is not None:
                self.start(lane, following)
                return

    # From the answer to what follows.

    def _settle(self, shots: list[Shot]) -> None:
        ended: list[tuple[Shot, Ended]] = []
        for shot in shots:
            if shot not in self._under_way:
                continue  # it was given up
            self._under_way.remove(shot)
            outcome = self._outcome(shot)
            if outcome is None:
                self.spawn(self._again, shot)
            else:
                ended.append((shot, outcome))
        settled: list[Shot] = []
        for shot, outcome in ended:
            unsettled = self._attempts.conclude(shot, outcome)
            if unsettled is None:
                settled.append(shot)
            else:
                self.spawn(self._end_behind, shot, unsettled)
        for shot in settled:
            self._go_on(shot.lane)

    def _outcome(self, shot: Shot) -> Ended | None:
        """How it ended; None: it is to be sent again, within the same attempt."""
        posting = self._attempts.posting
        try:
            answer = shot.exchange.answer()
        except SendError as error:
            if shot.exchange.stale:
                return None
            return posting.failed(error, shot.trace, shot.started_at_us)
        except Exception as error:  # noqa: BLE001 - see `Posting.inside`
            return self._inside(shot, error)
        return posting.answered(answer, shot.trace, shot.started_at_us)

    def _inside(self, shot: Shot, error: Exception) -> Ended:
        return self._attempts.posting.inside(error, shot.trace, shot.started_at_us, shot.delivery.position)

    def _end(self, shot: Shot, ended: Ended) -> None:
        """What one that has ended comes to, without others."""
        unsettled = self._attempts.conclude(shot, ended)
        if unsettled is None:
            self._go_on(shot.lane)
        else:
            self.spawn(self._end_behind, shot, unsettled)

    def _go_on(self, lane: Lane) -> None:
        following = self._lanes.finished(lane)
        if following is not None:
            self._starting.append((lane, following))

    async def _again(self, shot: Shot) -> None:
        try:
            ended = await self._attempts.posting.sent_again(
                shot.exchange, shot.trace, shot.started_at_us, shot.delivery.position
            )
            await self._attempts.end(shot, ended)
        finally:
            self._go_on(shot.lane)
            self._call()

    async def _end_behind(self, shot: Shot, unsettled: AttemptRecord) -> None:
        try:
            await self._attempts.end_behind(shot, unsettled)
        finally:
            self._go_on(shot.lane)
            self._call()


def _terms(shot: Shot) -> int:
    return id(shot.terms)


def _not_started(*_arguments: object) -> None:
    raise RuntimeError("an attempt was to be made before there was a task group to make it in")
