"""What is posted is what the AsyncAPI document says: every header that is sent is described, and has its shape."""

import json

import jsonschema_rs
import pytest

from gateway.api.document.asyncapi import asyncapi_document

DOCUMENT = asyncapi_document("0")
FRAMING = {"host", "content-length", "content-type", "accept", "accept-encoding", "connection"}
PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def lowered(schema):
    """Names of headers have no case, and a test's receiver tells them in lower case."""
    if isinstance(schema, dict):
        found = {name: lowered(value) for name, value in schema.items()}
        if "properties" in found:
            found["properties"] = {name.lower(): value for name, value in found["properties"].items()}
        if "required" in found:
            found["required"] = [name.lower() for name in found["required"]]
        return found
    return [lowered(one) for one in schema] if isinstance(schema, list) else schema


SCHEMAS = DOCUMENT["components"]["schemas"]
HEADERS = {
    **SCHEMAS,
    **{name: lowered(SCHEMAS[name]) for name in ("DeliveryHeaders", "AttributeHeaders")},
}
DESCRIBED = {
    name.lower() for part in ("DeliveryHeaders", "AttributeHeaders") for name in SCHEMAS[part]["properties"]
}


def hold(name, post):
    message = DOCUMENT["components"]["messages"][name]
    # The bodies first: their properties have the case that they have.
    for schema, value, shapes in (
        (message["payload"], json.loads(post.body), SCHEMAS),
        (lowered(message["headers"]), post.headers, HEADERS),
    ):
        rooted = {"$schema": "https://json-schema.org/draft/2020-12/schema", "allOf": [schema]}
        validator = jsonschema_rs.validator_for(rooted | {"components": {"schemas": shapes}})
        assert [error.message for error in validator.iter_errors(value)] == []
    assert post.headers["content-type"] == message["contentType"]
    assert {one for one in post.headers if not one.startswith("ce-")} - DESCRIBED - FRAMING == set()


@pytest.mark.parametrize("mode", ["binary", "structured"])
def test_a_letta_event(shared, sink, make_letta_event, mode):
    agent = f"agent-documented-{mode}"
    shared.subscribe(sink, filters=[{"exact": {"partitionkey": agent}}], config={"format": mode})
    shared.publish(make_letta_event(agent, traceparent=PARENT, tracestate="vendor=1", correlationid="run-1"))
    (post,) = sink.wait(1)
    hold(f"webhook.agent.step.completed.{mode}", post)


@pytest.mark.parametrize("mode", ["binary", "structured"])
def test_another_event(shared, sink, make_event, kind, mode):
    shared.subscribe(sink, types=[kind], config={"format": mode, "signing": ["v1", "v1a"]})
    shared.publish(make_event(comexampleflag=True, datacontenttype="application/json", data=[1]))
    (post,) = sink.wait(1)
    message = DOCUMENT["components"]["messages"][f"webhook.other.{mode}"]
    assert message.setdefault("contentType", "application/json")
    hold(f"webhook.other.{mode}", post)


@pytest.mark.parametrize("mode", ["binary", "structured"])
def test_a_thin_event(shared, sink, make_letta_event, mode):
    agent = f"agent-documented-thin-{mode}"
    config = {"format": mode, "payload": "thin"}
    shared.subscribe(sink, filters=[{"exact": {"partitionkey": agent}}], config=config)
    shared.publish(make_letta_event(agent))
    (post,) = sink.wait(1)
    hold("webhook.agent.step.completed.thin", post)


def test_another_thin_event(shared, sink, make_event, kind):
    shared.subscribe(sink, types=[kind], config={"payload": "thin"})
    shared.publish(make_event())
    hold("webhook.other.thin", sink.wait(1)[0])


def test_a_batch_of_thin_events(shared, sink, make_event, kind):
    shared.subscribe(sink, types=[kind], config={"format": "batch", "batch_age_s": 0, "payload": "thin"})
    shared.publish(make_event())
    (post,) = sink.wait(1)
    hold("webhook.batch", post)
    assert all("dataref" in event and "data" not in event for event in json.loads(post.body))


def test_a_batch(shared, sink, make_event, kind):
    shared.subscribe(sink, types=[kind], config={"format": "batch", "batch_age_s": 0})
    shared.publish(make_event(), make_event())
    hold("webhook.batch", sink.wait(1)[0])


def test_a_test_and_a_replay_after_a_rotation(shared, sink, make_letta_event):
    agent = "agent-documented-again"
    made = shared.subscribe(
        sink,
        filters=[{"exact": {"partitionkey": agent}}],
        sinkcredential={"credentialtype": "ACCESSTOKEN", "accesstoken": "a-bearer-token"},
    )
    (position,) = shared.publish(make_letta_event(agent))
    sink.wait(1)
    shared.subscription(made, "rotate-secret")
    path = f"/v1/subscriptions/{made['id']}"
    assert shared.client.post(f"{path}/replay", json={"from_position": position}).status_code == 202
    again = sink.wait(2)[1]
    hold("webhook.agent.step.completed.binary", again)
    assert {"x-letta-replay", "authorization", "x-letta-signature-next"} <= again.headers.keys()
    assert shared.client.post(f"{path}/test").status_code == 202
    test = sink.wait(3)[2]
    hold("webhook.other.binary", test)
    assert test.headers["x-letta-test"] == "1"
