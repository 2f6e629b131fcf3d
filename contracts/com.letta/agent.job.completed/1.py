# AgentJobCompleted, version 1, made from its contract by datamodel-code-generator.

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field


class AgentJobCompletedDataError(BaseModel):
    """
    What went wrong, where Letta says so.
    """

    model_config = ConfigDict(
        extra="allow",
    )
    type: str | None = None
    """
    The class of the error, such as LLMRateLimitError.
    """
    message: str | None = None
    """
    The error in words, for people; may be cut, see `truncated`.
    """


class AgentJobCompletedData(BaseModel):
    """
    The job.
    """

    model_config = ConfigDict(
        extra="allow",
    )
    stop_reason: str | None = None
    """
    Why it stopped: end_turn, error, llm_api_error, invalid_llm_response, invalid_tool_call, max_steps, max_tokens_exceeded, no_tool_call, tool_rule, cancelled, insufficient_credits, requires_approval or context_window_overflow_in_system_prompt; others may be added.
    """
    background: bool | None = None
    """
    Whether it went on in the background.
    """
    previous_status: str | None = None
    """
    The terminal status told before, where Letta changed its mind; see `causationid`.
    """
    error: Annotated[
        AgentJobCompletedDataError | None, Field(title="AgentJobCompletedDataError")
    ] = None
    """
    What went wrong, where Letta says so.
    """
    truncated: list[str] | None = None
    """
    Names of the members here whose text was longer than 32 KiB and was cut; absent if none was.
    """
    created_at: AwareDatetime | None = None
    """
    When it was created.
    """
    completed_at: AwareDatetime | None = None
    """
    When it ended.
    """
    ttft_ns: int | None = None
    """
    Time to the first token, in nanoseconds.
    """
    total_duration_ns: int | None = None
    """
    Time from start to end, in nanoseconds.
    """
    metadata: dict[str, Any] | None = None
    """
    What the caller or Letta noted with it.
    """
    job_id: Annotated[str, Field(min_length=1)]
    """
    The job.
    """
    status: str
    """
    completed, failed, cancelled or expired; others may be added.
    """
    job_type: str | None = None
    """
    job, run or batch; others may be added.
    """
    run_id: Annotated[str | None, Field(min_length=1)] = None
    """
    The run it belongs to, if any.
    """
    user_id: str | None = None
    """
    The user who started it.
    """


class AgentJobCompleted(BaseModel):
    """
    A job ended; how is in its status.
    """

    model_config = ConfigDict(
        extra="allow",
    )
    event_id: Annotated[str, Field(min_length=1)]
    """
    Identifies the event; the same event told twice has the same id.
    """
    event_type: Literal["agent.job.completed"]
    """
    The short name of the event's type.
    """
    timestamp: AwareDatetime
    """
    When it happened (RFC 3339, UTC).
    """
    agent_id: Annotated[str | None, Field(min_length=1)]
    """
    The agent the job worked for; null for a job without one.
    """
    organization_id: Annotated[str, Field(min_length=1)]
    """
    The organization the agent belongs to.
    """
    data: Annotated[AgentJobCompletedData, Field(title="AgentJobCompletedData")]
    """
    The job.
    """
