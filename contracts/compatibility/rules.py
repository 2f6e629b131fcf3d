"""The rules, one per keyword of the schema that reads: what the schema that produces has to say for it to hold."""

import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

from contracts.compatibility.produced import EVERY_KIND, Produced
from contracts.compatibility.wording import Finding, Kind, Side
from contracts.json_values import FRACTION, key_of, kinds_of, words_of

if TYPE_CHECKING:
    from contracts.compatibility.comparing import Comparison

Place = tuple[str | int, ...]
_Rule = Callable[["Comparison", Produced, Mapping[str, Any], Place], None]

_VALUES_SHOWN: Final = 5
_NUMBERS: Final = frozenset({"integer", FRACTION})
_SIZED: Final = {"string": "Length", "array": "Items", "object": "Properties"}


def apply_rules(comparison: "Comparison", value: Produced, read: Mapping[str, Any], place: Place) -> None:
    """Ask every rule whose keywords the reading schema has."""
    for kinds, keywords, rule in _RULES:
        if value.kinds & kinds and not keywords.isdisjoint(read):
            rule(comparison, value, read, place)


def _type(comparison: "Comparison", value: Produced, read: Mapping[str, Any], place: Place) -> None:
    beyond = value.kinds - kinds_of(read["type"])
    if beyond:
        comparison.say((*place, "type"), Kind.TYPE, words_of(beyond))


def _values(comparison: "Comparison", value: Produced, read: Mapping[str, Any], place: Place) -> None:
    for keyword in ("enum", "const"):
        if keyword not in read:
            continue
        listed = read["enum"] if keyword == "enum" else [read["const"]]
        comparison.budget.spend(len(listed))
        known = set(map(key_of, listed))
        if value.values is None:
            comparison.say((*place, keyword), Kind.VALUES, "any other")
            continue
        beyond = [key for key in map(key_of, value.values) if key not in known]
        if beyond:
            shown = ", ".join(key if len(key) <= 64 else f"{key[:60]}…" for key in beyond[:_VALUES_SHOWN])  # noqa: PLR2004
            more = f" and {len(beyond) - _VALUES_SHOWN} more" if len(beyond) > _VALUES_SHOWN else ""
            comparison.say((*place, keyword), Kind.VALUES, shown + more)


def _range(comparison: "Comparison", value: Produced, read: Mapping[str, Any], place: Place) -> None:
    whole = FRACTION not in value.kinds
    low, high = value.lower(), value.upper()
    if value.values is not None:
        numbers = [
            item for item in value.values if isinstance(item, int | float) and not isinstance(item, bool)
        ]
        low, high = (min(numbers), False), (max(numbers), False)
    for keyword in ("minimum", "exclusiveMinimum"):
        if keyword in read and _at_least(low, whole=whole) < _at_least(
            (read[keyword], keyword != "minimum"), whole=whole
        ):
            comparison.say((*place, keyword), Kind.LIMIT, keyword)
    for keyword in ("maximum", "exclusiveMaximum"):
        if keyword in read and _at_most(high, whole=whole) > _at_most(
            (read[keyword], keyword != "maximum"), whole=whole
        ):
            comparison.say((*place, keyword), Kind.LIMIT, keyword)


def _at_least(limit: tuple[float, bool], *, whole: bool) -> tuple[float, int]:
    """A lower limit in an order of tightness; of integers, `> 0` is `>= 1`."""
    number, excluded = limit
    if whole and math.isfinite(number):
        return (math.floor(number) + 1 if excluded else math.ceil(number)), 0
    return number, int(excluded)


def _at_most(limit: tuple[float, bool], *, whole: bool) -> tuple[float, int]:
    number, excluded = limit
    if whole and math.isfinite(number):
        return (math.ceil(number) - 1 if excluded else math.floor(number)), 0
    return number, -int(excluded)


def _multiple(comparison: "Comparison", value: Produced, read: Mapping[str, Any], place: Place) -> None:
    step = Fraction(str(read["multipleOf"]))
    steps = [Fraction(str(said)) for said in value.all_of("multipleOf")]
    if FRACTION not in value.kinds:
        steps.append(Fraction(1))
    if not any(said % step == 0 for said in steps):
        comparison.say((*place, "multipleOf"), Kind.LIMIT, "multipleOf")


