"""Calls of tools: how each ended."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final

from letta_emitter.hooks.context import current_run_id, here
from letta_emitter.hooks.rows import plain
from letta_emitter.hooks.sending import deliver
from letta_emitter.hooks.wrapping import Seen
from letta_emitter.mapping.calls import ToolExecuted


class _Executed:
    def returned(self, seen: Seen, result: object) -> None:
        outcome: Any = result
        status, returned = plain(outcome.status) or "error", outcome.func_return
        _tell(seen, status, returned, list(outcome.stdout or ()), list(outcome.stderr or ()))

    def raised(self, seen: Seen, error: BaseException) -> None:
        """Letta makes a result of what a tool raises; what still gets out has ended the call as well."""
        if isinstance(error, GeneratorExit):
            return
        _tell(seen, "error", f"{type(error).__name__}: {error}", [], [])


def _tell(seen: Seen, status: str, returned: object, stdout: list[str], stderr: list[str]) -> None:
    manager: Any = seen.instance
    tool: Any = seen.arguments.get("tool")
    if manager.agent_state is None:
        # A tool that is tried from its source belongs to no agent, and is not stored.
        return
    step_id = seen.text("step_id")
    arguments = seen.arguments.get("function_args")
    deliver(
        ToolExecuted(
            here(manager.actor.organization_id, step_id=step_id),
            agent_id=manager.agent_state.id,
            tool_id=tool.id,
            tool_name=seen.text("function_name") or tool.name,
            tool_type=plain(tool.tool_type),
            step_id=step_id,
            run_id=current_run_id(),
            arguments=arguments if isinstance(arguments, Mapping) else {},
            status=status,
            func_return=returned,
            stdout=stdout,
            stderr=stderr,
            duration_ms=round((time.monotonic_ns() - seen.started_ns) / 1e6, 3),
        )
    )


executed: Final = _Executed()
