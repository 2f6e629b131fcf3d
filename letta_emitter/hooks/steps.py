"""Steps: completed once checkpointed, failed in any of the ways in which Letta says so."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar, Token
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from letta_emitter.hooks import detached
from letta_emitter.hooks.context import here
from letta_emitter.hooks.rows import dumped
from letta_emitter.hooks.sending import deliver
from letta_emitter.hooks.wrapping import Seen, Shield
from letta_emitter.mapping.calls import StepFailed, StepSucceeded

HELD_MAX: Final = 1_000
# A checkpoint follows at once; if none does, the step is told all the same.
HELD_S: Final = 30.0

# Set while the agent that ends a step will still store its messages.
_checkpoint_follows: ContextVar[bool] = ContextVar("letta_emitter_checkpoint_follows", default=False)
# Set while messages are stored by an agent that answers in text.
answers_in_text: ContextVar[bool] = ContextVar("letta_emitter_answers_in_text", default=False)


@dataclass(frozen=True, slots=True)
class _Held:
    """A step that has succeeded and waits for its checkpoint."""

    call: StepSucceeded
    timer: asyncio.TimerHandle


_held: dict[str, _Held] = {}


def _release(step_id: str | None) -> None:
    """Tell of a step that was held; nothing for any other."""
    held = _held.pop(step_id, None) if step_id else None
    if held is None:
        return
    held.timer.cancel()
    with Shield("a completed step"):
        # It happened now: what the step stored comes before it.
        deliver(replace(held.call, context=replace(held.call.context, at=datetime.now(UTC))))


def _hold(call: StepSucceeded) -> None:
    step_id = call.step["id"]
    _release(step_id)
    if len(_held) >= HELD_MAX:
        _release(next(iter(_held)))
    timer = asyncio.get_running_loop().call_later(HELD_S, _release, step_id)
    _held[step_id] = _Held(call, timer)


def _tell(seen: Seen, step: dict[str, Any]) -> None:
    """Tell of a step by what its row says; a pending one is nobody's business yet."""
    context = here(seen.organization_id, step_id=step.get("id"))
    match step.get("status"):
        case "success":
            deliver(StepSucceeded(context, step))
        case "failed" | "cancelled":
            deliver(StepFailed(context, step))
        case _:
            return


def _read_again(seen: Seen, error: BaseException) -> None:
    """After a call that ended badly: the row may say what the call did not live to say (S9f)."""
    del error
    manager: Any = seen.instance
    step_id, actor = seen.arguments.get("step_id"), seen.arguments.get("actor")

    async def read() -> None:
        _tell(seen, dumped(await manager.get_step_async(step_id=step_id, actor=actor)))

    detached.start("reading a step again", read)


class _Succeeded:
    raised = staticmethod(_read_again)

    def returned(self, seen: Seen, result: object) -> None:
        if result is None:
            return
        step = dumped(result)
        call = StepSucceeded(here(seen.organization_id, step_id=step["id"]), step)
        if _checkpoint_follows.get():
            _hold(call)
        else:
            deliver(call)


class _Failed:
    raised = staticmethod(_read_again)

    def returned(self, seen: Seen, result: object) -> None:
        if result is not None:
            step = dumped(result)
            deliver(StepFailed(here(seen.organization_id, step_id=step["id"]), step))


class _Stopped:
    """A stop reason alone is the only word of a step that failed after the model's reply.

    Letta also sets it on steps that ended well, and on a step that had ended well before its run failed:
    those are completed, and stay so.
    """

    raised = staticmethod(_read_again)

    def returned(self, seen: Seen, result: object) -> None:
        reason: Any = seen.arguments.get("stop_reason")
        run_status = getattr(reason, "run_status", None)
        step_id = seen.text("step_id")
        if result is None or step_id is None or str(run_status) == "completed":
            return
        manager: Any = seen.instance
        actor = seen.arguments.get("actor")

        async def read() -> None:
            step = dumped(await manager.get_step_async(step_id=step_id, actor=actor))
            if step.get("status") == "pending":
                step["status"] = str(run_status)
            _tell(seen, step)

        # Letta returns its database row here, not a model; the manager's own reader gives the model.
        detached.start("reading a stopped step", read)


class _Finishing:
    """Around the end of a step: knows whether the agent stores the step's messages only afterwards."""

    async def before(self, seen: Seen) -> object:
        return _checkpoint_follows.set(hasattr(seen.instance, "_checkpoint_messages"))

    def returned(self, seen: Seen, prepared: object, result: object) -> None:
        del seen, result
        _reset(_checkpoint_follows, prepared)

    def raised(self, seen: Seen, prepared: object, error: BaseException) -> None:
        del seen, error
        _reset(_checkpoint_follows, prepared)


class _Checkpointing:
    """Around LettaAgentV3's storing of messages: it completes the step, if that has succeeded before."""

    async def before(self, seen: Seen) -> object:
        del seen
        return answers_in_text.set(True)

    def returned(self, seen: Seen, prepared: object, result: object) -> None:
        del result
        _reset(answers_in_text, prepared)
        _release(seen.text("step_id"))

    def raised(self, seen: Seen, prepared: object, error: BaseException) -> None:
        """The step's row says success although its messages may be lost, so the step is told all the same."""
        self.returned(seen, prepared, error)


def _reset(variable: ContextVar[bool], token: object) -> None:
    if isinstance(token, Token):
        variable.reset(token)


succeeded: Final = _Succeeded()
failed: Final = _Failed()
stopped: Final = _Stopped()
finishing: Final = _Finishing()
checkpointing: Final = _Checkpointing()
