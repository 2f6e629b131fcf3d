"""The router's index finds exactly what asking every subscription would find, and asks few."""

from collections.abc import Mapping

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.domain.filters import Filters, Selector, filters_from
from gateway.domain.routing import RoutingIndex

TYPES = ("test.a", "test.b", "com.letta.agent.step.completed")
SOURCES = ("/s/1", "/s/2")
KEYS = ("agent-1", "agent-2")
ORGANIZATIONS = ("org-1", "org-2")


def filters(*items: object) -> Filters:
    return filters_from(list(items))


_exact = st.sampled_from(
    [("type", name) for name in TYPES]
    + [("source", name) for name in SOURCES]
    + [("partitionkey", name) for name in KEYS]
    + [("subject", "x")]
).map(lambda pair: {"exact": {pair[0]: pair[1]}})
_filter = st.recursive(
    _exact | st.just({"prefix": {"type": "test."}}) | st.just({"suffix": {"source": "1"}}),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda items: {"all": items}),
        st.lists(inner, min_size=1, max_size=3).map(lambda items: {"any": items}),
        inner.map(lambda item: {"not": item}),
    ),
    max_leaves=5,
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
    optional={"partitionkey": st.sampled_from(KEYS), "subject": st.sampled_from(["x", "y"])},
)


@settings(deadline=None)
@given(
    selectors=st.lists(_selector, max_size=12),
    replaced=st.dictionaries(st.integers(0, 11), st.none() | _selector, max_size=4),
    event=_event,
    organization=st.none() | st.sampled_from(ORGANIZATIONS),
)
def test_the_index_finds_what_asking_all_finds(
    selectors: list[Selector],
    replaced: dict[int, Selector | None],
    event: Mapping[str, str],
    organization: str | None,
) -> None:
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


class Counting(Selector):
    """Counts how often it is asked."""

    asked = 0

    def matches(self, attributes: Mapping[str, str | int | bool], organization: str | None) -> bool:
        Counting.asked += 1
        return super().matches(attributes, organization)


def test_an_event_asks_only_subscriptions_that_stand_under_its_keys() -> None:
    index = RoutingIndex()
    for number in range(1_000):
        only = filters({"exact": {"partitionkey": f"agent-{number}"}})
        index.put(number, Counting(filters=only, organization="org-1"))
        index.put(1_000 + number, Counting(organization=f"org-{number}"))
        index.put(2_000 + number, Counting(types=(f"type.{number}",), organization="org-1"))
    Counting.asked = 0
    event = {"type": "type.7", "source": "/s", "id": "1", "partitionkey": "agent-5"}
    assert set(index.matching(event, "org-1")) == {5, 1_001, 2_007}
    assert Counting.asked == 3


def test_what_is_forgotten_leaves_nothing_behind() -> None:
    index = RoutingIndex()
    index.put(1, Selector(types=("a", "b")))
    index.put(1, Selector(source="/s"))
    index.discard(1)
    index.discard(1)
    assert 1 not in index
    assert not index._buckets