def _sizes(comparison: "Comparison", value: Produced, read: Mapping[str, Any], place: Place) -> None:
    for kind, noun in _SIZED.items():
        if kind not in value.kinds:
            continue
        least, most = f"min{noun}", f"max{noun}"
        low = max([*value.all_of(least), len(value.required()) if kind == "object" else 0])
        high = min([*value.all_of(most), math.inf])
        if kind == "string" and value.values is not None:
            lengths = [len(item) for item in value.values if isinstance(item, str)]
            low, high = min(lengths), max(lengths)
        if read.get(least, 0) > low:
            comparison.say((*place, least), Kind.LIMIT, least)
        if read.get(most, math.inf) < high:
            comparison.say((*place, most), Kind.LIMIT, most)


def _required(comparison: "Comparison", value: Produced, read: Mapping[str, Any], place: Place) -> None:
    for name in sorted(set(read["required"]) - value.required()):
        comparison.say((*place, "properties", name), Kind.OPTIONAL)


def _properties(comparison: "Comparison", value: Produced, read: Mapping[str, Any], place: Place) -> None:
    for name, schema in read["properties"].items():
        schemas, declared = value.member(name)
        below = (*place, "properties", name)
        if declared:
            comparison.check(schemas, schema, below)
        elif comparison.side is Side.READERS:
            comparison.say(below, Kind.REMOVED)
        # Else: an older version does not declare it, so what it produces does not have it.


def _other_members(comparison: "Comparison", value: Produced, read: Mapping[str, Any], place: Place) -> None:
    """`additionalProperties`: of all that the reading schema does not declare."""
    others = read["additionalProperties"]
    if others is True:
        return
    known = read.get("properties", {})
    for name in sorted({name for names in value.all_of("properties") for name in names} - known.keys()):
        schemas, _ = value.member(name)
        if others is False:
            if not Produced(value.root, schemas).never:
                comparison.say((*place, "properties", name), Kind.EXTRA)
        else:
            comparison.check(schemas, others, (*place, "properties", name))
    _patterned_others(comparison, value, read, place)
    if any(part.get("additionalProperties") is False for part in value.parts):
        return
    said = value.all_of("additionalProperties")
    if comparison.side is Side.PRODUCERS and not said:
        return  # what an older version declares nothing about, what it produces does not have
    if others is False:
        comparison.say((*place, "additionalProperties"), Kind.OPEN, "additionalProperties")
    else:
        comparison.check(said or [True], others, (*place, "additionalProperties"))


def _patterned_others(
    comparison: "Comparison", value: Produced, read: Mapping[str, Any], place: Place
) -> None:
    """Members that a pattern allows, and that the reading schema has no such pattern for."""
    for patterns in value.all_of("patternProperties"):
        for pattern in sorted(patterns.keys() - read.get("patternProperties", {}).keys()):
            below = (*place, "patternProperties", pattern)
            comparison.check([patterns[pattern]], read["additionalProperties"], below)


def _unique(comparison: "Comparison", value: Produced, read: Mapping[str, Any], place: Place) -> None:
    if (
        read["uniqueItems"]
        and not any(value.all_of("uniqueItems"))
        and min([*value.all_of("maxItems"), 2]) > 1
    ):
        comparison.say((*place, "uniqueItems"), Kind.LIMIT, "uniqueItems")


def _items(comparison: "Comparison", value: Produced, read: Mapping[str, Any], place: Place) -> None:
    listed = read.get("prefixItems", [])
    most = min([*value.all_of("maxItems"), math.inf])
    for index in range(max(len(listed), value.listed_items())):
        if index < most:
            schema = listed[index] if index < len(listed) else read.get("items", True)
            keyword: Place = ("prefixItems", index) if index < len(listed) else ("items",)
            comparison.check(value.items(index), schema, (*place, *keyword))
    end = max(len(listed), value.listed_items())
    if "items" in read and end < most:
        comparison.check(value.items(end), read["items"], (*place, "items"))


def _member_names(comparison: "Comparison", value: Produced, read: Mapping[str, Any], place: Place) -> None:
    said = [*value.all_of("propertyNames"), {"type": "string"}]
    comparison.check(said, read["propertyNames"], (*place, "propertyNames"))


def _same(*keywords: str) -> _Rule:
    """The rule for what no rule decides: some part says the same, in all keywords that belong together."""

    def rule(comparison: "Comparison", value: Produced, read: Mapping[str, Any], place: Place) -> None:
        said = [keyword for keyword in keywords if keyword in read]
        for part in value.parts:
            if all((keyword in part) == (keyword in read) for keyword in keywords) and all(
                comparison.sameness.keyword(keyword, part[keyword], read[keyword]) for keyword in said
            ):
                return
        comparison.say((*place, said[0]), Kind.SAME, said[0])

    return rule


