"""What the OpenTelemetry Collector would not take in a configuration: pure.

Settings that it does not know or that are of another kind, components that are named and not there or there and not
used, a signal where it cannot go, two that listen in one place.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from collector_schema import COMPONENTS, NAME, REQUIRED, SIGNALS, Check, Shape

_KINDS: Final = ("receivers", "processors", "exporters")


def faults(config: Mapping[str, Any]) -> list[str]:
    """What the collector would not take in this configuration, each with its place; none: nothing is known."""
    found = [f"{name}: not known here" for name in set(config) - {*COMPONENTS, "service"}]
    for kind, known in COMPONENTS.items():
        for name, settings in (config.get(kind) or {}).items():
            place, type_ = f"{kind}.{name}", str(name).partition("/")[0]
            if not NAME.fullmatch(name) or type_ not in known:
                found.append(f"{place}: there is no such component")
                continue
            found += _of_shape(place, settings or {}, known[type_])
            required = REQUIRED.get((kind, type_), ())
            found += [f"{place}.{key}: has to be there" for key in required if key not in (settings or {})]
    return [*found, *_of_limits(config), *_of_service(config), *_of_ports(config)]


def _of_shape(place: str, value: Any, shape: "Shape | Check") -> Iterator[str]:
    if callable(shape):
        wanted = shape(value)
        if wanted is not None:
            yield f"{place}: {wanted}, not {value!r}"
    elif not isinstance(value, dict):
        yield f"{place}: settings by name, not {value!r}"
    else:
        for key, inner in value.items():
            if key not in shape:
                yield f"{place}.{key}: there is no such setting"
            else:
                yield from _of_shape(f"{place}.{key}", inner, shape[key])


def _of_limits(config: Mapping[str, Any]) -> Iterator[str]:
    for name, given in (config.get("processors") or {}).items():
        settings = given or {}
        if name.startswith("memory_limiter") and settings.get("spike_limit_mib", 0) >= settings.get(
            "limit_mib", 0
        ):
            yield f"processors.{name}: the spike is to be less than the limit"
        largest = settings.get("send_batch_max_size", 0)
        if name.startswith("batch") and 0 < largest < settings.get("send_batch_size", 8_192):
            yield f"processors.{name}: a batch may be no larger than the largest"


def _of_service(config: Mapping[str, Any]) -> Iterator[str]:
    """Every component that is named is there, and every one that is there is named."""
    service = config.get("service") or {}
    yield from (
        f"service.{key}: there is no such setting" for key in set(service) - {"extensions", "pipelines"}
    )
    pipelines = service.get("pipelines") or {}
    used: dict[str, set[str]] = {kind: set() for kind in COMPONENTS}
    used["extensions"] |= set(service.get("extensions") or ())
    if not pipelines:
        yield "service.pipelines: there is none"
    for name, pipeline in pipelines.items():
        signal = name.partition("/")[0]
        if signal not in {"traces", "metrics", "logs", "profiles"}:
            yield f"service.pipelines.{name}: there is no such signal"
        yield from (f"service.pipelines.{name}.{key}: not known" for key in set(pipeline) - set(_KINDS))
        for kind in _KINDS:
            members = pipeline.get(kind) or []
            used[kind] |= set(members)
            if not members and kind != "processors":
                yield f"service.pipelines.{name}.{kind}: there is none"
            if len(set(members)) < len(members):
                yield f"service.pipelines.{name}.{kind}: one is named twice"
            for member in members:
                takes = SIGNALS.get((kind, member.partition("/")[0]), frozenset({signal}))
                if signal not in takes:
                    yield f"service.pipelines.{name}.{kind}: {member} has no {signal}"
    for kind, names in used.items():
        there = set(config.get(kind) or {})
        yield from (f"{kind}.{name}: it is used and not there" for name in sorted(names - there))
        yield from (f"{kind}.{name}: it is there and not used" for name in sorted(there - names))


def _of_ports(config: Mapping[str, Any]) -> Iterator[str]:
    """Who listens, listens where nobody else does."""
    listening = [
        place
        for kind in ("extensions", "receivers", "exporters")
        for name, settings in (config.get(kind) or {}).items()
        if not name.startswith("otlphttp")
        for place in _endpoints(settings)
    ]
    yield from (
        f"{place}: two listen there"
        for place in sorted({one for one in listening if listening.count(one) > 1})
    )


def _endpoints(settings: Any) -> Iterator[str]:
    if isinstance(settings, dict):
        for key, value in settings.items():
            if key == "endpoint" and isinstance(value, str):
                yield value
            elif key != "config":
                yield from _endpoints(value)
