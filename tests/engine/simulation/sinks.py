"""The sinks: each has its mood, and every POST that reaches one is checked as it arrives."""

import asyncio
import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gateway.domain.chain import event_key
from gateway.domain.ids import DeliveryRef, parse_delivery_id
from gateway.domain.sending import Answer, OutboundRequest, SendError, SendErrorKind
from simulation.prompt import SentPromptly
from simulation.stores import Killed, Wire

ORGANIZATIONS = ("org-1", "org-2")
MOODS = ("well", "well", "well", "slow", "failing", "flaky", "busy", "gone", "refusing", "silent", "narrow")

_NO_CONNECTION, _ALIVE = 0.2, 0.95


@dataclass(slots=True)
class Post:
    """One POST as the sink saw it. ``status`` is 0 where there was no answer."""

    number: int
    position: int
    webhook_id: str
    process: int
    started_us: int
    status: int = 0
    batch: bool = False
    replay: bool = False
    killed: bool = False


class Sinks:
    """All sinks by subscription number; ``arrived`` is called with each POST before it is answered."""

    def __init__(self, dice: random.Random, now: Callable[[], int]) -> None:
        self._dice = dice
        self._now = now
        self.posts: list[Post] = []
        self.positions: Mapping[bytes, int] = {}
        self._batches: dict[str, bytes] = {}
        self.moods: dict[int, str] = {}
        self.waits_until_us: dict[int, int] = {}
        self.arrived: Callable[[Post], None] = lambda _post: None
        self.ended: Callable[[Post], None] = lambda _post: None

    def sender(self, wire: Wire, process: int) -> "SimulatedSender":
        return SimulatedSender(self, wire, process)

    async def post(self, request: OutboundRequest, wire: Wire, process: int) -> Answer:
        posts = self._posts_of(request, process)
        for post in posts:
            self.arrived(post)
            self.posts.append(post)
        answer = None
        try:
            answer = await self._answer(posts)
            if wire.alive:
                return answer
            raise Killed
        finally:
            for post in posts:
                post.status = answer.status if wire.alive and answer is not None else 0
                post.killed = not wire.alive
                self.ended(post)

    async def _answer(self, posts: list[Post]) -> Answer:
        post = posts[0]
        mood = self.moods.get(post.number, "well")
        if mood == "narrow":
            return _answer(413 if len(posts) > 2 else 204)
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

    def _position_of(self, source: str, event_id: str) -> int:
        """Where the event of this name stands; whose it is, a batch does not say, and no two have the same name."""
        keys = (event_key(source, event_id, owner) for owner in (None, *ORGANIZATIONS))
        return next(self.positions[key] for key in keys if key in self.positions)

    def _posts_of(self, request: OutboundRequest, process: int) -> list[Post]:
        headers = {name.lower(): value for name, value in request.headers}
        webhook_id = headers["webhook-id"]
        assert headers["x-letta-delivery"] == webhook_id
        number = number_of(request.url)
        replay = headers.get("x-letta-replay") == "1"
        if headers["x-letta-event"] == "batch":
            # Frozen: the same id is the same bytes, whatever happened in between (S10a).
            assert self._batches.setdefault(webhook_id, request.body) == request.body
            keys = [(item["source"], item["id"]) for item in json.loads(request.body)]
            positions = [self._position_of(*key) for key in keys]
            assert positions == sorted(positions)
            return [
                Post(number, at, webhook_id, process, self._now(), batch=True, replay=replay)
                for at in positions
            ]
        reference = parse_delivery_id(webhook_id)
        assert isinstance(reference, DeliveryRef)
        assert reference.number == number, "a delivery went to another's sink"
        return [Post(number, reference.position, webhook_id, process, self._now(), replay=replay)]


class SimulatedSender:
    """The sender of one process."""

    def __init__(self, sinks: Sinks, wire: Wire, process: int) -> None:
        self._sinks, self._wire, self._process = sinks, wire, process
        self._dice = random.Random(process)

    async def send(self, request: OutboundRequest) -> Answer:
        return await self._sinks.post(request, self._wire, self._process)

    def begin(self, request: OutboundRequest, told: Callable[[], object]) -> SentPromptly | None:
        """Most requests find a connection; a few of those are dead."""
        roll = self._dice.random()
        return None if roll < _NO_CONNECTION else SentPromptly(self.send, request, told, dead=roll > _ALIVE)


def sink_url(number: int) -> str:
    return f"https://sink-{number}.test/hook"


def number_of(url: str) -> int:
    return int(url.removeprefix("https://sink-").removesuffix(".test/hook"))


def _answer(status: int, *headers: tuple[str, str]) -> Answer:
    return Answer(status=status, headers=headers, body=b"", truncated=False, duration_s=0.0)
