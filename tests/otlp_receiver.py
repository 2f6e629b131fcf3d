"""A real OTLP receiver for spans, over gRPC and over HTTP: what a tracing backend would have been told."""

import gzip
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

import grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2, metrics_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)
from opentelemetry.proto.trace.v1 import trace_pb2

KINDS = {number: name.removeprefix("SPAN_KIND_") for name, number in trace_pb2.Span.SpanKind.items()}
ERROR = trace_pb2.Status.STATUS_CODE_ERROR
WITHIN_S = 30.0


@dataclass(frozen=True)
class Seen:
    """One span as it came over the wire; ids in hexadecimal, times in nanoseconds."""

    name: str
    kind: str
    trace_id: str
    span_id: str
    parent: str
    start_ns: int
    end_ns: int
    attributes: Mapping[str, Any]
    links: Sequence[tuple[str, str, Mapping[str, Any]]]
    error: str | None
    service: str
    scope: str

    @property
    def place(self) -> tuple[str, str]:
        return self.trace_id, self.span_id


class OtlpReceiver:
    """`with OtlpReceiver() as otlp: otlp.grpc_url, otlp.http_url, otlp.spans`."""

    def __init__(self) -> None:
        self.spans: list[Seen] = []
        self.raw: list[bytes] = []
        # While this is cleared, whoever exports waits for an answer.
        self.answers = threading.Event()
        self.answers.set()
        self._grpc = grpc.server(ThreadPoolExecutor(8))
        add_TraceServiceServicer_to_server(_Traces(self), self._grpc)
        metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server(_Metrics(), self._grpc)
        port = self._grpc.add_insecure_port("127.0.0.1:0")
        self.grpc_url = f"http://127.0.0.1:{port}"
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._http.daemon_threads = True
        self.http_url = f"http://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Self:
        self._grpc.start()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.answers.set()
        self._http.shutdown()
        self._http.server_close()
        self._grpc.stop(0).wait(10)

    def env(self, *, protocol: str = "http/protobuf") -> dict[str, str]:
        """What a process is told, to export here and soon."""
        return {
            "OTEL_TRACES_EXPORTER": "otlp",
            "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.grpc_url if protocol == "grpc" else self.http_url,
            "OTEL_BSP_SCHEDULE_DELAY": "50",
        }

    def take(self, request: ExportTraceServiceRequest) -> None:
        self.raw.append(request.SerializeToString())
        for resource in request.resource_spans:
            service = _values(resource.resource.attributes).get("service.name", "")
            for scope in resource.scope_spans:
                self.spans += [_seen(span, service, scope.scope.name) for span in scope.spans]

    def of(self, trace_id: str) -> "Tree":
        return Tree([span for span in list(self.spans) if span.trace_id == trace_id])

    def wait(self, trace_id: str, holds: Callable[["Tree"], object], what: str) -> "Tree":
        """The spans of a trace, once they satisfy a condition."""
        deadline = time.monotonic() + WITHIN_S
        while not holds(found := self.of(trace_id)):
            assert time.monotonic() < deadline, f"no {what}, but {found.names()}"
            time.sleep(0.02)
        return found


@dataclass
class Tree:
    """The spans of one trace."""

    spans: list[Seen]
    by_id: dict[str, Seen] = field(init=False)

    def __post_init__(self) -> None:
        self.by_id = {span.span_id: span for span in self.spans}

    def names(self) -> Counter[str]:
        return Counter(span.name for span in self.spans)

    def named(self, name: str, **attributes: Any) -> list[Seen]:
        """Those whose name begins so, with these attributes (`__` for `.`), in order of start."""
        found = [
            span
            for span in self.spans
            if span.name == name or span.name.startswith(name + " ")
            if all(span.attributes.get(key.replace("__", ".")) == value for key, value in attributes.items())
        ]
        return sorted(found, key=lambda span: span.start_ns)

    def one(self, name: str, **attributes: Any) -> Seen:
        found = self.named(name, **attributes)
        assert len(found) == 1, (name, attributes, found)
        return found[0]

    def roots(self) -> list[Seen]:
        return [span for span in self.spans if not span.parent]

    def is_connected(self) -> bool:
        """Whether there is one root, and each other span stands below another one of these."""
        return len(self.roots()) == 1 and all(span.parent in self.by_id for span in self.spans if span.parent)

    def path(self, span: Seen) -> list[str]:
        """The names from the root down to a span."""
        names = [span.name]
        while span.parent:
            span = self.by_id[span.parent]
            names.append(span.name)
        return names[::-1]


def _seen(span: trace_pb2.Span, service: str, scope: str) -> Seen:
    return Seen(
        name=span.name,
        kind=KINDS[span.kind],
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent=span.parent_span_id.hex(),
        start_ns=span.start_time_unix_nano,
        end_ns=span.end_time_unix_nano,
        attributes=_values(span.attributes),
        links=[(link.trace_id.hex(), link.span_id.hex(), _values(link.attributes)) for link in span.links],
        error=span.status.message if span.status.code == ERROR else None,
        service=service,
        scope=scope,
    )


def _values(attributes: Iterable[Any]) -> dict[str, Any]:
    return {
        item.key: getattr(item.value, item.value.WhichOneof("value") or "string_value") for item in attributes
    }


class _Traces(TraceServiceServicer):
    def __init__(self, owner: OtlpReceiver) -> None:
        self._owner = owner

    def Export(self, request: ExportTraceServiceRequest, context: Any) -> ExportTraceServiceResponse:  # noqa: ARG002, N802
        self._owner.answers.wait(WITHIN_S)
        self._owner.take(request)
        return ExportTraceServiceResponse()


class _Metrics(metrics_service_pb2_grpc.MetricsServiceServicer):
    def Export(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        return metrics_service_pb2.ExportMetricsServiceResponse()


def _handler(owner: OtlpReceiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            owner.answers.wait(WITHIN_S)
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            if self.path == "/v1/traces":
                owner.take(ExportTraceServiceRequest.FromString(body))
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            pass

    return Handler
