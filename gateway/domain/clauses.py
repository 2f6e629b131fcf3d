"""What an event must have for a selection to want it: the part of the selection that an index can look up, pure.

A selection is read as clauses that must all hold, each of them a choice of comparisons. What cannot be said so
(what stands under `not`, an `any` with a part that names nothing) is left out: the clauses are necessary and
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

CLAUSES_MAX: Final = 8

_RANKS: Final = {"partitionkey": 0, "source": 1, ORGANIZATION: 3, "type": 4}
_RANK: Final = 2
_RANKS_OF_PARTS: Final = {Comparison.PREFIX: 5, Comparison.SUFFIX: 6}


class Atom(NamedTuple):
    """One comparison of one attribute."""

    dialect: Comparison
    name: str
    value: str


Clause: TypeAlias = frozenset[Atom]
"""At least one of these holds. An empty one never does."""


def clauses_of(selector: Selector) -> tuple[Clause, ...]:
    """The clauses of a selection, those first that fewest others are likely to share.

    The same selection always gives the same, and never more than ``PLACES_MAX`` ways through them.
    """
    found = [_exactly(ORGANIZATION, [selector.organization])] if selector.organization is not None else []
    if selector.types:
        found.append(_exactly("type", selector.spelled_types))
    if selector.source is not None:
        found.append(_exactly("source", [selector.source]))
    for item in selector.filters.items:
        found += _clauses(item, wanted=True)
    return _bounded(sorted(_met(found), key=_order))


def exclusive(clauses: Iterable[Clause]) -> bool:
    """Whether an event can fulfil each clause in one way at most."""
    return all(_name_of(clause) is not None for clause in clauses)


def _exactly(name: str, values: Iterable[str]) -> Clause:
    return frozenset(Atom(Comparison.EXACT, name, value) for value in values)


def _clauses(item: Filter, *, wanted: bool) -> list[Clause]:
    """The clauses of a filter; of its opposite where it is not ``wanted``."""
    match item:
        case Compare(dialect, wants):
            return [frozenset({Atom(dialect, *want)}) for want in wants] if wanted else []
        case Not(inner):
            return _clauses(inner, wanted=not wanted)
        case AllOf(items) | AnyOf(items):
            parts = [_clauses(part, wanted=wanted) for part in items]
            if isinstance(item, AllOf) == wanted:
                return [clause for part in parts for clause in part]
            return _either(parts)


def _either(parts: Sequence[Sequence[Clause]]) -> list[Clause]:
    """The clauses that hold where at least one part does."""
    if len(parts) == 1:
        return list(parts[0])
    if not all(parts):
        return []
    by_name = [{_name_of(clause): clause for clause in part} for part in parts]
    shared = [name for name in by_name[0] if name is not None and all(name in part for part in by_name)]
    if shared:
        return [frozenset[Atom]().union(*(part[name] for part in by_name)) for name in shared]
    return [frozenset[Atom]().union(*(min(part, key=_order) for part in parts))]


def _met(clauses: Iterable[Clause]) -> list[Clause]:
    """Clauses about exact values of one attribute as one: an attribute has one value."""
    by_name: dict[str, Clause] = {}
    others: list[Clause] = []
    for clause in clauses:
        name = _name_of(clause)
        if name is None:
            others.append(clause)
        else:
            by_name[name] = clause if name not in by_name else by_name[name] & clause
    return [*by_name.values(), *others]


def _bounded(clauses: Sequence[Clause]) -> tuple[Clause, ...]:
    kept: list[Clause] = []
    places = 1
    for clause in clauses:
        if not clause:
            return (clause,)
        if len(kept) < CLAUSES_MAX and places * len(clause) <= PLACES_MAX:
            kept.append(clause)
            places *= len(clause)
    return tuple(kept)


def _name_of(clause: Clause) -> str | None:
    """The attribute whose exact value a clause is about; None where it is about anything else."""
    names = {atom.name if atom.dialect is Comparison.EXACT else None for atom in clause}
    return names.pop() if len(names) == 1 else None


def _order(clause: Clause) -> tuple[int, int]:
    return max(map(_rank, clause), default=-1), len(clause)


def _rank(atom: Atom) -> int:
    return _RANKS_OF_PARTS.get(atom.dialect, _RANKS.get(atom.name, _RANK))
