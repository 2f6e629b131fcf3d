"""CONFORMANCE 44: each breaking place as the posted document has it, also where it branches and refers."""

from typing import Any

import pytest

from contracts.compatibility import Compatibility, breaking_changes
from contracts.document import document_of

STRING, NUMBER = {"type": "string"}, {"type": "number"}
FITS_NONE = "fits none, or not surely one"


def tagged(kind: str, word: str = "const", **members: Any) -> dict[str, Any]:
    named = {"const": kind} if word == "const" else {"enum": [kind]}
    return {"type": "object", "properties": {"kind": named, **members}, "required": ["kind"]}


def told(old: Any, new: Any, mode: Compatibility = Compatibility.FORWARD_TRANSITIVE) -> dict[str, str]:
    return {
        item.pointer: item.reason for item in breaking_changes(document_of(new), {1: document_of(old)}, mode)
    }


@pytest.mark.parametrize("keyword", ["oneOf", "anyOf"])
@pytest.mark.parametrize("word", ["const", "enum"])
def test_row_44_branches_are_paired_by_what_tells_them_apart(keyword: str, word: str) -> None:
    old = {keyword: [tagged("a", word, x=STRING), tagged("b", word, y=STRING)]}
    in_turn = told(old, {keyword: [tagged("a", word, x=NUMBER), tagged("b", word)]})
    assert in_turn.keys() == {f"/{keyword}/0/properties/x/type", f"/{keyword}/1/properties/y"}
    assert "type was widened" in in_turn[f"/{keyword}/0/properties/x/type"]
    assert "was removed" in in_turn[f"/{keyword}/1/properties/y"]
    # In another order, and one more.
    others = told(old, {keyword: [tagged("c"), tagged("b", word, y=STRING), tagged("a", word, x=NUMBER)]})
    assert others.keys() == {f"/{keyword}/0", f"/{keyword}/2/properties/x/type"}
    assert FITS_NONE in others[f"/{keyword}/0"]


def test_row_44_what_told_a_branch_apart_is_missed_there() -> None:
    old = {"oneOf": [tagged("a", x=STRING), tagged("b", y=STRING)]}
    loose = tagged("a", x=STRING) | {"required": []}
    found = told(old, {"oneOf": [loose, tagged("b", y=STRING)]})
    assert found.keys() == {"/oneOf/0", "/oneOf/0/properties/kind"}
    assert "no longer" in found["/oneOf/0/properties/kind"]


def test_row_44_branches_that_nothing_tells_apart_are_told_by_the_closest() -> None:
    def of(x: Any) -> Any:
        return {
            "oneOf": [
                {"type": "object", "properties": {"x": x}},
                {"type": "object", "properties": {"y": STRING}},
            ]
        }

    assert told(of(STRING), of(NUMBER)).keys() == {"/oneOf", "/oneOf/0/properties/x/type"}


def test_row_44_a_reference_leads_to_where_the_text_stands() -> None:
    def of(schema: Any) -> Any:
        return {
            "properties": {"a": {"$ref": "#/$defs/d"}, "b/c": {"allOf": [{"$ref": "#/$defs/d"}]}},
            "$defs": {"d": schema},
        }

    assert told(of(STRING), of(NUMBER)).keys() == {"/$defs/d/type"}
    assert told(of(STRING | {"minLength": 1}), of(STRING)).keys() == {
        "/$defs/d/minLength",
        "/properties/b~1c/minLength",
    }


def test_row_44_branches_by_reference_within_a_member() -> None:
    def of(a: Any, b: Any) -> Any:
        both = {"oneOf": [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/b"}]}
        return {"properties": {"p": both, "q": {"items": both}}, "$defs": {"a": a, "b": b}}

    old = of(tagged("a", x=STRING), tagged("b", y=STRING))
    assert told(old, of(tagged("a", x=NUMBER), tagged("b"))).keys() == {
        "/$defs/a/properties/x/type",
        "/$defs/b/properties/y",
    }


def test_row_44_full_tells_the_new_reader_s_branch() -> None:
    old = {"oneOf": [tagged("a", x=NUMBER), tagged("b", y=STRING)]}
    new = {"oneOf": [tagged("b", y=STRING), tagged("a", x={"type": "integer"})]}
    found = told(old, new, Compatibility.FULL_TRANSITIVE)
    assert found.keys() == {"/oneOf/1/properties/x/type"}
    assert "narrowed" in found["/oneOf/1/properties/x/type"]


def test_a_member_is_told_by_what_speaks_about_it_now() -> None:
    old = {"properties": {"a": {"properties": {"b": STRING}}}}
    new = {"properties": {"a": True}, "allOf": [{"properties": {"a": {"properties": {"b": NUMBER}}}}]}
    assert told(old, new).keys() == {"/allOf/0/properties/a/properties/b/type"}
    closed = {"additionalProperties": STRING, "prefixItems": [STRING]}
    assert told(closed, {"properties": {"x": NUMBER}, "items": NUMBER}).keys() >= {
        "/properties/x/type",
        "/items/type",
    }


def test_what_many_ways_lead_to_is_looked_at_once() -> None:
    """Twelve steps, each by two ways: every place in all of them would be 4,096 times the same."""

    def chain(type_: str) -> dict[str, Any]:
        steps = {
            f"a{n}": {"allOf": [{"properties": {"x": {"$ref": f"#/$defs/a{n + 1}"}}}] * 2} for n in range(12)
        }
        return {"$ref": "#/$defs/a0", "$defs": {**steps, "a12": {"type": type_}}}

    assert told(chain("number"), chain("string")).keys() == {"/$defs/a12/type"}
