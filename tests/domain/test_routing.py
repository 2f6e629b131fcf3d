"""The router's index finds exactly what asking every subscription would find, and asks few."""

from collections.abc import Callable, Mapping
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.domain import routing
from gateway.domain.conditions import CONDITIONS_MAX, PLACES_MAX, Atom, conditions_of, exclusive
from gateway.domain.dialects import Comparison, text_of
from gateway.domain.filters import Filters, Selector, filters_from
from gateway.domain.routing import RoutingIndex

TYPES = ("test.a", "test.b", "com.letta.agent.step.completed")
SOURCES = ("/s/1", "/s/2", "/s")
KEYS = ("agent-1", "agent-2")
ORGANIZATIONS = ("org-1", "org-2")
VALUES = {
    "type": TYPES,
    "source": SOURCES,
    "partitionkey": KEYS,
    "subject": ("x", "xy"),
    "count": ("1", "true"),
}

Event = Mapping[str, str | int | bool]


def filters(*items: object) -> Filters:
    return filters_from(list(items))


@st.composite
def _compare(draw: st.DrawFn) -> dict[str, object]:
    names = draw(st.lists(st.sampled_from(sorted(VALUES)), min_size=1, max_size=2, unique=True))
    dialect = draw(st.sampled_from(["exact", "exact", "prefix", "suffix"]))

    def value(name: str) -> str:
        whole = draw(st.sampled_from(VALUES[name]))
        chars = draw(st.integers(1, len(whole)))
        return {"exact": whole, "prefix": whole[:chars], "suffix": whole[-chars:]}[dialect]

    return {dialect: {name: value(name) for name in names}}


_filter = st.recursive(
    _compare(),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda items: {"all": items}),
        st.lists(inner, min_size=1, max_size=3).map(lambda items: {"any": items}),
        inner.map(lambda item: {"not": item}),
    ),
    max_leaves=6,
)
_selector = st.builds(
    Selector,
    source=st.none() | st.sampled_from(SOURCES),
    types=st.lists(st.sampled_from([*TYPES, "agent.step.completed"]), max_size=2, unique=True).map(tuple),
    filters=st.lists(_filter, max_size=2).map(lambda items: filters(*items)),
    organization=st.none() | st.sampled_from(ORGANIZATIONS),
)
_event = st.fixed_dictionaries(
    {"type": st.sampled_from(TYPES), "source": st.sampled_from(SOURCES), "id": st.just("1")},
    optional={
        "partitionkey": st.sampled_from(KEYS),
        "subject": st.sampled_from(["x", "xy", ""]),
        "count": st.sampled_from([1, True, 10]),
        "organization": st.sampled_from(ORGANIZATIONS),
    },
)
_organization = st.none() | st.sampled_from(ORGANIZATIONS)


@pytest.mark.parametrize("bucket_max", [1, 2, routing.BUCKET_MAX])
@settings(deadline=None)
@given(
    selectors=st.lists(_selector, max_size=24),
    replaced=st.dictionaries(st.integers(0, 23), st.none() | _selector, max_size=12),
    event=_event,
    organization=_organization,
)
def test_the_index_finds_what_asking_all_finds(
    bucket_max: int,
    selectors: list[Selector],
    replaced: dict[int, Selector | None],
    event: Event,
    organization: str | None,
) -> None:
    with mock.patch.object(routing, "BUCKET_MAX", bucket_max):
        index, known = RoutingIndex(), dict(enumerate(selectors))
        for number, selector in known.items():
            index.put(number, selector)
        for number, changed in replaced.items():
            if changed is None:
                index.discard(number)
                known.pop(number, None)
            else:
                index.put(number, changed)
                known[number] = changed
        found = list(index.matching(event, organization))
        expected = [number for number, selector in known.items() if selector.matches(event, organization)]
        assert sorted(found) == sorted(expected)
        for number in known:
            index.discard(number)
        assert index._root == ()
        assert not index._groups


@settings(deadline=None)
@given(selector=_selector, event=_event, organization=_organization)
def test_what_a_selection_matches_fulfils_each_of_its_conditions(
    selector: Selector, event: Event, organization: str | None
) -> None:
    conditions = conditions_of(selector)
    fulfilled = [sum(_holds(atom, event, organization) for atom in condition) for condition in conditions]
    if selector.matches(event, organization):
        assert all(fulfilled)
    if exclusive(conditions):
        assert max(fulfilled, default=0) <= 1


def _holds(atom: Atom, event: Event, organization: str | None) -> bool:
    value = event.get(atom.name) if atom.name else organization
    if value is None:
        return False
    text = text_of(value)
    return {
        Comparison.EXACT: text == atom.value,
        Comparison.PREFIX: text.startswith(atom.value),
        Comparison.SUFFIX: text.endswith(atom.value),
    }[atom.dialect]


def exact(name: str, *values: str) -> frozenset[Atom]:
    return frozenset(Atom(Comparison.EXACT, name, value) for value in values)


