"""The emitter's spans are made by whoever's process it is; where nobody traces, nothing is imported or made."""

import subprocess
import sys

import pytest
import redis
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import schemas
from letta_emitter.hooks import sending
from letta_emitter.mapping.calls import Context, RunEnded
from letta_emitter.settings import EmitterSettings
from letta_emitter.shown import known_secrets
from otel import producing
from otel.origin import emitted_span_id, origin_of
from otel.traceparent import derive

TRACE, SPAN = "a" * 32, "b" * 16
GIVEN = f"00-{TRACE}-{SPAN}-01"


@pytest.fixture
def traced(monkeypatch):
    """A provider as Letta's, for this test alone: the API lets none be replaced."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr("opentelemetry.trace.get_tracer_provider", lambda: provider)
    return exporter.get_finished_spans


def envelope(number=1, **attributes):
    source = schemas.source_of("https://letta", "org-1", "agent-1")
    given = {"id": f"evt_{number}", "source": source, "type": "com.letta.agent.message.sent", "subject": "m"}
    return schemas.build(given | attributes, {"traceparent": "00-in-the-data"})


def test_conformance_41_emit_and_publish_stand_below_the_events_span(
    traced, valkey, make_emitter, eventually
):
    emitter = make_emitter(valkey.url)
    emitter.emit(envelope(1, traceparent=GIVEN))
    emitter.emit(envelope(2, traceparent=GIVEN[:-2] + "00"))
    emitter.emit(envelope(3))
    eventually(lambda: len(traced()) == 2)
    emit, publish = traced()
    assert [span.name for span in (emit, publish)] == ["emit letta.events", "publish letta.events"]
    for span in (emit, publish):
        assert span.kind.name == "PRODUCER"
        assert f"{span.context.trace_id:032x}" == TRACE
        assert f"{span.parent.span_id:016x}" == SPAN
        assert span.attributes["cloudevents.event_id"] == "evt_1"
        assert span.attributes["cloudevents.event_type"] == "com.letta.agent.message.sent"
        assert span.attributes["messaging.destination.name"] == "letta.events"
    assert publish.attributes["messaging.batch.message_count"] >= 1
    assert emit.start_time <= emit.end_time <= publish.end_time


PASSWORD, TOKEN, KEY = "swordfish-pass-word", "lgw_" + "t" * 20, "exporter-key-of-letta"
DATA = "data-that-nobody-may-see"
CHARS_MAX = 256


def test_no_attribute_carries_a_secret_a_payload_or_what_has_no_bound(
    traced, valkey, make_emitter, eventually, monkeypatch
):
    """All that there is on any of the emitter's spans is looked at."""
    monkeypatch.setenv("LETTA_EMITTER_GATEWAY_TOKEN", TOKEN)
    monkeypatch.setenv("LETTA_OTEL_EXPORTER_OTLP_HEADERS", f"api-key={KEY}")
    with redis.Redis.from_url(valkey.url) as client:
        client.config_set("requirepass", PASSWORD)
    emitter = make_emitter(valkey.url.replace("://", f"://:{PASSWORD}@"), stream="s" * CHARS_MAX)
    said = f"redis://user:{PASSWORD}@host Bearer {TOKEN} {KEY} "
    events = [
        envelope(1, id=said, subject=said, traceparent=GIVEN),
        envelope(2, id=f"{said}{'x' * 5_000}", subject="é" * 5_000, traceparent=GIVEN),
        # Cut where a secret stands: it is masked as a whole, or half of it would stay.
        envelope(3, id="y" * (CHARS_MAX - 6) + PASSWORD, subject='"quoted"', traceparent=GIVEN),
        # Without a subject of its own, and with data that look like attributes.
        schemas.build(
            {"id": "evt_4", "source": "/s", "type": "t", "traceparent": GIVEN},
            {"subject": DATA, "id": DATA, "source": DATA, "text": DATA * 200},
        ),
        # As somebody else renders it: the data first.
        schemas.parse_structured(
            f'{{"data":{{"id":"{DATA}","subject":"{DATA}","traceparent":"{GIVEN[:-2]}00"}},"specversion":"1.0",'
            f'"id":"evt_5","source":"/s","type":"t","traceparent":"{GIVEN}"}}'.encode()
        ),
    ]
    for event in events:
        emitter.emit(event)
    eventually(lambda: len(traced()) == 2 * len(events))
    spans = traced()
    for span in spans:
        assert len(span.name) <= CHARS_MAX
        assert len(span.attributes) <= 32
        for name, value in span.attributes.items():
            assert len(str(value)) <= CHARS_MAX, name
            found = [word for word in (PASSWORD, PASSWORD[:5], TOKEN, KEY, DATA) if word in str(value)]
            assert not found, (span.name, name, value)
    named = {kind: called(spans, kind) for kind in ("emit", "publish")}
    assert named["emit"] == named["publish"]
    assert [told["cloudevents.event_id"] for told in named["emit"][3:]] == ["evt_4", "evt_5"]
    assert [told.get("cloudevents.event_subject") for told in named["emit"][2:]] == ['"quoted"', None, None]


