"""CONFORMANCE 44 as a property: whatever an accepted new version allows, an old reader still accepts.

Schemas are drawn small and with the same few names and values, so that versions often touch; what branches stands
beside other keywords and behind `allOf` and `$ref`, at the root as well. Data are drawn along the new schema and around
its edges, with every small value beside them, and a validator that knows nothing of our rules decides.
"""

import copy
import os
from typing import Any

import jsonschema_rs
from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st

from contracts.compatibility import Compatibility, breaking_changes
from contracts.document import document_of

NAMES = ("a", "b", "c")
SCALARS: list[Any] = [None, False, True, 0, 1, 2, -1, 1.5, "", "a", "ab", "abc"]
TYPES = ("null", "boolean", "integer", "number", "string", "array", "object")
scalars = st.sampled_from(SCALARS)
small = st.integers(0, 3)
no = st.sampled_from([False])


def some(**members: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=members)


types = st.sampled_from(TYPES) | st.lists(st.sampled_from(TYPES), min_size=1, max_size=3, unique=True)
leaves = st.one_of(
    st.booleans(),
    some(type=types, minimum=small, maximum=small, exclusiveMinimum=small, multipleOf=st.integers(1, 3)),
    some(type=types, minLength=small, maxLength=small, pattern=st.sampled_from(["a", "^ab"])),
    some(type=types, enum=st.lists(scalars, min_size=1, max_size=4, unique_by=repr)),
    some(const=scalars),
)


