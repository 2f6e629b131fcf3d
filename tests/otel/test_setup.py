"""Whether spans are made is OpenTelemetry's own variables' to say."""

import threading
from collections.abc import Mapping

import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.sampling import DEFAULT_ON, ParentBasedTraceIdRatio, TraceIdRatioBased

from otel.exporters import TelemetryUnusable, exporters_of
from otel.sdk import SdkTracing, open_tracing
from otel.setup import start_tracing, tracing_from
from otel.spans import LINKS_MAX, EndedSpan, Kind, SpanLink
from otel.traceparent import TraceParent, derive

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
GRPC, HTTP = ("otlp_proto_grpc",), ("otlp_proto_http",)


@pytest.mark.parametrize(
    ("environ", "wanted"),
    [
        ({}, ()),
        ({ENDPOINT: "http://h:4318"}, HTTP),
        ({ENDPOINT: " "}, ()),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://h:4318/v1/traces"}, HTTP),
        ({ENDPOINT: "http://h:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, GRPC),
        (
            {
                ENDPOINT: "http://h",
                "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
                "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf",
            },
            HTTP,
        ),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, HTTP),
        ({"OTEL_TRACES_EXPORTER": "console, otlp_proto_grpc, console"}, ("console", *GRPC)),
        ({"OTEL_TRACES_EXPORTER": "none", ENDPOINT: "http://h"}, ()),
        ({"OTEL_SDK_DISABLED": "True", ENDPOINT: "http://h"}, ()),
        ({"OTEL_SDK_DISABLED": "false", ENDPOINT: "http://h"}, HTTP),
    ],
)
def test_which_exporters_are_wanted(environ: Mapping[str, str], wanted: tuple[str, ...]) -> None:
    assert exporters_of(environ, "traces") == wanted


def test_a_protocol_that_there_is_not_is_named() -> None:
    with pytest.raises(TelemetryUnusable, match="OTEL_EXPORTER_OTLP_PROTOCOL is 'tin cans'"):
        exporters_of({ENDPOINT: "http://h", "OTEL_EXPORTER_OTLP_PROTOCOL": "tin cans"}, "traces")


def test_an_exporter_that_is_not_installed_is_named(caplog: pytest.LogCaptureFixture) -> None:
    environ = {"OTEL_TRACES_EXPORTER": "pigeon"}
    with pytest.raises(TelemetryUnusable, match="no exporter 'pigeon'"):
        tracing_from(environ, version="1")
    assert start_tracing(environ, version="1") is None
    assert "nothing is traced" in caplog.text


def test_without_the_sdk_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(TelemetryUnusable, match=r"pip install 'letta-gateway\[otel\]'"):
        tracing_from({ENDPOINT: "http://h"}, version="1")


def test_the_sampler_is_the_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_always_off")
    tracing = open_tracing(("console",), "1")
    given = derive("given")
    assert tracing.samples(given, is_root=False)
    assert not tracing.samples(given, is_root=True)
    tracing.close(1)


class Kept(SpanProcessor):
    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []

    def on_end(self, span: ReadableSpan) -> None:
        self.spans.append(span)


def span(**changes: object) -> EndedSpan:
    trace = derive("a")
    told = EndedSpan("POST", Kind.CLIENT, trace, "b" * 16, 1_000_000, 1_000_500, {"k": 1})
    for name, value in changes.items():
        setattr(told, name, value)
    return told


def recorded(told: EndedSpan) -> ReadableSpan:
    kept = Kept()
    SdkTracing(DEFAULT_ON, Resource({}), [kept], "1").record(told)
    (found,) = kept.spans
    return found


def test_a_span_is_as_it_was_told() -> None:
    found = recorded(span(error="503"))
    trace = derive("a")
    assert (found.name, found.kind.name) == ("POST", "CLIENT")
    assert f"{found.context.trace_id:032x}" == trace.trace_id
    assert f"{found.context.span_id:016x}" == trace.span_id
    assert (f"{found.parent.span_id:016x}", found.parent.is_remote) == ("b" * 16, True)
    assert (found.start_time, found.end_time) == (1_000_000_000, 1_000_500_000)
    assert (found.status.status_code.name, found.status.description) == ("ERROR", "503")
    assert found.attributes == {"k": 1}


def test_a_root_has_no_parent_and_time_does_not_go_back() -> None:
    found = recorded(span(parent=None, ended_us=5))
    assert found.parent is None
    assert found.end_time == found.start_time


def test_links_are_bounded() -> None:
    found = recorded(span(links=[SpanLink(derive(str(number))) for number in range(LINKS_MAX + 50)]))
    assert len(found.links) == LINKS_MAX


def test_what_its_producer_does_not_sample_no_sampler_does() -> None:
    unsampled = TraceParent("a" * 32, "b" * 16, sampled=False)
    tracing = SdkTracing(TraceIdRatioBased(1.0), Resource({}), [], "1")
    assert not tracing.samples(unsampled, is_root=False)
    assert not tracing.samples(unsampled, is_root=True)


def test_a_ratio_is_of_the_traces_that_begin_here() -> None:
    tracing = SdkTracing(ParentBasedTraceIdRatio(0.1), Resource({}), [], "1")
    begun = [tracing.samples(derive(str(number)), is_root=True) for number in range(4_000)]
    assert 300 <= sum(begun) <= 500
    assert all(tracing.samples(derive(str(number)), is_root=False) for number in range(100))


def test_a_sampler_that_fails_wants_nothing() -> None:
    class Broken(TraceIdRatioBased):
        def should_sample(self, *_arguments: object, **_more: object) -> None:
            raise RuntimeError

    assert not SdkTracing(Broken(1.0), Resource({}), [], "1").samples(derive("a"), is_root=True)


def test_what_fails_is_said_once_and_goes_no_further(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(SpanProcessor):
        def on_end(self, span: ReadableSpan) -> None:
            raise RuntimeError(span.name)

    tracing = SdkTracing(DEFAULT_ON, Resource({}), [Broken()], "1")
    for _ in range(3):
        tracing.record(span())
    # Once in a process: another test may have had it said.
    assert caplog.text.count("spans are missing") <= 1


def test_an_end_is_bounded_whatever_the_exporter_does() -> None:
    """It hangs until the test lets it go, and nobody waits for it."""
    release = threading.Event()

    class Hanging(SpanProcessor):
        def shutdown(self) -> None:
            release.wait()

    tracing = SdkTracing(DEFAULT_ON, Resource({}), [Hanging(), Hanging()], "1")
    tracing.close(0.05)
    assert not release.is_set()
    release.set()
