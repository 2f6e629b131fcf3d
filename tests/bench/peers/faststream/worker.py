"""FastStream as its documentation has it for Redis Streams: a consumer group, `max_workers`, one aiohttp session."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from faststream import FastStream
from faststream.redis import RedisBroker, StreamSub
from webhook import AT_ONCE, REDIS_URL, SINK, headers_of

broker = RedisBroker(REDIS_URL, logger=None)
sessions: list[aiohttp.ClientSession] = []


@asynccontextmanager
async def lifespan() -> AsyncIterator[None]:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=AT_ONCE)) as session:
        sessions.append(session)
        yield


app = FastStream(broker, lifespan=lifespan)


@broker.subscriber(stream=StreamSub("deliveries", group="workers", consumer="one"), max_workers=AT_ONCE)
async def deliver(webhook_id: str, body: str) -> None:
    payload = body.encode()
    async with sessions[0].post(SINK, data=payload, headers=headers_of(webhook_id, payload)) as answer:
        answer.raise_for_status()
        await answer.read()
