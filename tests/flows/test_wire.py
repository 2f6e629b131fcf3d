"""The POST on the wire, header by header (INTERFACE, "The POST a subscriber gets")."""

import hashlib
import hmac
import json
import time

import jsonschema_rs
import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


def verify(post, secret):
    """As two kinds of receivers do it: by the Standard Webhooks library, and with plain HMAC."""
    Webhook(secret).verify(post.body, post.headers)
    digest = hmac.new(secret.encode(), post.body, hashlib.sha256).hexdigest()
    assert post.headers["x-letta-signature"] == f"sha256={digest}"
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(post.body + b" ", post.headers)


def test_every_header_of_a_letta_event(shared, sink, make_letta_event):
    agent = "agent-wire"
    made = shared.subscribe(sink, filters=[{"exact": {"partitionkey": agent}}])
    event = make_letta_event(agent, traceparent=PARENT, tracestate="vendor=1", correlationid="run-1")
    before = int(time.time())
    (position,) = shared.publish(event)
    (post,) = sink.wait(1)
    headers = post.headers
    assert headers["content-type"] == "application/json"
    assert headers["user-agent"] == "Letta-Webhook/1.0"
    assert headers["x-letta-event"] == "agent.step.completed"
    assert headers["x-letta-delivery"] == headers["webhook-id"]
    assert before <= int(headers["webhook-timestamp"]) <= time.time()
    verify(post, made["secret"])
    attributes = {name: value for name, value in event.items() if name not in {"data", "datacontenttype"}}
    sent = {name[3:]: value for name, value in headers.items() if name.startswith("ce-")}
    dataschema = sent.pop("dataschema")
    assert sent == attributes
    assert headers["tracestate"] == "vendor=1"
    version, trace, span, flags = headers["traceparent"].split("-")
    assert (version, trace, flags) == ("00", TRACE, "01")
    assert span not in PARENT
    assert json.loads(post.body) == event["data"]
    assert not {"x-letta-replay", "x-letta-test", "x-letta-signature-next", "authorization"} & headers.keys()
    delivery = shared.settled(position, "delivered")
    assert delivery["id"] == headers["webhook-id"]
    (attempt,) = delivery["attempts"]
    assert (attempt["trace_id"], attempt["span_id"]) == (trace, span)
    # The schema that the event names is there, says that it is that one, and the data keeps it.
    found = shared.client.get(dataschema, headers={"Authorization": ""})
    assert found.status_code == 200
    assert found.json()["$id"] == dataschema
    assert jsonschema_rs.is_valid(found.json(), json.loads(post.body))
    assert not jsonschema_rs.is_valid(found.json(), {})


def test_the_stored_envelope_stays_as_received(shared, sink, make_letta_event):
    agent = "agent-stored"
    shared.subscribe(sink, filters=[{"exact": {"partitionkey": agent}}], config={"format": "structured"})
    event = make_letta_event(agent)
    (position,) = shared.publish(event)
    (post,) = sink.wait(1)
    assert "dataschema" in json.loads(post.body)
    assert shared.client.get(f"/v1/events/{position}").json()["event"] == event


def test_a_dataschema_of_its_own_is_kept(shared, sink, make_letta_event):
    agent = "agent-own-schema"
    shared.subscribe(sink, filters=[{"exact": {"partitionkey": agent}}])
    shared.publish(make_letta_event(agent, dataschema="https://example.com/own"))
    assert sink.wait(1)[0].headers["ce-dataschema"] == "https://example.com/own"


def test_structured_sends_one_envelope(shared, sink, make_event, kind):
    made = shared.subscribe(sink, types=[kind], config={"format": "structured"})
    event = make_event(traceparent=PARENT)
    shared.publish(event)
    (post,) = sink.wait(1)
    assert post.headers["content-type"] == "application/cloudevents+json; charset=utf-8"
    assert not [name for name in post.headers if name.startswith("ce-")]
    assert json.loads(post.body) == event
    assert post.headers["x-letta-event"] == kind
    assert post.headers["traceparent"].split("-")[1] == TRACE
    verify(post, made["secret"])


@pytest.mark.parametrize("absent", [{"data": None}, {"data": None, "datacontenttype": None}])
def test_what_binary_cannot_carry_goes_structured(shared, sink, make_event, kind, absent):
    made = shared.subscribe(sink, types=[kind])
    event = make_event(**absent)
    shared.publish(event)
    (post,) = sink.wait(1)
    assert post.headers["content-type"] == "application/cloudevents+json; charset=utf-8"
    assert json.loads(post.body) == event
    verify(post, made["secret"])


@pytest.mark.parametrize("traceparent", [None, "00-not-a-trace-01"])
def test_a_trace_is_derived_where_the_event_has_none(shared, sink, make_event, kind, traceparent):
    """Over attempts the trace, the id and the body stay; span, timestamp and signature are the attempt's own."""
    made = shared.subscribe(sink, types=[kind], config={"retry": [1.2]})
    sink.reply(500)
    (position,) = shared.publish(make_event(traceparent=traceparent))
    first, second = sink.wait(2)
    for post in (first, second):
        assert "ce-traceparent" not in post.headers
        verify(post, made["secret"])
    one, two = (post.headers["traceparent"].split("-") for post in (first, second))
    assert one[1] == two[1]
    assert one[2] != two[2]
    assert first.webhook_id == second.webhook_id
    assert first.body == second.body
    for name in ("webhook-timestamp", "webhook-signature"):
        assert first.headers[name] != second.headers[name]
    assert first.headers["x-letta-signature"] == second.headers["x-letta-signature"]
    attempts = shared.settled(position, "delivered")["attempts"]
    assert [(attempt["trace_id"], attempt["span_id"]) for attempt in attempts] == [
        (one[1], one[2]),
        (two[1], two[2]),
    ]


def test_a_foreign_event_keeps_its_names(shared, sink, make_event, kind):
    shared.subscribe(sink, types=[kind], protocolsettings={"headers": {"X-Mine": "yes"}})
    event = make_event(comexampleflag=True, comexamplecount=7, subject="ä b%")
    shared.publish(event)
    (post,) = sink.wait(1)
    assert post.headers["x-letta-event"] == kind
    assert "ce-dataschema" not in post.headers
    assert post.headers["ce-comexampleflag"] == "true"
    assert post.headers["ce-comexamplecount"] == "7"
    assert post.headers["ce-subject"] == "%C3%A4%20b%25"
    assert post.headers["x-mine"] == "yes"


def test_other_data_goes_as_it_came(shared, sink, make_event, kind):
    shared.subscribe(sink, types=[kind])
    shared.publish(make_event(datacontenttype="text/plain; charset=utf-8", data="grüß"))
    sink.wait(1)
    shared.publish(make_event(datacontenttype="application/octet-stream", data=None, data_base64="AP8Q"))
    text, octets = sink.wait(2)
    assert (text.headers["content-type"], text.body) == ("text/plain; charset=utf-8", "grüß".encode())
    assert (octets.headers["content-type"], octets.body) == ("application/octet-stream", b"\x00\xff\x10")
