"""Enqueues one job after the other."""

import asyncio
from collections.abc import Sequence

from arq import create_pool
from arq.connections import RedisSettings
from enqueuing import Job, commands_async
from webhook import REDIS_URL


async def main() -> None:
    pool = await create_pool(RedisSettings.from_dsn(REDIS_URL))

    async def enqueue(jobs: Sequence[Job]) -> None:
        for webhook_id, body in jobs:
            await pool.enqueue_job("deliver", webhook_id, body)

    await commands_async(enqueue)


if __name__ == "__main__":
    asyncio.run(main())
