"""`letta-gateway emit --traceparent`: the command is the producer, and tells its spans where it is said to whom."""

import os
import socket
import subprocess
import sys

import pytest
from otlp_receiver import OtlpReceiver

from gateway.cli.emit_spans import EmitSpans
from letta_emitter import EmitterSettings
from otel.origin import emitted_span_id
from schemas import build

OURS = ("GATEWAY_", "LETTA_EMITTER_", "LETTA_GATEWAY_", "OTEL_")
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01"


@pytest.fixture
def emit(dev):
    """The command as a process of its own, for the SDK reads the environment of the process."""

    def run(*arguments, **environ):
        others = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
        return subprocess.run(
            [
                sys.executable,
                "-m",
                "gateway",
                "emit",
                *arguments,
                "--data",
                "{}",
                "--data-dir",
                str(dev.data_dir),
            ],
            env=others | environ,
            capture_output=True,
            text=True,
            check=True,
        )

    return run


def test_emit_and_publish_are_told_below_the_span_that_is_given(emit):
    with OtlpReceiver() as otlp:
        emit("com.example.told", "--event-id", "told-1", "--traceparent", PARENT, **otlp.env())
        tree = otlp.wait(TRACE, lambda found: len(found.spans) == 2, "two spans")
    told, published = tree.one("emit letta.events"), tree.one("publish letta.events")
    for span in (told, published):
        assert (span.kind, span.parent, span.service) == ("PRODUCER", SPAN, "letta-gateway")
        assert span.attributes["cloudevents.event_id"] == "told-1"
        assert "letta_gateway.told_by" not in span.attributes
    assert told.start_ns <= told.end_ns == published.start_ns <= published.end_ns


def test_what_is_wrong_with_the_environment_is_one_sentence_and_the_event_goes(emit):
    done = emit(
        "com.example.told",
        "--traceparent",
        PARENT,
        OTEL_TRACES_EXPORTER="otlp",
        OTEL_BSP_SCHEDULE_DELAY="soon",
    )
    assert done.stdout.startswith("Published ")
    (line,) = done.stderr.splitlines()
    assert line.startswith("No spans are told: OTEL_BSP_SCHEDULE_DELAY is 'soon'; ")


def test_where_nobody_takes_the_spans_the_command_ends_without_a_traceback(emit):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        nowhere = f"http://127.0.0.1:{probe.getsockname()[1]}"
        done = emit("com.example.told", "--traceparent", PARENT, OTEL_EXPORTER_OTLP_ENDPOINT=nowhere)
    assert done.stdout.startswith("Published ")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "traceparent",
    [None, f"00-{TRACE}-{SPAN}-00", f"00-{TRACE}-{emitted_span_id('1')}-01"],
    ids=["none", "unsampled", "begun"],
)
def test_what_begins_with_the_event_is_told_by_the_gateway_and_what_is_unsampled_by_nobody(
    traceparent, tmp_path
):
    envelope = build({"id": "1", "source": "/s", "type": "t", "traceparent": traceparent})
    settings = EmitterSettings(redis_url="redis://127.0.0.1:9/0", spool_dir=tmp_path)
    assert EmitSpans.for_event(envelope, settings, os.environ | {"OTEL_TRACES_EXPORTER": "console"}) is None