@pytest.mark.parametrize(
    ("selector", "conditions"),
    [
        (Selector(), []),
        # The agent first, then its source, then what many share.
        (
            Selector(
                types=("com.letta.x",),
                organization="o",
                source="/s",
                filters=filters({"exact": {"partitionkey": "a"}}),
            ),
            [exact("partitionkey", "a"), exact("source", "/s"), exact("", "o"), exact("type", "com.letta.x")],
        ),
        (
            Selector(types=("x", "y"), filters=filters({"exact": {"type": "com.letta.y"}})),
            [exact("type", "com.letta.y")],
        ),
        # What can never be stands nowhere.
        (Selector(types=("x",), filters=filters({"exact": {"type": "z"}})), [frozenset()]),
        (Selector(filters=filters({"not": {"exact": {"type": "z"}}})), []),
        (Selector(filters=filters({"not": {"not": {"exact": {"id": "1"}}}})), [exact("id", "1")]),
        (
            Selector(filters=filters({"not": {"all": [{"not": {"exact": {"id": i}}} for i in ("1", "2")]}})),
            [exact("id", "1", "2")],
        ),
        # A part of `any` that names nothing leaves nothing to look up.
        (Selector(filters=filters({"any": [{"exact": {"id": "1"}}, {"not": {"exact": {"id": "2"}}}]})), []),
        (
            Selector(filters=filters({"any": [{"exact": {"id": "1"}}, {"prefix": {"source": "/"}}]})),
            [exact("id", "1") | {Atom(Comparison.PREFIX, "source", "/")}],
        ),
        # What all parts name is looked up by itself.
        (
            Selector(
                filters=filters(
                    {"any": [{"exact": {"id": "1", "subject": "x"}}, {"exact": {"id": "2", "subject": "y"}}]}
                )
            ),
            [exact("id", "1", "2"), exact("subject", "x", "y")],
        ),
    ],
)
def test_the_conditions_of_a_selection(selector: Selector, conditions: list[frozenset[Atom]]) -> None:
    assert list(conditions_of(selector)) == conditions


def test_the_places_of_one_selection_are_bounded() -> None:
    many = [{"any": [{"exact": {f"a{name}": str(value)}} for value in range(8)]} for name in range(12)]
    conditions = conditions_of(Selector(types=tuple(map(str, range(256))), filters=filters(*many)))
    places = 1
    for condition in conditions:
        places *= len(condition)
    assert places <= PLACES_MAX
    assert len(conditions) <= CONDITIONS_MAX
    assert len(conditions_of(Selector(types=tuple(map(str, range(256)))))) == 1


class Counting(Selector):
    """Counts how often it is asked."""

    asked = 0

    def matches(self, attributes: Mapping[str, str | int | bool], organization: str | None) -> bool:
        Counting.asked += 1
        return super().matches(attributes, organization)


def asked(index: RoutingIndex, event: Event, organization: str | None = "org-1") -> tuple[set[int], int]:
    Counting.asked = 0
    return set(index.matching(event, organization)), Counting.asked


EVENT = {"type": "type.7", "source": "/s/5", "id": "1", "partitionkey": "agent-5", "subject": "x-5"}


@pytest.mark.interpreted
def test_an_event_asks_only_subscriptions_that_stand_under_its_keys() -> None:
    index = RoutingIndex()
    for number in range(1_000):
        only = filters({"exact": {"partitionkey": f"agent-{number}"}})
        index.put(number, Counting(filters=only, organization="org-1"))
        index.put(1_000 + number, Counting(organization=f"org-{number}"))
        index.put(2_000 + number, Counting(types=(f"type.{number}",), organization="org-1"))
    assert asked(index, EVENT) == ({5, 1_001, 2_007}, 3)


Shape = Callable[[int], Counting]
SHAPES: dict[str, Shape] = {
    "one type, an agent each": lambda i: Counting(
        types=("type.7",), filters=filters({"exact": {"partitionkey": f"agent-{i}"}})
    ),
    "one agent, a subject each": lambda i: Counting(
        filters=filters({"exact": {"partitionkey": "agent-5", "subject": f"x-{i}"}})
    ),
    "a prefix each": lambda i: Counting(
        types=("type.7",), filters=filters({"prefix": {"source": f"/s/{i}"}})
    ),
    "a suffix each": lambda i: Counting(types=("type.7",), filters=filters({"suffix": {"source": f"s/{i}"}})),
    "either of two": lambda i: Counting(
        filters=filters(
            {"any": [{"exact": {"partitionkey": f"agent-{i}"}}, {"exact": {"source": f"/s/{i}"}}]}
        )
    ),
    "an invented attribute each": lambda i: Counting(filters=filters({"exact": {f"x{i}": "1"}})),
    "many types": lambda i: Counting(
        types=tuple(f"type.{i * 8 + k}" for k in range(8)), organization="org-1", source="/s/5"
    ),
    "types by agents": lambda i: Counting(
        types=(f"type.{i % 45}",), filters=filters({"exact": {"partitionkey": f"agent-{i // 45}"}})
    ),
    "what stands under not, twice": lambda i: Counting(
        filters=filters({"not": {"not": {"exact": {"partitionkey": f"agent-{i}"}}}})
    ),
}


@pytest.mark.interpreted
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_an_event_asks_few_of_many_whatever_sets_them_apart(shape: Shape) -> None:
    index = RoutingIndex()
    for number in range(2_000):
        index.put(number, shape(number))
    found, count = asked(index, EVENT)
    assert found == {number for number in range(2_000) if shape(number).matches(EVENT, "org-1")}
    assert len(found) <= 1
    assert count <= len(found) + routing.BUCKET_MAX


@pytest.mark.interpreted
def test_subscriptions_that_ask_for_the_same_are_asked_once() -> None:
    index = RoutingIndex()
    for number in range(2_000):
        index.put(number, Counting(filters=filters({"not": {"exact": {"type": "type.7"}}})))
    assert asked(index, EVENT) == (set(), 1)
    found, count = asked(index, EVENT | {"type": "type.8"})
    assert (len(found), count) == (2_000, 1)
    assert list(index.matching(EVENT | {"type": "type.8"}, None)) == list(range(2_000))


def test_what_is_forgotten_leaves_nothing_behind() -> None:
    index = RoutingIndex()
    for number in range(20):
        index.put(number, Selector(types=("a", f"b{number}")))
        index.put(number, Selector(source=f"/s{number}"))
    for number in range(20):
        index.discard(number)
        index.discard(number)
        assert number not in index
    assert index._root == ()
    assert not index._groups
    assert not index._group_of