def larger(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    named = st.dictionaries(st.sampled_from(NAMES), inner, max_size=3)
    few = st.lists(inner, min_size=1, max_size=3)
    return st.one_of(
        some(
            type=st.just("object"),
            properties=named,
            required=st.lists(st.sampled_from(NAMES), max_size=2, unique=True),
            additionalProperties=inner,
            minProperties=small,
            maxProperties=small,
            patternProperties=st.dictionaries(st.sampled_from(["^a", "b"]), inner, max_size=1),
        ),
        some(
            type=st.just("array"),
            items=inner,
            prefixItems=few,
            minItems=small,
            maxItems=small,
            uniqueItems=st.booleans(),
            contains=inner,
            minContains=small,
            maxContains=small,
            unevaluatedItems=inner,
        ),
        some(anyOf=few, type=types),
        some(oneOf=few),
        some(allOf=few),
        branching(inner),
        some(**{"not": inner, "if": inner, "then": inner, "else": inner}),
        some(
            propertyNames=inner,
            dependentRequired=st.just({"a": ["b"]}),
            dependentSchemas=st.fixed_dictionaries({"b": inner}),
            unevaluatedProperties=inner,
        ),
        st.sampled_from([{"$ref": "#"}, {"$ref": "#/$defs/d"}, {"$ref": "#/$defs/e"}]),
    )


def branching(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """What branches, behind what leads there."""
    few = st.lists(inner, min_size=1, max_size=2)
    branches = some(anyOf=few) | some(oneOf=few)
    behind = st.one_of(
        branches,
        st.lists(branches, min_size=1, max_size=2).map(lambda schemas: {"allOf": schemas}),
        st.sampled_from(["d", "e"]).map(lambda name: {"$ref": f"#/$defs/{name}"}),
        st.just({"allOf": [{"$ref": "#/$defs/e"}]}),
    )
    return st.tuples(behind, objects(inner) | leaves).map(
        lambda pair: pair[0] | (pair[1] if isinstance(pair[1], dict) else {})
    )


def objects(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return some(
        type=st.just("object"),
        properties=st.dictionaries(st.sampled_from(NAMES), inner, max_size=2),
        required=st.lists(st.sampled_from(NAMES), max_size=2, unique=True),
        additionalProperties=no,
        unevaluatedProperties=no,
        minProperties=small,
        dependentRequired=st.just({"a": ["b"]}),
    )


schemas = st.recursive(leaves, larger, max_leaves=6).map(
    lambda schema: schema if isinstance(schema, dict) else {}
)


@st.composite
def versions(draw: st.DrawFn) -> tuple[Any, Any]:
    """An old schema, and a new one that is mostly the old one with something changed, at any depth."""
    root = draw(st.just({}) | branching(leaves))
    root |= {"properties": {"a": draw(schemas), "b": draw(schemas)}}
    old = {"$defs": {"d": draw(leaves), "e": draw(branching(leaves))}} | root
    new = copy.deepcopy(old)
    for _ in range(draw(st.integers(1, 2))):
        place = draw(st.sampled_from(list(_places(new))))
        _change(draw, place)
    return old, new


@st.composite
def behind_branches(draw: st.DrawFn) -> tuple[Any, Any]:
    """The same schema, or one with a keyword less or other, before and behind something that branches."""
    old = draw(leaves | objects(leaves) | larger(leaves))
    assume(isinstance(old, dict))
    new = copy.deepcopy(old)
    for _ in range(draw(st.integers(0, 2))):
        _change(draw, draw(st.sampled_from(list(_places(new)))))
    ways: list[Any] = [
        {"allOf": [{"anyOf": [{}]}]},
        {"allOf": [{"$ref": "#/$defs/e"}]},
        {"$ref": "#/$defs/e"},
        draw(branching(leaves)),
    ]
    way = copy.deepcopy(draw(st.sampled_from(ways)))
    defined = {"$defs": {"d": draw(leaves), "e": draw(branching(leaves))}}
    if draw(st.booleans()):
        old |= copy.deepcopy({name: value for name, value in way.items() if name not in old})
    new |= {name: value for name, value in way.items() if name not in new}
    place = draw(
        st.sampled_from(
            [
                lambda schema: schema,
                lambda schema: {"properties": {"a": schema}},
                lambda schema: {"items": schema},
            ]
        )
    )
    return place(old) | defined, place(new) | copy.deepcopy(defined)


def _witnesses() -> list[Any]:
    """Every small value, and what has one as its part."""
    few = [None, 0, 1.5, "", "ab"]
    inner: list[Any] = [*SCALARS, [], {}, *([item] for item in SCALARS)]
    inner += [{name: item} for name in NAMES for item in SCALARS]
    inner += [{one: item, other: 1} for one, other in ("ab", "ba", "bc") for item in few]
    inner += [{"a": item, "b": "", "c": 0} for item in few]
    inner += [[1, item] for item in few]
    return [*inner, *({name: item} for name in ("a", "b") for item in inner), *([item] for item in inner)]


WITNESSES = _witnesses()


def _places(schema: Any) -> Any:
    if isinstance(schema, dict):
        yield schema
        for value in schema.values():
            yield from _places(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _places(value)


def _change(draw: st.DrawFn, place: dict[str, Any]) -> None:
    if place and draw(st.booleans()):
        del place[draw(st.sampled_from(sorted(place)))]
    else:
        place |= copy.deepcopy(draw(schemas))  # what is drawn may be drawn again


def data_along(schema: Any, root: Any, depth: int = 0) -> st.SearchStrategy[Any]:
    """Values that have a chance to fit: a guide, which the validator checks."""
    anything = st.recursive(
        scalars,
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=3)
        ),
        max_leaves=4,
    )
    if not isinstance(schema, dict) or depth > 2:
        return anything
    choices = [anything]
    if "enum" in schema:
        choices.append(st.sampled_from(schema["enum"]))
    if "const" in schema:
        choices.append(st.just(schema["const"]))
    if "$ref" in schema:
        target = root if schema["$ref"] == "#" else root["$defs"][schema["$ref"][-1]]
        choices.append(data_along(target, root, depth + 1))
    for keyword in ("anyOf", "oneOf", "allOf"):
        choices += [data_along(branch, root, depth + 1) for branch in schema.get(keyword, [])]
    if "properties" in schema or "required" in schema:
        members = {
            name: data_along(inner, root, depth + 1) for name, inner in schema.get("properties", {}).items()
        }
        rest = {name: anything for name in NAMES if name not in members}
        choices.append(st.fixed_dictionaries({}, optional=members | rest))
    if "items" in schema or "prefixItems" in schema:
        items = [schema.get("items", True), *schema.get("prefixItems", [])]
        choices.append(st.lists(st.one_of([data_along(item, root, depth + 1) for item in items]), max_size=3))
    return st.one_of(choices)


def usable(schema: Any) -> Any:
    try:
        return document_of(schema)
    except ValueError:
        return None


EXAMPLES = int(os.environ.get("COMPATIBILITY_EXAMPLES", "300"))
"""As many as a run has time for; some thousands, where the rules themselves are changed."""

UNHURRIED: dict[str, Any] = {
    "deadline": None,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.filter_too_much],
}


def accepted(pair: Any) -> tuple[Any, Any] | None:
    """The two documents, where the new one may follow the old one."""
    old, new = map(usable, pair)
    assume(old is not None and new is not None)
    if breaking_changes(new, {1: old}, Compatibility.FORWARD_TRANSITIVE):
        event("refused")
        return None
    event("accepted, changed" if old != new else "accepted, the same")
    return old, new


@settings(max_examples=EXAMPLES, **UNHURRIED)
@given(versions() | behind_branches())
def test_row_44_no_small_value_tells_an_accepted_version_from_the_old_one(pair: Any) -> None:
    both = accepted(pair)
    if both is not None and both[0] != both[1]:
        reads, produces = map(jsonschema_rs.Draft202012Validator, both)
        wrong = [value for value in WITNESSES if produces.is_valid(value) and not reads.is_valid(value)]
        assert wrong == []


@settings(max_examples=EXAMPLES, **UNHURRIED)
@given(versions(), st.data())
def test_row_44_what_an_accepted_version_allows_an_old_reader_accepts(pair: Any, data: st.DataObject) -> None:
    both = accepted(pair)
    if both is None:
        return
    reads, produces = map(jsonschema_rs.Draft202012Validator, both)
    for _ in range(5):
        value = data.draw(data_along(both[1], both[1]))
        if produces.is_valid(value):
            event("told apart")
            assert reads.is_valid(value), value


def beyond(document: Any, pointer: str) -> list[str]:
    """The end of a pointer, from where it leads nowhere."""
    parts = [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]
    while parts:
        try:
            document = document[int(parts[0]) if isinstance(document, list) else parts[0]]
        except (KeyError, IndexError, TypeError):
            return parts
        del parts[0]
    return []


@settings(max_examples=EXAMPLES, **UNHURRIED)
@given(versions() | behind_branches())
def test_row_44_each_place_is_one_of_the_posted_document_or_of_what_it_no_longer_has(pair: Any) -> None:
    old, new = map(usable, pair)
    assume(old is not None and new is not None)
    found = breaking_changes(new, {1: old}, Compatibility.FULL_TRANSITIVE)
    assert [item.pointer for item in found if len(beyond(new, item.pointer)) > 2] == []


@settings(max_examples=100, **UNHURRIED)
@given(leaves, leaves, st.lists(scalars, min_size=3, max_size=6))
def test_row_44_full_what_an_older_version_declares_a_new_reader_accepts(
    old: Any, new: Any, values: list[Any]
) -> None:
    old, new = ({"type": "object", "properties": {"m": schema}} for schema in (old, new))
    if not breaking_changes(document_of(new), {1: document_of(old)}, Compatibility.FULL_TRANSITIVE):
        produces, reads = jsonschema_rs.Draft202012Validator(old), jsonschema_rs.Draft202012Validator(new)
        for value in [{}, *({"m": scalar} for scalar in values)]:
            assert produces.is_valid(value) == reads.is_valid(value)


@settings(max_examples=100, **UNHURRIED)
@given(schemas, schemas)
def test_the_judgement_is_a_list_and_always_the_same(old: Any, new: Any) -> None:
    old, new = usable(old), usable(new)
    assume(old is not None and new is not None)
    for mode in Compatibility:
        first = breaking_changes(new, {1: old}, mode)
        assert first == breaking_changes(copy.deepcopy(new), {1: copy.deepcopy(old)}, mode)
    assert breaking_changes(new, {1: new}, Compatibility.FULL_TRANSITIVE) == []