def called(spans, kind):
    """What each event is called, in the order in which they were emitted."""
    return [
        {name: value for name, value in span.attributes.items() if name.startswith("cloudevents.")}
        for span in spans
        if span.name.startswith(kind)
    ]


def test_what_is_known_for_a_secret(tmp_path):
    url = "rediss://letta:p%40ss-word@redis.example:6379/0?password=other-word"
    environ = {
        "LETTA_EMITTER_GATEWAY_TOKEN": TOKEN,
        "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20first-key",
        "LETTA_OTEL_EXPORTER_OTLP_ENDPOINT": "https://user:second-key@collector.example:4317",
        "OTHER": "not-one",
    }
    known = known_secrets(EmitterSettings(redis_url=url, spool_dir=tmp_path), environ)
    assert {"p%40ss-word", "p@ss-word", "other-word", TOKEN, "first-key", "second-key"} <= set(known)
    assert not {"letta", "redis.example", "not-one"} & set(known)


def test_where_an_event_names_a_span_that_nobody_made_the_gateway_tells_the_emitters_part(
    traced, valkey, make_emitter, look, eventually
):
    """Also in a process that traces: what happens outside of any of its spans begins a trace of its own, once."""
    emitter = make_emitter(valkey.url)
    emitter.emit(envelope(1, traceparent=f"00-{TRACE}-{emitted_span_id('evt_1')}-01"))
    emitter.emit(envelope(2, traceparent=GIVEN))
    eventually(lambda: len(traced()) == 2)
    assert look(valkey.url).count() == 2
    assert {span.attributes["cloudevents.event_id"] for span in traced()} == {"evt_2"}


def test_what_goes_wrong_with_a_span_loses_no_event(monkeypatch, valkey, make_emitter, look, eventually):
    def broken() -> None:
        raise RuntimeError("no spans today")

    monkeypatch.setattr("opentelemetry.trace.get_tracer_provider", broken)
    emitter = make_emitter(valkey.url)
    emitter.emit(envelope(traceparent=GIVEN))
    eventually(lambda: look(valkey.url).count() == 1)
    assert emitter.stats.get("failed") == 0


def test_without_a_provider_of_its_own_a_process_makes_none():
    assert producing._tracer() is None
    assert producing.emit_span(envelope(traceparent=GIVEN), "s") is None


def test_where_nobody_traces_nothing_is_imported(tmp_path):
    script = f"""
import sys
from pathlib import Path
import schemas
from letta_emitter.emitter import Emitter
from letta_emitter.settings import EmitterSettings
emitter = Emitter(EmitterSettings(redis_url="redis://127.0.0.1:9/0", spool_dir=Path({str(tmp_path)!r})))
attributes = {{"id": "1", "source": "/s", "type": "t", "traceparent": {GIVEN!r}}}
emitter.append(schemas.build(attributes, None))
emitter.emit(schemas.build(attributes | {{"id": "2"}}, None))
print(emitter.stats.get("emitted"), "opentelemetry.sdk.trace" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "False"]


class Emitted:
    def __init__(self):
        self.traces = []

    def emit(self, event, *, trace, **_more):
        self.traces.append((event.event_id, trace))


@pytest.mark.parametrize("traceparent", [None, GIVEN])
def test_an_event_begins_at_lettas_span_else_at_one_of_its_own_in_the_trace_of_its_step(
    monkeypatch, traceparent
):
    emitter = Emitted()
    monkeypatch.setattr("letta_emitter.get_emitter", lambda: emitter)
    run = {"id": f"run-{traceparent}", "agent_id": "agent-1", "status": "completed"}
    at = schemas.parse_event(
        {
            "event_id": "evt_1",
            "event_type": "agent.run.completed",
            "timestamp": "2026-01-01T12:00:00Z",
            "agent_id": "agent-1",
            "organization_id": "org-1",
            "data": {"run_id": "run-1", "status": "completed"},
        }
    ).timestamp
    sending.deliver(RunEnded(context=Context(at, "org-1", traceparent), run=run))
    ((event_id, trace),) = emitter.traces
    if traceparent is None:
        assert trace == derive(run["id"]).with_span(emitted_span_id(event_id))
    else:
        assert trace.render() == GIVEN
    # The gateway can tell the one from the other.
    named = envelope(id=event_id, traceparent=trace.render())
    assert origin_of(named).is_root is (traceparent is None)
