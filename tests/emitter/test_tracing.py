"""An explicit call does what the hooks do: the event joins the current span, or begins a trace (CONFORMANCE 33)."""

import json
import subprocess
import sys

import pytest
from opentelemetry import trace as api
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON

import schemas
from letta_emitter import EmitterSettings, WebhookManager, emit_once
from letta_emitter.tracing import begun_trace, written
from otel.current import current_trace
from otel.origin import emitted_span_id, origin_of
from otel.traceparent import derive, parse_traceparent

TRACE, SPAN = "a" * 32, "b" * 16
GIVEN = f"00-{TRACE}-{SPAN}-01"
BASE = "https://letta"
STEP = {"step_id": "step-1", "status": "completed"}
OTHER = {"id": "evt_o", "source": "/s", "type": "com.example.thing"}


@pytest.fixture(params=[ALWAYS_ON, ALWAYS_OFF], ids=["sampled", "unsampled"])
def tracing(request, monkeypatch):
    """A provider as Letta's: its tracer, what it has exported, and the flags of what it samples."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(sampler=request.param, shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr("opentelemetry.trace.get_tracer_provider", lambda: provider)
    return provider.get_tracer("letta"), exporter.get_finished_spans, request.param is ALWAYS_ON


def rendered(span):
    context = span.get_span_context()
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags) & 1:02x}"


def publish(emitter, **more):
    return WebhookManager(emitter).publish_event(
        "agent.step.completed", agent_id="agent-1", organization_id="org-1", data=STEP, **more
    )


def letta_event(name="agent.step.completed", number=1, **data):
    return schemas.parse_letta_event(
        {
            "event_id": f"evt_{number}",
            "event_type": name,
            "timestamp": "2026-01-01T12:00:00Z",
            "agent_id": "agent-1",
            "organization_id": "org-1",
            "data": STEP | data,
        }
    )


def test_an_explicit_call_joins_the_current_span(*, tracing, valkey, make_emitter, look, eventually):
    tracer, finished, is_sampled = tracing
    emitter = make_emitter(valkey.url)
    with tracer.start_as_current_span("step") as span:
        publish(emitter, event_id="evt_1")
        emitter.emit(schemas.build(OTHER))
    eventually(lambda: look(valkey.url).count() == 2)
    found = look(valkey.url).envelopes()
    assert [envelope.attributes["traceparent"] for envelope in found] == [rendered(span)] * 2
    assert not any(origin_of(envelope).is_root for envelope in found)
    if is_sampled:
        eventually(lambda: len(finished()) == 5)
        told = [one for one in finished() if one.name != "step"]
        assert sorted(one.name.split()[0] for one in told) == ["emit", "emit", "publish", "publish"]
        assert {one.parent.span_id for one in told} == {span.get_span_context().span_id}
    else:
        assert not finished()


def test_outside_of_any_span_the_event_begins_a_trace_that_the_gateway_tells(
    tracing, valkey, make_emitter, look, eventually
):
    _, finished, _ = tracing
    publish(make_emitter(valkey.url), event_id="evt_1")
    eventually(lambda: look(valkey.url).count() == 1)
    (found,) = look(valkey.url).envelopes()
    assert found.traceparent == derive("step-1").with_span(emitted_span_id("evt_1")).render()
    assert origin_of(found).is_root
    assert not finished()


def test_a_trace_that_is_given_goes_before_the_current_span(tracing, valkey, make_emitter, look, eventually):
    tracer, _, _ = tracing
    emitter = make_emitter(valkey.url)
    with tracer.start_as_current_span("step"):
        publish(emitter, trace=parse_traceparent(GIVEN), tracestate="a=b")
        emitter.emit(schemas.build(OTHER), trace=parse_traceparent(GIVEN))
        emitter.emit(schemas.build(OTHER | {"traceparent": GIVEN}))
    eventually(lambda: look(valkey.url).count() == 3)
    found = look(valkey.url).envelopes()
    assert [envelope.traceparent for envelope in found] == [GIVEN] * 3
    assert [envelope.attributes.get("tracestate") for envelope in found] == ["a=b", None, None]


def test_once_joins_the_current_span_and_tells_both_spans(*, tracing, valkey, spool_dir, look):
    tracer, finished, is_sampled = tracing
    settings = EmitterSettings(redis_url=valkey.url, spool_dir=spool_dir)
    with tracer.start_as_current_span("step") as span:
        emit_once(settings, letta_event())
    (found,) = look(valkey.url).envelopes()
    assert found.traceparent == rendered(span)
    if is_sampled:
        names = [one.name.split()[0] for one in finished()]
        assert sorted(names) == ["emit", "publish", "step"]


def test_the_events_of_a_step_begin_in_one_trace():
    step, message = letta_event(), letta_event("agent.message.sent", 2, message_id="message-1", status="sent")
    tool = letta_event(
        "tool.execution.completed", 3, tool_id="tool-1", status="success", execution_id="evt_3"
    )
    run = letta_event("agent.run.completed", 4, run_id="run-1")
    traces = [begun_trace(event) for event in (step, message, tool, run)]
    assert [trace.trace_id for trace in traces] == [derive("step-1").trace_id] * 3 + [
        derive("run-1").trace_id
    ]
    assert [trace.span_id for trace in traces] == [
        emitted_span_id(f"evt_{number}") for number in (1, 2, 3, 4)
    ]
    assert begun_trace(letta_event(trace_id=TRACE)).trace_id == TRACE
    assert begun_trace(letta_event(trace_id="not-one")).trace_id == derive("step-1").trace_id


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b'{"specversion":"1.0","id":"1","source":"/s","type":"t"}', None),
        (b'{"traceparent":null,"specversion":"1.0","id":"1","source":"/s","type":"t","data":[null]}', None),
        (b'{"tracestate":"x=y","specversion":"1.0","id":"1","source":"/s","type":"t"}', None),
        (b'{"specversion":"1.0","id":"1","source":"/s","type":"t","data":{"traceparent":1}} ', None),
        # Whoever wrote the envelope has said something, and it is published as it is.
        (b'{"specversion":"1.0","id":"1","source":"/s","type":"t","traceparent":"00-zz"}', "00-zz"),
    ],
)
def test_an_envelope_gets_the_trace_that_it_does_not_name_and_nothing_else(before, after):
    envelope = schemas.parse_structured(before)
    found = written(envelope, source_base=BASE, trace=parse_traceparent(GIVEN), tracestate="a=b")
    assert schemas.parse_structured(found.raw) == found
    assert schemas.parse_structured(found.raw).attributes == found.attributes
    assert found.attributes["traceparent"] == (after or GIVEN)
    assert found.attributes.get("tracestate") == (None if after else "a=b")
    assert json.loads(found.raw).get("data") == json.loads(before).get("data")
    assert written(envelope, source_base=BASE) is envelope


@pytest.mark.parametrize("put", [None, object()])
def test_what_is_no_span_is_no_trace_and_loses_no_event(put):
    token = api.context_api.attach(api.context_api.set_value(api.propagation._SPAN_KEY, put))
    try:
        assert current_trace() == (None, None)
        assert written(letta_event(), source_base=BASE).traceparent is not None
    finally:
        api.context_api.detach(token)


def test_the_api_is_not_imported_to_find_out(tmp_path):
    script = f"""
import sys
from pathlib import Path
from letta_emitter import EmitterSettings, WebhookManager
from letta_emitter.emitter import Emitter
emitter = Emitter(EmitterSettings(redis_url="redis://127.0.0.1:9/0", spool_dir=Path({str(tmp_path)!r})))
emitter._drain = None  # whose Redis client imports the API for itself
data = {{"step_id": "step-1", "status": "completed"}}
WebhookManager(emitter).publish_event("agent.step.completed", agent_id="a", organization_id="o", data=data)
print(emitter.stats.get("emitted"), "opentelemetry.trace" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "False"]
