"""taskiq with the stream broker, which acknowledges, as taskiq-redis recommends; one aiohttp session for the worker."""

import aiohttp
from taskiq import TaskiqEvents, TaskiqState
from taskiq_redis import RedisStreamBroker
from webhook import AT_ONCE, REDIS_URL, SINK, headers_of

broker = RedisStreamBroker(REDIS_URL)
sessions: list[aiohttp.ClientSession] = []


@broker.on_event(TaskiqEvents.WORKER_STARTUP)
async def open_session(_state: TaskiqState) -> None:
    sessions.append(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=AT_ONCE)))


@broker.on_event(TaskiqEvents.WORKER_SHUTDOWN)
async def close_session(_state: TaskiqState) -> None:
    await sessions.pop().close()


@broker.task
async def deliver(webhook_id: str, body: str) -> None:
    payload = body.encode()
    async with sessions[0].post(SINK, data=payload, headers=headers_of(webhook_id, payload)) as answer:
        answer.raise_for_status()
        await answer.read()
