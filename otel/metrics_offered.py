"""Figures for the meter provider that somebody else has set up in this process, by OpenTelemetry's API alone.

Where there is none, nothing is imported, made or kept.
"""

import logging
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation

_LOGGER = logging.getLogger(__name__)
_API: Final = "opentelemetry.metrics"
_SDK: Final = "opentelemetry.sdk.metrics"

Read = Callable[[], Mapping[str, int]]
"""A figure for each value of its attribute, which are few; one without an attribute is under the empty text."""


def provider_here() -> "MeterProvider | None":
    """The meter provider of this process, if somebody has set up one that exports; it is not waited for."""
    if _SDK not in sys.modules or _API not in sys.modules:
        return None
    from opentelemetry import metrics  # noqa: PLC0415 - it is loaded already, or is not wanted
    from opentelemetry.sdk.metrics import MeterProvider as Real  # noqa: PLC0415 - likewise

    found = metrics.get_meter_provider()
    return found if isinstance(found, Real) else None


class Offer:
    """Figures under one scope: read whenever the provider exports, in its thread."""

    def __init__(self, provider: "MeterProvider", scope: str, version: str) -> None:
        self._meter = provider.get_meter(scope, version)

    def counter(self, name: str, meaning: str, read: Read, *, attribute: str = "", unit: str = "") -> None:
        """What only grows."""
        callback = _callback(read, attribute)
        self._meter.create_observable_counter(name, [callback], unit=unit, description=meaning)

    def gauge(self, name: str, meaning: str, read: Read, *, attribute: str = "", unit: str = "") -> None:
        """What is as it is."""
        callback = _callback(read, attribute)
        self._meter.create_observable_gauge(name, [callback], unit=unit, description=meaning)


def _callback(read: Read, attribute: str) -> "Callable[[CallbackOptions], Iterable[Observation]]":
    from opentelemetry.metrics import Observation  # noqa: PLC0415 - only where there is a provider

    def observe(_options: "CallbackOptions") -> "Iterable[Observation]":
        try:
            return [Observation(value, {attribute: said} if said else None) for said, value in read().items()]
        except Exception as error:  # noqa: BLE001 - the thread is somebody else's
            _LOGGER.debug("a figure cannot be read: %s", error)
            return []

    return observe
