"""What was seen of Letta, as plain data: what the hooks hand to the mapping, and what a recording holds.

Rows (`step`, `run`, `job`, `messages`) are Letta's own models dumped as JSON, so a field that Letta leaves
out or adds breaks nothing here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from schemas import random_event_id

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Context:
    """When and for whom it happened, and Letta's current span, where there is one (W3C header values)."""

    at: datetime
    organization_id: str
    traceparent: str | None = None
    tracestate: str | None = None


@dataclass(frozen=True, slots=True)
class StepSucceeded:
    """A step is checkpointed."""

    context: Context
    step: Row
    kind: Literal["step_succeeded"] = "step_succeeded"


@dataclass(frozen=True, slots=True)
class StepFailed:
    """A step has failed or was cancelled, after which its row says so."""

    context: Context
    step: Row
    kind: Literal["step_failed"] = "step_failed"


@dataclass(frozen=True, slots=True)
class MessagesStored:
    """Messages of a step are stored; in some agent types an assistant message's text is not its reply."""

    context: Context
    messages: list[Row]
    text_is_reply: bool
    kind: Literal["messages_stored"] = "messages_stored"


@dataclass(frozen=True, slots=True)
class ToolChanged:
    """A tool was really attached or detached. That has no natural key, so its id is made here, once."""

    context: Context
    agent_id: str
    tool_id: str
    attached: bool
    tool_name: str | None = None
    tool_type: str | None = None
    event_id: str = field(default_factory=random_event_id)
    kind: Literal["tool_changed"] = "tool_changed"


@dataclass(frozen=True, slots=True)
class RunEnded:
    """A run got a terminal status; `earlier_status` is another terminal one that was told before."""

    context: Context
    run: Row
    earlier_status: str | None = None
    kind: Literal["run_ended"] = "run_ended"


@dataclass(frozen=True, slots=True)
class JobEnded:
    """A job got a terminal status; `earlier_status` is another terminal one that was told before."""

    context: Context
    job: Row
    earlier_status: str | None = None
    kind: Literal["job_ended"] = "job_ended"


@dataclass(frozen=True, slots=True)
class ToolExecuted:
    """An agent's call of a tool has ended. Letta gives the call no id, so it gets one here."""

    context: Context
    agent_id: str
    tool_id: str
    tool_name: str
    tool_type: str | None
    step_id: str | None
    run_id: str | None
    arguments: Row
    status: str
    func_return: Any
    stdout: list[str]
    stderr: list[str]
    duration_ms: float
    event_id: str = field(default_factory=random_event_id)
    kind: Literal["tool_executed"] = "tool_executed"


Call = Annotated[
    StepSucceeded | StepFailed | MessagesStored | ToolChanged | RunEnded | JobEnded | ToolExecuted,
    Field(discriminator="kind"),
]
