"""From the spool to the Redis Stream, through FastStream's publisher.

What lands in the stream is one field, `__data__`, in FastStream's binary message format:

    89 42 49 4E 0D 0A 1A 0A          identity
    version (2 bytes) = 1
    offset of the headers (4), offset of the body (4), number of headers (2)
    headers: length (2) name, length (2) value, each; ASCII only, since FastStream counts characters and not
    bytes:
        correlation_id = the sequence; content-type = application/cloudevents+json
    body: the structured CloudEvent, byte for byte as in the spool

All attributes are in the body. `body_of` reads an entry back with FastStream's own parser.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, cast

from faststream.redis import RedisBroker
from faststream.redis.parser import BinaryMessageFormatV1
from redis.asyncio.client import Redis
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from letta_emitter.progress import RedisIdentity
from letta_emitter.reader import Record
from letta_emitter.settings import EmitterSettings

CONTENT_TYPE = "application/cloudevents+json"
_HEADERS = {"content-type": CONTENT_TYPE}
_FIELD = b"__data__"
_UNKNOWN = "unknown"
_SILENT = logging.getLogger("letta_emitter.faststream")
_SILENT.addHandler(logging.NullHandler())
_SILENT.propagate = False
_CONNECT_TIMEOUT_S = 2.0
_ANSWER_TIMEOUT_S = 5.0
_RETRIES = 2

BREATH_RECORDS = 2
BREATH_S = 0.00002
"""After so many records the drain lets go of the interpreter, so that an `emit()` never waits for a whole batch."""


class AnotherRedisError(RedisError):
    """A connection reached another Redis than the one before: what that one had must be sent again, first."""

    def __init__(self, identity: RedisIdentity) -> None:
        super().__init__(f"run id {identity.run_id}, role {identity.role}")
        self.identity = identity


def body_of(fields: Mapping[bytes, bytes]) -> bytes:
    """Return the body of a stream entry that FastStream framed, by FastStream's own parser."""
    body, _ = BinaryMessageFormatV1.parse(fields[_FIELD])
    return body


def broker_for(settings: EmitterSettings, **connection: Any) -> RedisBroker:  # noqa: ANN401 (redis-py's)
    """Make an unconnected broker: short time-outs, and one quick retry for a connection that died while idle."""
    return RedisBroker(
        settings.redis_url,
        retry=Retry(ExponentialWithJitterBackoff(base=0.05, cap=1), _RETRIES),
        retry_on_error=[RedisConnectionError, RedisTimeoutError],
        socket_connect_timeout=_CONNECT_TIMEOUT_S,
        socket_timeout=_ANSWER_TIMEOUT_S,
        logger=_SILENT,
        **connection,
    )


async def stream_length(settings: EmitterSettings) -> int:
    """Ask Redis once, without retries, how many entries the stream holds.

    Raises:
        RedisError, OSError: it cannot be reached, or does not answer as it should.
    """
    client = Redis.from_url(
        settings.redis_url, socket_connect_timeout=_CONNECT_TIMEOUT_S, socket_timeout=_ANSWER_TIMEOUT_S
    )
    try:
        return int(await client.xlen(settings.stream))
    finally:
        await client.aclose()


class Publisher:
    """Publishes batches in order, all or nothing, and notices when it has another Redis before it. Used by one task."""

    def __init__(self, settings: EmitterSettings, known: RedisIdentity | None) -> None:
        self._known = known
        self._unknown_accepted = False
        self._stream = settings.stream
        # Called for every physical connection, so that not even a silent reconnect goes unnoticed.
        self._broker = broker_for(settings, redis_connect_func=self._on_connect)

    async def connect(self) -> None:
        """Connect.

        Raises:
            AnotherRedisError: it is not the one known; `accept` it and connect again.
            RedisError: it cannot be reached.
        """
        await self._broker.connect()
        await self._redis.ping()

    def accept(self, identity: RedisIdentity) -> None:
        """Take this Redis as the one to publish to."""
        self._known = identity
        self._unknown_accepted = identity.role == _UNKNOWN

    async def publish(self, records: Sequence[Record]) -> int:
        """Add the records to the stream in one transaction; returns the length of the stream after it.

        Raises:
            AnotherRedisError: see `connect`; nothing was added.
            RedisError: they may or may not have been added.
        """
        pipe = self._redis.pipeline(transaction=True)
        for number, record in enumerate(records):
            if number % BREATH_RECORDS == 0:
                _breathe()
            await self._broker.publish(
                record.payload,
                stream=self._stream,
                headers=_HEADERS,
                correlation_id=f"{record.sequence:020d}",
                pipeline=pipe,
            )
        pipe.xlen(self._stream)
        _breathe()
        answers = await pipe.execute()
        return int(answers[-1])

    async def length(self) -> int:
        """Return the number of entries in the stream."""
        return int(await self._redis.xlen(self._stream))

    async def close(self) -> None:
        """Disconnect."""
        await self._broker.stop()

    @property
    def _redis(self) -> Redis:
        return cast("Redis", self._broker.config.broker_config.connection.client)

    async def _on_connect(self, connection: AbstractConnection) -> None:
        await connection.on_connect()
        found = await _identify(connection)
        if (
            found is None
        ):  # INFO is not permitted: then each connection may be to another Redis, and counts as one
            if self._unknown_accepted:
                self._unknown_accepted = False
                return
            found = RedisIdentity(uuid.uuid4().hex, _UNKNOWN)
        if found != self._known:
            raise AnotherRedisError(found)


async def _identify(connection: AbstractConnection) -> RedisIdentity | None:
    try:
        server = _parse_info(await _ask(connection, "INFO", "server"))
        replication = _parse_info(await _ask(connection, "INFO", "replication"))
    except ResponseError:
        return None
    if "run_id" not in server or "role" not in replication:
        return None
    return RedisIdentity(server["run_id"], replication["role"])


async def _ask(connection: AbstractConnection, *command: str) -> bytes | str:
    await connection.send_command(*command)
    answer = await connection.read_response()
    if isinstance(answer, ResponseError):
        raise answer
    return cast("bytes | str", answer)


def _parse_info(answer: bytes | str) -> dict[str, str]:
    text = answer.decode() if isinstance(answer, bytes) else answer
    return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)


def _breathe() -> None:
    """Hand the interpreter to whoever waits for it; nothing of Letta's runs in the drain's loop."""
    time.sleep(BREATH_S)
