"""Bodies of subscriptions as they are asked for, read by hand."""

from typing import Any

from hypothesis import strategies as st

from gateway.domain.signing import new_secret
from gateway.domain.subscription import (
    SubscriptionSpec,
)
from gateway.domain.subscription_input import (
    SubscriptionInput,
    parse_patch,
    parse_replacement,
    parse_subscription,
)

SINK = "https://receiver.example/hooks?key=1"
SECRET = new_secret(bytes(range(32)))
TOKEN = "ya29.a-token_of-theirs=="
WHOLE: dict[str, Any] = {
    "name": "Billing",
    "description": "What a run cost.\nAsk the billing team.",
    "labels": {"team": "billing", "example.com/tier": "1"},
    "source": "https://letta/organizations/org-1/agents/agent-1",
    "types": ["agent.step.completed", "com.letta.agent.run.completed"],
    "filters": [{"exact": {"partitionkey": "agent-1"}}],
    "config": {
        "format": "structured",
        "ordering": "none",
        "payload": "full",
        "signing": ["v1"],
        "max_concurrency": 4,
        "timeout_s": 2.5,
        "retry": [0.5, 30, 3600],
        "start": "beginning",
        "handshake": "off",
    },
    "sink": SINK,
    "sinkcredential": {"credentialtype": "ACCESSTOKEN", "accesstoken": TOKEN},
    "protocol": "HTTP",
    "protocolsettings": {"headers": {"X-Tenant": "seven"}},
}


def made(value: object) -> SubscriptionInput:
    asked, problems = parse_subscription(value)
    assert problems == []
    assert asked is not None
    return asked


def spec_of(**members: Any) -> SubscriptionSpec:
    return made({"sink": SINK, **members}).spec


def pointers(value: object) -> list[str]:
    asked, problems = parse_subscription(value)
    assert asked is None
    assert problems
    return [problem.pointer for problem in problems]


def sentence(**members: Any) -> str:
    (problem,) = parse_subscription({"sink": SINK, **members})[1]
    return problem.detail


def replaced(value: object, previous: SubscriptionSpec) -> SubscriptionSpec:
    spec, problems = parse_replacement(value, previous=previous, organization="org-1")
    assert problems == []
    assert spec is not None
    return spec


def patched(patch: object, previous: SubscriptionSpec) -> SubscriptionSpec:
    spec, problems = parse_patch(patch, previous=previous, organization="org-1")
    assert problems == []
    assert spec is not None
    return spec


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)
members = st.one_of(
    st.dictionaries(st.sampled_from([*WHOLE, "organization", "secret", "x"]), json_values, max_size=6),
    st.builds(
        lambda config: {"sink": SINK, "config": config},
        st.dictionaries(st.sampled_from([*WHOLE["config"], "batch_age_s"]), json_values, max_size=4),
    ),
    json_values,
)
