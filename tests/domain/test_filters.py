import json
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.clauses import Clause, first_failure
from gateway.domain.filters import (
    DEPTH_MAX,
    EXPRESSIONS_MAX,
    NAME_CHARS_MAX,
    VALUE_CHARS_MAX,
    Filters,
    Selector,
    filters_from,
    parse_filters,
)

EVENT: dict[str, str | int | bool] = {
    "specversion": "1.0",
    "type": "com.letta.agent.step.completed",
    "source": "https://letta/organizations/org-1/agents/agent-1",
    "id": "evt_1",
    "subject": "step-1",
    "partitionkey": "agent-1",
    "retries": 7,
    "final": True,
}

FACT = "com.letta.gateway.subscription.paused"
STEP = {"exact": {"type": "com.letta.agent.step.completed"}}
OTHER = {"exact": {"type": "com.letta.agent.step.failed"}}


def parsed(value: object) -> Filters:
    filters, problems = parse_filters(value, "/filters")
    assert problems == []
    return filters


def pointers(value: object) -> list[str]:
    return [problem.pointer for problem in parse_filters(value, "/filters")[1]]


@pytest.mark.parametrize(
    "filters",
    [
        [],
        [STEP],
        [STEP, {"exact": {"subject": "step-1"}}],
        [{"exact": {"type": "com.letta.agent.step.completed", "subject": "step-1"}}],
        [{"prefix": {"type": "com.letta."}}],
        [{"prefix": {"type": "com.letta.", "source": "https://letta/"}}],
        [{"suffix": {"type": ".completed"}}],
        [{"suffix": {"source": "/agents/agent-1"}}],
        [{"all": [STEP, {"prefix": {"subject": "step-"}}]}],
        [{"any": [OTHER, STEP]}],
        [{"not": OTHER}],
        [{"not": {"not": STEP}}],
        [{"not": {"exact": {"absent": "x"}}}],
        [{"exact": {"retries": "7"}}],
        [{"exact": {"final": "true"}}],
        [{"prefix": {"final": "tr"}}],
    ],
)
def test_conformance_37_what_matches(filters: list[object]) -> None:
    selection = parsed(filters)
    assert selection.matches(EVENT)
    assert selection.explain(EVENT) is None


@pytest.mark.parametrize(
    ("filters", "pointer", "word"),
    [
        ([OTHER], "/0/exact/type", "is not 'com.letta.agent.step.failed'"),
        ([{"exact": {"type": "com.letta.agent.step.Completed"}}], "/0/exact/type", "is not"),
        ([STEP, {"exact": {"subject": "step-2"}}], "/1/exact/subject", "subject 'step-1' is not 'step-2'"),
        ([{"exact": {"absent": "x"}}], "/0/exact/absent", "no attribute 'absent'"),
        ([{"exact": {"subject": "step-1", "type": "x"}}], "/0/exact/type", "is not 'x'"),
        ([{"prefix": {"type": "com.Letta."}}], "/0/prefix/type", "does not start with"),
        ([{"suffix": {"type": ".failed"}}], "/0/suffix/type", "does not end with"),
        ([{"suffix": {"absent": "x"}}], "/0/suffix/absent", "no attribute"),
        ([{"all": [STEP, OTHER]}], "/0/all/1/exact/type", "is not"),
        ([{"any": [OTHER, OTHER]}], "/0/any", "none of the 2 filters"),
        ([{"not": STEP}], "/0/not", "inside `not` matches"),
        ([{"all": [{"not": STEP}]}], "/0/all/0/not", "inside"),
        ([{"exact": {"final": "True"}}], "/0/exact/final", "final 'true' is not 'True'"),
        ([{"exact": {"retries": "7.0"}}], "/0/exact/retries", "retries '7' is not '7.0'"),
    ],
)
def test_conformance_37_what_does_not_match_and_why(filters: list[object], pointer: str, word: str) -> None:
    selection = parsed(filters)
    assert not selection.matches(EVENT)
    clause = selection.explain(EVENT)
    assert clause is not None
    assert clause.pointer == pointer
    assert word in clause.detail


