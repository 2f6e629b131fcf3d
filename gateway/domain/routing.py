"""The index by which the router finds the subscriptions that may want an event, pure.

The cost of an event depends on how many subscriptions match it, not on how many exist. Subscriptions that ask
for the same are one group, and its selection is asked once. The groups stand in a tree by the conditions of their
selections (`conditions.py`): a place that holds a few groups is a bucket, and all of them are asked; one that would
hold more is a fork by their next condition, where an event goes on as its attributes lead.

What stays linear: groups whose selections differ in nothing that can be looked up, which is what stands under
`not`, or in an `any` with a part that names nothing.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, TypeAlias

from gateway.domain.conditions import ORGANIZATION, Condition, conditions_of, exclusive
from gateway.domain.dialects import Comparison, text_of
from gateway.domain.filters import Selector

Attributes = Mapping[str, str | int | bool]

BUCKET_MAX: Final = 8
"""Groups that are asked one after another before their place becomes a fork."""


class RoutingIndex:
    """Selections by subscription number."""

    def __init__(self) -> None:
        self._groups: dict[Selector, _Group] = {}
        self._group_of: dict[int, _Group] = {}
        self._root: _Place = ()

    def __contains__(self, number: int) -> bool:
        return number in self._group_of

    def put(self, number: int, selector: Selector) -> None:
        """Add a selection, or replace the one that the subscription had."""
        group = self._groups.get(selector)
        if group is not None and self._group_of.get(number) is group:
            return
        self.discard(number)
        if group is None:
            conditions = conditions_of(selector)
            group = self._groups[selector] = _Group(selector, in_several_places=not exclusive(conditions))
            self._root = _with(self._root, group, conditions)
        group.add(number)
        self._group_of[number] = group

    def discard(self, number: int) -> None:
        """Forget a subscription."""
        group = self._group_of.pop(number, None)
        if group is None:
            return
        group.remove(number)
        if not group.numbers:
            del self._groups[group.selector]
            self._root = _without(self._root, group, conditions_of(group.selector))

    def matching(self, attributes: Attributes, organization: str | None) -> Sequence[int]:
        """The numbers of the subscriptions that select this event, each once."""
        root = self._root
        found: list[int] = []
        if isinstance(root, _Fork):
            self._descend(root, attributes, organization, found)
            return found
        for group in root:
            if group.selector.matches(attributes, organization):
                found += group.numbers
        return found

    @staticmethod
    def _descend(root: "_Fork", attributes: Attributes, organization: str | None, found: list[int]) -> None:
        """Find what matches at a place and behind it."""
        asked: set[_Group] = set()
        places: list[_Place] = [root]
        while places:
            place = places.pop()
            groups: Iterable[_Group] = place.ended if isinstance(place, _Fork) else place
            for group in groups:
                if group.in_several_places:
                    if group in asked:
                        continue
                    asked.add(group)
                if group.selector.matches(attributes, organization):
                    found += group.numbers
            if isinstance(place, _Fork):
                places += place.leading_on(attributes, organization)


class _Group:
    """Subscriptions with one selection, in order of their numbers: in an array, since most groups have one."""

    __slots__ = ("in_several_places", "numbers", "selector")

    def __init__(self, selector: Selector, *, in_several_places: bool) -> None:
        self.selector = selector
        self.numbers = array("q")
        self.in_several_places = in_several_places

    def add(self, number: int) -> None:
        self.numbers.insert(bisect_left(self.numbers, number), number)

    def remove(self, number: int) -> None:
        del self.numbers[bisect_left(self.numbers, number)]


class _Fork:
    """A place where groups part by the comparisons of their next condition."""

    __slots__ = ("ended", "tables")

    def __init__(self) -> None:
        self.ended: dict[_Group, None] = {}
        """The groups that have no further condition."""
        self.tables: dict[str, dict[_Cut, dict[str, _Place]]] = {}
        """By attribute, then by which part of its value is looked up, then by that part."""

    def add(self, group: _Group, conditions: tuple[Condition, ...], depth: int) -> None:
        if depth == len(conditions):
            self.ended[group] = None
            return
        for dialect, name, value in conditions[depth]:
            table = self.tables.setdefault(name, {}).setdefault(_cut(dialect, value), {})
            table[value] = _with(table.get(value, ()), group, conditions, depth + 1)

    def remove(self, group: _Group, conditions: tuple[Condition, ...], depth: int) -> None:
        if depth == len(conditions):
            del self.ended[group]
            return
        for dialect, name, value in conditions[depth]:
            cut, tables = _cut(dialect, value), self.tables[name]
            left = _without(tables[cut].pop(value), group, conditions, depth + 1)
            if left:
                tables[cut][value] = left
            elif not tables[cut]:
                del tables[cut]
                if not tables:
                    del self.tables[name]

    def __bool__(self) -> bool:
        return bool(self.ended or self.tables)

    def leading_on(self, attributes: Attributes, organization: str | None) -> "Iterator[_Place]":
        """The places where an event goes on from here."""
        # Names are the subscribers' to invent, the event's own are few.
        many = len(self.tables) > len(attributes)
        for name in (ORGANIZATION, *attributes) if many else self.tables:
            value = attributes.get(name) if name else organization
            tables = self.tables.get(name)
            if value is None or tables is None:
                continue
            text = text_of(value)
            for cut, table in tables.items():
                found = table.get(text if cut == 0 else text[:cut] if cut > 0 else text[cut:])
                if found is not None:
                    yield found


_Place: TypeAlias = tuple[_Group, ...] | _Fork
_Cut: TypeAlias = int
"""Which part of a text is looked up: 0 for all of it, n for its first characters, -n for its last."""


def _with(place: _Place, group: _Group, conditions: tuple[Condition, ...], depth: int = 0) -> _Place:
    """The place with one more group; ``depth``: by so many conditions it was found."""
    if isinstance(place, _Fork):
        place.add(group, conditions, depth)
        return place
    if len(place) < BUCKET_MAX:
        return (*place, group)
    fork = _Fork()
    for other in place:
        fork.add(other, conditions_of(other.selector), depth)
    fork.add(group, conditions, depth)
    return fork


def _without(place: _Place, group: _Group, conditions: tuple[Condition, ...], depth: int = 0) -> _Place:
    """The place with one group less. A fork stays one until it is empty."""
    if isinstance(place, _Fork):
        place.remove(group, conditions, depth)
        return place or ()
    return tuple(other for other in place if other is not group)


def _cut(dialect: Comparison, value: str) -> _Cut:
    return {Comparison.EXACT: 0, Comparison.PREFIX: len(value), Comparison.SUFFIX: -len(value)}[dialect]
