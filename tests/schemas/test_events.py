import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from contracts.examples import EXAMPLES
from schemas import (
    SHORT_NAMES,
    EnvelopeError,
    JobCompleted,
    MessageSent,
    PayloadError,
    RunCompleted,
    StepCompleted,
    StepCompletedData,
    ToolExecutionCompleted,
    UnknownEvent,
    build,
    cut_text,
    parse_event,
    parse_structured,
    to_binary,
    to_envelope,
    to_structured,
    type_of,
)
from schemas.events import MODELS

SUBJECTS = {
    "agent.step.completed": "step_id",
    "agent.step.failed": "step_id",
    "agent.message.sent": "message_id",
    "agent.tool.attached": "tool_id",
    "agent.tool.detached": "tool_id",
    "agent.run.completed": "run_id",
    "agent.job.completed": "job_id",
    "tool.execution.completed": "tool_id",
}
OUTER = ("event_id", "event_type", "timestamp", "agent_id", "organization_id", "data")
STATUS_REQUIRED = {name for name in SHORT_NAMES if name.endswith(("completed", "failed"))}


def minimal(short: str) -> dict[str, Any]:
    data = {SUBJECTS[short]: "some-id"} | ({"status": "x"} if short in STATUS_REQUIRED else {})
    return {**EXAMPLES[short], "data": data}


@pytest.mark.parametrize("short", SHORT_NAMES)
def test_every_way_a_receiver_gets_an_event_makes_the_same_model(short: str) -> None:
    event = parse_event(EXAMPLES[short])
    assert type(event) is MODELS[short]
    envelope = to_envelope(event)
    structured = to_structured(envelope, dataschema="https://x/y")
    _, body = to_binary(envelope)
    for received in (envelope, structured, body, json.loads(structured), json.loads(body)):
        assert parse_event(received) == event
    assert json.loads(body) == EXAMPLES[short]


@pytest.mark.parametrize("short", SHORT_NAMES)
def test_only_ids_and_status_are_required(short: str) -> None:
    event = parse_event(minimal(short))
    assert event.subject == "some-id"
    for member in minimal(short)["data"]:
        lacking = minimal(short)
        del lacking["data"][member]
        with pytest.raises(PayloadError) as caught:
            parse_event(lacking)
        assert [problem.pointer for problem in caught.value.problems] == [f"/data/data/{member}"]


@pytest.mark.parametrize("short", SHORT_NAMES)
@pytest.mark.parametrize("member", OUTER)
def test_the_six_members_are_required(short: str, member: str) -> None:
    lacking = minimal(short)
    del lacking[member]
    with pytest.raises(PayloadError) as caught:
        parse_event(lacking)
    if member != "event_type":
        assert [problem.pointer for problem in caught.value.problems] == [f"/data/{member}"]


@pytest.mark.parametrize("short", SHORT_NAMES)
def test_what_a_newer_sender_adds_is_kept(short: str) -> None:
    newer = minimal(short)
    newer["new"] = [1]
    newer["data"]["status"] = "a status nobody knew"
    newer["data"]["new"] = {"deep": None}
    event = parse_event(newer)
    written = json.loads(to_envelope(event).body or b"")
    assert (written["new"], written["data"]["new"]) == ([1], {"deep": None})


@pytest.mark.parametrize("short", SHORT_NAMES)
def test_null_is_as_good_as_absent_where_nothing_is_required(short: str) -> None:
    event = minimal(short)
    data_model = MODELS[short].model_fields["data"].annotation
    assert data_model is not None
    event["data"] |= {name: None for name in data_model.model_fields if name not in event["data"]}
    assert parse_event(event) == parse_event(minimal(short))
    assert json.loads(to_envelope(parse_event(event)).body or b"") == minimal(short)


def test_only_a_job_may_be_without_an_agent() -> None:
    for short in SHORT_NAMES:
        event = minimal(short) | {"agent_id": None}
        if short == "agent.job.completed":
            envelope = to_envelope(parse_event(event))
            assert envelope.source == f"https://letta/organizations/{event['organization_id']}"
            assert envelope.attributes["partitionkey"] == envelope.subject == "some-id"
            assert json.loads(envelope.body or b"")["agent_id"] is None
        else:
            with pytest.raises(PayloadError):
                parse_event(event)