def test_an_explanation_does_not_repeat_a_long_value_whole() -> None:
    clause = parsed([{"exact": {"subject": "x" * 2000}}]).explain({**EVENT, "subject": "y" * 60_000})
    assert clause is not None
    assert len(clause.detail) < 400


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, ["/filters"]),
        (None, ["/filters"]),
        ("exact", ["/filters"]),
        ([[]], ["/filters/0"]),
        ([{}], ["/filters/0"]),
        ([{**STEP, "prefix": {"type": "x"}}], ["/filters/0"]),
        ([{"sql": "TRUE"}], ["/filters/0/sql"]),
        ([{"EXACT": {"type": "x"}}], ["/filters/0/EXACT"]),
        ([{"a/b~c": 1}], ["/filters/0/a~1b~0c"]),
        ([{"exact": []}], ["/filters/0/exact"]),
        ([{"exact": {}}], ["/filters/0/exact"]),
        ([{"exact": {"type": ""}}], ["/filters/0/exact/type"]),
        ([{"exact": {"": "x"}}], ["/filters/0/exact/"]),
        ([{"exact": {"type": 1}}], ["/filters/0/exact/type"]),
        ([{"exact": {"type": None}}], ["/filters/0/exact/type"]),
        ([{"exact": {"data": "x"}}], ["/filters/0/exact/data"]),
        ([{"exact": {"Type": "x"}}], ["/filters/0/exact/Type"]),
        ([{"exact": {"type\n": "x"}}], ["/filters/0/exact/type\n"]),
        ([{"exact": {"x" * (NAME_CHARS_MAX + 1): "x"}}], ["/filters/0/exact/" + "x" * (NAME_CHARS_MAX + 1)]),
        ([{"exact": {"type": "x" * (VALUE_CHARS_MAX + 1)}}], ["/filters/0/exact/type"]),
        ([{"all": []}], ["/filters/0/all"]),
        ([{"any": []}], ["/filters/0/any"]),
        ([{"any": STEP}], ["/filters/0/any"]),
        ([{"not": [STEP]}], ["/filters/0/not"]),
        ([{"not": None}], ["/filters/0/not"]),
        ([{"not": {"not": {}}}], ["/filters/0/not/not"]),
    ],
)
def test_conformance_36_what_is_refused_and_where(filters: object, expected: list[str]) -> None:
    assert pointers(filters) == expected


def test_conformance_36_all_faults_are_told_at_once() -> None:
    value = [
        {"sql": "TRUE"},
        STEP,
        {"exact": {"type": "", "subject": "", "source": "s"}},
        {"any": [{"all": []}, {"not": {"prefix": {"X": "y"}}}, 7]},
    ]
    assert pointers(value) == [
        "/filters/0/sql",
        "/filters/2/exact/type",
        "/filters/2/exact/subject",
        "/filters/3/any/0/all",
        "/filters/3/any/1/not/prefix/X",
        "/filters/3/any/2",
    ]


def test_conformance_36_an_unknown_dialect_is_told_the_known_ones() -> None:
    (problem,) = parse_filters([{"sql": "TRUE"}], "")[1]
    assert problem.detail == (
        "unknown filter dialect; known are `exact`, `prefix`, `suffix`, `all`, `any` and `not`"
    )


def nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = dict(STEP)
    for _ in range(depth - 1):
        value = {"not": value}
    return value


def test_nesting_has_a_bound() -> None:
    assert pointers([nested(DEPTH_MAX)]) == []
    assert pointers([nested(DEPTH_MAX + 1)]) == ["/filters/0" + "/not" * DEPTH_MAX]
    assert pointers([nested(500)]) == ["/filters/0" + "/not" * DEPTH_MAX]


def test_the_number_has_a_bound_and_is_told_once() -> None:
    half = EXPRESSIONS_MAX // 2
    assert pointers([STEP] * half) == []
    assert pointers([STEP] * (half + 1)) == ["/filters"]
    assert pointers([STEP] * 5000) == ["/filters"]
    assert pointers([{"exact": {f"a{n}": "x" for n in range(EXPRESSIONS_MAX)}}]) == ["/filters"]
    assert len(pointers([7] * 5000)) == EXPRESSIONS_MAX + 1


names = st.sampled_from(["type", "source", "subject", "partitionkey", "absent", "retries", "final"])
values = st.sampled_from([*(str(value) for value in EVENT.values()), "com.letta.", ".completed", "true", "x"])
compares = st.builds(
    lambda dialect, wants: {dialect: wants},
    st.sampled_from(["exact", "prefix", "suffix"]),
    st.dictionaries(names, values, min_size=1, max_size=3),
)
trees = st.recursive(
    compares,
    lambda inner: st.one_of(
        st.builds(lambda items: {"all": items}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda items: {"any": items}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda item: {"not": item}, inner),
    ),
    max_leaves=8,
)
events = st.dictionaries(
    names, st.one_of(values, st.integers(-9, 9), st.booleans()), min_size=0, max_size=6
).map(lambda some: {"type": "com.letta.agent.step.completed", "source": "s", **some})


