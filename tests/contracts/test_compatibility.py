"""CONFORMANCE 44, case by case: what a new version of a contract may change, and what is refused, and where."""

import copy
import json
from typing import Any

import pytest

import contracts
from contracts.compatibility import Compatibility, breaking_changes
from contracts.document import document_of

FORWARD, FULL = Compatibility.FORWARD_TRANSITIVE, Compatibility.FULL_TRANSITIVE
STEP = "com.letta.agent.step.completed"


def judged(old: Any, new: Any, mode: Compatibility = FORWARD) -> list[tuple[str, str]]:
    found = breaking_changes(document_of(new), {1: document_of(old)}, mode)
    assert all(item.versions == (1,) for item in found)
    return [(item.pointer, item.reason) for item in found]


def places(old: Any, new: Any, mode: Compatibility = FORWARD) -> list[str]:
    return [pointer for pointer, _ in judged(old, new, mode)]


def member(schema: Any, *required: str) -> dict[str, Any]:
    return {"type": "object", "properties": {"m": schema}, "required": list(required)}


def in_member(old: Any, new: Any, mode: Compatibility = FORWARD) -> list[str]:
    """Where a member's schema breaks, below it."""
    return [pointer.removeprefix("/properties/m") for pointer in places(member(old), member(new), mode)]


NULLABLE = {"anyOf": [{"type": "string"}, {"type": "null"}]}
TAGGED_A = {
    "type": "object",
    "properties": {"kind": {"const": "a"}, "x": {"type": "string"}},
    "required": ["kind"],
}
TAGGED_B = {"type": "object", "properties": {"kind": {"const": "b"}}, "required": ["kind"]}

ACCEPTED: list[tuple[str, Any, Any]] = [
    ("nothing changed", {"type": "string"}, {"type": "string"}),
    ("a description", {"type": "string"}, {"type": "string", "description": "new", "examples": ["x"]}),
    ("a type narrowed", {"type": ["string", "null"]}, {"type": "string"}),
    ("a number narrowed to integers", {"type": "number"}, {"type": "integer"}),
    ("a type given where any was allowed", {}, {"type": "string"}),
    (
        "a range narrowed",
        {"type": "integer", "minimum": 0, "maximum": 10},
        {"type": "integer", "minimum": 1, "maximum": 9},
    ),
    (
        "the same range of integers in other words",
        {"type": "integer", "minimum": 1},
        {"type": "integer", "exclusiveMinimum": 0},
    ),
    (
        "a length narrowed",
        {"type": "string", "minLength": 1},
        {"type": "string", "minLength": 2, "maxLength": 5},
    ),
    (
        "a multiple of the multiple",
        {"type": "number", "multipleOf": 0.1},
        {"type": "number", "multipleOf": 0.3},
    ),
    ("integers are multiples of one", {"type": "number", "multipleOf": 1}, {"type": "integer"}),
    ("a value taken out of an enum", {"enum": ["a", "b"]}, {"enum": ["a"]}),
    ("an enum closed", {"type": "string"}, {"enum": ["a"]}),
    ("a const out of an enum", {"enum": ["a", 1]}, {"const": 1.0}),
    ("an enum within bounds", {"type": "string", "minLength": 1, "maxLength": 2}, {"enum": ["a", "bb"]}),
    ("numbers of an enum within a range", {"type": "integer", "minimum": 1}, {"enum": [1, 2]}),
    ("both booleans", {"enum": [True, False]}, {"type": "boolean"}),
    ("a pattern added", {"type": "string"}, {"type": "string", "pattern": "^a", "format": "uri"}),
    (
        "a pattern kept, a length added",
        {"type": "string", "pattern": "^a"},
        {"type": "string", "pattern": "^a", "minLength": 1},
    ),
    ("null left out of an anyOf", NULLABLE, {"type": "string"}),
    ("anyOf as a list of types", NULLABLE, {"type": ["string", "null"]}),
    ("a list of types as anyOf", {"type": ["string", "null"]}, NULLABLE),
    (
        "a branch of anyOf narrowed",
        {"anyOf": [member({"type": "string"}), {"type": "null"}]},
        {"anyOf": [member({"const": "x"}), {"type": "null"}]},
    ),
    ("allOf opened", {"type": "string", "minLength": 1}, {"allOf": [{"type": "string"}, {"minLength": 2}]}),
    ("allOf added", {"type": "string"}, {"type": "string", "allOf": [{"minLength": 1}]}),
    ("a not added", {"type": "string"}, {"type": "string", "not": {"const": "x"}}),
    (
        "a not kept",
        {"type": "string", "not": {"const": "x"}},
        {"type": "string", "not": {"const": "x"}, "minLength": 1},
    ),
    (
        "an if kept",
        {"if": {"minLength": 1}, "then": {"const": "x"}},
        {"type": "string", "if": {"minLength": 1}, "then": {"const": "x"}},
    ),
    ("a branch told apart by its kind", {"oneOf": [TAGGED_A, TAGGED_B]}, {"oneOf": [TAGGED_A]}),
    (
        "items narrowed",
        {"type": "array", "items": {"type": "number"}},
        {"type": "array", "items": {"type": "integer"}, "maxItems": 3},
    ),
    (
        "items as a tuple",
        {"type": "array", "items": {"type": "number"}},
        {"type": "array", "prefixItems": [{"type": "integer"}], "items": False},
    ),
    (
        "a tuple that is never so long",
        {"prefixItems": [{}, {"type": "string"}]},
        {"type": "array", "maxItems": 1},
    ),
    ("different items", {"type": "array"}, {"type": "array", "uniqueItems": True}),
    (
        "a map narrowed",
        {"additionalProperties": {"type": "number"}},
        {"type": "object", "additionalProperties": {"type": "integer"}},
    ),
    ("an optional member added", {"type": "object", "properties": {}}, member({"type": "string"})),
    ("a required member added", {"type": "object", "properties": {}}, member({"type": "string"}, "m")),
    ("an optional member made required", member({"type": "string"}), member({"type": "string"}, "m")),
    (
        "a schema moved behind a reference",
        {"type": "string"},
        {"$ref": "#/properties/m/$defs/a", "$defs": {"a": {"type": "string"}}},
    ),
    ("the members closed", {"type": "object"}, {"type": "object", "additionalProperties": False}),
    ("as many members as are required", {"minProperties": 1}, member({}, "m")),
    (
        "names narrowed",
        {"propertyNames": {"minLength": 1}},
        {"type": "object", "propertyNames": {"minLength": 2}},
    ),
    (
        "a pattern of names kept",
        {"patternProperties": {"^x": {"type": "number"}}, "additionalProperties": False},
        {"type": "object", "patternProperties": {"^x": {"type": "integer"}}, "additionalProperties": False},
    ),
]

