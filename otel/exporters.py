"""Which exporters a signal is to go to, by OpenTelemetry's own variables and nothing else; without the SDK.

A signal goes out where its `OTEL_…_EXPORTER` names an exporter, or where an OTLP endpoint is set; `OTEL_SDK_DISABLED`
turns all of them off.
"""

import importlib
import importlib.util
from collections.abc import Collection, Mapping
from types import ModuleType
from typing import Final, Literal

Signal = Literal["traces", "metrics"]

_DISABLED: Final = "OTEL_SDK_DISABLED"
_OTLP: Final = "otlp"
_OTLP_EXPORTERS: Final = {"grpc": "otlp_proto_grpc", "http/protobuf": "otlp_proto_http"}
_DEFAULT_PROTOCOL: Final = "http/protobuf"
_SHOWN_CHARS_MAX: Final = 32
INSTALL: Final = "pip install 'letta-gateway[otel]'"


class TelemetryUnusable(Exception):
    """A signal was asked for and cannot be had. The text says what to do; nothing but that signal depends on it."""


def exporters_of(
    environ: Mapping[str, str], signal: Signal, *, served: Collection[str] = ()
) -> tuple[str, ...]:
    """The exporters that are named, as entry points of `opentelemetry_{signal}_exporter`; none: the signal is off.

    Args:
        environ: The variables.
        signal: Which one.
        served: Names of what is there in any case, and needs no exporter.

    Raises:
        TelemetryUnusable: The OTLP protocol does not exist.
    """
    if environ.get(_DISABLED, "").strip().lower() == "true":
        return ()
    kind = signal.upper()
    named = [name.strip() for name in environ.get(f"OTEL_{kind}_EXPORTER", "").split(",") if name.strip()]
    if not named and _given(environ, kind, "ENDPOINT"):
        named = [_OTLP]
    if any(name.lower() == "none" for name in named):
        return ()
    wanted = [name for name in named if name not in served]
    return tuple(dict.fromkeys(_otlp(environ, kind) if name == _OTLP else name for name in wanted))


def require_sdk() -> None:
    """Raises ``TelemetryUnusable`` where the SDK is not installed."""
    if importlib.util.find_spec("opentelemetry.sdk") is None:
        raise TelemetryUnusable(f"The OpenTelemetry SDK is not installed: {INSTALL}.")


def import_sdk(module: str) -> ModuleType:
    """A module of ours that imports the SDK. Raises ``TelemetryUnusable`` where that fails: it reads variables then."""
    try:
        return importlib.import_module(module)
    except Exception as error:
        raise TelemetryUnusable(
            f"The OpenTelemetry SDK cannot be loaded: {type(error).__name__}: {error}"
        ) from error


def _otlp(environ: Mapping[str, str], kind: str) -> str:
    protocol = _given(environ, kind, "PROTOCOL") or _DEFAULT_PROTOCOL
    if protocol not in _OTLP_EXPORTERS:
        allowed = " or ".join(_OTLP_EXPORTERS)
        shown = protocol[:_SHOWN_CHARS_MAX]
        raise TelemetryUnusable(f"OTEL_EXPORTER_OTLP_PROTOCOL is {shown!r}; it must be {allowed}.")
    return _OTLP_EXPORTERS[protocol]


def _given(environ: Mapping[str, str], kind: str, what: str) -> str:
    """The signal's own variable of OTLP, or else the one for all signals; empty: neither is set."""
    for name in (f"OTEL_EXPORTER_OTLP_{kind}_{what}", f"OTEL_EXPORTER_OTLP_{what}"):
        if value := environ.get(name, "").strip():
            return value
    return ""
