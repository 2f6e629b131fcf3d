"""The FastStream batch subscriber of a stream, as the reader wants it: entries as they came, acknowledged by hand."""

import logging
from typing import Any, Final

from faststream import AckPolicy
from faststream.redis import RedisBroker, RedisMessage, StreamSub
from faststream.redis.message import FAKE_CONSUMER, RedisBatchStreamMessage
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from gateway.adapters.stream_group import BATCH, CONSUMER, GROUP

# FastStream calls it critical that a group is gone; here it is made again at once.
_LOGGER = logging.getLogger(__name__)
_LOGGER.setLevel(logging.CRITICAL + 1)
_POLL_MS: Final = 500
_ANSWER_S: Final = 10.0


def connection() -> dict[str, Any]:
    """How each connection behaves: three tries, and a Redis that says nothing for ten seconds is away."""
    return {
        "retry": Retry(ExponentialWithJitterBackoff(cap=1.0, base=0.05), 3),
        "retry_on_error": [RedisConnectionError, RedisTimeoutError],
        "socket_timeout": _ANSWER_S,
        "socket_connect_timeout": _ANSWER_S,
    }


def subscribe(url: str, stream: str) -> tuple[RedisBroker, Any]:
    """A broker, and its subscriber to the stream, which is to be given a handler before the broker starts."""
    broker = RedisBroker(url, **connection(), logger=_LOGGER, graceful_timeout=None)
    subscriber = broker.subscriber(
        stream=StreamSub(
            stream,
            group=GROUP,
            consumer=CONSUMER,
            batch=True,
            max_records=BATCH,
            polling_interval=_POLL_MS,
            last_id=">",
        ),
        parser=_as_it_is,
        decoder=_as_it_came,
        ack_policy=AckPolicy.MANUAL,
        title="ingest",
    )
    return broker, subscriber


async def _as_it_is(message: Any) -> RedisBatchStreamMessage:  # noqa: ANN401 - FastStream's raw dictionary
    return RedisBatchStreamMessage(
        raw_message=message,
        body=b"",
        headers={},
        correlation_id="",
        message_id="",
        # Acknowledged by hand: FastStream needs neither its own consumer nor the group for that.
        consumer=FAKE_CONSUMER,
        group=None,
    )


async def _as_it_came(message: RedisMessage) -> RedisMessage:
    return message
