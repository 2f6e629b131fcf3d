"""What can be a contract: everything wrong is told at once, and nothing hostile takes long."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import contracts
from contracts.compatibility import Compatibility, breaking_changes
from contracts.document import DIALECT, SCHEMAS_MAX, NoContractError, document_of


def told(schema: Any) -> list[tuple[str, str]]:
    with pytest.raises(NoContractError) as refused:
        document_of(schema)
    return [(problem.pointer, problem.detail) for problem in refused.value.problems]


def test_what_it_is_called_is_not_the_posters_to_say() -> None:
    assert document_of({"$id": "https://elsewhere/1", "type": "object"}) == {
        "$schema": DIALECT,
        "type": "object",
    }
    assert document_of({"type": "object", "$schema": DIALECT + "#"}) == {"$schema": DIALECT, "type": "object"}


def test_our_own_contracts_are_contracts() -> None:
    files = contracts.load()
    for type_name in files.types():
        assert document_of(files.schema(type_name)).keys() == files.schema(type_name).keys() - {"$id"}


@pytest.mark.parametrize(
    ("schema", "where"),
    [
        (True, ""),
        ([], ""),
        ("x", ""),
        ({"$schema": "http://json-schema.org/draft-07/schema#"}, "/$schema"),
        ({"requierd": []}, "/requierd"),
        ({"properties": {"a/b": {"type": "text"}}}, "/properties/a~1b/type"),
        ({"properties": {"a": {"$id": "x"}}}, "/properties/a/$id"),
        ({"items": [{}]}, "/items"),
        ({"anyOf": []}, "/anyOf"),
        ({"type": []}, "/type"),
        ({"type": [1]}, "/type"),
        ({"enum": []}, "/enum"),
        ({"enum": [1, 1.0]}, "/enum"),
        ({"enum": [str(n) for n in range(1001)]}, "/enum"),
        ({"const": float("inf")}, "/const"),
        ({"x-note": float("inf")}, "/x-note"),
        ({"minimum": "1"}, "/minimum"),
        ({"minimum": True}, "/minimum"),
        ({"multipleOf": 0}, "/multipleOf"),
        ({"minLength": -1}, "/minLength"),
        ({"required": "a"}, "/required"),
        ({"required": ["a", "a"]}, "/required"),
        ({"dependentRequired": {"a": "b"}}, "/dependentRequired"),
        ({"uniqueItems": 1}, "/uniqueItems"),
        ({"examples": {}}, "/examples"),
        ({"properties": []}, "/properties"),
        ({"$anchor": "a"}, "/$anchor"),
        ({"$dynamicRef": "#a"}, "/$dynamicRef"),
        ({"dependencies": {}}, "/dependencies"),
        ({"$ref": "https://elsewhere/schema"}, "/$ref"),
        ({"$ref": "file:///etc/passwd"}, "/$ref"),
        ({"$ref": "other.json#/a"}, "/$ref"),
        ({"$ref": 1}, "/$ref"),
        ({"$ref": "#/$defs/nothing"}, "/$ref"),
        ({"$defs": {"a": {}}, "properties": {"p": {"$ref": "#/$defs"}}}, "/properties/p/$ref"),
        ({"enum": [{"a": 1}], "properties": {"p": {"$ref": "#/enum/0"}}}, "/properties/p/$ref"),
        ({"$ref": "#"}, ""),
        ({"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"allOf": [{"$ref": "#/$defs/a"}]}}}, ""),
    ],
)
def test_what_is_refused_and_where(schema: Any, where: str) -> None:
    assert [pointer for pointer, _ in told(schema)] == [where]


def test_everything_is_told_at_once() -> None:
    found = told({"typ": "x", "properties": {"a": {"minimum": ""}, "b": 1}, "$ref": "elsewhere"})
    assert sorted(pointer for pointer, _ in found) == [
        "/$ref",
        "/properties/a/minimum",
        "/properties/b",
        "/typ",
    ]


def test_one_of_ones_own_begins_with_x() -> None:
    assert document_of({"x-owner": {"team": "a"}})["x-owner"] == {"team": "a"}


def test_it_is_bounded() -> None:
    assert told({"properties": {str(n): {} for n in range(SCHEMAS_MAX)}})[0][0] == ""
    chain = {f"d{n}": {"$ref": f"#/$defs/d{n + 1}"} for n in range(SCHEMAS_MAX - 10)}
    last = {f"d{SCHEMAS_MAX - 10}": {"type": "string"}}
    assert document_of({"$ref": "#/$defs/d0", "$defs": chain | last})
    assert len(told({f"k{n}": 1 for n in range(1000)})) == 100


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["properties", "$ref", "items", "type", "enum", "allOf", "$defs", "not", "#/$defs/a"]
            ),
            inner | st.sampled_from(["#", "#/$defs/a", "#/items"]),
            max_size=3,
        )
    ),
    max_leaves=10,
)


@given(json_values)
def test_whatever_is_posted_is_a_contract_or_refused(value: Any) -> None:
    try:
        document = document_of(value)
    except NoContractError:
        return
    assert breaking_changes(document, {1: document}, Compatibility.FORWARD_TRANSITIVE) == []
