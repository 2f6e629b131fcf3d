import hashlib
from base64 import b32encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import (
    SHORT_NAMES,
    build,
    event_id,
    organizations_in,
    parse_source,
    random_event_id,
    short_of,
    source_of,
    type_of,
)

ids = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


def test_types_and_short_names_are_two_ways_to_say_one_thing() -> None:
    assert len(SHORT_NAMES) == len(set(SHORT_NAMES)) == 8
    for short in SHORT_NAMES:
        assert short_of(type_of(short)) == short
        assert short_of(short) is None
    assert short_of("com.letta.gateway.subscription.created") is None
    assert short_of("com.example.agent.step.completed") is None
    assert short_of("com.letta.com.letta.agent.step.completed") is None


def test_a_source_tells_organization_and_agent() -> None:
    assert (
        source_of("https://letta", "org-1", "agent-1") == "https://letta/organizations/org-1/agents/agent-1"
    )
    assert source_of("https://letta/", "org-1") == "https://letta/organizations/org-1"
    assert parse_source("https://letta/organizations/org-1/agents/agent-1") == ("org-1", "agent-1")
    assert parse_source("/organizations/org-1") == ("org-1", None)
    assert parse_source("organizations/org-1") == ("org-1", None)


@given(st.sampled_from(["https://letta", "urn:x/", "", "/a/organizations/b"]), ids, st.none() | ids)
def test_any_ids_make_a_valid_source_and_are_read_back(
    base: str, organization: str, agent: str | None
) -> None:
    source = source_of(base, organization, agent)
    assert build({"id": "1", "type": "t", "source": source}).source == source
    assert parse_source(source) == (organization, agent)
    assert organization in organizations_in(source)


@pytest.mark.parametrize(
    "source",
    [
        "",
        "/s",
        "https://letta/organizations",
        "https://letta/organizations/",
        "https://letta/organizations/o/agents/",
        "https://letta/organizations/o/agents/a/x",
        "https://letta/organizations/o/a",
        "https://letta/organizations/o?x",
        "https://letta/organizations/o#x",
        "https://letta/myorganizations/o",
        "https://letta/organizations/%FF",
        "https://letta/organizations/o/agents/%FF",
    ],
)
def test_other_sources_tell_nothing(source: str) -> None:
    assert parse_source(source) is None


def test_an_id_is_the_same_for_the_same_happening() -> None:
    hashed = hashlib.sha256(
        b"\x00\x00\x00\x13agent.run.completed\x00\x00\x00\x05run-1\x00\x00\x00\x06failed"
    ).digest()
    expected = "evt_" + b32encode(hashed[:20]).decode().lower()
    assert (
        event_id("agent.run.completed", "run-1", "failed")
        == expected
        == "evt_x4johkjqtin2w5zc5nmhhwoany2q6onp"
    )
    assert event_id("agent.run.completed", "run-1", "completed") != expected
    assert event_id("a", "bc") != event_id("ab", "c") != event_id("a", "b", "c")


def test_an_id_needs_a_natural_key() -> None:
    for key in ((), ("",), ("run-1", "")):
        with pytest.raises(ValueError, match="natural key"):
            event_id("agent.run.completed", *key)


def test_random_ids_look_alike_and_differ() -> None:
    made = {random_event_id() for _ in range(1000)}
    assert len(made) == 1000
    assert {len(one) for one in made} == {len(event_id("a", "b"))} == {36}
    assert set("".join(made)) <= set("evt_abcdefghijklmnopqrstuvwxyz234567")
