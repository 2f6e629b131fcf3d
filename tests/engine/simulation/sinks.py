"""The sinks: each has its mood, and every POST that reaches one is checked as it arrives."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass

from gateway.domain.ids import DeliveryRef, parse_delivery_id
from gateway.domain.sending import Answer, OutboundRequest, SendError, SendErrorKind
from simulation.stores import Killed, Wire

MOODS = ("well", "well", "well", "slow", "failing", "flaky", "busy", "gone", "refusing", "silent")


@dataclass(slots=True)
class Post:
    """One POST as the sink saw it. ``status`` is 0 where there was no answer."""

    number: int
    position: int
    webhook_id: str
    process: int
    started_us: int
    status: int = 0
    killed: bool = False


class Sinks:
    """All sinks by subscription number; ``arrived`` is called with each POST before it is answered."""

    def __init__(self, dice: random.Random, now: Callable[[], int]) -> None:
        self._dice = dice
        self._now = now
        self.posts: list[Post] = []
        self.moods: dict[int, str] = {}
        self.waits_until_us: dict[int, int] = {}
        self.arrived: Callable[[Post], None] = lambda _post: None
        self.ended: Callable[[Post], None] = lambda _post: None

    def sender(self, wire: Wire, process: int) -> "SimulatedSender":
        return SimulatedSender(self, wire, process)

    async def post(self, request: OutboundRequest, wire: Wire, process: int) -> Answer:
        post = self._post_of(request, process)
        self.arrived(post)
        self.posts.append(post)
        try:
            answer = await self._answer(post)
            if wire.alive:
                post.status = answer.status
                return answer
            raise Killed
        finally:
            post.killed = not wire.alive
            self.ended(post)

    async def _answer(self, post: Post) -> Answer:
        mood = self.moods.get(post.number, "well")
        roll = self._dice.random()
        if mood == "flaky":
            mood = "failing" if roll < 0.5 else "well"
        await asyncio.sleep(roll * {"slow": 3.0, "silent": 5.0}.get(mood, 0.03))
        if mood == "silent":
            raise SendError(SendErrorKind.TIMEOUT, "no answer in time")
        if mood == "busy" and roll < 0.3:
            wait_s = self._dice.choice((1, 2, 7))
            until_us = self._now() + wait_s * 1_000_000
            self.waits_until_us[post.number] = max(self.waits_until_us.get(post.number, 0), until_us)
            return _answer(429, ("Retry-After", str(wait_s)))
        if mood == "gone":
            self.moods[post.number] = "well"
            return _answer(410)
        status = {"failing": 503, "refusing": 422}.get(mood, 204)
        return _answer(status)

    def _post_of(self, request: OutboundRequest, process: int) -> Post:
        headers = {name.lower(): value for name, value in request.headers}
        webhook_id = headers["webhook-id"]
        reference = parse_delivery_id(webhook_id)
        assert isinstance(reference, DeliveryRef)
        assert headers["x-letta-delivery"] == webhook_id
        assert request.url == sink_url(reference.number), "a delivery went to another's sink"
        return Post(reference.number, reference.position, webhook_id, process, self._now())


class SimulatedSender:
    """The sender of one process."""

    def __init__(self, sinks: Sinks, wire: Wire, process: int) -> None:
        self._sinks, self._wire, self._process = sinks, wire, process

    async def send(self, request: OutboundRequest) -> Answer:
        return await self._sinks.post(request, self._wire, self._process)


def sink_url(number: int) -> str:
    return f"https://sink-{number}.test/hook"


def _answer(status: int, *headers: tuple[str, str]) -> Answer:
    return Answer(status=status, headers=headers, body=b"", truncated=False, duration_s=0.0)