def _condition(comparison: "Comparison", value: Produced, read: Mapping[str, Any], place: Place) -> None:
    """Under the same `if`, each of the two cases is judged on its own."""
    tried: list[dict[Finding, None]] = []
    for part in value.all_with("if"):
        if comparison.sameness.keyword("if", part["if"], read["if"]):
            met = [*value.whole, part["if"], part.get("then", True)]
            unmet = [*value.whole, part.get("else", True)]
            found = comparison.would_find(met, read.get("then", True), (*place, "then"))
            tried.append(found | comparison.would_find(unmet, read.get("else", True), (*place, "else")))
    if not tried:
        comparison.say((*place, "if"), Kind.SAME, "if")
    elif all(tried):
        fewest: dict[Finding, None] = min(tried, key=len)
        comparison.findings |= fewest


def _by_pattern(comparison: "Comparison", value: Produced, read: Mapping[str, Any], place: Place) -> None:
    """A pattern is judged by the one that is written alike: whether two patterns overlap is not decided here."""
    for pattern, schema in read["patternProperties"].items():
        said = [names[pattern] for names in value.all_of("patternProperties") if pattern in names]
        below = (*place, "patternProperties", pattern)
        if said:
            comparison.check(said, schema, below)
        else:
            comparison.say(below, Kind.SAME, "patternProperties")


def _dependent(comparison: "Comparison", value: Produced, read: Mapping[str, Any], place: Place) -> None:
    for name, wanted in sorted(read["dependentRequired"].items()):
        known = value.required()
        known |= {other for said in value.all_of("dependentRequired") for other in said.get(name, ())}
        if not known.issuperset(wanted) and not Produced(value.root, value.member(name)[0]).never:
            comparison.say((*place, "dependentRequired"), Kind.LIMIT, "dependentRequired")


def _contains(comparison: "Comparison", value: Produced, read: Mapping[str, Any], place: Place) -> None:
    """So many items that fit: at least as many of them as fit something closer."""
    least, most = read.get("minContains", 1), read.get("maxContains", math.inf)
    below = (*place, "contains")
    if least:
        enough = [part for part in value.all_with("contains") if part.get("minContains", 1) >= least]
        tried = [comparison.would_find([part["contains"]], read["contains"], below) for part in enough]
        if all(tried):
            comparison.say(below, Kind.SAME, "contains")
    if most < min([*value.all_of("maxItems"), math.inf]) and not any(
        part.get("maxContains", math.inf) <= most
        and comparison.sameness.keyword("contains", part["contains"], read["contains"])
        for part in value.all_with("contains")
    ):
        comparison.say((*place, "maxContains"), Kind.SAME, "maxContains")


_OBJECT: Final = frozenset({"object"})
_ARRAY: Final = frozenset({"array"})
_STRING: Final = frozenset({"string"})
_RULES: Final[tuple[tuple[frozenset[str], frozenset[str], _Rule], ...]] = (
    (EVERY_KIND, frozenset({"type"}), _type),
    (EVERY_KIND, frozenset({"enum", "const"}), _values),
    (
        _NUMBERS,
        frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}),
        _range,
    ),
    (_NUMBERS, frozenset({"multipleOf"}), _multiple),
    (
        _STRING | _ARRAY | _OBJECT,
        frozenset({"minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"}),
        _sizes,
    ),
    (_STRING, frozenset({"pattern"}), _same("pattern")),
    (_STRING, frozenset({"format"}), _same("format")),
    (_OBJECT, frozenset({"required"}), _required),
    (_OBJECT, frozenset({"properties"}), _properties),
    (_OBJECT, frozenset({"patternProperties"}), _by_pattern),
    (_OBJECT, frozenset({"additionalProperties"}), _other_members),
    (_OBJECT, frozenset({"propertyNames"}), _member_names),
    (_OBJECT, frozenset({"dependentRequired"}), _dependent),
    (_OBJECT, frozenset({"dependentSchemas"}), _same("dependentSchemas")),
    (_ARRAY, frozenset({"prefixItems", "items"}), _items),
    (_ARRAY, frozenset({"uniqueItems"}), _unique),
    (_ARRAY, frozenset({"contains"}), _contains),
    (EVERY_KIND, frozenset({"not"}), _same("not")),
    (EVERY_KIND, frozenset({"if"}), _condition),
)
