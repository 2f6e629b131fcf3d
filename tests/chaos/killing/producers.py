"""Producers by HTTP and by Redis, each of which repeats an event until there is a word for it."""

import http.client
import json
import threading
from dataclasses import dataclass, field

import redis

from killing.process import Gateway

KEYS = 7
_PACE_S = 0.03
_AGAIN_S = 0.05
_BURST = 150
TYPES = ("chaos.happened", "chaos.changed")


def event(source: str, number: int) -> dict[str, object]:
    return {
        "specversion": "1.0",
        "id": str(number),
        "source": source,
        "type": TYPES[number % len(TYPES)],
        "partitionkey": f"key-{number % KEYS}",
        "datacontenttype": "application/json",
        "data": {"n": number},
    }


@dataclass
class Producer:
    """Sends numbered events until told to stop; `accepted` are (source, id) of those that it has a word for."""

    gateway: Gateway
    source: str
    accepted: list[tuple[str, str]] = field(default_factory=list)
    bursts: int = 0
    stopping: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None

    def start(self) -> None:
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def stop(self) -> None:
        self.stopping.set()
        if self.thread is not None:
            self.thread.join(timeout=30)

    def run(self) -> None:
        number = 0
        while not self.stopping.wait(_PACE_S):
            count, self.bursts = (_BURST, self.bursts - 1) if self.bursts else (1, 0)
            events = [event(self.source, number + n) for n in range(1, count + 1)]
            number += count
            # The same events again until there is a word for them, as a producer that cares would do.
            while not self.send(events):
                if self.stopping.wait(_AGAIN_S):
                    return
            self.accepted += [(self.source, str(item["id"])) for item in events]

    def send(self, events: list[dict[str, object]]) -> bool:
        raise NotImplementedError


class HttpProducer(Producer):
    def send(self, events: list[dict[str, object]]) -> bool:
        one = len(events) == 1
        kind = "application/cloudevents+json" if one else "application/cloudevents-batch+json"
        try:
            body = events[0] if one else events
            status, _ = self.gateway.ask("POST", "/v1/events", body, content_type=kind)
        except (OSError, http.client.HTTPException):
            return False
        return status == 202


class RedisProducer(Producer):
    def send(self, events: list[dict[str, object]]) -> bool:
        try:
            client = redis.Redis.from_url(self.gateway.redis_url, socket_timeout=5)
            with client, client.pipeline(transaction=True) as together:
                for item in events:
                    together.xadd("letta.events", {"event": json.dumps(item)})
                together.execute()
        except redis.RedisError:
            return False
        return True
