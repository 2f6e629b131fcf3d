"""Figures by OTLP: whether they are wanted, and what somebody who takes them reads."""

import http.server
import threading

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from otel.exporters import TelemetryUnusable, exporters_of
from otel.metrics import Counter, Durations, Family, Kind, Sample, gauge, histogram
from otel.metrics_setup import metrics_from, start_metrics

HTTP, GRPC = "otlp_proto_http", "otlp_proto_grpc"
ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
TRACE = "0123456789abcdef" * 2


@pytest.mark.parametrize(
    ("environ", "wanted"),
    [
        ({}, ()),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://x"}, ()),
        ({ENDPOINT: "http://x"}, (HTTP,)),
        ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://x"}, (HTTP,)),
        ({ENDPOINT: "http://x", "OTEL_METRICS_EXPORTER": "none"}, ()),
        ({ENDPOINT: "http://x", "OTEL_SDK_DISABLED": "TRUE"}, ()),
        ({"OTEL_METRICS_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, (GRPC,)),
        (
            {
                "OTEL_METRICS_EXPORTER": "otlp",
                "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
                "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL": "http/protobuf",
            },
            (HTTP,),
        ),
        ({"OTEL_METRICS_EXPORTER": "prometheus"}, ()),
        ({"OTEL_METRICS_EXPORTER": "console, otlp,otlp"}, ("console", HTTP)),
    ],
)
def test_whether_they_are_pushed_is_said_by_opentelemetrys_variables(environ, wanted):
    assert exporters_of(environ, "metrics", served={"prometheus"}) == wanted


@pytest.mark.parametrize(
    ("environ", "told"),
    [
        ({ENDPOINT: "http://x", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"}, "must be grpc or http/protobuf"),
        ({"OTEL_METRICS_EXPORTER": "nobody-has-this"}, "no exporter 'nobody-has-this'"),
        ({ENDPOINT: "http://x", "OTEL_METRIC_EXPORT_INTERVAL": "often"}, "100 or more milliseconds"),
        ({ENDPOINT: "http://x", "OTEL_METRIC_EXPORT_INTERVAL": "1"}, "100 or more milliseconds"),
    ],
)
def test_what_cannot_be_is_said_and_nothing_else_depends_on_it(environ, told, caplog):
    with pytest.raises(TelemetryUnusable, match=told):
        metrics_from(environ, version="0")
    assert start_metrics(environ, version="0") is None
    assert told in caplog.text


@pytest.fixture
def taker():
    """Somebody who takes OTLP over HTTP; `got` is what came."""
    got = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append((self.path, ExportMetricsServiceRequest.FromString(body)))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    server.got = got
    server.url = f"http://127.0.0.1:{server.server_port}"
    yield server
    server.shutdown()
    server.server_close()


def test_each_kind_arrives_as_what_it_is_with_its_exemplars(taker, monkeypatch):
    environ = {ENDPOINT: taker.url, "OTEL_METRIC_EXPORT_INTERVAL": "5000"}
    for name, value in (environ | {"OTEL_RESOURCE_ATTRIBUTES": "deployment.environment=test"}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("OTEL_SERVICE_NAME", raising=False)
    export = metrics_from(environ, version="1.2.3")
    assert export.interval_s == 5
    counter = Counter("c", "Counts.", ("a",), known=[("x",)])
    counter.add("x", by=3)
    durations = Durations((("feed", "live"),))
    durations.observe(20_000, TRACE, 1_700_000_000_000_000, "0123456789abcdef")
    families = [
        counter.family(),
        gauge("g", "A gauge.", 5),
        gauge("unknown", "Not known.", None),
        histogram("h_seconds", "How long.", durations),
        Family("build", Kind.INFO, "Which.", [Sample(1, (("version", "1.2.3"),))]),
    ]
    export.close(families, 10.0)
    ((path, request),) = taker.got
    assert path == "/v1/metrics"
    (resource,) = request.resource_metrics
    named = {item.key: item.value.string_value for item in resource.resource.attributes}
    assert named["service.name"] == "letta-gateway"
    assert named["service.version"] == "1.2.3"
    assert named["deployment.environment"] == "test"
    found = {metric.name: metric for metric in resource.scope_metrics[0].metrics}
    assert set(found) == {"c", "g", "h_seconds", "build_info"}
    assert found["c"].sum.is_monotonic
    assert [point.as_int for point in found["c"].sum.data_points] == [3]
    assert found["g"].gauge.data_points[0].as_int == 5
    (point,) = found["h_seconds"].histogram.data_points
    assert found["h_seconds"].unit == "s"
    assert (point.count, point.sum, sum(point.bucket_counts)) == (1, 0.02, 1)
    assert len(point.bucket_counts) == len(point.explicit_bounds) + 1
    (exemplar,) = point.exemplars
    assert (exemplar.trace_id.hex(), exemplar.span_id.hex()) == (TRACE, "0123456789abcdef")


def test_one_who_does_not_take_them_is_not_waited_for(monkeypatch, caplog):
    class Hangs:
        released = threading.Event()

        def export(self, _data):
            self.released.wait(30)

        def shutdown(self):
            pass

    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - as where it is wanted

    from otel.metrics_sdk import SdkMetrics  # noqa: PLC0415 - likewise

    monkeypatch.setattr("otel.metrics_sdk.SdkMetrics._metric", lambda *_: None)
    hangs = Hangs()
    export = SdkMetrics([hangs], Resource({}), version="0", interval_s=1)
    export.send([])
    pushing = export._pushing
    export.send([])
    assert export._pushing is pushing, "one at a time"
    export.close([], 0.01)
    assert "not pushed within 0.01 s" in caplog.text
    hangs.released.set()
    pushing.join(10)
