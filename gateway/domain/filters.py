"""What a subscription selects: its filters, read with every fault at once, and the selection as a whole.

CloudEvents Subscriptions API section 3.2.4 and CONFORMANCE 36 and 37; S1e for the gateway's own facts.
"""

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from gateway.domain.clauses import Clause, clauses_of, first_failure, quoted, shortened
from gateway.domain.dialects import (
    AllOf,
    AnyOf,
    Attributes,
    Compare,
    Comparison,
    Filter,
    Not,
)
from schemas import GATEWAY_TYPE_PREFIX, TYPE_PREFIX, Problem
from schemas.errors import pointer_of

EXPRESSIONS_MAX: Final = 256
"""Filters and compared attributes of one subscription, nested ones included."""

DEPTH_MAX: Final = 8
VALUE_CHARS_MAX: Final = 2048
NAME_CHARS_MAX: Final = 64


_LISTS_MAX: Final = 1024
_NONE: Final = frozenset[str]()
_NAME: Final = re.compile(r"[a-z0-9]+")
_DIALECTS: Final = "`exact`, `prefix`, `suffix`, `all`, `any` and `not`"


@dataclass(frozen=True, slots=True)
class Filters:
    """The `filters` of a subscription: all of them must match; none at all match everything."""

    items: tuple[Filter, ...] = ()

    def matches(self, attributes: Attributes) -> bool:
        """Whether an event with these attributes passes every filter."""
        for item in self.items:  # noqa: SIM110 - a generator costs more than the usual single filter
            if not item.matches(attributes):
                return False
        return True

    def trace(self, attributes: Attributes, pointer: str = "") -> tuple[Clause, ...]:
        """Each filter held against an event; `pointer` is where `filters` stands."""
        return clauses_of(self.items, attributes, pointer)

    def explain(self, attributes: Attributes) -> Clause | None:
        """The first clause that does not match, its pointer relative to `filters`; None where all match."""
        return first_failure(self.trace(attributes))

    def named_types(self) -> frozenset[str]:
        """The types that an `exact` filter names, other than under `not`."""
        return frozenset[str]().union(*(item.named_types() for item in self.items))

    def to_json(self) -> list[dict[str, object]]:
        """The filters as they are written in a subscription; parsing this gives an equal value."""
        return [item.to_json() for item in self.items]


EVERYTHING: Final = Filters()
"""No filters at all."""


