"""CONFORMANCE 44 where a new version's `anyOf` or `oneOf` stands behind `allOf` or `$ref`: no case may lose a rule."""

from typing import Any

import pytest

from contracts.compatibility import Compatibility, breaking_changes
from contracts.document import document_of

ANY: dict[str, Any] = {"anyOf": [{}]}
STRING, NUMBER = {"type": "string"}, {"type": "number"}
REACH = {"anyOf": [{"required": ["email"]}, {"required": ["phone"]}]}


def broken(old: Any, new: Any, mode: Compatibility = Compatibility.FORWARD_TRANSITIVE) -> list[str]:
    return [item.pointer for item in breaking_changes(document_of(new), {1: document_of(old)}, mode)]


def contact(*required: str, **members: Any) -> dict[str, Any]:
    properties = {"id": STRING, "email": STRING, "phone": STRING} | members
    kept = {name: schema for name, schema in properties.items() if schema is not None}
    return {"type": "object", "properties": kept, "required": list(required)}


BY_ALL = {"allOf": [REACH]}
BY_REFERENCE = {"allOf": [{"$ref": "#/$defs/reach"}], "$defs": {"reach": REACH}}
BY_ROOT = {"$ref": "#/$defs/reach", "$defs": {"reach": REACH}}


@pytest.mark.parametrize("branches", [BY_ALL, BY_REFERENCE, BY_ROOT], ids=["allOf", "allOf of $ref", "$ref"])
@pytest.mark.parametrize("kept", [False, True], ids=["added", "kept"])
@pytest.mark.parametrize(
    ("change", "where"),
    [
        (contact(id=None), ["/properties/id", "/properties/id"]),
        (contact(), ["/properties/id"]),
        (contact("id", id={"type": ["string", "null"]}), ["/properties/id/type"]),
        (contact("id", id=NUMBER), ["/properties/id/type"]),
    ],
    ids=["removed", "optional", "nullable", "another type"],
)
def test_row_44_a_member_is_watched_beside_branches(
    branches: Any, kept: Any, change: Any, where: list[str]
) -> None:
    old = contact("id") | (branches if kept else {})
    assert broken(old, change | branches) == where
    assert broken(old, change | branches, Compatibility.FULL_TRANSITIVE)
    assert broken(old, contact("id", id={"type": "string", "minLength": 1}) | branches) == []


LOST: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("type", {"type": "string"}, {}),
    ("enum", {"enum": ["x"]}, {"enum": ["x", "y"]}),
    ("const", {"const": "x"}, {}),
    ("minLength", {"type": "string", "minLength": 1}, {"type": "string"}),
    ("maximum", {"type": "integer", "maximum": 1}, {"type": "integer"}),
    ("properties", {"properties": {"a": STRING}}, {"properties": {"a": NUMBER}}),
    ("required", {"properties": {"a": {}}, "required": ["a"]}, {"properties": {"a": {}}}),
    ("additionalProperties", {"additionalProperties": False}, {}),
    ("minProperties", {"minProperties": 2}, {"type": "object"}),
    ("patternProperties", {"patternProperties": {"^x": STRING}}, {}),
    ("propertyNames", {"propertyNames": {"minLength": 1}}, {}),
    ("dependentRequired", {"dependentRequired": {"a": ["b"]}}, {}),
    ("not", {"not": {"const": "x"}}, {}),
    ("if", {"if": {"type": "string"}, "then": {"const": "x"}}, {}),
    (
        "unevaluatedProperties",
        {"properties": {"a": {}}, "unevaluatedProperties": False},
        {"properties": {"a": {}}},
    ),
    ("items", {"type": "array", "items": STRING}, {"type": "array"}),
    ("anyOf", {"anyOf": [STRING, NUMBER]}, {}),
    ("oneOf", {"oneOf": [STRING, NUMBER]}, {}),
]
WAYS: dict[str, Any] = {
    "allOf": lambda schema: schema | {"allOf": [ANY]},
    "allOf of oneOf": lambda schema: schema | {"allOf": [{"oneOf": [{}]}]},
    "allOf of two": lambda schema: schema | {"allOf": [{"anyOf": [{"minProperties": 3}, {}]}]},
    "allOf twice": lambda schema: schema | {"allOf": [{"allOf": [ANY]}]},
    "$ref": lambda schema: schema | {"$ref": "#/$defs/any"},
    "bare $ref": lambda _schema: {"$ref": "#/$defs/whole"},
    "allOf of $ref": lambda schema: schema | {"allOf": [{"$ref": "#/$defs/any"}]},
}
PLACES: dict[str, Any] = {
    "root": lambda schema: schema,
    "properties": lambda schema: {"type": "object", "properties": {"w": schema}},
    "items": lambda schema: {"type": "array", "items": schema},
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("old", "new"), [case[1:] for case in LOST], ids=[case[0] for case in LOST])
def test_row_44_no_keyword_is_lost_behind_branches(old: Any, new: Any, way: str, place: str) -> None:
    whole = {"anyOf": [new, {"type": "object"}]}
    following = PLACES[place](WAYS[way](new)) | {"$defs": {"any": ANY, "whole": whole}}
    assert broken(PLACES[place](old), following)
    assert broken(following, following, Compatibility.FULL_TRANSITIVE) == []


