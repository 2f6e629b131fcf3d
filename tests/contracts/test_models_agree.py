"""Contracts and models say the same of the same data: what one takes, `parse_event` takes, and what it refuses, too.

Data are drawn from the contracts' own schemas, then changed in up to two places into something that is near to what is
asked for: a number spelled otherwise, a text that looks like one, a time at the edge of what times there are.
"""

import copy
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import contracts
from contracts.validation import validate
from schemas import PayloadError, parse_event

TYPES = contracts.load().types()
TIMES = [
    "2026-01-01T12:00:00Z",
    "2026-01-01t12:00:00.123456789123z",
    "2026-06-30T23:59:60Z",
    "2016-12-31T23:59:60.5Z",
    "2017-01-01T05:29:60+05:30",
    "2016-12-31T18:59:60-05:00",
    "2016-12-31T22:59:60Z",
    "2026-01-01T12:30:60+00:00",
    "2024-02-29T00:00:00-00:00",
    "2023-02-29T00:00:00Z",
    "2026-04-31T00:00:00Z",
    "2026-13-01T00:00:00Z",
    "2026-01-01T24:00:00Z",
    "2026-01-01T12:60:00Z",
    "2026-01-01T12:00:61Z",
    "2026-01-01T12:00:00+23:59",
    "2026-01-01T12:00:00+24:00",
    "2026-01-01T12:00:00+05:60",
    "2026-01-01T12:00:00+0530",
    "2026-01-01T12:00:00+05",
    "2026-01-01T12:00:00",
    "2026-01-01T12:00Z",
    "2026-01-01 12:00:00Z",
    "2026-01-01T12:00:00.Z",
    "2026-01-01T12:00:00,5Z",
    "2026-01-01",
    "20260101T120000Z",
    "1767268800",
    "+2026-01-01T12:00:00Z",
    "\u0662\u0660\u0662\u0666-01-01T12:00:00Z",
    " 2026-01-01T12:00:00Z",
    "2026-01-01T12:00:00Z\n",
    "",
]
BEYOND = [
    "0000-12-31T23:59:59Z",
    "0001-01-01T00:00:00+00:01",
    "9999-12-31T23:59:59-00:01",
    "9999-12-31T23:59:60Z",
]
"""What RFC 3339 has and a `datetime` has not."""
NEAR: list[Any] = [
    *(None, True, False, 0, 1, -1, 2**31, 2**63, 10**30, 1.0, -0.0, 1e3, 1e300, 1.5, -2.25),
    *("", "1", "1.0", "true", "null", "a", "\u00e9", "a" * 40_000, "\x00"),
    *([], ["a"], [1], [None], {}, {"a": 1}, {"message": 1}, {"type": None, "message": "x", "more": []}),
    *TIMES,
]
near = st.sampled_from(NEAR)
anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | near,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
OF_TYPE = {
    "null": st.none(),
    "boolean": st.booleans(),
    "integer": st.integers() | st.integers(-(2**53), 2**53).map(float),
    "number": st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False),
}


def kept(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Data that keep a schema of ours: of types, members, items, formats and lengths."""
    if "const" in schema:
        return st.just(schema["const"])
    if not schema.keys() - {"description", "title"}:
        return anything
    types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    return st.one_of([_of_type(one, schema) for one in types])


def _of_type(one: str, schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    if one == "string":
        times = st.datetimes().map(lambda at: at.isoformat() + "Z")
        return (
            times
            if schema.get("format") == "date-time"
            else st.text(min_size=schema.get("minLength", 0), max_size=20)
        )
    if one == "array":
        return st.lists(kept(schema["items"]), max_size=3)
    if one == "object":
        members = {name: kept(member) for name, member in schema.get("properties", {}).items()}
        must = {name: members.pop(name) for name in schema.get("required", ())}
        others = st.dictionaries(st.text(max_size=5).map("x_".__add__), anything, max_size=2)
        return st.tuples(others, st.fixed_dictionaries(must, optional=members)).map(
            lambda two: two[0] | two[1]
        )
    return OF_TYPE[one]


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    if isinstance(value, dict):
        return found + [place for name, member in value.items() for place in places(member, (*path, name))]
    return found


@st.composite
def payloads(draw: st.DrawFn) -> tuple[str, Any]:
    type_name = draw(st.sampled_from(TYPES))
    payload = copy.deepcopy(draw(kept(contracts.load().schema(type_name))))
    for _ in range(draw(st.integers(0, 2))):
        place = draw(st.sampled_from([path for path in places(payload) if path != ("event_type",)]))
        changed = payload
        for name in place[:-1]:
            changed = changed.get(name) if isinstance(changed, dict) else None
        if isinstance(changed, dict):
            if draw(st.booleans()):
                changed[place[-1]] = draw(near)
            else:
                changed.pop(place[-1], None)
    return type_name, payload


def takes(payload: Any) -> bool:
    """Whether it is read, as its bytes and as what they say."""
    encoded = json.dumps(payload, ensure_ascii=False).encode()
    as_bytes, as_values = (_is_read(received) for received in (encoded, payload))
    assert as_bytes is as_values
    return as_bytes


def _is_read(received: Any) -> bool:
    try:
        parse_event(received)
    except PayloadError:
        return False
    return True


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(payloads())
def test_what_a_contract_takes_is_read_and_nothing_else(drawn: tuple[str, Any]) -> None:
    type_name, payload = drawn
    problems = validate(type_name, payload)
    assert takes(payload) is (not problems), problems


def members(
    schema: dict[str, Any], path: tuple[str, ...] = ()
) -> list[tuple[tuple[str, ...], dict[str, Any]]]:
    found = []
    for name, member in schema.get("properties", {}).items():
        found.append(((*path, name), member))
        found += members(member, (*path, name))
    return found


def placed(payload: dict[str, Any], path: tuple[str, ...], value: Any) -> dict[str, Any]:
    made = copy.deepcopy(payload)
    inner = made
    for name in path[:-1]:
        if not isinstance(inner.get(name), dict):
            inner[name] = {}
        inner = inner[name]
    inner[path[-1]] = value
    return made


@pytest.mark.parametrize("type_name", TYPES)
def test_each_member_takes_of_each_value_what_its_contract_takes(type_name: str) -> None:
    schema = contracts.load().schema(type_name)
    [example] = schema["examples"]
    for path, _ in members(schema):
        if path == ("event_type",):
            continue
        for value in NEAR:
            payload = placed(example, path, value)
            problems = validate(type_name, payload)
            assert takes(payload) is (not problems), (path, str(value)[:60], problems)


@pytest.mark.parametrize("at", BEYOND)
def test_a_time_that_no_datetime_holds_is_told_as_a_problem_of_its_member(at: str) -> None:
    """The one difference that is left: contracts go by RFC 3339, models by what Python has for it."""
    schema = contracts.load().schema("com.letta.agent.run.completed")
    payload = placed(schema["examples"][0], ("data", "created_at"), at)
    assert validate("com.letta.agent.run.completed", payload) == []
    with pytest.raises(PayloadError, match="outside the years") as caught:
        parse_event(payload)
    assert [problem.pointer for problem in caught.value.problems] == ["/data/data/created_at"]