@pytest.mark.parametrize(
    "received",
    [b"", b"{", b'{"event_type":"agent.run.completed"}', {"specversion": "1.0"}, b'{"specversion": "1.0"}'],
)
def test_what_is_no_letta_event_is_refused_in_one_way(received: Any) -> None:
    with pytest.raises(EnvelopeError) as caught:
        parse_event(received)
    assert caught.value.problems
    assert all(problem.detail for problem in caught.value.problems)


def test_what_is_no_known_type_is_told_apart_and_kept_whole() -> None:
    payload = minimal("agent.run.completed") | {"event_type": "agent.run.dreamt"}
    assert parse_event(payload) == UnknownEvent("agent.run.dreamt", payload)
    assert parse_event(json.dumps(payload).encode()) == UnknownEvent("agent.run.dreamt", payload)
    foreign = build(
        {"id": "1", "source": "/s", "type": "org.example.paid"}, {"event_type": "agent.run.completed"}
    )
    expected = UnknownEvent("org.example.paid", {"event_type": "agent.run.completed"}, foreign)
    assert parse_event(foreign) == parse_event(foreign.raw) == expected
    # As an object it has no envelope: nobody has judged it.
    assert parse_event(json.loads(foreign.raw)) == UnknownEvent("org.example.paid", expected.data)
    assert parse_event(build({"id": "1", "source": "/s", "type": "org.example.empty"})).data is None  # type: ignore[comparison-overlap]


