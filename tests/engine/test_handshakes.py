"""Handshakes of a process: when a sink is asked, what a crash and a change in between leave, and what is never sent."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import pytest
from simulation.small import Engine, answer

from gateway.domain.handshake import HandshakeState
from gateway.domain.sending import Answer, OutboundRequest, SendError, SendErrorKind
from gateway.domain.subscription import Config, Handshake, SubscriptionSpec
from gateway.ports import SubscriptionState

Virtually = Callable[[Coroutine[Any, Any, None]], None]
REQUIRED = Config(handshake=Handshake.REQUIRED)
CONSENT = answer(200, ("WebHook-Allowed-Origin", "*"))


@dataclass(slots=True)
class Asking(Engine):
    """An engine whose sinks can be asked."""

    questions: list[OutboundRequest] = field(default_factory=list)
    says: Callable[[], Answer] = field(default=lambda: CONSENT)
    takes_s: float = 0.0

    async def send(self, request: OutboundRequest) -> Answer:
        if request.method != b"OPTIONS":
            return await Engine.send(self, request)
        self.questions.append(request)
        await asyncio.sleep(self.takes_s)
        return self.says()

    def state(self, number: int) -> HandshakeState:
        record = self.store.record(number)
        assert record is not None
        return record.consent.state


def test_s6b_a_process_that_ended_while_it_asked_is_followed_by_one_that_asks(virtually: Virtually) -> None:
    async def main() -> None:
        engine = Asking(takes_s=10)
        async with engine.killed_at_end():
            record = await engine.subscribe(REQUIRED)
            await engine.publish(3)
            await engine.until(lambda: len(engine.questions) == 1)
            assert engine.state(record.number) is HandshakeState.ASKED
        assert engine.posts == []
        engine.takes_s = 0
        async with engine.running():
            await engine.until(lambda: len(engine.posts) == 3)
        assert len(engine.questions) == 2

    virtually(main())


def test_a_sink_that_changes_while_the_other_is_asked_is_not_sent_anything(virtually: Virtually) -> None:
    async def main() -> None:
        engine = Asking(takes_s=5)
        async with engine.running():
            record = await engine.subscribe(REQUIRED)
            await engine.publish()
            await engine.until(lambda: len(engine.questions) == 1)
            engine.says = lambda: answer(405)
            other = SubscriptionSpec(sink="https://elsewhere.example/", config=REQUIRED)
            await engine.subscriptions.update(record.number, other)
            engine.tell(record.number)
            await engine.until(lambda: engine.state(record.number) is HandshakeState.REFUSED)
            assert [request.url for request in engine.questions][1:] == ["https://elsewhere.example/"]
            assert engine.posts == []

    virtually(main())


def test_who_cannot_be_asked_is_asked_on_the_schedule_and_no_longer_than_that(
    virtually: Virtually, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.deliver.handshakes.DEFAULT_SCHEDULE_S", (5, 60, 600))

    def away() -> Answer:
        raise SendError(SendErrorKind.CONNECT, "the sink refused the connection")

    async def main() -> None:
        engine = Asking(says=away)
        async with engine.running():
            record = await engine.subscribe(REQUIRED)
            await engine.publish()
            await asyncio.sleep(3600)
            assert (len(engine.questions), engine.posts) == (4, [])
            last = engine.store.record(record.number)
            assert last is not None
            assert (last.consent.state, last.consent.next_at_us) == (HandshakeState.UNANSWERED, None)
            assert last.consent.detail == "no answer: the sink refused the connection"

    virtually(main())


def test_a_paused_stream_is_not_asked_and_a_deleted_one_is_forgotten(virtually: Virtually) -> None:
    async def main() -> None:
        engine = Asking(takes_s=5)
        async with engine.running():
            paused, deleted = await engine.subscribe(REQUIRED), await engine.subscribe(REQUIRED)
            await engine.subscriptions.set_state(paused.number, SubscriptionState.PAUSED, cause="a test")
            engine.tell(paused.number)
            await engine.publish()
            await engine.until(lambda: len(engine.questions) == 1)
            await engine.subscriptions.delete(deleted.number)
            engine.tell(deleted.number)
            await asyncio.sleep(60)
            assert (len(engine.questions), engine.posts) == (1, [])
            await engine.subscriptions.set_state(paused.number, SubscriptionState.ACTIVE, cause="a test")
            engine.tell(paused.number)
            await engine.until(lambda: len(engine.posts) == 1)

    virtually(main())
