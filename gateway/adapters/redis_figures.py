"""How much the Redis stream holds, asked for by a connection of its own that waits for nothing long."""

import contextlib
from typing import Any, Final

import anyio
from redis.asyncio import Redis
from redis.exceptions import RedisError

from gateway.adapters.stream_group import GROUP
from gateway.ports.figures import StreamSize

_ANSWER_S: Final = 1.0


class RedisFigures:
    """Asks one Redis about one stream."""

    def __init__(self, url: str, stream: str) -> None:
        self._client: Redis = Redis.from_url(
            url, socket_timeout=_ANSWER_S, socket_connect_timeout=_ANSWER_S, max_connections=1
        )
        self._stream = stream
        self._lock = anyio.Lock()

    async def size(self) -> StreamSize | None:
        """What it holds; None: it does not say within a second, or there is no stream yet."""
        with contextlib.suppress(RedisError, OSError), anyio.move_on_after(_ANSWER_S):
            async with self._lock, self._client.pipeline(transaction=False) as pipe:
                pipe.xlen(self._stream)
                pipe.xpending(self._stream, GROUP)
                entries, pending = await pipe.execute()
                return StreamSize(int(entries), _pending(pending))
        return None

    async def aclose(self) -> None:
        """Let go of the connection."""
        with contextlib.suppress(RedisError, OSError):
            await self._client.aclose()


def _pending(summary: Any) -> int:  # noqa: ANN401 - as the client has it
    return int(summary["pending"])
