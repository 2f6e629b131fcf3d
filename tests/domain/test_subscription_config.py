"""`config` of a subscription as it is asked for: bounds, starts, pull-only ones, and what has to be left out"""

from datetime import UTC, datetime

import pytest
from asked_subscriptions import SINK, TOKEN, made, pointers, sentence, spec_of

from gateway.domain.subscription import (
    Config,
    Format,
    Handshake,
    Ordering,
    Signing,
    StartAt,
    SubscriptionSpec,
)
from gateway.domain.subscription_input import (
    parse_patch,
    parse_replacement,
    parse_subscription,
)


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("max_concurrency", 0),
        ("max_concurrency", 257),
        ("max_concurrency", 1.5),
        ("max_concurrency", True),
        ("timeout_s", 0),
        ("timeout_s", 15.5),
        ("timeout_s", "5"),
        ("timeout_s", float("inf")),
        ("timeout_s", float("nan")),
        ("retry", 5),
        ("retry", [5, "5"]),
        ("retry", [-1]),
        ("retry", [True]),
        ("retry", [float("inf")]),
        ("retry", [7 * 24 * 3600 + 1]),
        ("retry", [1] * 101),
        ("signing", "v1"),
        ("signing", []),
        ("signing", ["v2"]),
        ("signing", ["v1", "v2"]),
        ("signing", ["v1", ["v1"]]),
        ("signing", ["v1", "v1", "v1"]),
        ("format", "XML"),
        ("format", ["binary"]),
        ("start", "tomorrow"),
        ("start", -1),
        ("start", 2**63),
        ("start", 1.5),
        ("start", True),
        ("start", "2026-01-01"),
        ("start", "2026-01-01T00:00:00"),
        ("start", "2026-02-30T00:00:00Z"),
        ("start", "2016-12-31T23:59:60Z"),
        ("handshake", True),
        ("batch_events_max", 10),
    ],
)
def test_config_has_bounds(member: str, value: object) -> None:
    assert pointers({"sink": SINK, "config": {member: value}}) == [f"/config/{member}"]


def test_signatures_and_the_handshake_are_taken() -> None:
    asked, problems = parse_subscription(
        {"sink": SINK, "config": {"signing": ["v1", "v1a"], "handshake": "required"}}
    )
    assert not problems
    assert asked is not None
    assert asked.spec.config == Config(signing=(Signing.V1, Signing.V1A), handshake=Handshake.REQUIRED)


def test_order_batches_and_rates_are_taken() -> None:
    config = {
        "format": "batch",
        "batch_events_max": 10,
        "batch_bytes_max": 65_536,
        "batch_age_s": 0.5,
        "ordering": "partitionkey",
        "max_per_second": 0.5,
    }
    asked, problems = parse_subscription({"sink": SINK, "config": config})
    assert not problems
    assert asked is not None
    assert asked.spec.config == Config(
        format=Format.BATCH,
        batch_events_max=10,
        batch_bytes_max=65_536,
        batch_age_s=0.5,
        ordering=Ordering.PARTITIONKEY,
        max_per_second=0.5,
    )


@pytest.mark.parametrize("sink", ["pull:", "PULL:"])
def test_s10b_a_pull_only_subscription(sink: str) -> None:
    spec = made({"sink": sink, "config": {"start": "beginning"}}).spec
    assert spec.pull_only
    assert spec.sink == "pull:"
    assert not made({"sink": SINK}).spec.pull_only
    # What a view shows can be handed back: a default says nothing about posting.
    again, problems = parse_replacement(spec.view(), previous=spec, organization="*")
    assert problems == []
    assert again == spec


@pytest.mark.parametrize("sink", ["pull:x", "pull://host/", "Pull:?after=1"])
def test_s10b_nothing_stands_behind_pull(sink: str) -> None:
    assert "nothing behind it" in sentence(sink=sink)


def test_s10b_what_says_how_events_are_posted_is_refused_all_at_once() -> None:
    _, problems = parse_subscription(
        {
            "sink": "pull:",
            "config": {"format": "structured", "max_concurrency": 4, "timeout_s": 2.5, "retry": []},
            "sinkcredential": {"credentialtype": "ACCESSTOKEN", "accesstoken": TOKEN},
            "protocolsettings": {"headers": {"X-Tenant": "seven"}},
        }
    )
    assert {problem.pointer for problem in problems} == {
        "/config/format",
        "/config/max_concurrency",
        "/config/timeout_s",
        "/config/retry",
        "/sinkcredential",
        "/protocolsettings",
    }
    assert all("leave it out" in problem.detail for problem in problems)


def test_s10b_a_patch_between_push_and_pull() -> None:
    pushed = made({"sink": SINK, "config": {"retry": [1]}}).spec
    spec, problems = parse_patch({"sink": "pull:"}, previous=pushed, organization="*")
    assert spec is None
    assert [problem.pointer for problem in problems] == ["/config/retry"]
    pulled, problems = parse_patch(
        {"sink": "pull:", "config": {"retry": None}}, previous=pushed, organization="*"
    )
    assert problems == []
    assert pulled is not None
    assert pulled.pull_only
    back, _ = parse_patch({"sink": SINK}, previous=pulled, organization="*")
    assert back is not None
    assert not back.pull_only


@pytest.mark.parametrize(
    ("given_start", "start"),
    [
        ("now", StartAt.NOW),
        ("beginning", StartAt.BEGINNING),
        (0, 0),
        (2**63 - 1, 2**63 - 1),
        ("2026-01-01T12:00:00Z", datetime(2026, 1, 1, 12, tzinfo=UTC)),
        ("2026-01-01t12:00:00.25z", datetime(2026, 1, 1, 12, 0, 0, 250_000, tzinfo=UTC)),
        ("2026-01-01T14:00:00.123456789+02:00", datetime(2026, 1, 1, 12, 0, 0, 123_456, tzinfo=UTC)),
    ],
)
def test_where_a_stream_may_start(given_start: object, start: object) -> None:
    spec = spec_of(config={"start": given_start})
    assert spec.config.start == start
    assert SubscriptionSpec.from_json(spec.to_json()).config.start == start


def test_an_empty_schedule_is_one_attempt_and_not_the_default() -> None:
    assert spec_of(config={"retry": []}).config.retry == ()
    assert spec_of().config.retry is None
    assert SubscriptionSpec.from_json(spec_of(config={"retry": []}).to_json()).config.retry == ()
