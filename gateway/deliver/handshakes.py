"""Handshakes: asks sinks whether they agree to be sent anything (CloudEvents HTTP Webhooks, section 4).

It is asked by a command, or before the first delivery of a subscription that needs the sink's consent; and again by
itself where the sink could not be asked. What the sink says is a fact, and so is that it was asked (S6b).
"""

import base64
import hashlib
import logging
from collections.abc import Callable
from dataclasses import replace

import anyio

from gateway.deliver.directory import Current
from gateway.deliver.patience import patiently
from gateway.deliver.posting import LEASE_S
from gateway.deliver.request import USER_AGENT
from gateway.deliver.signal import Signal
from gateway.deliver.world import World
from gateway.domain.handshake import (
    CALLBACK_US,
    TOKEN_BYTES,
    Consent,
    HandshakeState,
    Said,
    question,
    read_answer,
)
from gateway.domain.retry import DEFAULT_SCHEDULE_S, spread
from gateway.domain.sending import SendError
from gateway.errors import NotFound, PreconditionFailed
from gateway.ports import SubscriptionRecord, SubscriptionState

AT_ONCE_MAX = 16
"""Sinks that are asked at the same time."""

_LOGGER = logging.getLogger(__name__)
_LOOK_S = 60.0
_SECOND_US = 1_000_000


class Handshakes:
    """Asks each sink once at a time, some sinks at once."""

    def __init__(self, world: World, *, changed: Callable[[int], None]) -> None:
        self._world = world
        self._changed = changed
        self._due: dict[int, int] = {}
        self._busy: set[int] = set()
        self._wake = Signal()
        self._room = anyio.CapacityLimiter(AT_ONCE_MAX)

    def ask(self, number: int) -> None:
        """A delivery waits for this sink's consent: ask for it now."""
        self._when(number, self._world.now())

    def look(self, current: Current) -> None:
        """A subscription was read: ask if a command said so, or if it is to be asked again.

        One that is being asked is so by this process, or was by one that has ended.
        """
        record, consent = current.record, current.record.consent
        if not _askable(record) or record.number in self._busy:
            return
        if consent.state in {HandshakeState.REQUESTED, HandshakeState.ASKED}:
            self.ask(record.number)
        elif consent.next_at_us is not None:
            self._when(record.number, consent.next_at_us)

    async def run(self) -> None:
        """Ask until cancelled."""
        async with anyio.create_task_group() as group:
            while True:
                now_us = self._world.now()
                for number in [number for number, at_us in self._due.items() if at_us <= now_us]:
                    del self._due[number]
                    if number not in self._busy:
                        self._busy.add(number)
                        group.start_soon(self._in_turn, number)
                soonest_us = min(self._due.values(), default=now_us + int(_LOOK_S * _SECOND_US))
                await self._wake.wait(min(_LOOK_S, max(0.0, (soonest_us - now_us) / _SECOND_US)))

    def _when(self, number: int, at_us: int) -> None:
        self._due[number] = min(at_us, self._due.get(number, at_us))
        self._wake.set()

    async def _in_turn(self, number: int) -> None:
        try:
            async with self._room:
                await self._one(number)
        except (NotFound, PreconditionFailed) as error:
            # It was changed or deleted meanwhile, or has called back: that has the last word.
            _LOGGER.info("the handshake of subscription %d was overtaken: %s", number, error)
        except Exception:
            # Whatever a sink has made up: its own subscription is to feel it, and no other.
            _LOGGER.exception("the handshake of subscription %d failed inside the gateway", number)
        finally:
            self._busy.discard(number)
        # Now its lane may go on; or what came meanwhile is to be looked at.
        self._changed(number)

    async def _one(self, number: int) -> None:
        world = self._world
        record = await patiently(lambda: world.subscriptions.by_number(number), "a sink cannot be asked")
        if record is None or not _askable(record):
            return
        # What goes out cannot be taken back: only who may write the answer asks (S6a).
        if world.leadership.holds_for_s() < LEASE_S:
            await world.leadership.until_it_holds(LEASE_S)
        now_us = world.now()
        token = base64.urlsafe_b64encode(world.random(TOKEN_BYTES)).rstrip(b"=").decode("ascii")
        callback = hashlib.sha256(token.encode("ascii")).hexdigest()
        asked = Consent(
            HandshakeState.ASKED,
            now_us,
            callback=callback,
            until_us=now_us + CALLBACK_US,
            tries=record.consent.tries,
        )
        await self._note(number, asked, revision=record.revision)
        said = await self._ask(record, token)
        await self._note(number, self._concluded(asked, said), callback=callback)

    async def _ask(self, record: SubscriptionRecord, token: str) -> Said:
        policy, config = self._world.policy, record.spec.config
        request = question(
            record.spec.sink,
            origin=policy.webhook_origin,
            callback_url=policy.callback_of(token),
            per_second=config.max_per_second,
            timeout_s=config.timeout_s or policy.timeout_s,
            privileged=record.privileged,
            user_agent=USER_AGENT,
        )
        try:
            answer = await self._world.sender.send(request)
        except SendError as error:
            return Said(HandshakeState.UNANSWERED, detail=f"no answer: {error.detail}")
        return read_answer(answer.status, answer.headers, policy.webhook_origin)

    def _concluded(self, asked: Consent, said: Said) -> Consent:
        now_us = self._world.now()
        if said.state is HandshakeState.GRANTED:
            return Consent(said.state, now_us, said.per_minute)
        refused = Consent(
            said.state, now_us, detail=said.detail, callback=asked.callback, until_us=asked.until_us
        )
        if said.state is HandshakeState.REFUSED or asked.tries >= len(DEFAULT_SCHEDULE_S):
            return refused
        delay_s = spread(DEFAULT_SCHEDULE_S[asked.tries], self._world.jitter())
        return replace(refused, tries=asked.tries + 1, next_at_us=now_us + int(delay_s * _SECOND_US))

    async def _note(
        self, number: int, consent: Consent, *, revision: int | None = None, callback: str | None = None
    ) -> None:
        subscriptions = self._world.subscriptions
        await patiently(
            lambda: subscriptions.set_consent(number, consent, revision=revision, callback=callback),
            f"the handshake of subscription {number} cannot be noted",
        )


def _askable(record: SubscriptionRecord) -> bool:
    """Whether there is somebody to ask, and nothing that stops the stream anyway: a resume looks again."""
    consent = record.consent
    return record.state is SubscriptionState.ACTIVE and not record.pull_only and not consent.granted
