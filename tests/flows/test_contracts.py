"""Contracts over real HTTP: what is delivered is what its `dataschema` promises, one's own types included."""

import json

import jsonschema_rs
import pytest

from contracts.examples import EXAMPLES

SCHEMA = {
    "description": "Something was counted.",
    "type": "object",
    "properties": {"n": {"type": "integer"}, "note": {"type": ["string", "null"]}},
    "required": ["n"],
}
NARROWED = SCHEMA | {"properties": SCHEMA["properties"] | {"n": {"type": "integer", "minimum": 0}}}


def place(kind):
    group, _, name = kind.partition(".")
    return f"/registry/schemagroups/{group}/schemas/{name}"


def register(gateway, kind, schema=SCHEMA, **request):
    answer = gateway.client.post(place(kind), json=schema, **request)
    assert answer.status_code == 201, answer.text
    return answer.headers["location"]


def fetched(gateway, url):
    """The schema behind a URL, as anybody gets it."""
    answer = gateway.client.get(url, headers={"Authorization": ""})
    assert answer.status_code == 200, answer.text
    return answer.json()


def taken(gateway, event):
    answer = gateway.client.post(
        "/v1/events", content=json.dumps(event), headers={"Content-Type": "application/cloudevents+json"}
    )
    return answer.status_code, [item["pointer"] for item in answer.json().get("errors", [])]


def test_row_43_every_type_is_delivered_with_a_schema_that_it_keeps(shared, sink, make_letta_event):
    agent = "agent-contracts"
    shared.subscribe(sink, filters=[{"exact": {"partitionkey": agent}}])
    events = []
    for short, example in EXAMPLES.items():
        event = make_letta_event(agent, example["organization_id"], type=f"com.letta.{short}")
        events.append(event | {"data": example | {"event_id": event["id"], "agent_id": example["agent_id"]}})
        if example["agent_id"] is not None:
            events[-1]["source"] = event["source"].replace(agent, example["agent_id"])
    shared.publish(*events)
    posts = sink.wait(len(events))
    assert {post.headers["ce-type"] for post in posts} == {f"com.letta.{short}" for short in EXAMPLES}
    for post in posts:
        dataschema = post.headers["ce-dataschema"]
        schema = fetched(shared, dataschema)
        assert schema["$id"] == dataschema
        assert dataschema.startswith(shared.said["url"])
        assert jsonschema_rs.Draft202012Validator(schema, validate_formats=True).is_valid(
            json.loads(post.body)
        )


def test_a_type_of_ones_own_works_from_the_201_on(shared, sink, make_event, kind, until):
    made = shared.subscribe(sink, types=[kind])
    positions = shared.publish(make_event(data={"n": "free"}))
    first = register(shared, kind)
    assert taken(shared, make_event(data={"n": "free"})) == (422, ["/data/n"])
    positions += shared.publish(make_event(data={"n": -1}))
    second = register(shared, kind, NARROWED)
    assert taken(shared, make_event(data={"n": -1})) == (422, ["/data/n"])
    positions += shared.publish(make_event(data={"n": 1}), make_event(data={"n": -1}, dataschema=first))
    posts = {post.event_id: post for post in sink.wait(4)}
    expected = [None, first, second, first]
    in_order = [posts[event_id] for event_id in sorted(posts, key=lambda name: int(name[1:]))]
    assert [post.headers.get("ce-dataschema") for post in in_order] == expected
    for post, dataschema in zip(in_order, expected, strict=True):
        if dataschema is not None:
            assert jsonschema_rs.is_valid(fetched(shared, dataschema), json.loads(post.body))
    for position in positions:
        shared.settled(position, "delivered")
    # Again, long after: each is still said to keep what it was judged by.
    answer = shared.client.post(f"/v1/subscriptions/{made['id']}/replay", json={"from_position": 1})
    assert answer.status_code == 202, answer.text
    again = {post.event_id: post.headers.get("ce-dataschema") for post in sink.wait(8)[4:]}
    assert again == {name: post.headers.get("ce-dataschema") for name, post in posts.items()}
    page = until(
        lambda: shared.client.get(f"/v1/subscriptions/{made['id']}/stream", params={"after": 0}).json()
    )
    assert [event.get("dataschema") for event in page] == expected


def test_what_comes_by_the_stream_is_judged_by_ones_own_contract(shared, make_event, kind, until):
    register(shared, kind)
    (entry,) = shared.add(make_event(data={"note": "no number"}))
    put_aside = until(lambda: shared.quarantine().get(entry))
    assert (put_aside["reason"], [item["pointer"] for item in put_aside["errors"]]) == (
        "contract-broken",
        ["/data/n"],
    )


def test_contracts_outlive_the_gateway_s_end(restartable, make_event, kind):
    url = register(restartable, kind)
    before = fetched(restartable, url)
    restartable.kill()
    restartable.start()
    assert fetched(restartable, url) == before
    assert taken(restartable, make_event(data={}))[0] == 422
    again = restartable.client.post(place(kind), json=SCHEMA)
    assert (again.status_code, again.headers["xregistry-versionid"]) == (200, "1")


@pytest.mark.parametrize("policy", ["strict", "warn"])
def test_settings_say_what_happens_to_what_breaks_a_contract_or_has_none(
    make_gateway, make_event, kind, policy
):
    gateway = make_gateway(GATEWAY_UNKNOWN_TYPES="refuse", GATEWAY_CONTRACT_POLICY=policy).start()
    assert taken(gateway, make_event(data={"n": 1})) == (422, ["/type"])
    url = register(gateway, kind)
    assert taken(gateway, make_event(data={"n": 1}))[0] == 202
    assert taken(gateway, make_event(data={}))[0] == (422 if policy == "strict" else 202)
    assert taken(gateway, make_event(data={"n": 1}, dataschema=f"{url}0"))[0] == (
        422 if policy == "strict" else 202
    )
    assert ("breaks its contract" in gateway.said_on_stderr()) is (policy == "warn")
