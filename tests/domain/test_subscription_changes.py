"""A subscription that is changed: replaced, or merged with a patch (RFC 7396)"""

from typing import Any

import pytest
from asked_subscriptions import SECRET, SINK, TOKEN, WHOLE, made, members, patched, replaced, spec_of
from hypothesis import given

from gateway.domain.subscription import (
    Config,
    StartAt,
    SubscriptionSpec,
)
from gateway.domain.subscription_input import (
    merge_patch,
    parse_patch,
    parse_replacement,
    parse_subscription,
)


def faults_of_patch(patch: object) -> list[str]:
    spec, problems = parse_patch(patch, previous=made(WHOLE).spec, organization="org-1")
    assert (spec is None) is bool(problems)
    return [problem.pointer for problem in problems]


def test_a_view_can_be_put_back() -> None:
    spec = spec_of(types=["a"], config={"start": 5, "retry": [1]})
    view = {
        **spec.view(),
        "id": "sub_x",
        "organization": "org-1",
        "state": "active",
        "revision": 3,
        "created_at": "2026-01-01T00:00:00Z",
        "updated_at": "2026-01-01T00:00:00Z",
    }
    assert replaced(view, spec) == spec


def test_a_replacement_replaces_all_but_the_start() -> None:
    previous = made(WHOLE).spec
    spec = replaced({"sink": SINK + "2"}, previous)
    assert spec == SubscriptionSpec(sink=SINK + "2", config=Config(start=StartAt.BEGINNING))


@pytest.mark.parametrize(
    ("members", "pointer"),
    [
        ({"organization": "org-2"}, "/organization"),
        ({"organization": 1}, "/organization"),
        ({"secret": SECRET}, "/secret"),
        ({"config": {"start": "now"}}, "/config/start"),
        ({"config": {"start": 5}}, "/config/start"),
        ({"sinkcredential": {"credentialtype": "ACCESSTOKEN"}}, "/sinkcredential/accesstoken"),
    ],
)
def test_s11a_what_a_revision_cannot_change(members: dict[str, Any], pointer: str) -> None:
    previous = made(WHOLE).spec
    spec, problems = parse_replacement({"sink": SINK, **members}, previous=previous, organization="org-1")
    assert spec is None
    assert [problem.pointer for problem in problems] == [pointer]


def test_a_patch_changes_what_it_names() -> None:
    previous = made(WHOLE).spec
    assert patched({}, previous) == previous
    spec = patched(
        {
            "sink": SINK + "2",
            "types": ["x"],
            "name": None,
            "labels": {"team": None, "new": "1"},
            "config": {"retry": None, "timeout_s": 1},
            "protocolsettings": {"headers": {"X-Other": "1"}},
        },
        previous,
    )
    assert spec.sink == SINK + "2"
    assert spec.types == ("x",)
    assert spec.name is None
    assert spec.labels == {"example.com/tier": "1", "new": "1"}
    assert (spec.config.retry, spec.config.timeout_s, spec.config.max_concurrency) == (None, 1, 4)
    assert spec.config.start is StartAt.BEGINNING
    assert spec.headers == {"X-Tenant": "seven", "X-Other": "1"}
    assert spec.bearer_token == TOKEN


def test_a_patch_takes_members_away() -> None:
    spec = patched({"sinkcredential": None, "filters": None, "protocolsettings": None}, made(WHOLE).spec)
    assert (spec.credential, spec.filters.items, dict(spec.headers)) == (None, (), {})


def test_a_patch_is_checked_like_the_whole() -> None:
    assert faults_of_patch([]) == [""]
    assert faults_of_patch({"sink": None}) == ["/sink"]
    assert faults_of_patch({"colour": 1, "config": {"timeout_s": 99}}) == ["/colour", "/config/timeout_s"]
    assert faults_of_patch({"state": "paused"}) == ["/state"]
    assert faults_of_patch({"organization": "org-2", "secret": SECRET}) == ["/organization", "/secret"]
    assert faults_of_patch({"organization": "org-1", "id": "x"}) == []
    assert faults_of_patch({"sinkcredential": {"accesstoken": "a b"}}) == ["/sinkcredential/accesstoken"]


@pytest.mark.parametrize(
    ("target", "patch", "merged"),
    [  # RFC 7396, appendix A
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merge_patches_are_those_of_the_standard(target: object, patch: object, merged: object) -> None:
    assert merge_patch(target, patch) == merged


@given(members)
def test_no_json_makes_the_readers_fail(value: object) -> None:
    previous = made(WHOLE).spec
    asked, problems = parse_subscription(value)
    assert (asked is None) is bool(problems)
    if asked is not None:
        assert SubscriptionSpec.from_json(asked.spec.to_json()) == asked.spec
    for spec, found in (
        parse_replacement(value, previous=previous, organization="org-1"),
        parse_patch(value, previous=previous, organization="org-1"),
    ):
        assert (spec is None) is bool(found)
