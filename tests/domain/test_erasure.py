"""What an erasure takes, how it is said, and how it is asked for (S8b)."""

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain import erasure
from gateway.domain.erasure import ROWS_MAX, Scope, Target, names, positions_of, ranges
from gateway.domain.erasure_input import AskedErasure, parse_erasure


@pytest.mark.parametrize(
    ("payload", "named"),
    [
        (b"agent-1", True),
        (b'{"agent_id":"agent-1"}', True),
        (b"https://letta/organizations/o/agents/agent-1", True),
        (b"https://letta/organizations/o/agents/agent%2d1?x", True),
        (b'{"a":"\\u0061gent-1"}', True),
        (b'{"a":"/agents/agent\\u00251"}', False),
        (b"the agent agent-1.", True),
        (b"\xff\xfe agent-1 \x00", True),
        (b"agent-12", False),
        (b"agent-1-copy", False),
        (b"my-agent-1", False),
        (b"xagent-1", False),
        (b"", False),
        (b"[" * 100_000 + b" agent-1", True),
    ],
)
def test_a_name_is_found_as_a_whole_word_however_it_is_spelled(payload, named):
    assert names(payload, "agent-1") is named


def test_no_name_is_in_nothing():
    assert not names(b"anything", "")


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20))
def test_what_an_envelope_is_made_of_is_found_in_it(name):
    for ensure_ascii in (True, False):
        assert names(json.dumps({"data": [{"agent_id": name}]}, ensure_ascii=ensure_ascii).encode(), name)


@pytest.mark.parametrize(
    ("target", "organization", "payload", "taken"),
    [
        (Target(Scope.AGENT, "a-1"), "o-1", b"a-1", True),
        (Target(Scope.AGENT, "a-1"), "a-1", b"nothing", False),
        (Target(Scope.ORGANIZATION, "o-1"), "o-1", b"nothing", True),
        (Target(Scope.ORGANIZATION, "o-1"), "o-2", b"o-1", False),
        (Target(Scope.ORGANIZATION, "o-1"), None, b"o-1", True),
        (Target(Scope.ORGANIZATION, "o-1"), None, b"o-2", False),
    ],
)
def test_what_of_the_quarantine_goes_with_it(target, organization, payload, taken):
    assert target.owns_quarantined(organization, payload) is taken


@given(st.sets(st.integers(1, 10_000), max_size=ROWS_MAX))
def test_ranges_say_exactly_these_positions(positions):
    ordered = sorted(positions)
    said = ranges(ordered)
    assert positions_of(json.loads(json.dumps(said))) == ordered
    assert all(second[0] > first[1] + 1 for first, second in itertools.pairwise(said))


@pytest.mark.parametrize(
    "said",
    [
        None,
        {},
        "1",
        [1],
        [[1]],
        [[1, 2, 3]],
        [["1", "2"]],
        [[2, 1]],
        [[0, 1]],
        [[1, 2], [2, 3]],
        [[1, 10**12]],
    ],
)
def test_ranges_that_nobody_has_made(said):
    assert positions_of(said) is None


def test_no_fact_of_an_erasure_has_a_name_in_it():
    facts = [
        erasure.requested("ers_1", Scope.AGENT, 7),
        erasure.erased("ers_1", [1, 2, 5], bytes(32)),
        erasure.finished("ers_1", events=3, attempts=4, quarantined=5),
    ]
    assert {fact.subject for fact in facts} == {"ers_1"}
    assert {name for fact in facts for name in fact.data} == {
        *("erasure", "scope", "until_position", "positions", "count", "remains"),
        *("events", "attempts", "quarantined"),
    }
    assert len({fact.id for fact in facts}) == 3


@pytest.mark.parametrize(
    ("body", "asked"),
    [
        ({"agent_id": "a"}, AskedErasure(Target(Scope.AGENT, "a"), dry_run=False)),
        ({"organization_id": "o"}, AskedErasure(Target(Scope.ORGANIZATION, "o"), dry_run=False)),
        ({"agent_id": "a", "dry_run": True}, AskedErasure(Target(Scope.AGENT, "a"), dry_run=True)),
    ],
)
def test_a_request(body, asked):
    assert parse_erasure(body) == (asked, ())


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        (None, [""]),
        ([], [""]),
        ({}, [""]),
        ({"agent_id": "a", "organization_id": "o"}, [""]),
        ({"agent_id": ""}, ["/agent_id"]),
        ({"agent_id": 1}, ["/agent_id"]),
        ({"agent_id": "a\0"}, ["/agent_id"]),
        ({"agent_id": "a" * 1_025}, ["/agent_id"]),
        ({"agent_id": "a", "dry_run": 1}, ["/dry_run"]),
        ({"agent": "a"}, ["/agent", ""]),
    ],
)
def test_a_request_that_is_none(body, pointers):
    asked, problems = parse_erasure(body)
    assert asked is None
    assert [problem.pointer for problem in problems] == pointers
