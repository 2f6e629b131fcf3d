"""From what was seen of Letta to events: pure, so every trap is a line of a table."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import contracts
import schemas
from letta_emitter import recording
from letta_emitter.mapping import Call, Context, Outcome, outcomes
from letta_emitter.mapping.calls import (
    JobEnded,
    MessagesStored,
    RunEnded,
    StepFailed,
    StepSucceeded,
    ToolChanged,
    ToolExecuted,
)
from letta_emitter.mapping.cutting import Cutter
from otel.traceparent import derive

AT = datetime(2026, 1, 1, 12, tzinfo=UTC)
HERE = Context(AT, "org-1")
SPAN = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
IN_SPAN = Context(AT, "org-1", SPAN, "vendor=1")
STEP = {
    "id": "step-1",
    "agent_id": "agent-1",
    "organization_id": "org-1",
    "run_id": "run-1",
    "model": "gpt-4o-mini",
    "prompt_tokens": 11,
    "completion_tokens": 7,
    "total_tokens": 18,
    "stop_reason": "end_turn",
    "trace_id": None,
    "status": "success",
}
RUN = {
    "id": "run-1",
    "agent_id": "agent-1",
    "status": "completed",
    "stop_reason": "end_turn",
    "metadata": None,
}
JOB: dict[str, Any] = {
    "id": "job-1",
    "agent_id": None,
    "status": "completed",
    "job_type": "batch",
    "metadata": {},
}
MESSAGE = {
    "id": "message-1",
    "agent_id": "agent-1",
    "step_id": "step-1",
    "run_id": "run-1",
    "role": "assistant",
    "content": [{"type": "text", "text": "Hello."}],
    "tool_calls": None,
    "created_at": "2026-01-01T12:00:00Z",
}


def called(name: str, arguments: object, call_id: str = "call_1") -> dict[str, Any]:
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": text}}


def executed(**more: Any) -> ToolExecuted:
    given: dict[str, Any] = {
        "context": HERE,
        "agent_id": "agent-1",
        "tool_id": "tool-1",
        "tool_name": "add_numbers",
        "tool_type": "custom",
        "step_id": "step-1",
        "run_id": "run-1",
        "arguments": {"a": 1},
        "status": "success",
        "func_return": 3,
        "stdout": [],
        "stderr": [],
        "duration_ms": 1.5,
    }
    return ToolExecuted(**{**given, **more})


def only(call: Call) -> Outcome:
    (outcome,) = outcomes(call)
    return outcome


ONE_OF_EACH: list[Call] = [
    StepSucceeded(HERE, STEP),
    StepFailed(HERE, {**STEP, "status": "failed", "error_type": "LLMError", "error_data": {"message": "no"}}),
    MessagesStored(HERE, [MESSAGE], text_is_reply=True),
    ToolChanged(HERE, "agent-1", "tool-1", attached=True, tool_name="add_numbers"),
    ToolChanged(HERE, "agent-1", "tool-1", attached=False, tool_name="add_numbers"),
    RunEnded(HERE, RUN),
    JobEnded(HERE, JOB),
    executed(),
]


def test_each_call_makes_its_event_and_keeps_its_contract() -> None:
    events = [only(call).event for call in ONE_OF_EACH]
    assert [event.event_type for event in events] == [
        "agent.step.completed",
        "agent.step.failed",
        "agent.message.sent",
        "agent.tool.attached",
        "agent.tool.detached",
        "agent.run.completed",
        "agent.job.completed",
        "tool.execution.completed",
    ]
    for event in events:
        payload = schemas.to_envelope(event).data()
        assert not contracts.validate(event.event_type, payload)


@pytest.mark.parametrize("call", ONE_OF_EACH, ids=lambda call: call.kind)
def test_the_same_call_makes_the_same_event(call: Call) -> None:
    """S9a: ids come from the natural key, or were made when the call was seen; never here."""
    assert outcomes(call) == outcomes(call)


def test_ids_from_natural_keys() -> None:
    """S9a."""
    assert only(StepSucceeded(HERE, STEP)).event.event_id == schemas.event_id(
        "agent.step.completed", "step-1"
    )
    run = only(RunEnded(HERE, {**RUN, "status": "failed"})).event
    assert run.event_id == schemas.event_id("agent.run.completed", "run-1", "failed")
    assert run.event_id != only(RunEnded(HERE, RUN)).event.event_id
    job = only(JobEnded(HERE, JOB)).event
    assert job.event_id == schemas.event_id("agent.job.completed", "job-1", "completed")
    assert only(executed()).event.event_id != only(executed()).event.event_id


class TestTrace:
    def test_the_current_span_wins(self) -> None:
        outcome = only(StepSucceeded(IN_SPAN, {**STEP, "trace_id": "a" * 32}))
        assert outcome.trace.render() == SPAN
        assert outcome.tracestate == "vendor=1"

    def test_else_the_trace_id_that_letta_recorded(self) -> None:
        outcome = only(StepSucceeded(HERE, {**STEP, "trace_id": "a" * 32}))
        assert outcome.trace.trace_id == "a" * 32

    @pytest.mark.parametrize("recorded", [None, "", "0" * 32, "A" * 32, "a" * 31])
    def test_else_one_that_all_events_of_the_step_share(self, recorded: object) -> None:
        step = only(StepSucceeded(HERE, {**STEP, "trace_id": recorded})).trace
        message = only(MessagesStored(HERE, [MESSAGE], text_is_reply=True)).trace
        tool = only(executed()).trace
        assert step == message == tool == derive("step-1")

    def test_an_invalid_span_is_not_passed_on(self) -> None:
        assert only(RunEnded(Context(AT, "org-1", "garbage"), RUN)).trace == derive("run-1")

    def test_a_call_outside_a_step_has_a_trace_of_its_own(self) -> None:
        assert only(executed(step_id=None)).trace != only(executed(step_id=None)).trace


class TestReplies:
    @pytest.mark.parametrize(
        ("message", "text_is_reply", "text"),
        [
            ({}, True, "Hello."),
            ({}, False, "Hello."),
            # Beside a tool call, text is a reply of the newer agents and reasoning of the older ones.
            ({"tool_calls": [called("add_numbers", {})]}, True, "Hello."),
            ({"tool_calls": [called("add_numbers", {})]}, False, None),
            ({"tool_calls": [called("send_message", {"message": "Hi."})]}, False, "Hi."),
            ({"content": [], "tool_calls": [called("send_message", {"message": "Hi."})]}, True, "Hi."),
            ({"role": "approval", "tool_calls": [called("add_numbers", {})]}, True, "Hello."),
            ({"role": "approval", "tool_calls": [called("add_numbers", {})]}, False, None),
            # What says nothing is no reply.
            ({"content": []}, True, None),
            ({"content": None}, True, None),
            ({"content": [{"type": "reasoning", "reasoning": "Hm."}]}, True, None),
            ({"tool_calls": [called("send_message", "not JSON")]}, False, None),
            ({"tool_calls": [called("send_message", ["x"])]}, False, None),
            ({"tool_calls": [called("send_message", {"message": None})]}, False, None),
            # What is not the agent's, or from before its first step, is none either.
            ({"role": "user"}, True, None),
            ({"role": "tool"}, True, None),
            ({"role": "system"}, True, None),
            ({"step_id": None}, True, None),
            # Whatever shape the content has.
            ({"content": "Plain."}, True, "Plain."),
            (
                {"content": [{"type": "text", "text": "One "}, {"type": "text", "text": "two."}]},
                True,
                "One two.",
            ),
        ],
    )
    def test_what_is_a_reply(self, message: dict[str, Any], *, text_is_reply: bool, text: str | None) -> None:
        found = outcomes(MessagesStored(HERE, [{**MESSAGE, **message}], text_is_reply=text_is_reply))
        assert [outcome.event.data.text for outcome in found] == ([] if text is None else [text])  # type: ignore[union-attr]

    def test_the_call_that_carried_it_is_named(self) -> None:
        message = {**MESSAGE, "tool_calls": [called("send_message", {"message": "Hi."}, "call_9")]}
        event = only(MessagesStored(HERE, [message], text_is_reply=False)).event
        assert isinstance(event, schemas.MessageSent)
        assert event.data.tool_call_id == "call_9"

    def test_one_event_per_message(self) -> None:
        rows = [{**MESSAGE, "id": f"message-{number}"} for number in range(3)]
        found = outcomes(MessagesStored(HERE, [*rows, {**MESSAGE, "role": "user"}], text_is_reply=True))
        assert [outcome.event.subject for outcome in found] == ["message-0", "message-1", "message-2"]


class TestFaults:
    @pytest.mark.parametrize(
        ("row", "error"),
        [
            ({"metadata": {"error": "It broke."}}, ("error", "It broke.")),
            (
                {"metadata": {"error": "It broke."}, "stop_reason": "llm_api_error"},
                ("llm_api_error", "It broke."),
            ),
            (
                {"metadata": {"error": {"error_type": "llm_error", "message": "No.", "detail": "Code 400"}}},
                ("llm_error", "No.: Code 400"),
            ),
            (
                {"metadata": {"error": {"error_type": "llm_error", "message": "No: x", "detail": "x"}}},
                ("llm_error", "No: x"),
            ),
            ({"metadata": {"error": {"type": "T", "detail": "D"}}}, ("T", "D")),
            ({"metadata": {"error": {}}}, ("error", "Letta recorded no reason.")),
            ({"metadata": None}, ("error", "Letta recorded no reason.")),
            ({"metadata": None, "stop_reason": "max_tokens_exceeded"}, ("max_tokens_exceeded", None)),
        ],
    )
    @pytest.mark.parametrize("kind", [RunEnded, JobEnded])
    def test_runs_and_jobs(
        self, kind: type[RunEnded | JobEnded], row: dict[str, Any], error: tuple[str, str | None]
    ) -> None:
        base = {**RUN, "stop_reason": None} if kind is RunEnded else JOB
        event = only(kind(HERE, {**base, "status": "failed", **row})).event
        assert isinstance(event, schemas.RunCompleted | schemas.JobCompleted)
        assert event.data.error is not None
        assert event.data.error.type == error[0]
        assert event.data.error.message == (error[1] or "Letta recorded no reason.")
        assert "error" not in (event.data.metadata or {})

    @pytest.mark.parametrize("status", ["completed", "cancelled"])
    def test_none_where_nothing_went_wrong(self, status: str) -> None:
        event = only(RunEnded(HERE, {**RUN, "status": status})).event
        assert isinstance(event, schemas.RunCompleted)
        assert event.data.error is None

    @pytest.mark.parametrize(
        ("row", "status", "kind", "message"),
        [
            (
                {"error_type": "LLMError", "error_data": {"message": "No.", "traceback": "…"}},
                "failed",
                "LLMError",
                "No.",
            ),
            ({"error_type": None, "error_data": None, "stop_reason": "error"}, "failed", "error", None),
            ({"error_data": "text"}, "failed", "end_turn", "text"),
            ({"status": "cancelled", "stop_reason": "cancelled"}, "cancelled", "cancelled", None),
            ({"status": "pending", "stop_reason": "invalid_tool_call"}, "failed", "invalid_tool_call", None),
        ],
    )
    def test_steps(self, row: dict[str, Any], status: str, kind: str, message: str | None) -> None:
        event = only(StepFailed(HERE, {**STEP, "status": "failed", **row})).event
        assert isinstance(event, schemas.StepFailed)
        assert event.data.status == status
        assert event.data.error == schemas.ErrorInfo(type=kind, message=message)

    @pytest.mark.parametrize(
        ("returned", "kind"),
        [
            ("Error executing function boom: ValueError: asked", "ValueError"),
            ("Error executing function boom: it is late: now", "ToolError"),
            ("anything else", "ToolError"),
            ({"not": "text"}, "ToolError"),
        ],
    )
    def test_tools(self, returned: object, kind: str) -> None:
        event = only(executed(status="error", func_return=returned)).event
        assert isinstance(event, schemas.ToolExecutionCompleted)
        assert event.data.error is not None
        assert event.data.error.type == kind


def test_a_run_that_ends_again_names_its_earlier_end() -> None:
    first = only(RunEnded(HERE, {**RUN, "status": "cancelled"}))
    second = only(RunEnded(HERE, RUN, earlier_status="cancelled"))
    assert first.causationid is None
    assert second.causationid == first.event.event_id
    assert isinstance(second.event, schemas.RunCompleted)
    assert second.event.data.previous_status == "cancelled"


def test_times_without_a_zone_are_utc() -> None:
    event = only(RunEnded(HERE, {**RUN, "completed_at": "2026-01-01T12:00:00.5"})).event
    assert isinstance(event, schemas.RunCompleted)
    assert event.data.completed_at == datetime(2026, 1, 1, 12, 0, 0, 500_000, tzinfo=UTC)


def test_the_organization_of_the_row_where_nobody_acts() -> None:
    assert (
        only(StepSucceeded(Context(AT, ""), {**STEP, "organization_id": "org-2"})).event.organization_id
        == "org-2"
    )


class TestCutting:
    """S9f: text over 32 KiB is cut and marked."""

    def test_a_reply(self) -> None:
        message = {**MESSAGE, "content": [{"type": "text", "text": "é" * 20_000}]}
        event = only(MessagesStored(HERE, [message], text_is_reply=True)).event
        assert isinstance(event, schemas.MessageSent)
        assert event.data.text == "é" * 16_384
        assert event.data.truncated == ["text"]

    def test_what_a_tool_got_returned_and_printed(self) -> None:
        long = "x" * 40_000
        call = executed(
            arguments={"a": long, "b": 1}, func_return={"r": [long]}, stdout=[long, "more"], stderr=[long]
        )
        event = only(call).event
        assert isinstance(event, schemas.ToolExecutionCompleted)
        assert event.data.truncated == ["arguments", "func_return", "stdout", "stderr"]
        assert len(schemas.to_envelope(event).raw) < 5 * 32 * 1024

    def test_short_values_stay_as_they_are(self) -> None:
        event = only(executed(arguments={"a": [1, 2.5, None, True, {"b": "c"}]}, func_return=None)).event
        assert isinstance(event, schemas.ToolExecutionCompleted)
        assert event.data.arguments == {"a": [1, 2.5, None, True, {"b": "c"}]}
        assert event.data.truncated is None

    def test_an_error(self) -> None:
        row = {**RUN, "status": "failed", "metadata": {"error": "x" * 40_000, "note": "kept"}}
        event = only(RunEnded(HERE, row)).event
        assert isinstance(event, schemas.RunCompleted)
        assert event.data.truncated == ["error"]
        assert event.data.metadata == {"note": "kept"}

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        )
    )
    def test_whatever_a_tool_returns_can_be_written(self, value: object) -> None:
        event = only(executed(func_return=value, arguments={"v": value})).event
        assert not contracts.validate(event.event_type, schemas.to_envelope(event).data())

    @given(st.lists(st.builds(str.__mul__, st.characters(), st.integers(0, 5_000)), max_size=40))
    def test_any_value_is_bounded(self, value: list[str]) -> None:
        cutter = Cutter()
        kept = cutter.value("member", {"list": value, "twice": value})
        # JSON may write a character of one byte with six.
        assert len(json.dumps(kept, ensure_ascii=False).encode()) < 6 * 32 * 1024 + 1_000
        assert (cutter.truncated is None) == (kept == {"list": value, "twice": value})

    def test_huge_numbers_become_text(self) -> None:
        event = only(executed(func_return=[10**5_000, float("inf"), 2**63])).event
        assert isinstance(event, schemas.ToolExecutionCompleted)
        assert event.data.func_return == [hex(10**5_000), "inf", 2**63]

    def test_depth_is_bounded(self) -> None:
        value: object = "deep"
        for _ in range(2_000):
            value = [value]
        event = only(executed(func_return=value)).event
        assert isinstance(event, schemas.ToolExecutionCompleted)
        assert event.data.truncated == ["func_return"]


class Kept:
    """An emitter that keeps what it gets."""

    def __init__(self) -> None:
        self.emitted: list[tuple[Any, Any]] = []

    def emit(self, event: Any, *, trace: Any = None, tracestate: Any = None, causationid: Any = None) -> None:
        del tracestate, causationid
        self.emitted.append((event, trace))


class TestRecording:
    def test_it_has_every_type(self) -> None:
        kept = Kept()
        ids = recording.replay(kept, fresh_ids=False)
        assert {event.event_type for event, _ in kept.emitted} == set(schemas.SHORT_NAMES)
        assert ids == [event.event_id for event, _ in kept.emitted]
        assert len(set(ids)) == len(ids)

    def test_as_recorded_it_is_always_the_same(self) -> None:
        first, second = Kept(), Kept()
        assert recording.replay(first, fresh_ids=False) == recording.replay(second, fresh_ids=False)
        assert first.emitted == second.emitted

    def test_fresh_ones_differ_and_hold_together(self) -> None:
        kept = [Kept(), Kept()]
        ids = [recording.replay(emitter, fresh_ids=True) for emitter in kept]
        assert not set(ids[0]) & set(ids[1])
        old = Kept()
        recording.replay(old, fresh_ids=False)
        for emitter in kept:
            assert shape(emitter) == shape(old)
            assert max(event.timestamp for event, _ in emitter.emitted) <= datetime.now(UTC)
            for event, _ in emitter.emitted:
                assert not contracts.validate(event.event_type, schemas.to_envelope(event).data())


def shape(kept: Kept) -> list[tuple[str, int, int, int, int]]:
    """Types and what belongs together: each id by the place where it first came."""
    seen: dict[str, int] = {}

    def place(value: str | None) -> int:
        return seen.setdefault(value or "", len(seen))

    return [
        (
            event.event_type,
            place(event.agent_id),
            place(event.subject),
            place(getattr(event.data, "step_id", None)),
            place(trace.trace_id),
        )
        for event, trace in kept.emitted
    ]
