"""The `data` of each event: what Letta knows about the step, message, tool, run or job.

Only the subject's id and, where there is one, the status are required. Statuses and reasons are plain strings
with the values known today in their description: a value that Letta adds later must not break a reader.
"""

from typing import Any

from pydantic import Field

from schemas.fields import ErrorInfo, Flag, Id, Moment, Number, Open, Text, Usage, Whole

_STOP_REASONS = (
    "end_turn, error, llm_api_error, invalid_llm_response, invalid_tool_call, max_steps, "
    "max_tokens_exceeded, no_tool_call, tool_rule, cancelled, insufficient_credits, requires_approval or "
    "context_window_overflow_in_system_prompt; others may be added"
)
_TRUNCATED = "Names of the members here whose text was longer than 32 KiB and was cut; absent if none was."


class StepData(Open):
    """One step of an agent: one call of a model, and what it led to."""

    step_id: Id = Field(description="The step.")
    run_id: Id | None = Field(None, description="The run it belongs to, if any.")
    model: Text | None = Field(None, description="The model's name, such as gpt-4o-mini.")
    model_handle: Text | None = Field(None, description="The model's handle, such as openai/gpt-4o-mini.")
    provider_name: Text | None = Field(None, description="The provider's name as configured in Letta.")
    provider_category: Text | None = Field(None, description="base, or byok (bring your own key).")
    context_window_limit: Whole | None = Field(None, description="The context window configured, in tokens.")
    usage: Usage | None = Field(None, description="Tokens used.")
    stop_reason: Text | None = Field(None, description=f"Why the step stopped: {_STOP_REASONS}.")
    origin: Text | None = Field(None, description="The surface the step was started from.")
    trace_id: Text | None = Field(None, description="The trace id under which Letta recorded the step.")
    request_id: Text | None = Field(
        None, description="The API request that led to the step, where Letta knows it."
    )
    project_id: Text | None = Field(None, description="The project of the agent (Letta Cloud).")


class StepCompletedData(StepData):
    """A step that ended well."""

    status: Text = Field(description="completed.")


class StepFailedData(StepData):
    """A step that ended badly or was cancelled."""

    status: Text = Field(description="failed or cancelled; others may be added.")
    error: ErrorInfo | None = Field(None, description="What went wrong, where Letta says so.")
    truncated: list[str] | None = Field(None, description=_TRUNCATED)


class MessageSentData(Open):
    """A reply of the agent, as stored."""

    message_id: Id = Field(description="The message.")
    status: Text | None = Field(None, description="sent, where given.")
    step_id: Id | None = Field(None, description="The step that made it.")
    run_id: Id | None = Field(None, description="The run it was made in, if any.")
    conversation_id: Id | None = Field(None, description="The conversation it belongs to, if any.")
    role: Text | None = Field(None, description="assistant.")
    text: Text | None = Field(None, description="The reply in words, at most 32 KiB of UTF-8.")
    truncated: list[str] | None = Field(None, description=_TRUNCATED)
    name: Text | None = Field(None, description="The name of the sender, where it has one.")
    model: Text | None = Field(None, description="The model that wrote it.")
    tool_call_id: Text | None = Field(
        None,
        description="The call of send_message that carried the reply, for agent types that reply by tool.",
    )
    otid: Text | None = Field(None, description="The offline threading id a client gave.")
    group_id: Text | None = Field(None, description="The group of agents it was sent in.")
    sender_id: Text | None = Field(None, description="The identity or agent that sent it.")
    created_at: Moment | None = Field(None, description="When it was made.")


class ToolChangeData(Open):
    """A tool that an agent has gained or lost."""

    tool_id: Id = Field(description="The tool.")
    status: Text | None = Field(None, description="attached or detached, where given.")
    tool_name: Text | None = Field(None, description="The name of the tool's function.")
    tool_type: Text | None = Field(
        None,
        description="custom, letta_core, letta_memory_core, letta_multi_agent_core, letta_sleeptime_core, "
        "letta_voice_sleeptime_core, letta_builtin, letta_files_core or external_mcp; others may be added.",
    )


class ToolAttachedData(ToolChangeData):
    """A tool that an agent has gained."""


class ToolDetachedData(ToolChangeData):
    """A tool that an agent has lost."""


class WorkData(Open):
    """What runs and jobs have in common."""

    stop_reason: Text | None = Field(None, description=f"Why it stopped: {_STOP_REASONS}.")
    background: Flag | None = Field(None, description="Whether it went on in the background.")
    previous_status: Text | None = Field(
        None, description="The terminal status told before, where Letta changed its mind; see `causationid`."
    )
    error: ErrorInfo | None = Field(None, description="What went wrong, where Letta says so.")
    truncated: list[str] | None = Field(None, description=_TRUNCATED)
    created_at: Moment | None = Field(None, description="When it was created.")
    completed_at: Moment | None = Field(None, description="When it ended.")
    ttft_ns: Whole | None = Field(None, description="Time to the first token, in nanoseconds.")
    total_duration_ns: Whole | None = Field(None, description="Time from start to end, in nanoseconds.")
    metadata: dict[str, Any] | None = Field(None, description="What the caller or Letta noted with it.")


class RunCompletedData(WorkData):
    """A run that has ended, in whichever way."""

    run_id: Id = Field(description="The run.")
    status: Text = Field(description="completed, failed or cancelled; others may be added.")
    conversation_id: Id | None = Field(None, description="The conversation it belongs to, if any.")
    base_template_id: Text | None = Field(None, description="The template it was started from, if any.")


class JobCompletedData(WorkData):
    """A job that has ended, in whichever way."""

    job_id: Id = Field(description="The job.")
    status: Text = Field(description="completed, failed, cancelled or expired; others may be added.")
    job_type: Text | None = Field(None, description="job, run or batch; others may be added.")
    run_id: Id | None = Field(None, description="The run it belongs to, if any.")
    user_id: Text | None = Field(None, description="The user who started it.")


class ToolExecutionCompletedData(Open):
    """A call of a tool that has ended, well or badly."""

    tool_id: Id = Field(description="The tool.")
    status: Text = Field(description="success or error; others may be added.")
    execution_id: Id | None = Field(
        None, description="This call, told apart from every other call of the tool."
    )
    tool_name: Text | None = Field(None, description="The name of the function that was called.")
    tool_type: Text | None = Field(None, description="The kind of tool, such as custom or letta_core.")
    step_id: Id | None = Field(None, description="The step that called it, if any.")
    run_id: Id | None = Field(None, description="The run it was called in, if any.")
    arguments: dict[str, Any] | None = Field(None, description="The arguments of the call.")
    func_return: Any = Field(
        None, description="What the tool returned, any JSON value; text over 32 KiB is cut."
    )
    stdout: list[Text] | None = Field(None, description="What it printed.")
    stderr: list[Text] | None = Field(None, description="What it printed to standard error.")
    error: ErrorInfo | None = Field(None, description="What went wrong, where status is error.")
    truncated: list[str] | None = Field(None, description=_TRUNCATED)
    duration_ms: Number | None = Field(None, description="How long the call took, in milliseconds.")
