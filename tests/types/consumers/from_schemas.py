"""A consumer of `schemas`, as mypy sees it: narrowed by class and by `event_type`, and nothing left out."""

from typing import Literal, assert_never, assert_type

from schemas import (
    AnyEvent,
    JobCompleted,
    MessageSent,
    RunCompleted,
    StepCompleted,
    StepFailed,
    ToolAttached,
    ToolDetached,
    ToolExecutionCompleted,
    UnknownEvent,
    parse_event,
)


def by_class(body: bytes) -> str:
    event = parse_event(body)
    match event:
        case RunCompleted():
            assert_type(event.data.run_id, str)
            assert_type(event.event_type, Literal["agent.run.completed"])
            return event.data.status
        case JobCompleted():
            assert_type(event.agent_id, str | None)
            return event.data.job_id
        case StepCompleted() | StepFailed():
            assert_type(event.agent_id, str)
            return event.data.step_id
        case MessageSent():
            assert_type(event.data.text, str | None)
            return event.data.text or ""
        case ToolAttached() | ToolDetached() | ToolExecutionCompleted():
            return event.data.tool_id
        case UnknownEvent():
            return event.type
        case _:
            assert_never(event)


def by_name(event: AnyEvent) -> str | None:
    if event.event_type == "agent.step.failed":
        assert_type(event, StepFailed)
        return event.data.error.message if event.data.error else None
    if event.event_type is None:
        assert_type(event, UnknownEvent)
    return None