@dataclass(frozen=True, slots=True)
class Selector:
    """Everything that decides whether a subscription gets an event.

    Attributes:
        source: The only source it gets, or None for all.
        types: The types it gets, short names or full ones; empty for all but the gateway's own.
        filters: The filters on top of that.
        organization: The only organization it sees (S11a), or None for all.
        gateway_types: The gateway's own types that it names.
        spelled_types: `types` as events may spell them: in full, and short ones as they stand too.
    """

    source: str | None = None
    types: tuple[str, ...] = ()
    filters: Filters = EVERYTHING
    organization: str | None = None
    gateway_types: frozenset[str] = field(init=False, repr=False, compare=False)
    spelled_types: frozenset[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        types, spelled = _spelled(self.types)
        named = spelled | self.filters.named_types()
        told = frozenset(name for name in named if name.startswith(GATEWAY_TYPE_PREFIX))
        object.__setattr__(self, "types", types)
        object.__setattr__(self, "spelled_types", spelled)
        object.__setattr__(self, "gateway_types", told or _NONE)

    def matches(self, attributes: Attributes, organization: str | None) -> bool:
        """Whether the event is for this subscription; `organization` is the log's column, no attribute."""
        type_ = attributes["type"]
        return (
            (self.organization is None or self.organization == organization)
            and (not self.spelled_types or type_ in self.spelled_types)
            and (self.source is None or self.source == attributes["source"])
            and (not str(type_).startswith(GATEWAY_TYPE_PREFIX) or type_ in self.gateway_types)
            and (not self.filters.items or self.filters.matches(attributes))
        )

    def asks_for(self, type_: str) -> bool:
        """Whether the type is no fact of the gateway, or one that is named in full (S1e)."""
        return not type_.startswith(GATEWAY_TYPE_PREFIX) or type_ in self.gateway_types

    def sees(self, organization: str | None) -> bool:
        """Whether what belongs to this organization is to be seen at all (S11a)."""
        return self.organization is None or self.organization == organization

    def trace(self, attributes: Attributes, organization: str | None) -> tuple[Clause, ...]:
        """Every part of the selection held against an event, pointers into the subscription.

        The event is for this subscription exactly where all of them match (`matches` says the same, fast).
        """
        return (*self._own_clauses(attributes, organization), *self.filters.trace(attributes, "/filters"))

    def explain(self, attributes: Attributes, organization: str | None) -> Clause | None:
        """The clause that keeps the event away, its pointer into the subscription; None where it matches."""
        return first_failure(self.trace(attributes, organization))

    def _own_clauses(self, attributes: Attributes, organization: str | None) -> Iterator[Clause]:
        """What is asked besides the filters."""
        type_, source = str(attributes["type"]), str(attributes["source"])
        if self.organization is not None:
            # Whose event it is instead is not for others to know.
            seen = self.sees(organization)
            detail = f"the event belongs to {'this' if seen else 'another'} organization"
            yield Clause("organization", "/organization", seen, detail, expected=self.organization)
        if self.spelled_types:
            named = type_ in self.spelled_types
            detail = f"type {quoted(type_)} is {'' if named else 'not '}one of the subscription's types"
            wanted = shortened(", ".join(self.types))
            yield Clause("types", "/types", named, detail, "type", wanted, shortened(type_))
        if self.source is not None:
            same = self.source == source
            detail = f"source {quoted(source)} is {'' if same else 'not '}{quoted(self.source)}"
            yield Clause(
                "source", "/source", same, detail, "source", shortened(self.source), shortened(source)
            )
        if type_.startswith(GATEWAY_TYPE_PREFIX):
            asked = self.asks_for(type_)
            detail = "a fact of the gateway goes to those alone who name its full type"
            yield Clause("gateway_types", "/types", asked, detail, "type", actual=shortened(type_))


@lru_cache(maxsize=_LISTS_MAX)
def _spelled(types: tuple[str, ...]) -> tuple[tuple[str, ...], frozenset[str]]:
    """The same list of types, and every spelling of them. Many subscriptions have one list: they share it."""
    return types, frozenset(name for given in types for name in full_types(given)) or _NONE


def full_types(name: str) -> tuple[str, ...]:
    """The types that an entry of `types` stands for: itself, and as a short name the one under `com.letta.`.

    A fact of the gateway is never meant by its short name (S1e).
    """
    if name.startswith(TYPE_PREFIX) or (TYPE_PREFIX + name).startswith(GATEWAY_TYPE_PREFIX):
        return (name,)
    return (name, TYPE_PREFIX + name)


def parse_filters(value: object, pointer: str) -> tuple[Filters, list[Problem]]:
    """Read the `filters` of a subscription.

    Args:
        value: The JSON value.
        pointer: The JSON Pointer to it, from which the pointers of problems go on.

    Returns:
        The filters and every problem; the filters are to be used only where there are no problems.
    """
    reader = _Reader(pointer)
    if not isinstance(value, list):
        return Filters(), [Problem(pointer, "must be an array of filters")]
    items = reader.array(value, pointer, 1)
    return Filters(items), reader.problems


class _Reader:
    """One reading of one `filters`: gathers the problems and counts against the bound."""

    def __init__(self, root: str) -> None:
        self.problems: list[Problem] = []
        self._root = root
        self._count = 0

    def array(self, values: list[object], pointer: str, depth: int) -> tuple[Filter, ...]:
        """The sound ones of the filters in an array."""
        items = (self._filter(value, f"{pointer}/{index}", depth) for index, value in enumerate(values))
        return tuple(item for item in items if item is not None)

    def _filter(self, value: object, pointer: str, depth: int) -> Filter | None:
        if not self._within_bound():
            return None
        if not isinstance(value, dict) or len(value) != 1:
            self._fault(pointer, f"must be an object with exactly one member, one of {_DIALECTS}")
            return None
        if depth > DEPTH_MAX:
            self._fault(pointer, f"filters nest at most {DEPTH_MAX} deep")
            return None
        ((dialect, body),) = value.items()
        return self._dialect(dialect, body, pointer + pointer_of(dialect), depth)

    def _dialect(self, dialect: str, body: object, pointer: str, depth: int) -> Filter | None:
        match dialect:
            case Comparison.EXACT | Comparison.PREFIX | Comparison.SUFFIX:
                return self._compare(Comparison(dialect), body, pointer)
            case "all":
                return AllOf(self._group(body, pointer, depth))
            case "any":
                return AnyOf(self._group(body, pointer, depth))
            case "not":
                inner = self._filter(body, pointer, depth + 1)
                return None if inner is None else Not(inner)
            case _:
                self._fault(pointer, f"unknown filter dialect; known are {_DIALECTS}")
                return None

    def _group(self, body: object, pointer: str, depth: int) -> tuple[Filter, ...]:
        if not isinstance(body, list) or not body:
            self._fault(pointer, "must be an array of at least one filter")
            return ()
        return self.array(body, pointer, depth + 1)

    def _compare(self, dialect: Comparison, body: object, pointer: str) -> Filter | None:
        if not isinstance(body, dict) or not body:
            self._fault(pointer, "must be an object of attribute names and non-empty strings")
            return None
        wants = [
            (sys.intern(name), value)  # a few names stand in very many filters
            for name, value in body.items()
            if self._within_bound() and self._comparable(name, value, pointer + pointer_of(name))
        ]
        return Compare(dialect, tuple(wants))

    def _comparable(self, name: str, value: object, pointer: str) -> bool:
        if not _NAME.fullmatch(name) or len(name) > NAME_CHARS_MAX or name == "data":
            self._fault(pointer, f"a name is 1 to {NAME_CHARS_MAX} of a-z and 0-9, and not `data`")
            return False
        if not isinstance(value, str) or not 0 < len(value) <= VALUE_CHARS_MAX:
            self._fault(pointer, f"must be a string of 1 to {VALUE_CHARS_MAX} characters")
            return False
        return True

    def _within_bound(self) -> bool:
        self._count += 1
        if self._count == EXPRESSIONS_MAX + 1:
            self._fault(self._root, f"at most {EXPRESSIONS_MAX} filters and compared attributes in all")
        return self._count <= EXPRESSIONS_MAX

    def _fault(self, pointer: str, detail: str) -> None:
        self.problems.append(Problem(pointer, detail))


def filters_from(value: object) -> Filters:
    """The filters that `Filters.to_json` once wrote. Raises ValueError for anything else."""
    filters, problems = parse_filters(value, "")
    if problems:
        raise ValueError(f"these are no stored filters: {problems[0].pointer} {problems[0].detail}")
    return filters
