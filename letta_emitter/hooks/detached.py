"""Work that must not hold up Letta's call: a bounded number of tasks, each bounded in time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Final

from letta_emitter.hooks.wrapping import Shield, count_lost, logger

TASKS_MAX: Final = 64
TASK_TIMEOUT_S: Final = 10.0

# Strong references: the event loop keeps only weak ones, and a task without another may vanish half done.
_tasks: set[asyncio.Task[None]] = set()


def start(what: str, work: Callable[[], Coroutine[object, object, None]]) -> None:
    """Run `work()` in a task of its own; beyond the bound it is left out, and the log says so."""
    if len(_tasks) >= TASKS_MAX:
        count_lost()
        logger.warning("%s was left out: %d look-ups are under way already", what, len(_tasks))
        return
    task = asyncio.get_running_loop().create_task(_bounded(what, work), name=f"letta-emitter: {what}")
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)


async def _bounded(what: str, work: Callable[[], Coroutine[object, object, None]]) -> None:
    with Shield(what):
        async with asyncio.timeout(TASK_TIMEOUT_S):
            await work()
