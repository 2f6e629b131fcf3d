# AgentToolDetached, version 1, made from its contract by datamodel-code-generator.

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field


class AgentToolDetachedData(BaseModel):
    """
    The tool.
    """

    model_config = ConfigDict(
        extra="allow",
    )
    tool_id: Annotated[str, Field(min_length=1)]
    """
    The tool.
    """
    status: str | None = None
    """
    attached or detached, where given.
    """
    tool_name: str | None = None
    """
    The name of the tool's function.
    """
    tool_type: str | None = None
    """
    custom, letta_core, letta_memory_core, letta_multi_agent_core, letta_sleeptime_core, letta_voice_sleeptime_core, letta_builtin, letta_files_core or external_mcp; others may be added.
    """


class AgentToolDetached(BaseModel):
    """
    A tool is detached from an agent.
    """

    model_config = ConfigDict(
        extra="allow",
    )
    event_id: Annotated[str, Field(min_length=1)]
    """
    Identifies the event; the same event told twice has the same id.
    """
    event_type: Literal["agent.tool.detached"]
    """
    The short name of the event's type.
    """
    timestamp: AwareDatetime
    """
    When it happened (RFC 3339, UTC).
    """
    agent_id: Annotated[str, Field(min_length=1)]
    """
    The agent that lost the tool.
    """
    organization_id: Annotated[str, Field(min_length=1)]
    """
    The organization the agent belongs to.
    """
    data: Annotated[AgentToolDetachedData, Field(title="AgentToolDetachedData")]
    """
    The tool.
    """
