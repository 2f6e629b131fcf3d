"""OpenTelemetry's variables whose wrong values its SDK tells badly: looked at before it is imported.

The SDK answers some with a traceback, some without the variable's name, and some by something else than was asked for.
Here each is one sentence, and its signal is off: whoever asks for one trace in a hundred is not given all of them.
"""

import math
import os
from collections.abc import Mapping, MutableMapping
from typing import Final

from otel.exporters import Signal, TelemetryUnusable

_SHOWN_CHARS_MAX: Final = 32
_NUMBER_MAX: Final = 2**31 - 1

_SAMPLER, _SAMPLER_ARG = "OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG"
_SAMPLERS: Final = (
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
)
_QUEUE, _BATCH = "OTEL_BSP_MAX_QUEUE_SIZE", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE"
_QUEUE_DEFAULT, _BATCH_DEFAULT = 2048, 512
_POSITIVE: Final = (_QUEUE, _BATCH, "OTEL_BSP_SCHEDULE_DELAY", "OTEL_BSP_EXPORT_TIMEOUT")
_LIMITS: Final = (
    "OTEL_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT",
    "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT",
    "OTEL_SPAN_EVENT_COUNT_LIMIT",
    "OTEL_SPAN_LINK_COUNT_LIMIT",
    "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT",
)
_COMPRESSIONS: Final = ("gzip", "deflate", "none")


def check_variables(environ: Mapping[str, str], signal: Signal) -> None:
    """Raises ``TelemetryUnusable``, with the name and what it must be, where one has a value it cannot have."""
    if signal == "traces":
        _check_sampler(environ)
        _check_batches(environ)
        for name in _LIMITS:
            _number(environ, name, least=0)
    for kind in ("", f"{signal.upper()}_"):
        _check_seconds(environ, f"OTEL_EXPORTER_OTLP_{kind}TIMEOUT")
        _check_choice(environ, f"OTEL_EXPORTER_OTLP_{kind}COMPRESSION", _COMPRESSIONS)


def drop_empty(environ: MutableMapping[str, str] = os.environ) -> None:
    """Let go of those that are set to nothing: to the standard they are not set, and to the SDK they are wrong."""
    for name in (_SAMPLER, *_POSITIVE):
        if name in environ and not environ[name].strip():
            del environ[name]


def _check_sampler(environ: Mapping[str, str]) -> None:
    _check_choice(environ, _SAMPLER, _SAMPLERS)
    ratio = _given(environ, _SAMPLER_ARG)
    if ratio and _given(environ, _SAMPLER).lower().endswith("traceidratio"):
        share = _float(ratio)
        if share is None or not 0 <= share <= 1:
            raise _wrong(_SAMPLER_ARG, ratio, "a number from 0 to 1")


def _check_batches(environ: Mapping[str, str]) -> None:
    for name in _POSITIVE:
        _number(environ, name, least=1)
    queue = int(_given(environ, _QUEUE) or _QUEUE_DEFAULT)
    batch = int(_given(environ, _BATCH) or _BATCH_DEFAULT)
    if batch > queue:
        raise TelemetryUnusable(
            f"{_BATCH} is {batch} and {_QUEUE} is {queue}; the first must not be more than the second."
        )


def _check_seconds(environ: Mapping[str, str], name: str) -> None:
    text = _given(environ, name)
    seconds = _float(text) if text else 1
    if seconds is None or seconds <= 0:
        raise _wrong(name, text, "a number of seconds above 0")


def _check_choice(environ: Mapping[str, str], name: str, allowed: tuple[str, ...]) -> None:
    text = _given(environ, name)
    if text and text.lower() not in allowed:
        raise _wrong(name, text, f"{', '.join(allowed[:-1])} or {allowed[-1]}")


def _number(environ: Mapping[str, str], name: str, *, least: int) -> None:
    text = _given(environ, name)
    if text and not (
        text.isascii() and text.isdigit() and least <= int(text[:_SHOWN_CHARS_MAX]) <= _NUMBER_MAX
    ):
        raise _wrong(name, text, f"a whole number from {least} to {_NUMBER_MAX}")


def _float(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _given(environ: Mapping[str, str], name: str) -> str:
    return environ.get(name, "").strip()


def _wrong(name: str, text: str, must: str) -> TelemetryUnusable:
    return TelemetryUnusable(f"{name} is {text[:_SHOWN_CHARS_MAX]!r}; it must be {must}.")
