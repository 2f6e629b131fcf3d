"""One comparison: whether whatever one schema allows, another allows as well, and where not.

Sound and not complete: what is not reported holds, and what cannot be decided is reported. Each keyword of the
schema that reads is asked for on its own (`rules.py`), of everything that the schema that produces says at once.
"""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from contracts.compatibility.budget import Budget, TooLargeError
from contracts.compatibility.produced import ITEMS, MEMBERS, Produced, Schema, identity, without
from contracts.compatibility.sameness import Sameness
from contracts.compatibility.unevaluated import ask_unevaluated
from contracts.compatibility.wording import Finding, Kind, Side, clause
from contracts.document import resolve
from contracts.json_values import FRACTION, KINDS, key_of

DEPTH_MAX: Final = 64
"""Steps down, into a part of the value or a case of it, that one question leads to."""

_BRANCHING: Final = ("anyOf", "oneOf")
_TYPE_OF_KIND: Final[dict[str, Mapping[str, Any]]] = {
    kind: {"type": "number" if kind == FRACTION else kind} for kind in KINDS
}


class Comparison:
    """Compares one pair of documents.

    Attributes:
        findings: What was found, in the order found; a dict for its order.
        budget: What may still be compared.
        produced_root: The document that produces.
        read_root: The one that reads.
    """

    def __init__(
        self, produced: Mapping[str, Any], read: Mapping[str, Any], side: Side, budget: Budget
    ) -> None:
        self.side = side
        self.findings: dict[Finding, None] = {}
        self.sameness = Sameness(produced, read, budget)
        self.budget = budget
        self.produced_root = produced
        self.read_root = read
        self._under_way: dict[tuple[Hashable, Hashable], int] = {}
        self._depth = 0
        self._chosen: list[tuple[int, int]] = []

    def run(self) -> None:
        """Compare the documents whole. Raises ``TooLargeError``."""
        self.check([self.produced_root], self.read_root, ())

    def say(self, place: tuple[str | int, ...], kind: Kind, what: str = "") -> None:
        """Note a finding."""
        self.findings |= self.would_say(place, kind, what)

    def would_say(self, place: tuple[str | int, ...], kind: Kind, what: str = "") -> dict[Finding, None]:
        """What `say` would note."""
        branches = tuple(chosen for _, chosen in self._chosen)
        return {Finding(place, clause(self.side, kind, what), branches): None}

    def check(self, produced: Sequence[Schema], read: Schema, place: tuple[str | int, ...]) -> None:
        """Note where a value that fits all of `produced` may not fit `read`. Raises ``TooLargeError``."""
        self.budget.spend()
        if self._depth > DEPTH_MAX:
            raise TooLargeError
        if any(self.sameness.schemas(schema, read) for schema in produced):
            return
        value = Produced(self.produced_root, produced)
        self.budget.spend(len(value.parts) + len(value.values or ()))
        if value.never or read is True:
            return
        if isinstance(read, bool):
            self.say(place, Kind.NOTHING)
            return
        pair = (value.key(), identity(read))
        asked = self._under_way.get(pair)
        if asked is not None:
            # About a smaller value, a part of the one before, it holds if nothing else is found (induction). About
            # the same value, nothing would have been asked at all.
            if asked == len(place):
                self.say(place, Kind.CIRCLE)
            return
        self._under_way[pair] = len(place)
        self._depth += 1
        try:
            self._cases(value, read, place)
        finally:
            self._depth -= 1
            del self._under_way[pair]

    def would_find(
        self, produced: Sequence[Schema], read: Schema, place: tuple[str | int, ...]
    ) -> dict[Finding, None]:
        """What `check` would note."""
        before, self.findings = self.findings, {}
        try:
            self.check(produced, read, place)
            return self.findings
        finally:
            self.findings = before

    def _cases(self, value: Produced, read: Mapping[str, Any], place: tuple[str | int, ...]) -> None:
        """Ask for all that `read` says, of each case that the value makes of itself.

        What leads to other schemas, and what is said word for word the same, is asked of the value as a whole, since
        its cases no longer have the branches that they come from.
        """
        if "$ref" in read:
            self.check(value.whole, resolve(self.read_root, read["$ref"]), place)  # type: ignore[arg-type]
        for schema in read.get("allOf", ()):
            self.check(value.whole, schema, place)
        ask_unevaluated(self, value, read, place)
        asked = {
            "$ref",
            "allOf",
            MEMBERS,
            ITEMS,
            *(keyword for keyword in _BRANCHING if self._said(value, keyword, read)),
        }
        if not asked.isdisjoint(read):
            read = without(read, asked)
        branches = value.branches()
        if branches is not None:
            for branch in branches:
                with self._in_branch(branch[-1], place, Side.READERS):
                    self.check(branch, read, place)
            return
        for keyword in _BRANCHING:
            if keyword in read:
                self._branches(value, keyword, read[keyword], place)
        # Here, since a rule calls this module for the parts of a value.
        from contracts.compatibility.rules import apply_rules  # noqa: PLC0415

        apply_rules(self, value, read, place)

    def _said(self, value: Produced, keyword: str, read: Mapping[str, Any]) -> bool:
        """Whether the value keeps a keyword because one of its parts says the same."""
        return keyword in read and any(
            self.sameness.keyword(keyword, said, read[keyword]) for said in value.all_of(keyword)
        )

    def _branches(
        self, value: Produced, keyword: str, branches: Sequence[Schema], place: tuple[str | int, ...]
    ) -> None:
        """Each case of the value fits one branch; of `oneOf`, one that no value shares with another."""
        apart = keyword == "anyOf" or self._apart(branches)
        if not apart:
            self.say((*place, keyword), Kind.BRANCH, keyword)
        for case in _cases_of(value):
            tried = []
            for branch in branches:
                with self._in_branch(branch, place, Side.PRODUCERS):
                    tried.append(self.would_find(case, branch, place))
            if all(tried):
                self._none_fits(tried, case, branches, keyword, place, said=not apart)

    def _none_fits(
        self,
        tried: Sequence[dict[Finding, None]],
        case: Sequence[Schema],
        branches: Sequence[Schema],
        keyword: str,
        place: tuple[str | int, ...],
        *,
        said: bool,
    ) -> None:
        """Say what is wrong by the branch that was meant: the one that the case can fit at all, or fits best."""
        value = Produced(self.produced_root, case)
        candidates = [
            found
            for found, branch in zip(tried, branches, strict=True)
            if not _disjoint(value, self._opened(branch))
        ]
        if len(candidates) != 1 and not said:
            here = any(depth == len(place) for depth, _ in self._chosen)
            self.say(place if here else (*place, keyword), Kind.BRANCH, keyword)
        if candidates:
            closest: dict[Finding, None] = min(candidates, key=len)
            self.findings |= closest

    @contextmanager
    def _in_branch(self, branch: Schema, place: tuple[str | int, ...], side: Side) -> Iterator[None]:
        """Remember which branch findings are about, where it is the posted document's."""
        posted = side is self.side
        if posted:
            self._chosen.append((len(place), id(branch)))
        try:
            yield
        finally:
            if posted:
                self._chosen.pop()

    def _opened(self, branch: Schema) -> Produced:
        opened = Produced(self.read_root, [branch])
        self.budget.spend(len(opened.parts) + len(opened.values or ()))
        return opened

    def _apart(self, branches: Sequence[Schema]) -> bool:
        """Whether no value fits two branches, as far as one can see."""
        opened = [self._opened(branch) for branch in branches]
        self.budget.spend(len(opened) ** 2)
        return all(_disjoint(one, other) for index, one in enumerate(opened) for other in opened[index + 1 :])


def _cases_of(value: Produced) -> Iterator[Sequence[Schema]]:
    """A value taken apart: by what it may be, or by the values that it may have."""
    if value.values is not None:
        yield from ([*value.whole, {"const": item}] for item in value.values)
        return
    kinds = set(value.kinds)
    if {"integer", FRACTION} <= kinds:
        kinds.discard("integer")  # a branch for numbers takes both; one for integers alone takes no number
    for kind in sorted(kinds):
        yield [*value.whole, _TYPE_OF_KIND[kind]]


def _disjoint(one: Produced, other: Produced) -> bool:
    if one.never or other.never or not one.kinds & other.kinds:
        return True
    if one.kinds & other.kinds != {"object"}:
        return False
    # Told apart by a member that both have, such as `kind`, with no value in common.
    for name in sorted(one.required() & other.required()):
        mine, theirs = (Produced(side.root, side.member(name)[0]) for side in (one, other))
        if not mine.kinds & theirs.kinds or (
            mine.values is not None
            and theirs.values is not None
            and not set(map(key_of, mine.values)) & set(map(key_of, theirs.values))
        ):
            return True
    return False