REFUSED: list[tuple[str, Any, Any, list[str]]] = [
    ("a type widened", {"type": "string"}, {"type": ["string", "null"]}, ["/type"]),
    ("a type changed", {"type": "string"}, {"type": "integer"}, ["/type"]),
    ("integers widened to numbers", {"type": "integer"}, {"type": "number"}, ["/type"]),
    ("the type dropped", {"type": "string"}, {}, ["/type"]),
    (
        "a range widened",
        {"type": "integer", "minimum": 0, "maximum": 9},
        {"type": "integer", "minimum": -1, "maximum": 10},
        ["/maximum", "/minimum"],
    ),
    (
        "a limit that is included now",
        {"type": "number", "exclusiveMaximum": 1},
        {"type": "number", "maximum": 1},
        ["/exclusiveMaximum"],
    ),
    ("a limit dropped", {"type": "integer", "maximum": 9}, {"type": "integer"}, ["/maximum"]),
    (
        "a length widened",
        {"type": "string", "maxLength": 5},
        {"type": "string", "maxLength": 6},
        ["/maxLength"],
    ),
    ("an empty text allowed", {"type": "string", "minLength": 1}, {"type": "string"}, ["/minLength"]),
    (
        "another multiple",
        {"type": "integer", "multipleOf": 2},
        {"type": "integer", "multipleOf": 3},
        ["/multipleOf"],
    ),
    ("a value added to an enum", {"enum": ["a"]}, {"enum": ["a", "b"]}, ["/enum"]),
    ("an enum opened", {"enum": ["a"]}, {"type": "string"}, ["/enum"]),
    ("true is not one", {"enum": [1]}, {"enum": [True]}, ["/enum"]),
    ("a const changed", {"const": "a"}, {"const": "b"}, ["/const"]),
    (
        "a value of an enum that is too long",
        {"type": "string", "maxLength": 1},
        {"enum": ["aa"]},
        ["/maxLength"],
    ),
    (
        "a pattern changed",
        {"type": "string", "pattern": "^a"},
        {"type": "string", "pattern": "^ab"},
        ["/pattern"],
    ),
    ("a format dropped", {"type": "string", "format": "uri"}, {"type": "string"}, ["/format"]),
    ("null added by anyOf", {"type": "string"}, NULLABLE, ["/anyOf/1/type"]),
    ("a branch added", NULLABLE, {"anyOf": [*NULLABLE["anyOf"], {"type": "integer"}]}, ["/anyOf/2"]),
    (
        "a branch widened",
        {"anyOf": [{"type": "string", "minLength": 1}, {"type": "null"}]},
        NULLABLE,
        ["/anyOf/0/minLength"],
    ),
    ("a not dropped", {"type": "string", "not": {"const": "x"}}, {"type": "string"}, ["/not"]),
    ("a not changed", {"not": {"const": "x"}}, {"not": {"const": "y"}}, ["/not"]),
    (
        "a then changed",
        {"if": {"minLength": 1}, "then": {"const": "x"}},
        {"if": {"minLength": 1}, "then": {"const": "y"}},
        ["/then/const"],
    ),
    (
        "branches that overlap",
        {"oneOf": [{"minLength": 1}, {"maxLength": 3}]},
        {"type": "string"},
        ["/minLength", "/oneOf"],
    ),
    (
        "items widened",
        {"items": {"type": "integer"}},
        {"type": "array", "items": {"type": "number"}},
        ["/items/type"],
    ),
    (
        "a tuple's place widened",
        {"prefixItems": [{"type": "string"}]},
        {"type": "array"},
        ["/prefixItems/0/type"],
    ),
    (
        "more items than before",
        {"type": "array", "maxItems": 2},
        {"type": "array", "maxItems": 3},
        ["/maxItems"],
    ),
    ("the same item twice", {"type": "array", "uniqueItems": True}, {"type": "array"}, ["/uniqueItems"]),
    (
        "another contains",
        {"contains": {"const": 1}},
        {"type": "array", "contains": {"const": 2}},
        ["/contains"],
    ),
    (
        "a map widened",
        {"additionalProperties": {"type": "integer"}},
        {"type": "object", "additionalProperties": {"type": "number"}},
        ["/additionalProperties/type"],
    ),
    (
        "a map opened",
        {"additionalProperties": {"type": "integer"}},
        {"type": "object"},
        ["/additionalProperties/type"],
    ),
    (
        "closed members opened",
        {"type": "object", "additionalProperties": False},
        {"type": "object"},
        ["/additionalProperties"],
    ),
    (
        "a member added to closed ones",
        {"type": "object", "additionalProperties": False},
        {"type": "object", "properties": {"a": {}}, "additionalProperties": False},
        ["/properties/a"],
    ),
    (
        "a member that is not as the others",
        {"type": "object", "additionalProperties": {"type": "string"}},
        {
            "type": "object",
            "properties": {"a": {"type": "integer"}},
            "additionalProperties": {"type": "string"},
        },
        ["/properties/a/type"],
    ),
    (
        "fewer members required",
        {"minProperties": 2},
        {"type": "object", "minProperties": 1},
        ["/minProperties"],
    ),
    (
        "a pattern of names dropped",
        {"patternProperties": {"^x": {"type": "integer"}}},
        {"type": "object"},
        ["/patternProperties/^x"],
    ),
    ("a dependency dropped", {"dependentRequired": {"a": ["b"]}}, {"type": "object"}, ["/dependentRequired"]),
    (
        "unevaluated members",
        {"properties": {"a": {}}, "unevaluatedProperties": False},
        {"type": "object", "properties": {"a": {}}},
        ["/unevaluatedProperties"],
    ),
    ("nothing was allowed", {"items": False}, {"type": "array"}, ["/items"]),
]


