"""Publishes through FastStream into a Redis pipeline, 100 at a time."""

import asyncio
from collections.abc import Sequence

from enqueuing import Job, commands_async
from faststream.redis import Pipeline, RedisBroker
from webhook import REDIS_URL

_PIPELINE = 100


async def main() -> None:
    async with RedisBroker(REDIS_URL, logger=None) as broker:

        async def enqueue(jobs: Sequence[Job]) -> None:
            for start in range(0, len(jobs), _PIPELINE):
                pipe: Pipeline = broker.config.broker_config.connection.client.pipeline()
                for webhook_id, body in jobs[start : start + _PIPELINE]:
                    message = {"webhook_id": webhook_id, "body": body}
                    await broker.publish(message, stream="deliveries", pipeline=pipe)
                await pipe.execute()

        await commands_async(enqueue)


if __name__ == "__main__":
    asyncio.run(main())
