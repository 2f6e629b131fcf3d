"""The index by which the router finds the subscriptions that may want an event, pure.

The cost of an event depends on how many subscriptions match it, not on how many exist: each selection stands
under the narrowest of its exact keys (agent, source, organization and type), and only what stands under an
event's own keys is asked.
"""

from collections.abc import Hashable, Iterator, Mapping

from gateway.domain.dialects import text_of
from gateway.domain.filters import Selector

Attributes = Mapping[str, str | int | bool]


class RoutingIndex:
    """Selections by subscription number."""

    def __init__(self) -> None:
        self._selectors: dict[int, Selector] = {}
        self._keys: dict[int, tuple[Hashable, ...]] = {}
        self._buckets: dict[Hashable, dict[int, None]] = {}

    def __contains__(self, number: int) -> bool:
        return number in self._selectors

    def put(self, number: int, selector: Selector) -> None:
        """Add a selection, or replace the one that the subscription had."""
        self.discard(number)
        keys = _keys_of(selector)
        self._selectors[number] = selector
        self._keys[number] = keys
        for key in keys:
            self._buckets.setdefault(key, {})[number] = None

    def discard(self, number: int) -> None:
        """Forget a subscription."""
        if self._selectors.pop(number, None) is None:
            return
        for key in self._keys.pop(number):
            bucket = self._buckets[key]
            del bucket[number]
            if not bucket:
                del self._buckets[key]

    def matching(self, attributes: Attributes, organization: str | None) -> Iterator[int]:
        """The numbers of the subscriptions that select this event, each once."""
        for key in _keys_for(attributes, organization):
            for number in self._buckets.get(key, ()):
                if self._selectors[number].matches(attributes, organization):
                    yield number


def _keys_of(selector: Selector) -> tuple[Hashable, ...]:
    """Where a selection stands: under the values of one dimension, the narrowest it names."""
    keys = selector.index_keys()
    if keys.partitionkeys is not None:
        return tuple(("partitionkey", value) for value in keys.partitionkeys)
    if keys.sources is not None:
        return tuple(("source", value) for value in keys.sources)
    if keys.types is not None:
        return tuple(("type", keys.organization, value) for value in keys.types)
    return (("organization", keys.organization),)


def _keys_for(attributes: Attributes, organization: str | None) -> list[Hashable]:
    """Where the selections stand that may match an event. No selection stands in two of these places at once."""
    type_ = attributes["type"]
    keys: list[Hashable] = [
        ("source", attributes["source"]),
        ("type", None, type_),
        ("organization", None),
    ]
    if organization is not None:
        keys += [("type", organization, type_), ("organization", organization)]
    partition_key = attributes.get("partitionkey")
    if partition_key is not None:
        keys.append(("partitionkey", text_of(partition_key)))
    return keys
