"""Whether and where figures are pushed to, by OpenTelemetry's own variables and nothing else.

They are pushed where `OTEL_METRICS_EXPORTER` names an exporter, or where an OTLP endpoint is set; `OTEL_SDK_DISABLED`
turns that off. Endpoints, headers, time-outs and the resource are read by the SDK and its exporters themselves. The
SDK is imported from here, and only when it is asked for: a process without it pays nothing.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Final, Protocol, cast

from otel.exporters import TelemetryUnusable, exporters_of, import_sdk, require_sdk
from otel.metrics import Family
from otel.variables import check_variables

_LOGGER = logging.getLogger(__name__)
_INTERVAL: Final = "OTEL_METRIC_EXPORT_INTERVAL"
_INTERVAL_MS: Final = 60_000
_INTERVAL_MS_MIN: Final = 100
_SERVED: Final = frozenset({"prometheus"})
"""At `/metrics`, in any case."""


class MetricsExport(Protocol):
    """Pushes figures."""

    @property
    def interval_s(self) -> float:
        """How often."""
        ...

    def send(self, families: Sequence[Family]) -> None:
        """Push them once, beside the caller, unless the time before is not over yet. What goes wrong is in the log."""
        ...

    def close(self, families: Sequence[Family], timeout_s: float) -> None:
        """Push them for the last time and let go; blocks for as long as this."""
        ...


class _Module(Protocol):
    def open_metrics(
        self, exporters: tuple[str, ...], *, version: str, interval_s: float
    ) -> MetricsExport: ...


def metrics_from(environ: Mapping[str, str], *, version: str) -> MetricsExport | None:
    """Where the figures of this process are pushed to; None: nowhere, and nothing was imported.

    Raises ``TelemetryUnusable``: the SDK or the exporter is not installed, or a variable has a value it cannot have.
    """
    exporters = exporters_of(environ, "metrics", served=_SERVED)
    if not exporters:
        return None
    require_sdk()
    interval_s = _interval_s(environ)
    check_variables(environ, "metrics")
    module = cast("_Module", import_sdk("otel.metrics_sdk"))
    return module.open_metrics(exporters, version=version, interval_s=interval_s)


def start_metrics(environ: Mapping[str, str], *, version: str) -> MetricsExport | None:
    """The same for a process that goes on where it cannot have them, and says why."""
    try:
        return metrics_from(environ, version=version)
    except TelemetryUnusable as error:
        _LOGGER.error("no metrics are pushed: %s", error)  # noqa: TRY400 - the sentence says it all
        return None


def _interval_s(environ: Mapping[str, str]) -> float:
    text = environ.get(_INTERVAL, "").strip() or str(_INTERVAL_MS)
    if not (text.isascii() and text.isdigit()) or int(text) < _INTERVAL_MS_MIN:
        raise TelemetryUnusable(
            f"{_INTERVAL} is {text[:32]!r}; it must be {_INTERVAL_MS_MIN} or more milliseconds."
        )
    return int(text) / 1_000
