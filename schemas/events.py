"""One model per event type: the whole Letta payload, which is the event's `data` on the wire."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from schemas import names
from schemas.fields import Id, Moment, Open
from schemas.payloads import (
    JobCompletedData,
    MessageSentData,
    RunCompletedData,
    StepCompletedData,
    StepFailedData,
    ToolAttachedData,
    ToolDetachedData,
    ToolExecutionCompletedData,
)


class Event(Open):
    """The six members every event has.

    Class attributes:
        subject_member: The member of `data` that names what the event is about.
        contract_version: The version of the contract this model writes.
    """

    subject_member: ClassVar[str]
    contract_version: ClassVar[int] = 1

    event_id: Id = Field(description="Identifies the event; the same event told twice has the same id.")
    event_type: str = Field(description="The short name of the event's type.")
    timestamp: Moment = Field(description="When it happened (RFC 3339, UTC).")
    agent_id: Id | None = Field(description="The agent it happened to; null only for a job without one.")
    organization_id: Id = Field(description="The organization the agent belongs to.")
    data: Open = Field(
        description="What is known about the step, message, tool, run or job: see the tables below."
    )

    @property
    def type(self) -> str:
        """The CloudEvents type."""
        return names.type_of(self.event_type)

    @property
    def subject(self) -> str:
        """The id of the step, message, tool, run or job."""
        return str(getattr(self.data, self.subject_member))

    @property
    def partitionkey(self) -> str:
        """What order is kept by: the agent, else the job."""
        return self.agent_id or self.subject

    @property
    def correlationid(self) -> str | None:
        """The run that this belongs to."""
        run_id: str | None = getattr(self.data, "run_id", None)
        return run_id


class StepCompleted(Event):
    """A step of an agent is checkpointed."""

    subject_member: ClassVar[str] = "step_id"
    event_type: Literal["agent.step.completed"] = Field(
        "agent.step.completed", description="The short name of the event's type."
    )
    agent_id: Id = Field(description="The agent that took the step.")
    data: StepCompletedData = Field(description="The step.")


class StepFailed(Event):
    """A step of an agent ended in an error or was cancelled."""

    subject_member: ClassVar[str] = "step_id"
    event_type: Literal["agent.step.failed"] = Field(
        "agent.step.failed", description="The short name of the event's type."
    )
    agent_id: Id = Field(description="The agent that took the step.")
    data: StepFailedData = Field(description="The step.")


class MessageSent(Event):
    """A reply of an agent is stored."""

    subject_member: ClassVar[str] = "message_id"
    event_type: Literal["agent.message.sent"] = Field(
        "agent.message.sent", description="The short name of the event's type."
    )
    agent_id: Id = Field(description="The agent that replied.")
    data: MessageSentData = Field(description="The message.")


class ToolAttached(Event):
    """A tool is attached to an agent."""

    subject_member: ClassVar[str] = "tool_id"
    event_type: Literal["agent.tool.attached"] = Field(
        "agent.tool.attached", description="The short name of the event's type."
    )
    agent_id: Id = Field(description="The agent that gained the tool.")
    data: ToolAttachedData = Field(description="The tool.")


class ToolDetached(Event):
    """A tool is detached from an agent."""

    subject_member: ClassVar[str] = "tool_id"
    event_type: Literal["agent.tool.detached"] = Field(
        "agent.tool.detached", description="The short name of the event's type."
    )
    agent_id: Id = Field(description="The agent that lost the tool.")
    data: ToolDetachedData = Field(description="The tool.")


class RunCompleted(Event):
    """A run ended; how is in its status. A run that ends twice makes one event per status."""

    subject_member: ClassVar[str] = "run_id"
    event_type: Literal["agent.run.completed"] = Field(
        "agent.run.completed", description="The short name of the event's type."
    )
    agent_id: Id = Field(description="The agent that ran.")
    data: RunCompletedData = Field(description="The run.")


class JobCompleted(Event):
    """A job ended; how is in its status."""

    subject_member: ClassVar[str] = "job_id"
    event_type: Literal["agent.job.completed"] = Field(
        "agent.job.completed", description="The short name of the event's type."
    )
    agent_id: Id | None = Field(description="The agent the job worked for; null for a job without one.")
    data: JobCompletedData = Field(description="The job.")


class ToolExecutionCompleted(Event):
    """A call of a tool ended; whether well is in its status."""

    subject_member: ClassVar[str] = "tool_id"
    event_type: Literal["tool.execution.completed"] = Field(
        "tool.execution.completed", description="The short name of the event's type."
    )
    agent_id: Id = Field(description="The agent that called the tool.")
    data: ToolExecutionCompletedData = Field(description="The call.")


LettaEvent = Annotated[
    StepCompleted
    | StepFailed
    | MessageSent
    | ToolAttached
    | ToolDetached
    | RunCompleted
    | JobCompleted
    | ToolExecutionCompleted,
    Field(discriminator="event_type"),
]
"""Any event that this version knows, told apart by ``event_type``."""

MODELS: Mapping[str, type[Event]] = {
    names.STEP_COMPLETED: StepCompleted,
    names.STEP_FAILED: StepFailed,
    names.MESSAGE_SENT: MessageSent,
    names.TOOL_ATTACHED: ToolAttached,
    names.TOOL_DETACHED: ToolDetached,
    names.RUN_COMPLETED: RunCompleted,
    names.JOB_COMPLETED: JobCompleted,
    names.TOOL_EXECUTION_COMPLETED: ToolExecutionCompleted,
}
"""Every model by its short name."""