def test_row_44_reported_from_outside() -> None:
    old: Any = {"type": "object", "properties": {"id": STRING, "total": NUMBER}, "required": ["id", "total"]}
    assert set(broken(old, {"type": "object", "allOf": [ANY]})) == {"/properties/id", "/properties/total"}

    nullable = {"oneOf": [STRING, {"type": "null"}]}
    new = {"properties": {"w": {"$ref": "#/$defs/u", "description": "d"}}, "$defs": {"u": nullable}}
    assert broken({"properties": {"w": STRING}}, new) == ["/$defs/u/oneOf/1/type"]

    closed = {"properties": {"a": {"enum": ["x"]}}}
    assert broken(closed, {"properties": {"a": {"enum": ["x", "y"]}}, "allOf": [ANY]}) == [
        "/properties/a/enum"
    ]

    bare = {"$ref": "#/$defs/q", "$defs": {"q": {"anyOf": [{"type": "object"}]}}}
    assert broken({"type": "object", "minProperties": 2}, bare) == ["/$defs/q/anyOf/0/minProperties"]


def test_what_all_branches_say_together_is_enough() -> None:
    old = contact("id")
    tagged = {"oneOf": [contact("id", kind={"const": kind}) for kind in ("a", "b")]}
    assert broken(old, {"type": "object", "allOf": [tagged]}) == []
    assert broken(old, {"$ref": "#/$defs/t", "minProperties": 1, "$defs": {"t": tagged}}) == []


def test_branches_that_are_the_same_stay_although_they_overlap() -> None:
    overlap = {"oneOf": [{"minLength": 1}, {"maxLength": 3}]}
    assert broken({"type": "string"} | overlap, {"type": "string", "pattern": "^a"} | overlap) == []
    assert broken({"allOf": [overlap]}, {"allOf": [overlap], "type": "string"}) == []
    tree = {"properties": {"next": {"$ref": "#"}}, "allOf": [{"anyOf": [STRING, {"type": "object"}]}]}
    assert broken(tree, tree | {"minProperties": 1}) == []
    assert broken(tree | {"minProperties": 1}, tree) == ["/allOf/0/anyOf/1/minProperties"]