def oracle(tree: dict[str, Any], event: dict[str, Any]) -> bool:
    # The standard's words, as directly as they can be written down.
    ((dialect, body),) = tree.items()
    if dialect == "all":
        return all(oracle(item, event) for item in body)
    if dialect == "any":
        return any(oracle(item, event) for item in body)
    if dialect == "not":
        return not oracle(body, event)
    results = []
    for name, want in body.items():
        have = event.get(name)
        text = have if isinstance(have, str) else json.dumps(have)
        method = {"exact": "__eq__", "prefix": "startswith", "suffix": "endswith"}[dialect]
        results.append(have is not None and getattr(text, method)(want))
    return all(results)


@given(st.lists(trees, max_size=3), events)
def test_conformance_37_matching_is_what_the_standard_says(
    forest: list[dict[str, Any]], event: dict[str, Any]
) -> None:
    selection, problems = parse_filters(forest, "")
    if problems:
        return  # nested too deep for us
    expected = all(oracle(tree, event) for tree in forest)
    assert selection.matches(event) is expected
    clause = selection.explain(event)
    assert (clause is None) is expected
    assert clause is None or resolves(clause, forest)


def everything(clauses: Iterable[Clause]) -> Iterator[Clause]:
    for clause in clauses:
        yield clause
        yield from everything(clause.parts)


@given(
    st.lists(trees, max_size=3),
    events,
    st.sampled_from([None, FACT]),
    st.lists(
        st.sampled_from(["agent.step.completed", "com.letta.agent.step.completed", FACT, "x"]), max_size=2
    ),
    st.sampled_from([None, "s", "other"]),
    st.sampled_from([None, "org-1"]),
    st.sampled_from([None, "org-1", "org-2"]),
)
def test_an_event_matches_exactly_where_every_clause_does(
    forest: list[Any],
    event: dict[str, Any],
    fact: str | None,
    types: list[str],
    source: str | None,
    mine: str | None,
    theirs: str | None,
) -> None:
    filters, problems = parse_filters(forest, "")
    if problems:
        return  # nested too deep for us
    event = event if fact is None else event | {"type": fact}
    selector = Selector(source=source, types=tuple(types), filters=filters, organization=mine)
    clauses = selector.trace(event, theirs)
    matches = selector.matches(event, theirs)
    assert all(clause.matches for clause in clauses) is matches
    assert (first_failure(clauses) is None) is matches
    for clause in everything(clauses):
        assert clause.detail
        if clause.rule in {"all", "exact", "prefix", "suffix"} and clause.parts:
            assert clause.matches is all(part.matches for part in clause.parts)
        if clause.rule == "any":
            assert clause.matches is any(part.matches for part in clause.parts)
        if clause.rule == "not":
            assert clause.matches is not clause.parts[0].matches


def resolves(clause: Clause, forest: object) -> bool:
    value: Any = forest
    for token in clause.pointer.split("/")[1:]:
        value = value[int(token)] if isinstance(value, list) else value[token]
    return value is not None


@given(st.lists(trees, max_size=3))
def test_filters_come_back_from_their_json(forest: list[dict[str, Any]]) -> None:
    selection, problems = parse_filters(forest, "")
    if problems:
        return
    written = json.loads(json.dumps(selection.to_json()))
    assert filters_from(written) == selection
    assert written == forest
    assert hash(filters_from(written)) == hash(selection)


def test_the_canonical_form_does_not_depend_on_the_order_of_members() -> None:
    one = parsed([{"exact": {"type": "t", "id": "i"}}])
    two = parsed([{"exact": {"id": "i", "type": "t"}}])
    assert one == two
    assert json.dumps(one.to_json()) == json.dumps(two.to_json())


def test_what_was_not_stored_is_not_read_as_stored() -> None:
    with pytest.raises(ValueError, match="no stored filters: /0/sql"):
        filters_from([{"sql": "TRUE"}])


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(
            st.one_of(st.text(max_size=4), st.sampled_from(["exact", "all", "any", "not"])), inner, max_size=2
        ),
    ),
    max_leaves=12,
)


@given(json_values)
def test_no_json_makes_the_reader_fail(value: object) -> None:
    filters, problems = parse_filters(value, "/filters")
    assert problems or filters_from(filters.to_json()) == filters