@pytest.mark.parametrize(("old", "new"), [case[1:] for case in ACCEPTED], ids=[case[0] for case in ACCEPTED])
def test_row_44_accepted(old: Any, new: Any) -> None:
    assert in_member(old, new) == []


@pytest.mark.parametrize(
    ("old", "new", "where"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED]
)
def test_row_44_refused(old: Any, new: Any, where: list[str]) -> None:
    assert in_member(old, new) == where


@pytest.mark.parametrize(("old", "new"), [case[1:] for case in ACCEPTED], ids=[case[0] for case in ACCEPTED])
def test_whatever_is_the_same_may_follow_itself(old: Any, new: Any) -> None:
    for schema in (old, new):
        for mode in Compatibility:
            assert in_member(schema, copy.deepcopy(schema), mode) == []


def test_row_44_removed_renamed_and_optional_are_told_with_their_names() -> None:
    old = member({"type": "string"}, "m")
    assert judged(old, {"type": "object", "properties": {}}) == [
        ("/properties/m", "was removed or renamed; readers of an older version look for it"),
        ("/properties/m", "was required and is no longer"),
    ]
    assert places(old, {"type": "object", "properties": {"n": {"type": "string"}}, "required": ["n"]}) == [
        "/properties/m",
        "/properties/m",
    ]
    assert judged(old, member({"type": "string"})) == [("/properties/m", "was required and is no longer")]
    # Also one that was never said to be anything.
    assert places(member({}), {"type": "object", "properties": {}}) == ["/properties/m"]


