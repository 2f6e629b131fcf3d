# AgentRunCompleted, version 1, made from its contract by datamodel-code-generator.

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field


class AgentRunCompletedDataError(BaseModel):
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


class AgentRunCompletedData(BaseModel):
    """
    The run.
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
        AgentRunCompletedDataError | None, Field(title="AgentRunCompletedDataError")
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
    run_id: Annotated[str, Field(min_length=1)]
    """
    The run.
    """
    status: str
    """
    completed, failed or cancelled; others may be added.
    """
    conversation_id: Annotated[str | None, Field(min_length=1)] = None
    """
    The conversation it belongs to, if any.
    """
    base_template_id: str | None = None
    """
    The template it was started from, if any.
    """


class AgentRunCompleted(BaseModel):
    """
    A run ended; how is in its status. A run that ends twice makes one event per status.
    """

    model_config = ConfigDict(
        extra="allow",
    )
    event_id: Annotated[str, Field(min_length=1)]
    """
    Identifies the event; the same event told twice has the same id.
    """
    event_type: Literal["agent.run.completed"]
    """
    The short name of the event's type.
    """
    timestamp: AwareDatetime
    """
    When it happened (RFC 3339, UTC).
    """
    agent_id: Annotated[str, Field(min_length=1)]
    """
    The agent that ran.
    """
    organization_id: Annotated[str, Field(min_length=1)]
    """
    The organization the agent belongs to.
    """
    data: Annotated[AgentRunCompletedData, Field(title="AgentRunCompletedData")]
    """
    The run.
    """
