"""Figures through the OpenTelemetry SDK's exporters, in its own data model. Imported where they are wanted.

The SDK's own instruments are passed by: ours are on the hot path already, and it has none for a histogram that somebody
else keeps (docs/decisions/0022). Sums and histograms are cumulative.
"""

import logging
import threading
import time
from collections.abc import Sequence
from typing import Final

from opentelemetry.sdk.metrics import Exemplar as SdkExemplar
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricExporter,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from otel.exporters import TelemetryUnusable
from otel.metrics import Exemplar, Family, Kind, Spread
from otel.sdk_parts import exporter_of, named

_LOGGER = logging.getLogger(__name__)
_SERVICE: Final = "letta-gateway"
_SCOPE: Final = "letta_gateway"
_UNITS: Final = {"seconds": "s", "bytes": "By", "": ""}
"""As UCUM has them. Not `1` for a plain number: translated to Prometheus that would become a ratio."""

_US_NS: Final = 1_000


class SdkMetrics:
    """Implements ``otel.metrics_setup.MetricsExport``."""

    def __init__(
        self, exporters: Sequence[MetricExporter], resource: Resource, *, version: str, interval_s: float
    ) -> None:
        self._exporters = tuple(exporters)
        self._resource = resource
        self._scope = InstrumentationScope(_SCOPE, version)
        self._since_ns = time.time_ns()
        self._pushing: threading.Thread | None = None
        self.interval_s = interval_s

    def send(self, families: Sequence[Family]) -> None:
        """See ``MetricsExport.send``. Threads that no process waits for: whoever takes the figures may hang."""
        if self._pushing is None or not self._pushing.is_alive():
            self._pushing = threading.Thread(
                target=self._push, args=(families,), name="otel-metrics", daemon=True
            )
            self._pushing.start()

    def _push(self, families: Sequence[Family]) -> None:
        for exporter in self._exporters:
            try:
                exporter.export(self.data(families))
            except Exception as error:  # noqa: BLE001 - whatever it is, the gateway goes on without it
                # A failed answer the exporter has told of itself.
                _LOGGER.error("the figures were not pushed: %s: %s", type(error).__name__, error)  # noqa: TRY400

    def close(self, families: Sequence[Family], timeout_s: float) -> None:
        """See ``MetricsExport.close``."""
        thread = threading.Thread(target=self._end, args=(families,), name="otel-metrics-close", daemon=True)
        thread.start()
        thread.join(timeout_s)
        if thread.is_alive():
            _LOGGER.warning("the last figures were not pushed within %g s", timeout_s)

    def data(self, families: Sequence[Family]) -> MetricsData:
        """The figures in the SDK's data model."""
        now_ns = time.time_ns()
        found = [self._metric(family, now_ns) for family in families if family.samples or family.spreads]
        return MetricsData([ResourceMetrics(self._resource, [ScopeMetrics(self._scope, found, "")], "")])

    def _end(self, families: Sequence[Family]) -> None:
        self._push(families)
        for exporter in self._exporters:
            try:
                exporter.shutdown()
            except Exception as error:  # noqa: BLE001 - an exporter's trouble is told, and is nobody else's
                _LOGGER.warning("the exporter of figures did not end well: %s", error)

    def _metric(self, family: Family, now_ns: int) -> Metric:
        name = f"{family.name}_info" if family.kind is Kind.INFO else family.name
        data: Sum | Gauge | Histogram
        if family.kind is Kind.HISTOGRAM:
            points = [self._histogram(spread, now_ns) for spread in family.spreads]
            data = Histogram(points, AggregationTemporality.CUMULATIVE)
        else:
            numbers = [
                NumberDataPoint(dict(sample.labels), self._since_ns, now_ns, sample.value)
                for sample in family.samples
            ]
            counts = family.kind is Kind.COUNTER
            data = (
                Sum(numbers, AggregationTemporality.CUMULATIVE, is_monotonic=True)
                if counts
                else Gauge(numbers)
            )
        return Metric(name, family.meaning, _UNITS[family.unit], data)

    def _histogram(self, spread: Spread, now_ns: int) -> HistogramDataPoint:
        return HistogramDataPoint(
            attributes=dict(spread.labels),
            start_time_unix_nano=self._since_ns,
            time_unix_nano=now_ns,
            count=spread.count,
            sum=spread.total,
            bucket_counts=list(spread.counts),
            explicit_bounds=list(spread.bounds),
            # Not kept: of what is cumulative they say little, and a gateway runs for months.
            min=float("inf"),
            max=float("-inf"),
            exemplars=[_exemplar(exemplar) for exemplar in spread.exemplars if exemplar is not None],
        )


def open_metrics(exporters: Sequence[str], *, version: str, interval_s: float) -> SdkMetrics:
    """Resource and exporters, as the SDK reads them from its variables.

    Raises ``TelemetryUnusable`` where one of them cannot be had.
    """
    try:
        made = [exporter_of("metrics", name) for name in exporters]
        resource = named(Resource.create(), version)
    except TelemetryUnusable:
        raise
    except Exception as error:
        raise TelemetryUnusable(f"Metrics cannot be set up: {type(error).__name__}: {error}") from error
    return SdkMetrics(made, resource, version=version, interval_s=interval_s)


def _exemplar(exemplar: Exemplar) -> SdkExemplar:
    return SdkExemplar(
        {},
        exemplar.value,
        exemplar.at_us * _US_NS,
        span_id=int(exemplar.span_id or "0", 16),
        trace_id=int(exemplar.trace_id, 16),
    )
