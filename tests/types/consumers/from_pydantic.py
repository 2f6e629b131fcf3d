"""A consumer of `letta-gateway contracts pydantic`, as mypy sees it, and as it runs: events as JSON, one a line."""

import json
import sys
from typing import Literal, assert_never, assert_type

from events import (
    LETTA_EVENT,
    AgentJobCompleted,
    AgentMessageSent,
    AgentRunCompleted,
    AgentStepCompleted,
    AgentStepFailed,
    AgentToolAttached,
    AgentToolDetached,
    LettaEvent,
    ToolExecutionCompleted,
)


def about(event: LettaEvent) -> str | None:
    if event.event_type == "agent.run.completed":
        assert_type(event, AgentRunCompleted)
        return event.data.run_id
    match event:
        case AgentJobCompleted():
            assert_type(event.agent_id, str | None)
            return event.agent_id or event.data.job_id
        case AgentStepCompleted():
            return event.data.step_id
        case AgentStepFailed():
            assert_type(event.event_type, Literal["agent.step.failed"])
            return event.data.error.message if event.data.error else None
        case AgentMessageSent():
            return event.data.text
        case AgentToolAttached() | AgentToolDetached() | ToolExecutionCompleted():
            return event.data.tool_id
        case _:
            assert_never(event)


if __name__ == "__main__":
    events = [LETTA_EVENT.validate_python(one) for one in json.loads(sys.argv[1])]
    print(json.dumps([f"{event.event_type} {about(event)}" for event in events]))