@pytest.mark.parametrize(
    "value", [{}, [], None, 1, "text", {"event_type": ""}, {"event_type": 1}, {"message": "hello"}]
)
def test_a_body_of_another_type_in_binary_mode_is_passed_over(value: Any) -> None:
    body = json.dumps(value).encode()
    assert parse_event(body) == UnknownEvent("", value)
    for headers in (
        {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/s", "ce-type": "org.example.paid"},
        {"CE-Specversion": "1.0", "CE-Id": "1", "CE-Source": "/s", "CE-Type": "org.example.paid"},
    ):
        event = parse_event(body, headers | {"Content-Type": "application/json"})
        assert isinstance(event, UnknownEvent)
        assert (event.type, event.data) == ("org.example.paid", value)
        assert event.envelope is not None
        assert event.envelope.id == "1"


def test_headers_say_what_the_event_is() -> None:
    own = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/s", "ce-type": "org.example.photo"}
    photo = parse_event(b"\xff\xd8", own | {"content-type": "image/jpeg"})
    assert isinstance(photo, UnknownEvent)
    assert photo.data == b"\xff\xd8"
    assert parse_event(b"", own).event_type is None
    # A body that looks like one of Letta's, and one that looks like a CloudEvent.
    run = json.dumps(minimal("agent.run.completed")).encode()
    assert parse_event(run, own | {"content-type": "application/json"}).event_type is None
    assert (
        parse_event(b'{"specversion":"1.0"}', own | {"content-type": "application/json"}).event_type is None
    )
    letta = own | {"ce-type": type_of("agent.run.completed"), "content-type": "application/json"}
    assert parse_event(run, letta) == parse_event(run)
    with pytest.raises(PayloadError):
        parse_event(b"{}", letta)
    # These say nothing of it, as where a proxy took them out.
    assert parse_event(run, {"content-type": "application/json"}) == parse_event(run)
    whole = build({"id": "1", "source": "/s", "type": "org.example.paid"}, 1)
    structured = {"content-type": "application/cloudevents+json; charset=utf-8"}
    assert parse_event(whole.raw, structured) == parse_event(whole)
    with pytest.raises(EnvelopeError, match="/id"):
        parse_event(b'{"specversion":"1.0"}', structured)


def test_bytes_that_are_not_what_they_say_are_kept_of_another_type_only() -> None:
    raw = (
        b'{"specversion":"1.0","id":"1","source":"/s","type":"%s",'
        b'"datacontenttype":"application/json","data_base64":"ew=="}'
    )
    assert parse_event(raw % b"org.example.paid") == UnknownEvent(
        "org.example.paid", b"{", parse_structured(raw % b"org.example.paid")
    )
    with pytest.raises(EnvelopeError):
        parse_event(raw % type_of("agent.run.completed").encode())


@pytest.mark.parametrize(
    "headers", [None, {"Content-Type": "application/cloudevents-batch+json; charset=utf-8"}]
)
def test_a_batch_is_not_passed_over(headers: dict[str, str] | None) -> None:
    whole = build({"id": "1", "source": "/s", "type": "org.example.paid"}, 1)
    with pytest.raises(PayloadError, match="parse_batch"):
        parse_event(b"[" + whole.raw + b"]", headers)


def test_a_thin_event_says_where_its_data_are() -> None:
    thin = build(
        {
            "id": "1",
            "source": "/s",
            "type": type_of("agent.run.completed"),
            "dataref": "https://g.example/payloads/1",
        }
    )
    for received in (thin, thin.raw, json.loads(thin.raw)):
        with pytest.raises(PayloadError, match=r"GET https://g\.example/payloads/1"):
            parse_event(received)
    own = build(
        {"id": "1", "source": "/s", "type": "org.example.paid", "dataref": "https://g.example/payloads/1"}
    )
    assert parse_event(own) == parse_event(own.raw) == UnknownEvent("org.example.paid", None, own)
    assert parse_event(json.loads(own.raw)) == UnknownEvent("org.example.paid", None)


def test_a_known_type_in_a_bad_state_is_not_passed_over() -> None:
    broken = build(
        {"id": "1", "source": "/s", "type": type_of("agent.run.completed")}, {"event_type": "agent.x"}
    )
    for received in (broken, broken.raw, json.loads(broken.raw)):
        with pytest.raises(PayloadError):
            parse_event(received)


def test_an_event_without_data_is_refused() -> None:
    with pytest.raises(PayloadError):
        parse_event(build({"id": "1", "source": "/s", "type": type_of("agent.step.completed")}))


def test_models_are_immutable_and_say_what_they_are_about() -> None:
    run = RunCompleted.model_validate(EXAMPLES["agent.run.completed"])
    assert (run.subject, run.correlationid, run.partitionkey) == (
        run.data.run_id,
        run.data.run_id,
        run.agent_id,
    )
    step = StepCompleted.model_validate(EXAMPLES["agent.step.completed"])
    assert (step.subject, step.correlationid) == (step.data.step_id, step.data.run_id)
    job = JobCompleted.model_validate(EXAMPLES["agent.job.completed"])
    assert (job.partitionkey, job.correlationid) == (job.data.job_id, None)
    with pytest.raises(ValidationError):
        run.event_id = "other"  # type: ignore[misc]  # the point of the test


TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_an_event_on_the_wire() -> None:
    event = StepCompleted(
        event_id="evt_1",
        timestamp=datetime(2026, 1, 1, 14, tzinfo=timezone(timedelta(hours=2))),
        agent_id="agent-1",
        organization_id="org-1",
        data=StepCompletedData(step_id="step-1", status="completed", run_id="run-1"),
    )
    envelope = to_envelope(
        event,
        traceparent=TRACEPARENT,
        tracestate="a=b,c=d",
        causationid="evt_0",
        sequence="00000000000000000001",
    )
    assert envelope.attributes == {
        "specversion": "1.0",
        "id": "evt_1",
        "source": "https://letta/organizations/org-1/agents/agent-1",
        "type": "com.letta.agent.step.completed",
        "subject": "step-1",
        "time": "2026-01-01T12:00:00Z",
        "datacontenttype": "application/json",
        "partitionkey": "agent-1",
        "correlationid": "run-1",
        "causationid": "evt_0",
        "sequence": "00000000000000000001",
        "traceparent": TRACEPARENT,
        "tracestate": "a=b,c=d",
    }
    assert envelope.body == (
        b'{"event_id":"evt_1","event_type":"agent.step.completed","timestamp":"2026-01-01T12:00:00Z",'
        b'"agent_id":"agent-1","organization_id":"org-1",'
        b'"data":{"step_id":"step-1","run_id":"run-1","status":"completed"}}'
    )
    again = parse_structured(envelope.raw)
    assert (again.attributes, again.body) == (envelope.attributes, envelope.body)
    assert to_envelope(event, source_base="urn:me").source == "urn:me/organizations/org-1/agents/agent-1"


def test_an_invalid_trace_context_is_left_out() -> None:
    event = parse_event(EXAMPLES["agent.message.sent"])
    assert isinstance(event, MessageSent)
    assert (
        not {"traceparent", "tracestate"}
        & to_envelope(event, traceparent="x", tracestate="a=b").attributes.keys()
    )
    assert not {"traceparent", "tracestate"} & to_envelope(event, tracestate="a=b").attributes.keys()


any_id = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@given(any_id, any_id, any_id, any_id)
def test_row_22_attribute_values_are_printable_without_space_quote_or_percent(
    event_id: str, agent: str, step: str, run: str
) -> None:
    payload = EXAMPLES["agent.step.completed"] | {"event_id": event_id, "agent_id": agent}
    envelope = to_envelope(
        parse_event(payload | {"data": {"step_id": step, "run_id": run, "status": "completed"}})
    )
    for name, value in envelope.attributes.items():
        if name != "source":  # percent-encoded where an id is no part of a URI; no id of Letta's is
            assert set(str(value)) <= set(map(chr, range(0x21, 0x7F))) - {'"', "%"}
    assert parse_event(parse_structured(envelope.raw)).data.step_id == step  # type: ignore[union-attr]
    assert parse_structured(envelope.raw).attributes == envelope.attributes


cycle: list[Any] = []
cycle.append(cycle)
deep: list[Any] = []
for _ in range(200):
    deep = [deep]


class Hostile:
    def __str__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (float("nan"), None),
        (float("-inf"), None),
        ("half \ud800", "half ?"),
        (b"\xff", "\ufffd"),
        ({1: 2, "1": 3}, {"1": 3}),
        ({"a": {"b": cycle}}, {"a": {"b": ["(left out)"]}}),
        (10**5000, "(left out)"),
        (2**70, 2**70),
        (Hostile(), "(Hostile)"),
        (datetime(2026, 1, 1, tzinfo=UTC), "2026-01-01T00:00:00Z"),
        ({"nothing": None}, {"nothing": None}),
    ],
    ids=lambda value: type(value).__name__,  # some of them cannot be written down
)
def test_whatever_a_tool_returns_the_event_is_one_that_is_accepted(value: Any, written: Any) -> None:
    payload = EXAMPLES["tool.execution.completed"]
    event = ToolExecutionCompleted.model_validate(
        payload | {"data": payload["data"] | {"func_return": value}}
    )
    envelope = parse_structured(to_envelope(event).raw)
    assert envelope.data()["data"].get("func_return") == written
    assert parse_event(envelope).event_id == payload["event_id"]


def test_whatever_is_nested_too_deep_is_cut_off() -> None:
    payload = EXAMPLES["tool.execution.completed"]
    event = ToolExecutionCompleted.model_validate(
        payload | {"data": payload["data"] | {"func_return": deep, "more": "é\ud800"}}
    )
    data = parse_structured(to_envelope(event).raw).data()["data"]
    assert (data["more"], "(left out)" in str(data["func_return"])) == ("é?", True)


@given(st.text(), st.integers(0, 50))
def test_text_is_cut_between_characters(text: str, bytes_max: int) -> None:
    cut, was_cut = cut_text(text, bytes_max)
    octets = cut.encode()
    whole = text.encode("utf-8", "replace").decode()
    assert len(octets) <= bytes_max
    assert whole.startswith(cut)
    assert was_cut == (cut != whole)
    assert not was_cut or len(octets) > bytes_max - 4


def test_text_is_cut_at_32_kib() -> None:
    assert cut_text("a" * 32768) == ("a" * 32768, False)
    assert cut_text("a" * 32769) == ("a" * 32768, True)
    assert cut_text("é" * 20000) == ("é" * 16384, True)
