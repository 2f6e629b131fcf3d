"""Letta's own view of a running gateway: a webhook is set where the agent is, and its events arrive."""

import pytest
from standardwebhooks.webhooks import Webhook


@pytest.fixture
def agent(kind) -> str:
    """An agent of this test's own."""
    return f"agent-{kind}"


@pytest.fixture
def webhook(shared, sink):
    """Sets the webhook of an agent; it goes with the test."""

    def put(agent, **members):
        path = f"/v1/agents/{agent}/webhook"
        answer = shared.client.put(path, json={"url": sink.url} | members)
        assert answer.status_code in {200, 201}, answer.text
        made = answer.json()
        shared.made.append(made["id"])
        return path, made

    return put


def test_an_agents_events_arrive_signed_and_nobody_elses(shared, sink, webhook, agent, make_letta_event):
    path, made = webhook(agent, events=["agent.step.completed"])
    other = make_letta_event(f"{agent}-2")
    by_key, by_source = make_letta_event(agent), make_letta_event(agent, partitionkey=None)
    positions = shared.publish(other, by_key, by_source)
    posts = sink.wait(2)
    assert sorted(sink.ids) == sorted([by_key["id"], by_source["id"]])
    for post in posts:
        Webhook(made["secret"]).verify(post.body, post.headers)
        assert post.headers["x-letta-event"] == "agent.step.completed"
    delivery = shared.settled(positions[1], "delivered")
    items = shared.client.get(path + "/deliveries", params={"state": "delivered"}).json()["items"]
    assert delivery["id"] in {item["id"] for item in items}
    assert {item["subscription"] for item in items} == {made["id"]}


def test_a_test_event_and_another_attempt(shared, sink, webhook, agent, until):
    path, _ = webhook(agent)
    elsewhere, _ = webhook(f"{agent}-2")
    position = shared.client.post(path + "/test").json()["position"]
    assert sink.wait(1)[0].headers["x-letta-test"] == "1"
    delivery = shared.settled(position, "delivered")
    retry = f"/deliveries/{delivery['id']}/retry"
    assert shared.client.post(elsewhere + retry).status_code == 404
    assert shared.client.post(path + retry).status_code == 202
    assert sink.wait(2)[1].webhook_id == delivery["id"]
    until(lambda: len(shared.settled(position, "delivered")["attempts"]) == 2)


def test_what_happens_while_it_is_not_enabled_is_sent_once_it_is(
    shared, receiver, webhook, agent, make_letta_event
):
    old, new = receiver.sink(), receiver.sink()
    webhook(agent, url=old.url)
    webhook(agent, url=old.url, enabled=False)
    event = make_letta_event(agent)
    shared.publish(event)
    webhook(agent, url=new.url)
    assert new.wait(1)[0].event_id == event["id"]
    assert old.posts == []


def test_an_organizations_webhook_has_its_events_and_that_of_all_has_everyones(
    shared, receiver, agent, make_letta_event
):
    own, every = receiver.sink(), receiver.sink()
    organization = f"org-{agent}"
    paths = {f"/v1/organizations/{organization}/webhook": own, "/v1/webhook": every}
    for path, sink in paths.items():
        answer = shared.client.put(path, json={"url": sink.url})
        assert answer.status_code == 201, answer.text
        shared.made.append(answer.json()["id"])
    mine, others = make_letta_event(agent, organization), make_letta_event(agent, f"{organization}-2")
    shared.publish(others, mine)
    assert own.wait(1)[0].event_id == mine["id"]
    every.wait(2)
    assert sorted(every.ids) == sorted([mine["id"], others["id"]])
    assert own.ids == [mine["id"]]
