"""Figures as text: Prometheus' format 0.0.4, and OpenMetrics 1.0, which alone has a place for exemplars.

OpenMetrics: https://github.com/prometheus/OpenMetrics/blob/v1.0.0/specification/OpenMetrics.md
"""

from collections.abc import Iterable, Iterator
from typing import Final

from otel.metrics import Exemplar, Family, Kind, Labels, Spread

TEXT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS_TYPE: Final = "application/openmetrics-text; version=1.0.0; charset=utf-8"

_OPENMETRICS: Final = "application/openmetrics-text"
_TEXT: Final = frozenset({"text/plain", "text/*", "*/*"})
_VERSIONS: Final = frozenset({"1.0.0", "0.0.1", ""})
_SECOND_US: Final = 1_000_000
_ACCEPT_CHARS_MAX: Final = 4_096
_ESCAPED: Final = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})
_ESCAPED_HELP: Final = str.maketrans({"\\": r"\\", "\n": r"\n"})


def wants_openmetrics(accept: str) -> bool:
    """Whether an ``Accept`` header would rather have OpenMetrics than text (RFC 9110, section 12.5.1)."""
    openmetrics = text = 0.0
    for part in accept[:_ACCEPT_CHARS_MAX].split(","):
        kind, *parameters = [item.strip() for item in part.lower().split(";")]
        named = dict(item.split("=", 1) for item in parameters if "=" in item)
        if kind == _OPENMETRICS and named.get("version", "") in _VERSIONS:
            openmetrics = max(openmetrics, _quality(named.get("q", "1")))
        elif kind in _TEXT:
            text = max(text, _quality(named.get("q", "1")))
    return openmetrics > 0 and openmetrics >= text


def render(families: Iterable[Family], *, openmetrics: bool) -> str:
    """The whole page; families without figures are left out."""
    lines: list[str] = []
    for family in families:
        if family.samples or family.spreads:
            lines += _head(family, openmetrics=openmetrics)
            lines += _samples(family)
            for spread in family.spreads:
                lines += _buckets(family.name, spread, exemplars=openmetrics)
    if openmetrics:
        lines.append("# EOF")
    return "\n".join(lines) + "\n"


def _quality(text: str) -> float:
    try:
        return min(1.0, max(0.0, float(text)))
    except ValueError:
        return 0.0


def _head(family: Family, *, openmetrics: bool) -> Iterator[str]:
    name, kind = family.name, family.kind
    if not openmetrics:
        # It names the samples, and knows no info.
        name += _ENDINGS.get(kind, "")
        kind = Kind.GAUGE if kind is Kind.INFO else kind
    yield f"# HELP {name} {family.meaning.translate(_ESCAPED if openmetrics else _ESCAPED_HELP)}"
    yield f"# TYPE {name} {kind.value}"
    if openmetrics and family.unit:
        yield f"# UNIT {name} {family.unit}"


_ENDINGS: Final = {Kind.COUNTER: "_total", Kind.INFO: "_info"}


def _samples(family: Family) -> Iterator[str]:
    name = family.name + _ENDINGS.get(family.kind, "")
    for sample in family.samples:
        yield f"{name}{_labels(sample.labels)} {_number(sample.value)}"


def _buckets(name: str, spread: Spread, *, exemplars: bool) -> Iterator[str]:
    below = 0
    bounds = [*(repr(float(bound)) for bound in spread.bounds), "+Inf"]
    for bound, count, exemplar in zip(bounds, spread.counts, spread.exemplars, strict=True):
        below += count
        behind = _exemplar(exemplar) if exemplars and exemplar is not None else ""
        yield f"{name}_bucket{_labels((*spread.labels, ('le', bound)))} {below}{behind}"
    yield f"{name}_sum{_labels(spread.labels)} {_number(spread.total)}"
    yield f"{name}_count{_labels(spread.labels)} {below}"


def _exemplar(exemplar: Exemplar) -> str:
    at_s = exemplar.at_us / _SECOND_US
    span = f',span_id="{exemplar.span_id}"' if exemplar.span_id else ""
    return f' # {{trace_id="{exemplar.trace_id}"{span}}} {_number(exemplar.value)} {at_s:.6f}'


def _labels(labels: Labels) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{value.translate(_ESCAPED)}"' for name, value in labels) + "}"


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else repr(float(value))