def test_every_breaking_path_is_told_at_once_and_in_the_same_order() -> None:
    old = contracts.load().schema(STEP)
    new = copy.deepcopy(old)
    data = new["properties"]["data"]
    del data["properties"]["usage"]
    data["required"].remove("step_id")
    data["properties"]["status"]["type"] = ["string", "null"]
    new["properties"]["event_type"] = {"type": "string"}
    found = judged(old, new)
    assert [pointer for pointer, _ in found] == [
        "/properties/data/properties/status/type",
        "/properties/data/properties/step_id",
        "/properties/data/properties/usage",
        "/properties/event_type/const",
    ]
    shuffled = json.loads(json.dumps(new, sort_keys=True))
    assert judged(old, shuffled) == found


def test_real_contracts_may_grow_and_narrow() -> None:
    files = contracts.load()
    for type_name in files.types():
        old = files.schema(type_name)
        new = copy.deepcopy(old)
        data = new["properties"]["data"]
        data["properties"]["added"] = {"type": ["string", "null"]}
        assert judged(old, new) == judged(old, new, FULL) == []
        data["properties"]["status"]["enum"] = ["completed"]
        assert judged(old, new) == []
        assert judged(old, new, FULL) == [
            (
                "/properties/data/properties/status/enum",
                "values were taken out of a closed list, or the list closed: any other",
            )
        ]


def test_full_asks_both_ways_and_none_asks_nothing() -> None:
    old, narrow = member({"type": ["string", "null"]}), member({"type": "string"}, "m")
    assert places(old, narrow) == []
    assert judged(old, narrow, FULL) == [
        ("/properties/m", "is required now; data of an older version may lack it"),
        ("/properties/m/type", "type was narrowed: data of an older version may be null"),
    ]
    assert judged(narrow, old, Compatibility.NONE) == []


def test_every_older_version_is_asked() -> None:
    narrow, wide = member({"type": "string"}), member({"type": ["string", "null"]})
    found = breaking_changes(document_of(wide), {1: narrow, 2: wide, 3: narrow}, FORWARD)
    assert [(item.pointer, item.versions) for item in found] == [("/properties/m/type", (1, 3))]
    assert str(found[0]).endswith("(versions 1, 3)")


TREE = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "children": {"type": "array", "items": {"$ref": "#"}}},
}


def test_a_schema_that_goes_back_into_itself_is_judged() -> None:
    narrow = copy.deepcopy(TREE)
    narrow["properties"]["name"]["minLength"] = 1
    assert places(TREE, narrow) == []
    assert places(narrow, TREE) == ["/properties/name/minLength"]
    # One round of it written out is the same.
    opened = copy.deepcopy(TREE)
    opened["properties"]["children"]["items"] = {"$ref": "#/$defs/node"}
    opened["$defs"] = {"node": TREE["properties"] and copy.deepcopy(TREE)}
    assert places(TREE, opened) == places(opened, TREE) == []


def test_what_a_reference_leads_to_counts_and_not_its_name() -> None:
    def by_name(target: Any) -> Any:
        return member({"not": {"$ref": "#/$defs/a"}}) | {"$defs": {"a": target}}

    assert places(by_name({"const": 1}), by_name({"const": 1, "description": "one"})) == []
    assert places(by_name({"const": 1}), by_name({"const": 2})) == ["/properties/m/not"]


def test_two_that_lead_to_each_other_are_not_the_same_where_one_differs() -> None:
    def pair(limit: int) -> Any:
        one = {"properties": {"b": {"$ref": "#/$defs/b"}}, "maxProperties": limit}
        other = {"properties": {"a": {"$ref": "#/$defs/a"}}}
        root = {"properties": {"a": {"not": {"$ref": "#/$defs/a"}}, "b": {"not": {"$ref": "#/$defs/b"}}}}
        return root | {"$defs": {"a": one, "b": other}}

    assert places(pair(1), pair(2)) == ["/properties/a/not", "/properties/b/not"]


def test_too_much_is_refused_in_bounded_time() -> None:
    levels = {
        f"l{n}": {
            "anyOf": [{"$ref": f"#/$defs/l{n + 1}"}, {"required": [str(n)], "$ref": f"#/$defs/l{n + 1}"}]
        }
        for n in range(40)
    }
    wide = {"$ref": "#/$defs/l0", "$defs": levels | {"l40": {"type": "object", "minProperties": 1}}}
    narrow = copy.deepcopy(wide)
    narrow["$defs"]["l40"]["minProperties"] = 2
    found = judged(wide, narrow)
    assert found == [("", "the schemas are too large to be compared; make them smaller")]
