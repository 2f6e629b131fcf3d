"""JSON data in `data_base64`: judged as JSON (JSON format 3.1), sent as they came in either mode."""

import base64
import json

import pytest

from schemas import parse_event


def encoded(event, body):
    """The event with its data as Base64 of these bytes."""
    kept = {name: value for name, value in event.items() if name != "data"}
    return kept | {"data_base64": base64.b64encode(body).decode()}


def answered(gateway, event):
    headers = {"Content-Type": "application/cloudevents+json"}
    answer = gateway.client.post("/v1/events", content=json.dumps(event), headers=headers)
    return answer.status_code, [item["pointer"] for item in answer.json().get("errors", [])]


def test_it_keeps_its_contract_and_goes_out_as_it_came(shared, receiver, make_letta_event):
    agent = "agent-base64"
    binary, structured, thin = receiver.sink(), receiver.sink(), receiver.sink()
    for sink, config in (
        (binary, {"format": "binary"}),
        (structured, {"format": "structured"}),
        (thin, {"payload": "thin"}),
    ):
        shared.subscribe(sink, filters=[{"exact": {"partitionkey": agent}}], config=config)
    whole = make_letta_event(agent)
    body = json.dumps(whole["data"], indent=1).encode()
    event = encoded(whole, body)
    (position,) = shared.publish(event)

    (post,) = binary.wait(1)
    assert (post.headers["content-type"], post.body) == ("application/json", body)
    dataschema = post.headers["ce-dataschema"]
    assert parse_event(post.body).agent_id == agent
    (post,) = structured.wait(1)
    assert json.loads(post.body) == event | {"dataschema": dataschema}
    assert parse_event(post.body) == parse_event(json.loads(post.body)) == parse_event(whole["data"])
    (post,) = thin.wait(1)
    told = json.loads(post.body)
    assert "data_base64" not in told
    found = shared.client.get(told["dataref"], headers={"Authorization": ""})
    assert (found.headers["content-type"], found.content) == ("application/json", body)

    item = shared.client.get(f"/v1/events/{position}").json()
    assert item["event"] == event
    listed = shared.client.get("/v1/events", params={"agent_id": agent}).json()["items"]
    assert [one["position"] for one in listed] == [position]


@pytest.mark.parametrize(
    ("body", "status", "pointers"),
    [
        (b'{"n": ', 400, ["/data_base64"]),
        (b"", 400, ["/data_base64"]),
        (b"\xff", 400, ["/data_base64"]),
        (b'{"a": 1, "a": 2}', 400, ["/data_base64"]),
        (b"{}", 422, None),
    ],
)
def test_what_is_no_json_or_breaks_the_contract_is_refused(shared, make_letta_event, body, status, pointers):
    found, told = answered(shared, encoded(make_letta_event("agent-base64-bad"), body))
    assert found == status
    assert told == pointers if pointers else all(pointer.startswith("/data/") for pointer in told)


def test_data_that_name_another_organization_are_found_there_too(shared, make_letta_event):
    event = make_letta_event("agent-base64-foreign")
    body = json.dumps(event["data"] | {"organization_id": "org-of-somebody-else"}).encode()
    assert answered(shared, encoded(event, body)) == (422, ["/source", "/data/organization_id"])


def test_what_is_no_json_is_put_aside_by_the_stream_whatever_its_type(shared, make_event, until):
    event = encoded(make_event(datacontenttype="application/vnd.x+json"), b"not json")
    (entry,) = shared.add(event)
    record = until(lambda: shared.quarantine().get(entry))
    assert (record["reason"], [item["pointer"] for item in record["errors"]]) == (
        "malformed",
        ["/data_base64"],
    )


def test_bytes_of_another_type_are_bytes(shared, sink, make_event, kind):
    shared.subscribe(sink, types=[kind])
    shared.publish(encoded(make_event(datacontenttype="application/octet-stream"), b"not json"))
    (post,) = sink.wait(1)
    assert (post.headers["content-type"], post.body) == ("application/octet-stream", b"not json")
