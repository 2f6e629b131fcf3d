"""Dramatiq with threads, and a session of requests for each of them, since a session is not for sharing."""

import threading

import dramatiq
import requests
from dramatiq.brokers.redis import RedisBroker
from webhook import REDIS_URL, SINK, headers_of

broker = RedisBroker(url=REDIS_URL)
dramatiq.set_broker(broker)
_own = threading.local()


@dramatiq.actor(max_retries=3)
def deliver(webhook_id: str, body: str) -> None:
    session = getattr(_own, "session", None)
    if session is None:
        session = _own.session = requests.Session()
    payload = body.encode()
    session.post(SINK, data=payload, headers=headers_of(webhook_id, payload), timeout=5).raise_for_status()
