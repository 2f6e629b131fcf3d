"""Cancel calls of Letta's managers after their commit, and print what the hooks made of it.

Runs with the Python of Letta's environment, on a database that has an agent with a step:

    python cancelled_calls.py STEP_ID HANGING_URL

STEP_COMPLETE_WEBHOOK and HANGING_URL never answer, so each call hangs where its own work is done and committed.
"""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from letta_emitter.hooks import install, sending

calls: list[Any] = []
sending.observers.append(calls.append)
install()

from letta.schemas.enums import RunStatus  # noqa: E402 - only once the hooks wait for it
from letta.schemas.letta_stop_reason import StopReasonType  # noqa: E402
from letta.schemas.openai.chat_completion_response import UsageStatistics  # noqa: E402
from letta.schemas.run import Run, RunUpdate  # noqa: E402
from letta.services.run_manager import RunManager  # noqa: E402
from letta.services.step_manager import StepManager  # noqa: E402
from letta.services.user_manager import UserManager  # noqa: E402

TOKENS = 4242
TIMEOUT_S = 20
TRIES = 3


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(TIMEOUT_S):
        while not await holds():
            await asyncio.sleep(0.02)


async def cancelled(call: Awaitable[object], committed: Callable[[], Awaitable[bool]]) -> bool:
    """Make the call, wait until its row is committed, and cancel it; then wait for what is told of it.

    False: the call was over first, since Letta gives its callbacks 5 s and the machine was busy for that long.
    """
    before = len(calls)
    task = asyncio.ensure_future(call)
    await until(committed)
    if task.done():
        await task
        return False
    assert len(calls) == before, "told before the call ended"
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        print("cancelled", file=sys.stderr)

    async def told() -> bool:
        return len(calls) > before

    await until(told)
    return True


async def main(step_id: str, hanging_url: str) -> None:
    actor = await UserManager().get_actor_or_default_async()
    steps, runs = StepManager(), RunManager()
    usage = UsageStatistics(completion_tokens=TOKENS, prompt_tokens=0, total_tokens=TOKENS)

    async def step_committed() -> bool:
        return bool((await steps.get_step_async(step_id=step_id, actor=actor)).total_tokens == TOKENS)

    assert await cancelled(steps.update_step_success_async(actor, step_id, usage), step_committed)
    (told_step,) = calls
    agent_id = (await steps.get_step_async(step_id=step_id, actor=actor)).agent_id
    for _ in range(TRIES):
        calls.clear()
        run = await runs.create_run(Run(agent_id=agent_id, callback_url=hanging_url), actor)

        async def run_committed(run_id: str = run.id) -> bool:
            return bool((await runs.get_run_by_id(run_id=run_id, actor=actor)).status == RunStatus.completed)

        # Without a reason Letta 0.16.8 raises just before its callback, if it is not cancelled before that.
        update = RunUpdate(status=RunStatus.completed, stop_reason=StopReasonType.end_turn)
        call = runs.update_run_by_id_async(run_id=run.id, update=update, actor=actor)
        if await cancelled(call, run_committed):
            break
    (told_run,) = calls
    told = [{"kind": told_step.kind, **told_step.step}, {"kind": told_run.kind, **told_run.run}]
    print(json.dumps({"run": run.id, "told": told}))


asyncio.run(main(*sys.argv[1:]))
