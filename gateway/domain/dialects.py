"""The filter dialects of the CloudEvents Subscriptions API (section 3.2.4.1.1), as values that match.

CONFORMANCE 37: `exact`, `prefix`, `suffix` over attributes, case-sensitive, all named attributes at once;
`all`, `any`, `not` over filters. A filter is immutable, compares by value and goes back to its JSON.
"""

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, TypeAlias

Attributes: TypeAlias = Mapping[str, str | int | bool]
"""The attributes and extensions of an event by name."""

Json: TypeAlias = dict[str, object]


class Comparison(StrEnum):
    """The dialects that compare attributes with strings."""

    EXACT = "exact"
    PREFIX = "prefix"
    SUFFIX = "suffix"


_TESTS: Final[Mapping[Comparison, Callable[[str, str], bool]]] = {
    Comparison.EXACT: operator.eq,
    Comparison.PREFIX: str.startswith,
    Comparison.SUFFIX: str.endswith,
}


@dataclass(frozen=True, slots=True)
class Compare:
    """One of `exact`, `prefix`, `suffix`: every named attribute is there and compares as wanted."""

    dialect: Comparison
    wants: tuple[tuple[str, str], ...]
    _test: Callable[[str, str], bool] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "wants", tuple(sorted(self.wants)))
        object.__setattr__(self, "_test", _TESTS[self.dialect])

    def matches(self, attributes: Attributes) -> bool:
        """Whether the event's attributes pass."""
        for name, want in self.wants:
            value = attributes.get(name)
            if value is None or not self._test(text_of(value), want):
                return False
        return True

    def named_types(self) -> frozenset[str]:
        """The types that an `exact` in it names, other than to leave them out."""
        exact = self.dialect is Comparison.EXACT
        return frozenset(want for name, want in self.wants if exact and name == "type")

    def to_json(self) -> Json:
        """The filter as it is written in a subscription, attributes in alphabetical order."""
        return {self.dialect.value: dict(self.wants)}


@dataclass(frozen=True, slots=True)
class AllOf:
    """`all`: every one of the filters matches."""

    filters: "tuple[Filter, ...]"

    def matches(self, attributes: Attributes) -> bool:
        """Whether the event's attributes pass."""
        return all(item.matches(attributes) for item in self.filters)

    def named_types(self) -> frozenset[str]:
        """See `Compare.named_types`."""
        return frozenset[str]().union(*(item.named_types() for item in self.filters))

    def to_json(self) -> Json:
        """See `Compare.to_json`."""
        return {"all": [item.to_json() for item in self.filters]}


@dataclass(frozen=True, slots=True)
class AnyOf:
    """`any`: at least one of the filters matches."""

    filters: "tuple[Filter, ...]"

    def matches(self, attributes: Attributes) -> bool:
        """Whether the event's attributes pass."""
        return any(item.matches(attributes) for item in self.filters)

    def named_types(self) -> frozenset[str]:
        """See `Compare.named_types`."""
        return frozenset[str]().union(*(item.named_types() for item in self.filters))

    def to_json(self) -> Json:
        """See `Compare.to_json`."""
        return {"any": [item.to_json() for item in self.filters]}


@dataclass(frozen=True, slots=True)
class Not:
    """`not`: the filter does not match."""

    inner: "Filter"

    def matches(self, attributes: Attributes) -> bool:
        """Whether the event's attributes pass."""
        return not self.inner.matches(attributes)

    def named_types(self) -> frozenset[str]:
        """See `Compare.named_types`: naming a type to leave it out is not asking for it."""
        return frozenset()

    def to_json(self) -> Json:
        """See `Compare.to_json`."""
        return {"not": self.inner.to_json()}


Filter: TypeAlias = Compare | AllOf | AnyOf | Not


def text_of(value: str | int | bool) -> str:  # noqa: FBT001 - the CloudEvents Boolean, a value and not a flag
    """The CloudEvents string form of an attribute value (core 1.0.2, section 3.1)."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
