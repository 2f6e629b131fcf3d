"""Who reads a stream: one gateway at a time, the others stand by (S7a).

Two gateways in one consumer group would divide a stream between two logs without anybody noticing. The lease
is a key beside the stream; its owner is the log that reads, so a gateway that was killed takes its own lease up
again at once.
"""

import contextlib

from redis.asyncio import Redis
from redis.exceptions import OutOfMemoryError, RedisError

LEASE_MS = 10_000

_RENEW = """
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 0
"""
_RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"


class StreamLease:
    """The right of one log to read one stream."""

    def __init__(self, client: Redis, stream: str, owner: str) -> None:
        self._client = client
        self._key = f"{stream}:reader"
        self._owner = owner

    async def hold(self) -> bool:
        """Take or renew it; False: another log has it. To be repeated well within ``LEASE_MS``."""
        # Renewed first: a Redis that is full refuses SET and allows this.
        if await self._client.eval(_RENEW, 1, self._key, self._owner, str(LEASE_MS)):
            return True
        try:
            return bool(await self._client.set(self._key, self._owner, nx=True, px=LEASE_MS))
        except OutOfMemoryError:
            # Somebody must drain it, and whoever held the lease before would have it still.
            return await self._client.get(self._key) is None

    async def release(self) -> None:
        """Let the next one in at once; if Redis is away, it waits until the lease runs out."""
        with contextlib.suppress(RedisError, OSError):
            await self._client.eval(_RELEASE, 1, self._key, self._owner)
