"""`unevaluatedProperties` and `unevaluatedItems`: what nothing beside them, and nothing that leads on, speaks about.

What is spoken about can depend on the value (`anyOf`, `if`, …). Of the schema that produces, everything counts that
may be spoken about; of the one that reads, only what surely is. What is the same in both speaks about the same.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from contracts.compatibility.produced import ITEMS, MEMBERS, Part, Produced, Schema, without
from contracts.compatibility.wording import Finding, Kind
from contracts.document import resolve

if TYPE_CHECKING:
    from contracts.compatibility.comparing import Comparison

Place = tuple[str | int, ...]

_LIKE: Final = {
    MEMBERS: ("additionalProperties", "properties", "patternProperties"),
    ITEMS: ("items", "prefixItems"),
}
_DEPENDING: Final = (("anyOf",), ("oneOf",), ("if", "then", "else"), ("dependentSchemas",))


@dataclass(slots=True)
class _Spoken:
    """What is spoken about: members by name and by pattern, the first items; or all of them."""

    names: set[str] = field(default_factory=set)
    patterns: set[str] = field(default_factory=set)
    items: int = 0
    all_members: bool = False
    all_items: bool = False


def ask_unevaluated(comparison: "Comparison", value: Produced, read: Part, place: Place) -> None:
    """Note where what the reading schema leaves unevaluated may not fit what it says about it."""
    for keyword, kind in ((MEMBERS, "object"), (ITEMS, "array")):
        if read.get(keyword, True) is True or kind not in value.kinds:
            continue
        question = _Question(comparison, value, read, keyword, place)
        tried = [question.found(part) for part in _closed(value, keyword)]
        if not tried:
            comparison.say((*place, keyword), Kind.LIMIT, keyword)
        elif all(tried):
            fewest: dict[Finding, None] = min(tried, key=len)
            comparison.findings |= fewest


def _closed(value: Produced, keyword: str) -> Iterator[Part]:
    """The schemas of a value that have the keyword, or its like for what stands right beside it."""
    like, *beside = _LIKE[keyword]
    for part in value.opened:
        if part.get(keyword, True) is not True:
            yield part
        if part.get(like, True) is not True:
            yield {name: part[name] for name in beside if name in part} | {keyword: part[like]}


@dataclass(frozen=True, slots=True)
class _Question:
    comparison: "Comparison"
    value: Produced
    read: Part
    keyword: str
    place: Place

    def found(self, part: Part) -> dict[Finding, None]:
        """What is wrong if this part of the value is what keeps the reading schema's keyword."""
        comparison, read, keyword = self.comparison, self.read, self.keyword
        same = {name for group in _DEPENDING if _same(comparison, part, read, group) for name in group}
        may, surely = _Spoken(), _Spoken()
        _gather(comparison, comparison.produced_root, without(part, {*same, keyword}), may, sure=False)
        _gather(comparison, comparison.read_root, without(read, {*same, keyword}), surely, sure=True)
        members = keyword == MEMBERS
        if surely.all_members if members else surely.all_items:
            return {}
        if may.all_members if members else may.all_items:
            return comparison.would_say((*self.place, keyword), Kind.BESIDE, keyword)
        said, found = read[keyword], dict[Finding, None]()
        for below, schemas in _newly(self.value, may, surely, members=members):
            found |= comparison.would_find(schemas, said, (*self.place, *below))
        return found | comparison.would_find([part[keyword]], said, (*self.place, keyword))


def _newly(
    value: Produced, may: _Spoken, surely: _Spoken, *, members: bool
) -> Iterator[tuple[Place, list[Schema]]]:
    """What the one schema may speak about and the other one does not surely."""
    if not members:
        yield from ((("prefixItems", index), value.items(index)) for index in range(surely.items, may.items))
        return
    for name in sorted(may.names - surely.names):
        yield ("properties", name), value.member(name)[0]
    for pattern in sorted(may.patterns - surely.patterns):
        said = [names[pattern] for names in value.all_of("patternProperties") if pattern in names]
        yield ("patternProperties", pattern), said


def _same(comparison: "Comparison", one: Part, other: Part, keywords: tuple[str, ...]) -> bool:
    return all(
        (name in one) == (name in other)
        and (name not in one or comparison.sameness.keyword(name, one[name], other[name]))
        for name in keywords
    )


def _gather(
    comparison: "Comparison", root: Mapping[str, Any], schema: Part, spoken: _Spoken, *, sure: bool
) -> None:
    waiting: list[Any] = [schema]
    seen = set[int]()
    while waiting:
        part = waiting.pop()
        if isinstance(part, bool) or id(part) in seen:
            continue
        comparison.budget.spend()
        seen.add(id(part))
        spoken.names |= part.get("properties", {}).keys()
        spoken.patterns |= part.get("patternProperties", {}).keys()
        spoken.items = max(spoken.items, len(part.get("prefixItems", ())))
        # `false` speaks about nothing that is there; whether the value keeps it is asked elsewhere.
        spoken.all_members |= any(
            name in part and (sure or part[name] is not False) for name in ("additionalProperties", MEMBERS)
        )
        spoken.all_items |= any(
            name in part and (sure or part[name] is not False) for name in ("items", ITEMS)
        )
        if "$ref" in part:
            waiting.append(resolve(root, part["$ref"]))
        waiting += part.get("allOf", ())
        if not sure:
            spoken.all_items |= "contains" in part
            waiting += [*part.get("anyOf", ()), *part.get("oneOf", ())]
            waiting += [part[name] for name in ("if", "then", "else") if name in part]
            waiting += part.get("dependentSchemas", {}).values()
