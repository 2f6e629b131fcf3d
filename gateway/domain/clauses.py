"""A selection held against one event, clause by clause: what `explain` has to say about filters, pure.

Matching itself is in `dialects.py`, where the router needs it fast; here every part is looked at, also those that
decide nothing. A property test holds both against each other.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, assert_never

from gateway.domain.dialects import AllOf, AnyOf, Attributes, Compare, Comparison, Filter, Not, text_of

_QUOTED_CHARS_MAX: Final = 120
_CONJUNCTIONS: Final = frozenset({"all", *Comparison})
_WORDS: Final = {
    Comparison.EXACT: ("is", "is not"),
    Comparison.PREFIX: ("starts with", "does not start with"),
    Comparison.SUFFIX: ("ends with", "does not end with"),
}


@dataclass(frozen=True, slots=True)
class Clause:
    """A part of a selection, held against an event.

    Attributes:
        rule: What kind of part: a filter dialect, or the member of the subscription that it is.
        pointer: JSON Pointer (RFC 6901) to it.
        matches: Whether the event passes it.
        detail: What it wants and what the event has, as a sentence.
        attribute: The attribute that it compares, where it compares one.
        expected: What it wants of that attribute, shortened where it is long.
        actual: What the event has there, likewise; None: nothing.
        parts: The filters in it, or the comparisons, where there are several.
    """

    rule: str
    pointer: str
    matches: bool
    detail: str
    attribute: str | None = None
    expected: str | None = None
    actual: str | None = None
    parts: "tuple[Clause, ...]" = ()


def clauses_of(filters: Iterable[Filter], attributes: Attributes, pointer: str) -> tuple[Clause, ...]:
    """Each of the filters under `pointer`, held against an event."""
    return tuple(clause_of(item, attributes, f"{pointer}/{index}") for index, item in enumerate(filters))


def clause_of(item: Filter, attributes: Attributes, pointer: str) -> Clause:
    """One filter, and everything in it, held against an event."""
    match item:
        case Compare():
            return _comparison(item, attributes, f"{pointer}/{item.dialect}")
        case AllOf():
            return _all(clauses_of(item.filters, attributes, f"{pointer}/all"), f"{pointer}/all")
        case AnyOf():
            return _any(clauses_of(item.filters, attributes, f"{pointer}/any"), f"{pointer}/any")
        case Not():
            inner = clause_of(item.inner, attributes, f"{pointer}/not")
            said = "matches" if inner.matches else "does not match"
            detail = f"the filter inside `not` {said}"
            return Clause("not", f"{pointer}/not", not inner.matches, detail, parts=(inner,))
        case _:
            assert_never(item)


def first_failure(clauses: Iterable[Clause]) -> Clause | None:
    """The part that decides that not all of these match, as deep as one alone decides it; None where all match.

    Of `any` and `not` no single part is to blame, so they stand for themselves.
    """
    for clause in clauses:
        if not clause.matches:
            deeper = first_failure(clause.parts) if clause.rule in _CONJUNCTIONS else None
            return deeper or clause
    return None


def shortened(text: str) -> str:
    """The text, cut where it is long: what comes with an event may be of any length."""
    return text if len(text) <= _QUOTED_CHARS_MAX else f"{text[:_QUOTED_CHARS_MAX]}…"


def quoted(text: str) -> str:
    """The text in quotes for a sentence, shortened where it is long."""
    return repr(shortened(text))


def _comparison(item: Compare, attributes: Attributes, pointer: str) -> Clause:
    parts = tuple(_one(item.dialect, name, want, attributes, pointer) for name, want in item.wants)
    if len(parts) == 1:
        return parts[0]
    failing = sum(not part.matches for part in parts)
    detail = f"{failing} of its {len(parts)} comparisons fail" if failing else "all its comparisons hold"
    return Clause(item.dialect.value, pointer, not failing, detail, parts=parts)


def _one(dialect: Comparison, name: str, want: str, attributes: Attributes, pointer: str) -> Clause:
    # The comparison itself is asked, so that there is one place which says what it means.
    matches = Compare(dialect, ((name, want),)).matches(attributes)
    value = attributes.get(name)
    if value is None:
        actual, detail = None, f"the event has no attribute {name!r}"
    else:
        actual = shortened(text_of(value))
        detail = f"{name} {actual!r} {_WORDS[dialect][not matches]} {quoted(want)}"
    return Clause(
        rule=dialect.value,
        pointer=f"{pointer}/{name}",
        matches=matches,
        detail=detail,
        attribute=name,
        expected=shortened(want),
        actual=actual,
    )


def _all(parts: tuple[Clause, ...], pointer: str) -> Clause:
    failing = sum(not part.matches for part in parts)
    detail = (
        f"{failing} of the {len(parts)} filters in `all` {_do_not(failing)} match"
        if failing
        else f"all {len(parts)} filters in `all` match"
    )
    return Clause("all", pointer, not failing, detail, parts=parts)


def _any(parts: tuple[Clause, ...], pointer: str) -> Clause:
    matching = sum(part.matches for part in parts)
    said = f"{matching} of" if matching else "none of"
    detail = f"{said} the {len(parts)} filters in `any` {'match' if matching > 1 else 'matches'}"
    return Clause("any", pointer, matching > 0, detail, parts=parts)


def _do_not(count: int) -> str:
    return "does not" if count == 1 else "do not"
