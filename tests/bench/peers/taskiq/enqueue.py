"""Kicks one task after the other: taskiq has no bulk."""

import asyncio
from collections.abc import Sequence

from enqueuing import Job, commands_async
from worker import broker, deliver


async def enqueue(jobs: Sequence[Job]) -> None:
    for webhook_id, body in jobs:
        await deliver.kiq(webhook_id, body)


async def main() -> None:
    await broker.startup()
    await commands_async(enqueue)
    await broker.shutdown()


if __name__ == "__main__":
    asyncio.run(main())
