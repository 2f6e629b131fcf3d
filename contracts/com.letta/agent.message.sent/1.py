# AgentMessageSent, version 1, made from its contract by datamodel-code-generator.

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field


class AgentMessageSentData(BaseModel):
    """
    The message.
    """

    model_config = ConfigDict(
        extra="allow",
    )
    message_id: Annotated[str, Field(min_length=1)]
    """
    The message.
    """
    status: str | None = None
    """
    sent, where given.
    """
    step_id: Annotated[str | None, Field(min_length=1)] = None
    """
    The step that made it.
    """
    run_id: Annotated[str | None, Field(min_length=1)] = None
    """
    The run it was made in, if any.
    """
    conversation_id: Annotated[str | None, Field(min_length=1)] = None
    """
    The conversation it belongs to, if any.
    """
    role: str | None = None
    """
    assistant.
    """
    text: str | None = None
    """
    The reply in words, at most 32 KiB of UTF-8.
    """
    truncated: list[str] | None = None
    """
    Names of the members here whose text was longer than 32 KiB and was cut; absent if none was.
    """
    name: str | None = None
    """
    The name of the sender, where it has one.
    """
    model: str | None = None
    """
    The model that wrote it.
    """
    tool_call_id: str | None = None
    """
    The call of send_message that carried the reply, for agent types that reply by tool.
    """
    otid: str | None = None
    """
    The offline threading id a client gave.
    """
    group_id: str | None = None
    """
    The group of agents it was sent in.
    """
    sender_id: str | None = None
    """
    The identity or agent that sent it.
    """
    created_at: AwareDatetime | None = None
    """
    When it was made.
    """


class AgentMessageSent(BaseModel):
    """
    A reply of an agent is stored.
    """

    model_config = ConfigDict(
        extra="allow",
    )
    event_id: Annotated[str, Field(min_length=1)]
    """
    Identifies the event; the same event told twice has the same id.
    """
    event_type: Literal["agent.message.sent"]
    """
    The short name of the event's type.
    """
    timestamp: AwareDatetime
    """
    When it happened (RFC 3339, UTC).
    """
    agent_id: Annotated[str, Field(min_length=1)]
    """
    The agent that replied.
    """
    organization_id: Annotated[str, Field(min_length=1)]
    """
    The organization the agent belongs to.
    """
    data: Annotated[AgentMessageSentData, Field(title="AgentMessageSentData")]
    """
    The message.
    """
