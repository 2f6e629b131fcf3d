"""Whether and where spans go, by OpenTelemetry's own variables and nothing else.

Tracing is on where `OTEL_TRACES_EXPORTER` names an exporter, or where an OTLP endpoint is set; `OTEL_SDK_DISABLED`
turns it off. Sampler, resource, batch sizes, endpoints, headers and time-outs are read by the SDK and its exporters
themselves. The SDK is imported from here, and only when it is asked for: a process without it pays nothing.
"""

import logging
from collections.abc import Callable, Mapping
from typing import Protocol, cast

from otel.exporters import TelemetryUnusable, exporters_of, import_sdk, require_sdk
from otel.spans import Tracing
from otel.variables import check_variables, drop_empty

_LOGGER = logging.getLogger(__name__)


class _Module(Protocol):
    def open_tracing(
        self, exporters: tuple[str, ...], version: str, masked: Callable[[str], str]
    ) -> Tracing: ...


def tracing_from(
    environ: Mapping[str, str], *, version: str, masked: Callable[[str], str] = str
) -> Tracing | None:
    """Where the spans of this process go; None: nowhere, and nothing was imported.

    ``masked`` takes secrets out of a text that somebody else chose.

    Raises ``TelemetryUnusable``: the SDK or the exporter is not installed, or a variable has a value it cannot have.
    """
    exporters = exporters_of(environ, "traces")
    if not exporters:
        return None
    require_sdk()
    check_variables(environ, "traces")
    drop_empty()
    module = cast("_Module", import_sdk("otel.sdk"))
    return module.open_tracing(exporters, version, masked)


def start_tracing(
    environ: Mapping[str, str], *, version: str, masked: Callable[[str], str] = str
) -> Tracing | None:
    """The same for a process that goes on without spans where it cannot have them, and says why."""
    try:
        return tracing_from(environ, version=version, masked=masked)
    except TelemetryUnusable as error:
        _LOGGER.error("nothing is traced: %s", error)  # noqa: TRY400 - the sentence says it all
        return None
