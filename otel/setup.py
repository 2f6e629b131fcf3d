"""Whether and where spans go, by OpenTelemetry's own variables and nothing else.

Tracing is on where `OTEL_TRACES_EXPORTER` names an exporter, or where an OTLP endpoint is set; `OTEL_SDK_DISABLED`
turns it off. Sampler, resource, batch sizes, endpoints, headers and time-outs are read by the SDK and its exporters
themselves. The SDK is imported from here, and only when it is asked for: a process without it pays nothing.
"""

import importlib
import importlib.util
import logging
from collections.abc import Callable, Mapping
from typing import Final, Protocol, cast

from otel.spans import Tracing

_LOGGER = logging.getLogger(__name__)
_EXPORTER: Final = "OTEL_TRACES_EXPORTER"
_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_DISABLED: Final = "OTEL_SDK_DISABLED"
_OTLP: Final = "otlp"
_OTLP_EXPORTERS: Final = {"grpc": "otlp_proto_grpc", "http/protobuf": "otlp_proto_http"}
_DEFAULT_PROTOCOL: Final = "http/protobuf"
_INSTALL: Final = "pip install 'letta-gateway[otel]'"


class TracingUnusable(Exception):
    """Tracing was asked for and cannot be had. The text says what to do; nothing but spans depends on it."""


class _Module(Protocol):
    def open_tracing(
        self, exporters: tuple[str, ...], version: str, masked: Callable[[str], str]
    ) -> Tracing: ...


def wanted_exporters(environ: Mapping[str, str]) -> tuple[str, ...]:
    """The exporters that the variables name, as entry points of `opentelemetry_traces_exporter`; none: tracing is off.

    Raises ``TracingUnusable`` for an OTLP protocol that does not exist.
    """
    if environ.get(_DISABLED, "").strip().lower() == "true":
        return ()
    named = [name.strip() for name in environ.get(_EXPORTER, "").split(",") if name.strip()]
    if not named and any(environ.get(name, "").strip() for name in _ENDPOINTS):
        named = [_OTLP]
    if any(name.lower() == "none" for name in named):
        return ()
    return tuple(dict.fromkeys(_entry_point(name, environ) for name in named))


def tracing_from(
    environ: Mapping[str, str], *, version: str, masked: Callable[[str], str] = str
) -> Tracing | None:
    """Where the spans of this process go; None: nowhere, and nothing was imported.

    ``masked`` takes secrets out of a text that somebody else chose.

    Raises ``TracingUnusable``: the SDK or the exporter is not installed, or a variable has a value it cannot have.
    """
    exporters = wanted_exporters(environ)
    if not exporters:
        return None
    if importlib.util.find_spec("opentelemetry.sdk") is None:
        raise TracingUnusable(f"The OpenTelemetry SDK is not installed: {_INSTALL}.")
    module = cast("_Module", importlib.import_module("otel.sdk"))
    return module.open_tracing(exporters, version, masked)


def start_tracing(
    environ: Mapping[str, str], *, version: str, masked: Callable[[str], str] = str
) -> Tracing | None:
    """The same for a process that goes on without spans where it cannot have them, and says why."""
    try:
        return tracing_from(environ, version=version, masked=masked)
    except TracingUnusable as error:
        _LOGGER.error("nothing is traced: %s", error)  # noqa: TRY400 - the sentence says it all
        return None


def _entry_point(name: str, environ: Mapping[str, str]) -> str:
    if name != _OTLP:
        return name
    given = next((value for variable in _PROTOCOLS if (value := environ.get(variable, "").strip())), "")
    protocol = given or _DEFAULT_PROTOCOL
    if protocol not in _OTLP_EXPORTERS:
        allowed = " or ".join(_OTLP_EXPORTERS)
        raise TracingUnusable(f"OTEL_EXPORTER_OTLP_PROTOCOL is {protocol!r}; it must be {allowed}.")
    return _OTLP_EXPORTERS[protocol]
