"""The SDK's limits of spans (`OTEL_SPAN_…_LIMIT`, `OTEL_ATTRIBUTE_…_LIMIT`), of spans that its `Tracer` never sees.

What we tell is within the limits that hold without any variable, so that there is nothing to do then.
"""

from collections.abc import Mapping, Sequence
from typing import Final, Self

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.trace import SpanLimits

from otel.spans import LINKS_MAX, SpanLink, Value

_ATTRIBUTES_MAX: Final = 128
"""The SDK's default for a span or a link; none of ours has as many."""


class Limits:
    """Cuts as the SDK does: of too many attributes the last ones are kept, and what was dropped is counted with it."""

    def __init__(self, limits: SpanLimits) -> None:
        self._limits = limits

    @classmethod
    def from_variables(cls) -> Self | None:
        """None where no variable asks for less than there is anyway. Raises ``ValueError`` where one is no number."""
        limits = SpanLimits()
        counts = (
            (limits.max_span_attributes, _ATTRIBUTES_MAX),
            (limits.max_link_attributes, _ATTRIBUTES_MAX),
            (limits.max_links, LINKS_MAX),
        )
        lengths = (limits.max_span_attribute_length, limits.max_attribute_length)
        asked = any(at_most is not None and at_most < most for at_most, most in counts)
        return cls(limits) if asked or lengths != (None, None) else None

    def of_span(self, attributes: Mapping[str, Value]) -> BoundedAttributes:
        """The attributes of a span."""
        length = self._limits.max_span_attribute_length
        return BoundedAttributes(self._limits.max_span_attributes, attributes, max_value_len=length)

    def of_link(self, attributes: Mapping[str, Value]) -> BoundedAttributes:
        """The attributes of a link."""
        length = self._limits.max_attribute_length
        return BoundedAttributes(self._limits.max_link_attributes, attributes, max_value_len=length)

    def links(self, links: Sequence[SpanLink]) -> Sequence[SpanLink]:
        """As many links, the first ones, as of a batch that has too many members."""
        return links[: self._limits.max_links]
