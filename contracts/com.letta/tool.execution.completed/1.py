# ToolExecutionCompleted, version 1, made from its contract by datamodel-code-generator.

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field


class ToolExecutionCompletedDataError(BaseModel):
    """
    What went wrong, where status is error.
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


class ToolExecutionCompletedData(BaseModel):
    """
    The call.
    """

    model_config = ConfigDict(
        extra="allow",
    )
    tool_id: Annotated[str, Field(min_length=1)]
    """
    The tool.
    """
    status: str
    """
    success or error; others may be added.
    """
    execution_id: Annotated[str | None, Field(min_length=1)] = None
    """
    This call, told apart from every other call of the tool.
    """
    tool_name: str | None = None
    """
    The name of the function that was called.
    """
    tool_type: str | None = None
    """
    The kind of tool, such as custom or letta_core.
    """
    step_id: Annotated[str | None, Field(min_length=1)] = None
    """
    The step that called it, if any.
    """
    run_id: Annotated[str | None, Field(min_length=1)] = None
    """
    The run it was called in, if any.
    """
    arguments: dict[str, Any] | None = None
    """
    The arguments of the call.
    """
    func_return: Any | None = None
    """
    What the tool returned, any JSON value; text over 32 KiB is cut.
    """
    stdout: list[str] | None = None
    """
    What it printed.
    """
    stderr: list[str] | None = None
    """
    What it printed to standard error.
    """
    error: Annotated[
        ToolExecutionCompletedDataError | None,
        Field(title="ToolExecutionCompletedDataError"),
    ] = None
    """
    What went wrong, where status is error.
    """
    truncated: list[str] | None = None
    """
    Names of the members here whose text was longer than 32 KiB and was cut; absent if none was.
    """
    duration_ms: float | None = None
    """
    How long the call took, in milliseconds.
    """


class ToolExecutionCompleted(BaseModel):
    """
    A call of a tool ended; whether well is in its status.
    """

    model_config = ConfigDict(
        extra="allow",
    )
    event_id: Annotated[str, Field(min_length=1)]
    """
    Identifies the event; the same event told twice has the same id.
    """
    event_type: Literal["tool.execution.completed"]
    """
    The short name of the event's type.
    """
    timestamp: AwareDatetime
    """
    When it happened (RFC 3339, UTC).
    """
    agent_id: Annotated[str, Field(min_length=1)]
    """
    The agent that called the tool.
    """
    organization_id: Annotated[str, Field(min_length=1)]
    """
    The organization the agent belongs to.
    """
    data: Annotated[
        ToolExecutionCompletedData, Field(title="ToolExecutionCompletedData")
    ]
    """
    The call.
    """
