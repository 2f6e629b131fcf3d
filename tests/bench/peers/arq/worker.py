"""arq as its documentation begins: an httpx client made at start-up, in the context of every job; no results kept."""

from typing import Any

from arq.connections import RedisSettings
from httpx import AsyncClient
from webhook import AT_ONCE, REDIS_URL, SINK, headers_of


async def deliver(context: dict[str, Any], webhook_id: str, body: str) -> None:
    payload = body.encode()
    answer = await context["client"].post(SINK, content=payload, headers=headers_of(webhook_id, payload))
    answer.raise_for_status()


async def startup(context: dict[str, Any]) -> None:
    context["client"] = AsyncClient()


async def shutdown(context: dict[str, Any]) -> None:
    await context["client"].aclose()


class WorkerSettings:
    functions = (deliver,)
    on_startup = startup
    on_shutdown = shutdown
    redis_settings = RedisSettings.from_dsn(REDIS_URL)
    max_jobs = AT_ONCE
    keep_result = 0
