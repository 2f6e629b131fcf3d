from typing import Any

import pytest

from gateway.domain.filters import Selector, filters_from

FACT = "com.letta.gateway.subscription.paused"
AGENT = "https://letta/organizations/org-1/agents/agent-1"


def event(**attributes: str) -> dict[str, str | int | bool]:
    return {"type": "com.letta.agent.step.completed", "source": AGENT, "id": "evt_1", **attributes}


def selector(*filters: object, **members: Any) -> Selector:
    return Selector(filters=filters_from(list(filters)), **members)


@pytest.mark.parametrize("name", ["agent.step.completed", "com.letta.agent.step.completed"])
def test_types_are_short_names_or_full_ones(name: str) -> None:
    assert selector(types=(name,)).matches(event(), None)
    assert not selector(types=(name,)).matches(event(type="com.letta.agent.step.failed"), None)


def test_a_foreign_type_is_named_in_full() -> None:
    assert selector(types=("com.example.greeting",)).matches(event(type="com.example.greeting"), None)
    assert selector(types=("greeting",)).matches(event(type="greeting"), None)
    assert not selector(types=("greeting",)).matches(event(type="com.example.greeting"), None)


def test_no_types_mean_all() -> None:
    assert selector().matches(event(type="com.example.greeting"), "org-1")


@pytest.mark.parametrize(
    ("kind", "pointer"),
    [
        ({"types": ("x",)}, "/types"),
        ({"source": AGENT + "2"}, "/source"),
        ({"organization": "org-2"}, "/organization"),
    ],
)
def test_the_clause_that_keeps_an_event_away(kind: dict[str, Any], pointer: str) -> None:
    one = selector(**kind)
    assert not one.matches(event(), "org-1")
    clause = one.explain(event(), "org-1")
    assert clause is not None
    assert clause.pointer == pointer


def test_the_clause_of_a_filter_is_pointed_at_from_the_subscription() -> None:
    clause = selector({"exact": {"subject": "x"}}).explain(event(), None)
    assert clause is not None
    assert clause.pointer == "/filters/0/exact/subject"
    assert selector({"exact": {"id": "evt_1"}}).explain(event(), None) is None


def test_s11a_the_organization_stands_outside_the_filters() -> None:
    mine = selector({"not": {"exact": {"id": "x"}}}, organization="org-1")
    assert mine.matches(event(), "org-1")
    assert not mine.matches(event(), "org-2")
    assert not mine.matches(event(), None)
    clause = mine.explain(event(), "org-2")
    assert clause is not None
    assert "org-2" not in clause.detail  # whose it is, is not for others to know


@pytest.mark.parametrize(
    "one",
    [
        selector(types=(FACT,)),
        selector({"exact": {"type": FACT}}),
        selector({"any": [{"exact": {"type": FACT}}, {"exact": {"type": "x"}}]}),
        selector({"exact": {"type": FACT}}, types=(FACT,)),
    ],
)
def test_s1e_a_fact_goes_to_who_names_its_full_type(one: Selector) -> None:
    assert one.matches(event(type=FACT), None)
    assert one.explain(event(type=FACT), None) is None
    assert one.gateway_types == {FACT}


@pytest.mark.parametrize(
    "one",
    [
        selector(),
        selector({"prefix": {"type": "com.letta."}}),
        selector({"prefix": {"type": "com.letta.gateway."}}),
        selector({"not": {"exact": {"type": "x"}}}),
        selector({"not": {"not": {"exact": {"type": FACT}}}}),
        selector({"suffix": {"type": "paused"}}),
        selector(types=("gateway.subscription.paused",)),
        selector(types=("com.letta.gateway.subscription.resumed",)),
        selector(organization=None, source=AGENT),
    ],
)
def test_s1e_a_fact_goes_to_nobody_else(one: Selector) -> None:
    assert not one.matches(event(type=FACT), None)
    assert one.explain(event(type=FACT), None) is not None
    assert FACT not in one.gateway_types


def test_selectors_compare_by_what_was_asked() -> None:
    assert selector({"exact": {"id": "1"}}, types=("x",)) == selector({"exact": {"id": "1"}}, types=("x",))
    assert len({selector(), selector(), selector(types=("x",))}) == 2
