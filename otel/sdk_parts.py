"""What spans and figures want of the SDK alike: an exporter by its name, and the resource they are of."""

from importlib.metadata import entry_points
from typing import Any, Final

from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource

from otel import names
from otel.exporters import INSTALL, Signal, TelemetryUnusable

_UNNAMED: Final = "unknown_service"
_SHOWN_CHARS_MAX: Final = 64


def exporter_of(signal: Signal, name: str) -> Any:  # noqa: ANN401 - whatever the entry point makes
    """An exporter, set up by its own variables. Raises ``TelemetryUnusable`` where there is none of this name."""
    found = next(iter(entry_points(group=f"opentelemetry_{signal}_exporter", name=name)), None)
    if found is None:
        raise TelemetryUnusable(
            f"There is no exporter {name[:_SHOWN_CHARS_MAX]!r} for {signal}: install the package that has it "
            f"(for OTLP: {INSTALL})."
        )
    return found.load()()


def named(resource: Resource, version: str) -> Resource:
    """The resource of the variables; ours is the name only where they give none."""
    given = str(resource.attributes.get(SERVICE_NAME, ""))
    ours = {SERVICE_VERSION: version}
    if not given or given.startswith(_UNNAMED):
        ours[SERVICE_NAME] = names.SERVICE
    return resource.merge(Resource(ours))
