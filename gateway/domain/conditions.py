"""What an event must have for a selection to want it: the part of the selection that an index can look up, pure.

A selection is read as conditions that must all hold, each of them a choice of comparisons. What cannot be said so
(what stands under `not`, an `any` with a part that names nothing) is left out: the conditions are necessary and
not sufficient, and `Selector.matches` has the last word.
"""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple, TypeAlias

from gateway.domain.dialects import AllOf, AnyOf, Compare, Comparison, Filter, Not
from gateway.domain.filters import Selector

ORGANIZATION: Final = ""
"""Stands for the entry's organization among the names of attributes, none of which is empty."""

PLACES_MAX: Final = 512
"""In so many places of an index one selection may stand: a list of 256 types, each spelled in two ways, fits."""

CONDITIONS_MAX: Final = 8

_RANKS: Final = {"partitionkey": 0, "source": 1, ORGANIZATION: 3, "type": 4}
_RANK: Final = 2
_RANKS_OF_PARTS: Final = {Comparison.PREFIX: 5, Comparison.SUFFIX: 6}


class Atom(NamedTuple):
    """One comparison of one attribute."""

    dialect: Comparison
    name: str
    value: str


Condition: TypeAlias = frozenset[Atom]
"""At least one of these holds. An empty one never does."""


def conditions_of(selector: Selector) -> tuple[Condition, ...]:
    """The conditions of a selection, those first that fewest others are likely to share.

    The same selection always gives the same, and never more than ``PLACES_MAX`` ways through them.
    """
    found = [_exactly(ORGANIZATION, [selector.organization])] if selector.organization is not None else []
    if selector.types:
        found.append(_exactly("type", selector.spelled_types))
    if selector.source is not None:
        found.append(_exactly("source", [selector.source]))
    for item in selector.filters.items:
        found += _conditions(item, wanted=True)
    return _bounded(sorted(_met(found), key=_order))


def exclusive(conditions: Iterable[Condition]) -> bool:
    """Whether an event can fulfil each condition in one way at most."""
    return all(_name_of(condition) is not None for condition in conditions)


def _exactly(name: str, values: Iterable[str]) -> Condition:
    return frozenset(Atom(Comparison.EXACT, name, value) for value in values)


def _conditions(item: Filter, *, wanted: bool) -> list[Condition]:
    """The conditions of a filter; of its opposite where it is not ``wanted``."""
    match item:
        case Compare(dialect, wants):
            return [frozenset({Atom(dialect, *want)}) for want in wants] if wanted else []
        case Not(inner):
            return _conditions(inner, wanted=not wanted)
        case AllOf(items) | AnyOf(items):
            parts = [_conditions(part, wanted=wanted) for part in items]
            if isinstance(item, AllOf) == wanted:
                return [condition for part in parts for condition in part]
            return _either(parts)


def _either(parts: Sequence[Sequence[Condition]]) -> list[Condition]:
    """The conditions that hold where at least one part does."""
    if len(parts) == 1:
        return list(parts[0])
    if not all(parts):
        return []
    by_name = [{_name_of(condition): condition for condition in part} for part in parts]
    shared = [name for name in by_name[0] if name is not None and all(name in part for part in by_name)]
    if shared:
        return [frozenset[Atom]().union(*(part[name] for part in by_name)) for name in shared]
    return [frozenset[Atom]().union(*(min(part, key=_order) for part in parts))]


def _met(conditions: Iterable[Condition]) -> list[Condition]:
    """Clauses about exact values of one attribute as one: an attribute has one value."""
    by_name: dict[str, Condition] = {}
    others: list[Condition] = []
    for condition in conditions:
        name = _name_of(condition)
        if name is None:
            others.append(condition)
        else:
            by_name[name] = condition if name not in by_name else by_name[name] & condition
    return [*by_name.values(), *others]


def _bounded(conditions: Sequence[Condition]) -> tuple[Condition, ...]:
    kept: list[Condition] = []
    places = 1
    for condition in conditions:
        if not condition:
            return (condition,)
        if len(kept) < CONDITIONS_MAX and places * len(condition) <= PLACES_MAX:
            kept.append(condition)
            places *= len(condition)
    return tuple(kept)


def _name_of(condition: Condition) -> str | None:
    """The attribute whose exact value a condition is about; None where it is about anything else."""
    names = {atom.name if atom.dialect is Comparison.EXACT else None for atom in condition}
    return names.pop() if len(names) == 1 else None


def _order(condition: Condition) -> tuple[int, int]:
    return max(map(_rank, condition), default=-1), len(condition)


def _rank(atom: Atom) -> int:
    return _RANKS_OF_PARTS.get(atom.dialect, _RANKS.get(atom.name, _RANK))
