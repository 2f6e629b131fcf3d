"""`payload: thin` (S11d, CONFORMANCE 46): the event without its data, and a link to exactly those bytes."""

import json

import pytest
from standardwebhooks.webhooks import Webhook


@pytest.mark.parametrize("form", ["binary", "batch"])
def test_a_thin_event_leads_to_exactly_its_data(shared, sink, make_letta_event, form):
    agent = f"agent-thin-{form}"
    config = {"payload": "thin", "format": form, "retry": [0.2, 0.2]}
    made = shared.subscribe(sink, filters=[{"exact": {"partitionkey": agent}}], config=config)
    event = make_letta_event(agent)
    (position,) = shared.publish(event)
    (post,) = sink.wait(1)
    Webhook(made["secret"]).verify(post.body, post.headers)
    assert not [name for name in post.headers if name.startswith("ce-")]
    sent = json.loads(post.body)
    if form == "batch":
        assert post.headers["content-type"] == "application/cloudevents-batch+json; charset=utf-8"
        (sent,) = sent
    else:
        assert post.headers["content-type"] == "application/cloudevents+json; charset=utf-8"
    link = sent.pop("dataref")
    sent.pop("dataschema")
    assert sent == {name: value for name, value in event.items() if name != "data"}
    delivery = shared.settled(position, "delivered")
    assert f"/payloads/{delivery['id']}?sig=" in link

    found = shared.client.get(link, headers={"Authorization": ""})
    assert found.status_code == 200
    assert found.headers["content-type"] == "application/json"
    assert found.json() == event["data"]
    whole = shared.client.get(f"/v1/events/{position}").json()["event"]
    assert json.loads(found.content) == whole["data"]

    for spoiled in (
        link[:-1],
        link + "x",
        link.partition("?")[0],
        link.replace(delivery["id"], "dlv_" + "a" * 36),
    ):
        assert shared.client.get(spoiled).status_code == 404
    assert shared.client.post(link).status_code == 405

    shared.client.delete(f"/v1/subscriptions/{made['id']}").raise_for_status()
    assert shared.client.get(link).status_code == 410
