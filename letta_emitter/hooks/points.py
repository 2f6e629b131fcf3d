"""Where Letta 0.16.8 is watched: the table of hook points. Standard library only; Letta is not imported.

A row names a method of Letta, the parameters that are read from its calls, the events that depend on it, and
the observer that watches it (`module:name`, imported only once Letta's own module is).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class HookPoint:
    """One method of Letta and who watches it."""

    module: str
    owner: str
    method: str
    parameters: tuple[str, ...]
    feeds: str
    observer: str

    @property
    def name(self) -> str:
        """The name under which it is reported: `module.Class.method`."""
        return f"{self.module}.{self.owner}.{self.method}"


_STEPS: Final = ("letta.services.step_manager", "StepManager")
_AGENTS: Final = ("letta.services.agent_manager", "AgentManager")
_HERE: Final = "letta_emitter.hooks"

POINTS: Final[tuple[HookPoint, ...]] = (
    HookPoint(
        *_STEPS,
        "update_step_success_async",
        ("actor", "step_id"),
        "agent.step.completed",
        f"{_HERE}.steps:succeeded",
    ),
    HookPoint(
        *_STEPS,
        "update_step_error_async",
        ("actor", "step_id"),
        "agent.step.failed",
        f"{_HERE}.steps:failed",
    ),
    HookPoint(
        *_STEPS,
        "update_step_cancelled_async",
        ("actor", "step_id"),
        "agent.step.failed",
        f"{_HERE}.steps:failed",
    ),
    HookPoint(
        *_STEPS,
        "update_step_stop_reason",
        ("actor", "step_id", "stop_reason"),
        "agent.step.failed",
        f"{_HERE}.steps:stopped",
    ),
    # These two order a step's events: a step of LettaAgentV3 is complete only once its messages are stored.
    HookPoint(
        "letta.agents.letta_agent_v2",
        "LettaAgentV2",
        "_step_checkpoint_finish",
        (),
        "agent.step.completed",
        f"{_HERE}.steps:finishing",
    ),
    HookPoint(
        "letta.agents.letta_agent_v3",
        "LettaAgentV3",
        "_checkpoint_messages",
        ("step_id",),
        "agent.step.completed, agent.message.sent",
        f"{_HERE}.steps:checkpointing",
    ),
    HookPoint(
        "letta.services.message_manager",
        "MessageManager",
        "create_many_messages_async",
        ("pydantic_msgs", "actor"),
        "agent.message.sent",
        f"{_HERE}.messages:stored",
    ),
    HookPoint(
        *_AGENTS,
        "attach_tool_async",
        ("agent_id", "tool_id", "actor"),
        "agent.tool.attached",
        f"{_HERE}.tools:attaching",
    ),
    HookPoint(
        *_AGENTS,
        "bulk_attach_tools_async",
        ("agent_id", "tool_ids", "actor"),
        "agent.tool.attached",
        f"{_HERE}.tools:attaching",
    ),
    HookPoint(
        *_AGENTS,
        "detach_tool_async",
        ("agent_id", "tool_id", "actor"),
        "agent.tool.detached",
        f"{_HERE}.tools:detaching",
    ),
    HookPoint(
        *_AGENTS,
        "bulk_detach_tools_async",
        ("agent_id", "tool_ids", "actor"),
        "agent.tool.detached",
        f"{_HERE}.tools:detaching",
    ),
    HookPoint(
        *_AGENTS,
        "update_agent_async",
        ("agent_id", "agent_update", "actor"),
        "agent.tool.attached, agent.tool.detached",
        f"{_HERE}.tools:updating",
    ),
    HookPoint(
        *_AGENTS,
        "create_agent_async",
        ("actor",),
        "agent.tool.attached",
        f"{_HERE}.tools:created",
    ),
    HookPoint(
        "letta.services.run_manager",
        "RunManager",
        "update_run_by_id_async",
        ("run_id", "update", "actor"),
        "agent.run.completed",
        f"{_HERE}.work:run_updated",
    ),
    HookPoint(
        "letta.services.job_manager",
        "JobManager",
        "update_job_by_id_async",
        ("job_id", "job_update", "actor"),
        "agent.job.completed",
        f"{_HERE}.work:job_updated",
    ),
    HookPoint(
        "letta.services.tool_executor.tool_execution_manager",
        "ToolExecutionManager",
        "execute_tool_async",
        ("function_name", "tool", "step_id"),
        "tool.execution.completed",
        f"{_HERE}.executions:executed",
    ),
)