def test_what_is_not_evaluated_stays_closed_while_the_rest_narrows() -> None:
    def closed(schema: Any, **beside: Any) -> Any:
        return {"type": "object", "properties": {"a": schema}, "unevaluatedProperties": False} | beside

    assert broken(closed(NUMBER), closed({"type": "integer"})) == []
    assert broken(closed(NUMBER, allOf=[REACH]), closed({"type": "integer"}, allOf=[REACH])) == []
    assert broken(closed(NUMBER, **REACH), closed({"type": "integer"}, **REACH)) == []
    inner = {"type": "object", "allOf": [{"properties": {"a": NUMBER}}], "unevaluatedProperties": False}
    assert broken(inner, closed({"type": "integer"})) == broken(closed(NUMBER), inner) == []
    by_name = {"$ref": "#/$defs/c", "$defs": {"c": closed({"type": "integer"})}}
    assert broken(closed(NUMBER), by_name) == []
    by_its_like = {"properties": {"a": NUMBER}, "additionalProperties": False}
    assert broken(closed(NUMBER), by_its_like | {"type": "object"}) == []
    assert broken(by_its_like, closed(NUMBER)) == ["/additionalProperties"]
    assert broken(closed(NUMBER), closed(NUMBER, patternProperties={"^b": {}})) == ["/patternProperties/^b"]
    more = closed(NUMBER, allOf=[{"anyOf": [{"properties": {"b": {}}}, {}]}])
    assert broken(closed(NUMBER), more) == ["/allOf/0/anyOf/0/properties/b"]
    assert broken(closed(NUMBER), closed(NUMBER, dependentSchemas={"a": {"additionalProperties": {}}})) == [
        "/unevaluatedProperties"
    ]
    listed = {"prefixItems": [NUMBER], "unevaluatedItems": False}
    assert broken(listed, {"prefixItems": [{"type": "integer"}], "unevaluatedItems": False}) == []
    assert broken(listed, {"prefixItems": [NUMBER], "contains": {}, "unevaluatedItems": False}) == [
        "/unevaluatedItems"
    ]
    assert broken(listed, {"prefixItems": [NUMBER, {}], "unevaluatedItems": False}) == ["/prefixItems/1"]


def test_narrowings_by_other_words() -> None:
    assert broken({"type": "integer"}, {"type": "number", "multipleOf": 1}) == []
    assert broken({"type": "integer"}, {"type": "number", "multipleOf": 1.5}) == ["/type"]
    assert broken({"dependentRequired": {"a": ["b"]}}, {"type": "object", "required": ["b"]}) == []
    assert broken({"dependentRequired": {"a": ["b"]}}, {"dependentRequired": {"a": ["b", "c"]}}) == []
    assert broken({"dependentRequired": {"a": ["b", "c"]}}, {"type": "object", "required": ["b"]})
    assert broken({"contains": NUMBER}, {"contains": {"type": "integer"}, "minContains": 2}) == []
    assert broken({"contains": {"type": "integer"}}, {"type": "array", "contains": NUMBER}) == ["/contains"]
    assert broken({"contains": NUMBER}, {"type": "array", "contains": NUMBER, "minContains": 0}) == [
        "/contains"
    ]
    long = {"if": {"type": "string"}, "then": {"minLength": 1}, "else": {"type": "null"}}
    assert broken(long, long | {"then": {"minLength": 2}}) == []
    assert broken(long | {"then": {"minLength": 2}}, long) == ["/then/minLength"]
    assert broken(long, long | {"else": True}) == ["/else/type"]
    assert broken(long, long | {"if": {"type": "null"}}) == ["/if"]
    limited = {"type": "array", "contains": NUMBER, "maxContains": 2}
    assert broken(limited, limited | {"maxContains": 1}) == []
    assert broken(limited, limited | {"contains": {"type": "integer"}}) == ["/maxContains"]


@pytest.mark.parametrize("lead", ["allOf", "anyOf", "oneOf"])
def test_what_is_not_evaluated_is_never_asked_without_what_stands_beside_it(lead: str) -> None:
    closed = {"unevaluatedProperties": False}
    opened: Any = {lead: [{"properties": {"b": {}}}], "unevaluatedProperties": False}
    assert broken(closed, opened) == [f"/{lead}/0/properties/b"]
    for old in ({"anyOf": [closed]}, {"oneOf": [closed]}, {"allOf": [closed]}, {"if": True, "then": closed}):
        for new in (
            opened,
            {"anyOf": [opened]},
            {"allOf": [opened]},
            {"allOf": [{"anyOf": [opened, closed]}]},
        ):
            assert broken(old, new)
