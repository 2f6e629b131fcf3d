"""A selection held against one event, clause by clause. That it says what matching does is in `test_filters.py`."""

from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from gateway.domain.clauses import Clause, first_failure
from gateway.domain.filters import Selector, parse_filters

EVENT: dict[str, str | int | bool] = {
    "type": "com.letta.agent.step.completed",
    "source": "s",
    "subject": "step-1",
    "final": True,
}
FACT = "com.letta.gateway.subscription.paused"


def trace(*filters: object, event: dict[str, Any] = EVENT, **members: Any) -> tuple[Clause, ...]:
    parsed, problems = parse_filters(list(filters), "")
    assert problems == []
    return Selector(filters=parsed, **members).trace(event, "org-1")


def everything(clauses: Iterable[Clause]) -> Iterator[Clause]:
    for clause in clauses:
        yield clause
        yield from everything(clause.parts)


def test_a_comparison_says_what_it_wants_and_what_the_event_has() -> None:
    (clause,) = trace({"exact": {"subject": "step-2"}})
    assert clause == Clause(
        rule="exact",
        pointer="/filters/0/exact/subject",
        matches=False,
        detail="subject 'step-1' is not 'step-2'",
        attribute="subject",
        expected="step-2",
        actual="step-1",
    )
    (clause,) = trace({"prefix": {"absent": "x"}})
    assert (clause.actual, clause.detail) == (None, "the event has no attribute 'absent'")
    (clause,) = trace({"suffix": {"final": "ue"}})
    assert (clause.matches, clause.actual, clause.detail) == (True, "true", "final 'true' ends with 'ue'")


def test_nested_filters_are_explained_to_the_bottom() -> None:
    no, yes = {"exact": {"subject": "x"}}, {"exact": {"subject": "step-1"}}
    (clause,) = trace({"any": [no, {"all": [yes, {"not": yes}]}]})
    assert [(item.pointer, item.matches) for item in everything([clause])] == [
        ("/filters/0/any", False),
        ("/filters/0/any/0/exact/subject", False),
        ("/filters/0/any/1/all", False),
        ("/filters/0/any/1/all/0/exact/subject", True),
        ("/filters/0/any/1/all/1/not", False),
        ("/filters/0/any/1/all/1/not/exact/subject", True),
    ]
    assert clause.detail == "none of the 2 filters in `any` matches"
    assert clause.parts[1].detail == "1 of the 2 filters in `all` does not match"


def test_several_comparisons_of_one_filter_stand_below_it() -> None:
    (clause,) = trace({"exact": {"subject": "step-1", "type": "x"}})
    assert (clause.pointer, clause.detail) == ("/filters/0/exact", "1 of its 2 comparisons fail")
    failing = first_failure([clause])
    assert failing is not None
    assert failing.pointer == "/filters/0/exact/type"


@pytest.mark.parametrize(
    ("members", "event", "said"),
    [
        ({"organization": "org-2"}, EVENT, ("/organization", False)),
        ({"organization": "org-1"}, EVENT, ("/organization", True)),
        ({"types": ("x",)}, EVENT, ("/types", False)),
        ({"types": ("agent.step.completed",)}, EVENT, ("/types", True)),
        ({"source": "other"}, EVENT, ("/source", False)),
        ({}, EVENT | {"type": FACT}, ("/types", False)),
    ],
)
def test_what_is_asked_besides_the_filters(
    members: dict[str, Any], event: dict[str, Any], said: tuple[str, bool]
) -> None:
    (clause,) = trace(event=event, **members)
    assert (clause.pointer, clause.matches) == said


def test_only_what_the_subscription_says_is_a_clause() -> None:
    assert trace() == ()


def test_long_values_are_cut() -> None:
    (clause,) = trace({"exact": {"subject": "x" * 2000}}, event=EVENT | {"subject": "y" * 60_000})
    assert len(clause.detail) < 400
    assert len(clause.expected or "") < 200
    assert len(clause.actual or "") < 200
