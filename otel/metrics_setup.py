"""Whether and where figures are pushed to, by OpenTelemetry's own variables and nothing else.

They are pushed where `OTEL_METRICS_EXPORTER` names an exporter, or where an OTLP endpoint is set; `OTEL_SDK_DISABLED`
turns that off. Endpoints, headers, time-outs and the resource are read by the SDK and its exporters themselves. The
SDK is imported from here, and only when it is asked for: a process without it pays nothing.
"""

import importlib
import importlib.util
import logging
from collections.abc import Mapping, Sequence
from typing import Final, Protocol, cast

from otel.metrics import Family

_LOGGER = logging.getLogger(__name__)
_EXPORTER: Final = "OTEL_METRICS_EXPORTER"
_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS: Final = ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_INTERVAL: Final = "OTEL_METRIC_EXPORT_INTERVAL"
_INTERVAL_MS: Final = 60_000
_INTERVAL_MS_MIN: Final = 100
_DISABLED: Final = "OTEL_SDK_DISABLED"
_OTLP: Final = "otlp"
_PULLED: Final = "prometheus"
_OTLP_EXPORTERS: Final = {"grpc": "otlp_proto_grpc", "http/protobuf": "otlp_proto_http"}
_DEFAULT_PROTOCOL: Final = "http/protobuf"
_INSTALL: Final = "pip install 'letta-gateway[otel]'"


class MetricsUnusable(Exception):
    """Pushing was asked for and cannot be had. The text says what to do; nothing but that depends on it."""


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


def wanted_exporters(environ: Mapping[str, str]) -> tuple[str, ...]:
    """The exporters that are named, as entry points of `opentelemetry_metrics_exporter`; none: nothing is pushed.

    `prometheus` is served at `/metrics` in any case. Raises ``MetricsUnusable`` for an OTLP protocol that does not
    exist.
    """
    if environ.get(_DISABLED, "").strip().lower() == "true":
        return ()
    named = [name.strip() for name in environ.get(_EXPORTER, "").split(",") if name.strip()]
    if not named and any(environ.get(name, "").strip() for name in _ENDPOINTS):
        named = [_OTLP]
    if any(name.lower() == "none" for name in named):
        return ()
    return tuple(dict.fromkeys(_entry_point(name, environ) for name in named if name != _PULLED))


def metrics_from(environ: Mapping[str, str], *, version: str) -> MetricsExport | None:
    """Where the figures of this process are pushed to; None: nowhere, and nothing was imported.

    Raises ``MetricsUnusable``: the SDK or the exporter is not installed, or a variable has a value it cannot have.
    """
    exporters = wanted_exporters(environ)
    if not exporters:
        return None
    if importlib.util.find_spec("opentelemetry.sdk") is None:
        raise MetricsUnusable(f"The OpenTelemetry SDK is not installed: {_INSTALL}.")
    interval_s = _interval_s(environ)
    module = cast("_Module", importlib.import_module("otel.metrics_sdk"))
    return module.open_metrics(exporters, version=version, interval_s=interval_s)


def start_metrics(environ: Mapping[str, str], *, version: str) -> MetricsExport | None:
    """The same for a process that goes on where it cannot have them, and says why."""
    try:
        return metrics_from(environ, version=version)
    except MetricsUnusable as error:
        _LOGGER.error("no metrics are pushed: %s", error)  # noqa: TRY400 - the sentence says it all
        return None


def _interval_s(environ: Mapping[str, str]) -> float:
    text = environ.get(_INTERVAL, "").strip() or str(_INTERVAL_MS)
    if not (text.isascii() and text.isdigit()) or int(text) < _INTERVAL_MS_MIN:
        raise MetricsUnusable(
            f"{_INTERVAL} is {text[:32]!r}; it must be {_INTERVAL_MS_MIN} or more milliseconds."
        )
    return int(text) / 1_000


def _entry_point(name: str, environ: Mapping[str, str]) -> str:
    if name != _OTLP:
        return name
    given = next((value for variable in _PROTOCOLS if (value := environ.get(variable, "").strip())), "")
    protocol = given or _DEFAULT_PROTOCOL
    if protocol not in _OTLP_EXPORTERS:
        allowed = " or ".join(_OTLP_EXPORTERS)
        raise MetricsUnusable(f"OTEL_EXPORTER_OTLP_PROTOCOL is {protocol[:32]!r}; it must be {allowed}.")
    return _OTLP_EXPORTERS[protocol]
