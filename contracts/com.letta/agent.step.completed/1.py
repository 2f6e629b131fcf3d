# AgentStepCompleted, version 1, made from its contract by datamodel-code-generator.

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field


class AgentStepCompletedDataUsage(BaseModel):
    """
    Tokens used.
    """

    model_config = ConfigDict(
        extra="allow",
    )
    prompt_tokens: int | None = None
    """
    Tokens in the prompt.
    """
    completion_tokens: int | None = None
    """
    Tokens the model generated.
    """
    total_tokens: int | None = None
    """
    Prompt and completion tokens together.
    """
    cached_input_tokens: int | None = None
    """
    Prompt tokens served from the provider's cache; null if it does not tell.
    """
    cache_write_tokens: int | None = None
    """
    Prompt tokens written to the provider's cache; null if it does not tell.
    """
    reasoning_tokens: int | None = None
    """
    Tokens spent on reasoning, within the completion; null if the provider does not tell.
    """


class AgentStepCompletedData(BaseModel):
    """
    The step.
    """

    model_config = ConfigDict(
        extra="allow",
    )
    step_id: Annotated[str, Field(min_length=1)]
    """
    The step.
    """
    run_id: Annotated[str | None, Field(min_length=1)] = None
    """
    The run it belongs to, if any.
    """
    model: str | None = None
    """
    The model's name, such as gpt-4o-mini.
    """
    model_handle: str | None = None
    """
    The model's handle, such as openai/gpt-4o-mini.
    """
    provider_name: str | None = None
    """
    The provider's name as configured in Letta.
    """
    provider_category: str | None = None
    """
    base, or byok (bring your own key).
    """
    context_window_limit: int | None = None
    """
    The context window configured, in tokens.
    """
    usage: Annotated[
        AgentStepCompletedDataUsage | None, Field(title="AgentStepCompletedDataUsage")
    ] = None
    """
    Tokens used.
    """
    stop_reason: str | None = None
    """
    Why the step stopped: end_turn, error, llm_api_error, invalid_llm_response, invalid_tool_call, max_steps, max_tokens_exceeded, no_tool_call, tool_rule, cancelled, insufficient_credits, requires_approval or context_window_overflow_in_system_prompt; others may be added.
    """
    origin: str | None = None
    """
    The surface the step was started from.
    """
    trace_id: str | None = None
    """
    The trace id under which Letta recorded the step.
    """
    request_id: str | None = None
    """
    The API request that led to the step, where Letta knows it.
    """
    project_id: str | None = None
    """
    The project of the agent (Letta Cloud).
    """
    status: str
    """
    completed.
    """


class AgentStepCompleted(BaseModel):
    """
    A step of an agent is checkpointed.
    """

    model_config = ConfigDict(
        extra="allow",
    )
    event_id: Annotated[str, Field(min_length=1)]
    """
    Identifies the event; the same event told twice has the same id.
    """
    event_type: Literal["agent.step.completed"]
    """
    The short name of the event's type.
    """
    timestamp: AwareDatetime
    """
    When it happened (RFC 3339, UTC).
    """
    agent_id: Annotated[str, Field(min_length=1)]
    """
    The agent that took the step.
    """
    organization_id: Annotated[str, Field(min_length=1)]
    """
    The organization the agent belongs to.
    """
    data: Annotated[AgentStepCompletedData, Field(title="AgentStepCompletedData")]
    """
    The step.
    """
