"""Reading a webhook, and which events are whose (Letta's own view)."""

import pytest

from gateway.domain.routing import RoutingIndex
from gateway.domain.subscription import AccessToken, Config, SubscriptionSpec
from gateway.domain.webhooks import WebhookInput, WebhookScope, events_of, is_id, parse_webhook
from schemas import SHORT_NAMES

URL = "https://example.com/hook"
SECRET = "whsec_" + "A" * 40


def attributes(**members):
    return {
        "specversion": "1.0",
        "id": "1",
        "type": "com.letta.agent.step.completed",
        "source": "/s",
    } | members


def test_a_webhook_is_a_url_and_short_names():
    asked, problems = parse_webhook(
        {"url": URL, "events": ["agent.step.completed"] * 2, "secret": SECRET, "enabled": False}
    )
    assert problems == []
    assert asked == WebhookInput(URL, ("agent.step.completed",), enabled=False, secret=SECRET)
    assert parse_webhook({"url": URL})[0] == WebhookInput(URL, SHORT_NAMES, enabled=True, secret=None)


def test_what_a_view_adds_may_be_handed_back():
    view = {"id": "sub_1", "agent_id": "a", "organization": "*", "state": "active", "created_at": "t"}
    assert parse_webhook({**view, "updated_at": "t", "url": URL, "events": None, "enabled": True})[1] == []


def test_every_fault_at_once_with_what_there_is():
    body = {
        "events": ["agent.step.completed", "agent.step.started", 7],
        "enabled": "yes",
        "secret": "whsec_c2hvcnQ=",
        "color": "red",
    }
    asked, problems = parse_webhook(body)
    assert asked is None
    found = {problem.pointer: problem.detail for problem in problems}
    assert found.keys() == {"/url", "/events/1", "/events/2", "/enabled", "/secret", "/color"}
    assert all(f"`{name}`" in found["/events/1"] for name in SHORT_NAMES)
    assert not any("c2hvcnQ" in detail for detail in found.values())


@pytest.mark.parametrize("events", [[], "agent.step.completed", {}, ["agent.step.completed"] * 257])
def test_no_list_of_events(events):
    assert [problem.pointer for problem in parse_webhook({"url": URL, "events": events})[1]] == ["/events"]


@pytest.mark.parametrize("enabled", [1, 0, "true", []])
def test_enabled_is_true_or_false(enabled):
    assert [problem.pointer for problem in parse_webhook({"url": URL, "enabled": enabled})[1]] == ["/enabled"]


@pytest.mark.parametrize("url", ["pull:", "PULL:", 7, ""])
def test_a_webhook_is_posted_to(url):
    assert [problem.pointer for problem in parse_webhook({"url": url})[1]] == ["/url"]


@pytest.mark.parametrize("body", [None, [], "x"])
def test_no_object(body):
    assert parse_webhook(body)[0] is None


def test_an_agent_is_the_partition_key_or_the_end_of_the_source():
    filters = WebhookScope("org-1", "agent/1").filters
    assert filters.matches(attributes(partitionkey="agent/1"))
    assert filters.matches(attributes(source="https://letta/organizations/org-1/agents/agent%2F1"))
    assert not filters.matches(attributes(source="https://letta/organizations/org-1/agents/agent-1"))
    assert not filters.matches(attributes(partitionkey="agent/12"))
    assert WebhookScope("org-1").filters.matches(attributes())


def test_s11a_the_organization_stands_outside_of_the_filters():
    spec = WebhookInput(URL).over(WebhookScope("org-1", "agent-1"), None)
    selector = spec.selector("org-1")
    assert selector.matches(attributes(partitionkey="agent-1"), "org-1")
    assert not selector.matches(attributes(partitionkey="agent-1"), "org-2")
    assert not selector.matches(attributes(partitionkey="agent-1"), None)


def test_an_event_finds_its_webhook_among_many_by_the_index():
    index = RoutingIndex()
    for number in range(1_000):
        scope = WebhookScope("org-1", f"agent-{number}")
        index.put(number, WebhookInput(URL).over(scope, None).selector("org-1"))
    assert list(index.matching(attributes(partitionkey="agent-77"), "org-1")) == [77]
    source = "https://letta/organizations/org-1/agents/agent-78"
    assert list(index.matching(attributes(source=source), "org-1")) == [78]
    assert list(index.matching(attributes(source=source, partitionkey="agent-78"), "org-1")) == [78]


def test_what_is_set_elsewhere_stays_and_the_selection_does_not():
    scope = WebhookScope("org-1", "agent-1")
    elsewhere = SubscriptionSpec(
        sink="https://old.example/",
        source="/only",
        types=("x",),
        config=Config(timeout_s=3),
        credential=AccessToken("t"),
        name="mine",
    )
    spec = WebhookInput(URL, ("agent.step.failed",)).over(scope, elsewhere)
    assert (spec.sink, spec.source, spec.types) == (URL, None, ("agent.step.failed",))
    assert spec.filters == scope.filters
    assert (spec.config, spec.credential, spec.name) == (Config(timeout_s=3), AccessToken("t"), "mine")


def test_names_for_people_have_a_bound():
    names = [WebhookScope("org-1", "a" * 256).title, WebhookScope("o" * 256).title, WebhookScope("*").title]
    assert all(len(name) <= 200 for name in names)
    assert len(set(names)) == 3


def test_keys_of_different_scopes_differ():
    assert WebhookScope("o", "all").key != WebhookScope("o").key


def test_types_as_short_names():
    assert events_of(("com.letta.agent.step.failed", "agent.run.completed", "a.b")) == [
        "agent.step.failed",
        "agent.run.completed",
        "a.b",
    ]
    assert events_of(()) is None


@pytest.mark.parametrize(
    ("text", "fine"), [("agent-1", True), ("", False), ("a\0", False), ("a" * 257, False)]
)
def test_ids(text, fine):
    assert is_id(text) is fine
