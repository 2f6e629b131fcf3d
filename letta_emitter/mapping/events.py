"""From each kind of call to its event. Pure: the same call gives the same events, anywhere, at any time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, assert_never

import schemas
from letta_emitter.mapping.calls import (
    Call,
    Context,
    JobEnded,
    MessagesStored,
    RunEnded,
    StepFailed,
    StepSucceeded,
    ToolChanged,
    ToolExecuted,
)
from letta_emitter.mapping.cutting import Cutter
from letta_emitter.mapping.faults import step_fault, tool_fault, work_fault
from letta_emitter.mapping.replies import Reply, reply_of
from letta_emitter.tracing import made_trace
from otel.traceparent import TraceParent, parse_traceparent
from schemas import names

_WORK: Final = ("stop_reason", "background", "ttft_ns", "total_duration_ns")
_USAGE: Final = tuple(schemas.Usage.model_fields)
_STEP: Final = (
    "run_id",
    "model",
    "model_handle",
    "provider_name",
    "provider_category",
    "context_window_limit",
    "stop_reason",
    "origin",
    "trace_id",
    "request_id",
    "project_id",
)
_MESSAGE: Final = (
    "step_id",
    "run_id",
    "conversation_id",
    "role",
    "name",
    "model",
    "otid",
    "group_id",
    "sender_id",
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """An event with the trace it belongs to and, where it corrects an earlier event, that one's id."""

    event: schemas.LettaEvent
    trace: TraceParent
    tracestate: str | None = None
    causationid: str | None = None


def outcomes(call: Call) -> list[Outcome]:
    """Return the events of a call, in the order in which they happened; none where it is nobody's business.

    Raises:
        pydantic.ValidationError: The call lacks an id that its event cannot do without.
    """
    match call:
        case StepSucceeded():
            found = [_step_completed(call)]
        case StepFailed():
            found = [_step_failed(call)]
        case MessagesStored():
            replies = ((row, reply_of(row, text_is_reply=call.text_is_reply)) for row in call.messages)
            found = [_message_sent(call.context, row, reply) for row, reply in replies if reply is not None]
        case ToolChanged():
            found = [_tool_changed(call)]
        case RunEnded():
            found = [_run_completed(call)]
        case JobEnded():
            found = [_job_completed(call)]
        case ToolExecuted():
            found = [_tool_executed(call)]
        case _:
            assert_never(call)
    return found


def _trace(context: Context, *natural_key: str, recorded: object = None) -> TraceParent:
    """Letta's span; else the trace id that Letta recorded; else one that whoever has the key can make."""
    current = parse_traceparent(context.traceparent) if context.traceparent else None
    if current is not None:
        return current
    return made_trace(*natural_key, recorded=recorded)


def _usage(step: Mapping[str, Any]) -> schemas.Usage:
    return schemas.Usage(**{name: step.get(name) for name in _USAGE})


def _step_completed(call: StepSucceeded) -> Outcome:
    context, step = call.context, call.step
    data = schemas.StepCompletedData(
        step_id=step["id"], status="completed", usage=_usage(step), **{name: step.get(name) for name in _STEP}
    )
    event = schemas.StepCompleted(
        event_id=schemas.event_id(names.STEP_COMPLETED, step["id"]),
        timestamp=context.at,
        agent_id=step["agent_id"],
        organization_id=_organization(context, step),
        data=data,
    )
    return Outcome(event, _trace(context, step["id"], recorded=step.get("trace_id")), context.tracestate)


def _step_failed(call: StepFailed) -> Outcome:
    context, step, cutter = call.context, call.step, Cutter()
    error = step_fault(step, cutter)
    data = schemas.StepFailedData(
        step_id=step["id"],
        status="cancelled" if step.get("status") == "cancelled" else "failed",
        usage=_usage(step),
        error=error,
        truncated=cutter.truncated,
        **{name: step.get(name) for name in _STEP},
    )
    event = schemas.StepFailed(
        event_id=schemas.event_id(names.STEP_FAILED, step["id"]),
        timestamp=context.at,
        agent_id=step["agent_id"],
        organization_id=_organization(context, step),
        data=data,
    )
    return Outcome(event, _trace(context, step["id"], recorded=step.get("trace_id")), context.tracestate)


def _message_sent(context: Context, message: Mapping[str, Any], reply: Reply) -> Outcome:
    cutter = Cutter()
    text = cutter.text("text", reply.text)
    data = schemas.MessageSentData(
        message_id=message["id"],
        status="sent",
        text=text,
        truncated=cutter.truncated,
        tool_call_id=reply.tool_call_id,
        created_at=_moment(message.get("created_at")),
        **{name: message.get(name) for name in _MESSAGE},
    )
    event = schemas.MessageSent(
        event_id=schemas.event_id(names.MESSAGE_SENT, message["id"]),
        timestamp=context.at,
        agent_id=message["agent_id"],
        organization_id=_organization(context, message),
        data=data,
    )
    return Outcome(event, _trace(context, message["step_id"]), context.tracestate)


