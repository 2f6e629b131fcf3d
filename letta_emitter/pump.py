"""What the holder of the drain lock does: publish in order, wait Redis out, begin again on another one."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Callable

from redis.exceptions import RedisError

from letta_emitter.backlog import Backlog
from letta_emitter.bell import Bell
from letta_emitter.progress import RedisIdentity
from letta_emitter.publisher import AnotherRedisError, Publisher
from letta_emitter.settings import EmitterSettings, shown_url
from letta_emitter.shown import shown_by
from letta_emitter.stats import Stats
from otel.producing import is_traced, publish_spans

BATCH_RECORDS_MAX = 16
POLL_S = 0.1
"""How often the holder looks for what other processes appended; its own process's appends ring for it."""
LINGER_S = 0.005
"""How long the first record of a batch waits for others: fewer, larger batches take less from Letta's interpreter."""
HOUSE_LOOK_S = 0.1
"""How often it is looked whether house-keeping is due, whatever Redis does: S9b leaves a second from append to disk."""
HOLD_S = 0.5
BACKOFF_FIRST_S = 0.05
BACKOFF_MAX_S = 2.0
_TRIES_MAX = 3


class Pump:
    """One holder's time with the lock."""

    def __init__(
        self,
        settings: EmitterSettings,
        backlog: Backlog,
        stats: Stats,
        bell: Bell,
        *,
        keep_house: Callable[[Backlog], bool],
    ) -> None:
        """Take what it works with; `keep_house` is called often and says whether the lock is still ours."""
        self._settings = settings
        self._backlog = backlog
        self._stats = stats
        self._bell = bell
        self._keep_house = keep_house
        self._connected = False
        self._is_holder = True

    async def run(self) -> None:
        """Publish until told to stop, or until the lock is no longer ours."""
        house = asyncio.create_task(self._tend_all_along())
        try:
            await self._publish_and_retry()
        finally:
            house.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await house

    async def _tend_all_along(self) -> None:
        """Keep house also while Redis is waited for: a connection and its answers may take many seconds."""
        while self._tend():
            await asyncio.sleep(HOUSE_LOOK_S)

    def _tend(self) -> bool:
        """Keep house if it is due; says whether the lock is still ours, and once it is not, never again."""
        self._is_holder = self._is_holder and self._keep_house(self._backlog)
        return self._is_holder

    def _pause(self, timeout_s: float) -> None:
        """Wait for the time, keeping house; ends early when told to stop, or when the lock is not ours."""
        until = time.monotonic() + timeout_s
        while (left := until - time.monotonic()) > 0 and self._tend() and not self._bell.is_stopping:
            self._bell.pause(min(left, HOUSE_LOOK_S))

    async def _publish_and_retry(self) -> None:
        backoff = BACKOFF_FIRST_S
        while self._tend():
            publisher = Publisher(self._settings, self._backlog.progress.redis)
            try:
                await self._publish_all(publisher)
            except (RedisError, OSError) as error:
                self._report(error)
            else:
                return
            finally:
                await publisher.close()
            if self._bell.is_stopping:
                return
            if self._connected:
                backoff = BACKOFF_FIRST_S
                self._connected = False
            self._pause(backoff * random.uniform(0.5, 1.0))  # noqa: S311 (jitter, no secret)
            backoff = min(backoff * 2, BACKOFF_MAX_S)

    async def _publish_all(self, publisher: Publisher) -> None:
        """Publish until told to stop.

        Raises:
            RedisError, OSError: Redis is not there, or does not take what it is given.
        """
        length = await self._connect(publisher)
        self._connected = True
        while self._tend() and not self._bell.is_overdue:
            self._bell.listen()
            room = self._settings.stream_max - length
            batch = self._backlog.next(max(1, min(BATCH_RECORDS_MAX, room)))
            if batch is None:
                if self._bell.is_stopping:
                    return
                if self._bell.wait(POLL_S) and not self._bell.is_stopping:
                    self._bell.pause(LINGER_S)
                continue
            if room < len(batch.records):
                if self._bell.is_stopping:
                    return
                length = await self._hold(publisher, length)
                continue
            started_ns = time.time_ns()
            try:
                length = await publisher.publish(batch.records)
            except AnotherRedisError as other:
                length = await self._connect(publisher, other.identity)
                continue
            self._backlog.published(batch, time.monotonic())
            self._stats.count("published", len(batch.records) - batch.again)
            self._stats.count("republished", batch.again)
            if is_traced():
                new = batch.records[batch.again :]
                shown = shown_by(self._settings)
                publish_spans((record.payload for record in new), self._settings.stream, started_ns, shown)

    async def _connect(self, publisher: Publisher, other: RedisIdentity | None = None) -> int:
        """Connect, and if this is another Redis, go back to the oldest record still held (S9d)."""
        for _ in range(_TRIES_MAX):
            if other is not None:
                publisher.accept(other)
                if self._backlog.another_redis(other, time.monotonic()):
                    self._stats.count("other_redis")
            try:
                await publisher.connect()
                return await publisher.length()
            except AnotherRedisError as another:
                other = another.identity
        raise RedisError("each connection reaches another Redis")

    async def _hold(self, publisher: Publisher, length: int) -> int:
        self._stats.count("holds")
        self._stats.report(
            "stream_full",
            f"the stream {self._settings.stream} holds {length} entries and LETTA_EMITTER_STREAM_MAX is "
            f"{self._settings.stream_max}; events stay in the spool",
        )
        self._pause(HOLD_S)
        return await publisher.length()

    def _report(self, error: Exception) -> None:
        self._stats.count("redis_errors")
        where = shown_url(self._settings.redis_url)
        self._stats.report(
            "redis",
            f"Redis at {where} does not take events ({type(error).__name__}: {error}); they stay in the spool",
        )