def _tool_changed(call: ToolChanged) -> Outcome:
    context = call.context
    event: schemas.ToolAttached | schemas.ToolDetached
    if call.attached:
        event = schemas.ToolAttached(
            event_id=call.event_id,
            timestamp=context.at,
            agent_id=call.agent_id,
            organization_id=context.organization_id,
            data=schemas.ToolAttachedData(
                tool_id=call.tool_id, status="attached", tool_name=call.tool_name, tool_type=call.tool_type
            ),
        )
    else:
        event = schemas.ToolDetached(
            event_id=call.event_id,
            timestamp=context.at,
            agent_id=call.agent_id,
            organization_id=context.organization_id,
            data=schemas.ToolDetachedData(
                tool_id=call.tool_id, status="detached", tool_name=call.tool_name, tool_type=call.tool_type
            ),
        )
    return Outcome(event, _trace(context, call.event_id), context.tracestate)


def _run_completed(call: RunEnded) -> Outcome:
    context, run, cutter = call.context, call.run, Cutter()
    data = schemas.RunCompletedData(
        run_id=run["id"],
        status=run["status"],
        conversation_id=run.get("conversation_id"),
        base_template_id=run.get("base_template_id"),
        **_work(run, call.earlier_status, cutter),
    )
    event = schemas.RunCompleted(
        event_id=schemas.event_id(names.RUN_COMPLETED, run["id"], run["status"]),
        timestamp=context.at,
        agent_id=run["agent_id"],
        organization_id=_organization(context, run),
        data=data,
    )
    cause = _cause(names.RUN_COMPLETED, run["id"], call.earlier_status)
    return Outcome(event, _trace(context, run["id"]), context.tracestate, cause)


def _job_completed(call: JobEnded) -> Outcome:
    context, job, cutter = call.context, call.job, Cutter()
    data = schemas.JobCompletedData(
        job_id=job["id"],
        status=job["status"],
        job_type=job.get("job_type"),
        user_id=job.get("user_id"),
        **_work(job, call.earlier_status, cutter),
    )
    event = schemas.JobCompleted(
        event_id=schemas.event_id(names.JOB_COMPLETED, job["id"], job["status"]),
        timestamp=context.at,
        agent_id=job.get("agent_id"),
        organization_id=_organization(context, job),
        data=data,
    )
    cause = _cause(names.JOB_COMPLETED, job["id"], call.earlier_status)
    return Outcome(event, _trace(context, job["id"]), context.tracestate, cause)


def _work(row: Mapping[str, Any], earlier_status: str | None, cutter: Cutter) -> dict[str, Any]:
    """What runs and jobs have in common. The error is taken out of the metadata, where it has many shapes."""
    metadata = {name: value for name, value in (row.get("metadata") or {}).items() if name != "error"}
    error = work_fault(row, cutter)
    kept = cutter.mapping("metadata", metadata)
    common = {name: row.get(name) for name in _WORK}
    return common | {
        "created_at": _moment(row.get("created_at")),
        "completed_at": _moment(row.get("completed_at")),
        "previous_status": earlier_status,
        "error": error,
        "metadata": kept,
        "truncated": cutter.truncated,
    }


def _cause(short: str, subject: str, earlier_status: str | None) -> str | None:
    return None if earlier_status is None else schemas.event_id(short, subject, earlier_status)


def _tool_executed(call: ToolExecuted) -> Outcome:
    context, cutter = call.context, Cutter()
    error = tool_fault(call.status, call.func_return, cutter)
    data = schemas.ToolExecutionCompletedData(
        tool_id=call.tool_id,
        status=call.status,
        execution_id=call.event_id,
        tool_name=call.tool_name,
        tool_type=call.tool_type,
        step_id=call.step_id,
        run_id=call.run_id,
        arguments=cutter.value("arguments", call.arguments),
        func_return=cutter.value("func_return", call.func_return),
        stdout=cutter.value("stdout", call.stdout) or None,
        stderr=cutter.value("stderr", call.stderr) or None,
        error=error,
        duration_ms=call.duration_ms,
        truncated=cutter.truncated,
    )
    event = schemas.ToolExecutionCompleted(
        event_id=call.event_id,
        timestamp=context.at,
        agent_id=call.agent_id,
        organization_id=context.organization_id,
        data=data,
    )
    return Outcome(event, _trace(context, call.step_id or call.event_id), context.tracestate)


def _moment(value: object) -> datetime | None:
    """A time of a row: some of Letta's columns are UTC without saying so."""
    if not isinstance(value, str):
        return None
    found = datetime.fromisoformat(value)
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def _organization(context: Context, row: Mapping[str, Any]) -> str:
    """The organization of the acting user, else the row's own."""
    return context.organization_id or str(row.get("organization_id") or "")
