"""`GATEWAY_CONTRACT_POLICY=warn`: what breaks its contract is taken, marked, and sent as what keeps none."""

import itertools
import json
import os
import subprocess
import sys

import jsonschema_rs
import pytest

from gateway.cli.sse import parse_events

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
PATH = "/v1/subscriptions/{id}/stream"


@pytest.fixture
def gateway(make_gateway):
    return make_gateway(GATEWAY_CONTRACT_POLICY="warn").start()


@pytest.fixture
def registered(gateway, kind):
    """The URL of a contract of this test's type."""
    group, _, name = kind.partition(".")
    answer = gateway.client.post(f"/registry/schemagroups/{group}/schemas/{name}", json=SCHEMA)
    assert answer.status_code == 201, answer.text
    return answer.headers["location"]


def posted(sink, form, count):
    """The events that came to a sink, by their ids; of several posts of one event, the last."""
    found = {}
    for post in sink.wait(count):
        if form == "binary" and "ce-id" in post.headers:
            head = {
                name.removeprefix("ce-"): value
                for name, value in post.pairs
                if name.startswith("ce-") and name != "ce-specversion"
            }
            found[head["id"]] = head | {"data": json.loads(post.body)}
        else:
            told = json.loads(post.body)
            found |= {event["id"]: event for event in (told if isinstance(told, list) else [told])}
    return found


def pulled(gateway, made):
    return {
        event["id"]: event for event in gateway.client.get(PATH.format(**made), params={"after": 0}).json()
    }


def streamed(gateway, made, count):
    """What a subscription's event stream has, from the beginning."""
    headers = {"Accept": "text/event-stream", "Last-Event-ID": "0"}
    with gateway.client.stream("GET", PATH.format(**made), headers=headers) as answer:
        told = (event.data for event in parse_events(answer.iter_bytes(), 1 << 20) if event.data)
        return {event["id"]: event for event in map(json.loads, itertools.islice(told, count))}


def test_row_43_no_way_out_names_a_contract_that_the_data_do_not_keep(
    gateway, receiver, make_event, kind, registered, until
):
    keeps = make_event(data={"n": 1})
    breaks = make_event(data={"n": "one"})
    claims = make_event(data={"n": "two"}, dataschema=registered, subject="caf\u00e9")
    nowhere = make_event(data={"n": 2}, dataschema=f"{registered}0")
    foreign = make_event(data={"n": "three"}, dataschema="https://elsewhere.example/s")
    events = [keeps, breaks, claims, nowhere, foreign]
    expected = {event["id"]: None for event in events}
    expected |= {keeps["id"]: registered, foreign["id"]: foreign["dataschema"]}

    forms = ["binary", "structured", "batch"]
    ways = {(form, payload): receiver.sink() for form in forms for payload in ("full", "thin")}
    made = {
        (form, payload): gateway.subscribe(
            sink,
            types=[kind],
            config={"format": form, "payload": payload}
            | ({"batch_age_s": 0.2, "batch_events_max": 2} if form == "batch" else {}),
        )
        for (form, payload), sink in ways.items()
    }
    positions = gateway.publish(*events)

    def check(told):
        assert {name: event.get("dataschema") for name, event in told.items()} == expected
        for event in told.values():
            if str(event.get("dataschema")).startswith(gateway.said["url"]) and "data" in event:
                schema = gateway.client.get(event["dataschema"]).json()
                assert jsonschema_rs.is_valid(schema, event["data"])

    for (form, _), sink in ways.items():
        told = until(lambda sink=sink, form=form: len(found := posted(sink, form, 1)) == 5 and found)
        check(told)
        assert told[claims["id"]]["subject"] in {"caf\u00e9", "caf%C3%A9"}
    check(pulled(gateway, made["binary", "full"]))
    check(streamed(gateway, made["binary", "full"], 5))

    # In the log they stand as they came, and an operator finds them.
    items = gateway.client.get("/v1/events", params={"type": kind, "order": "asc"}).json()["items"]
    assert [item["event"] for item in items] == events
    assert [item["position"] for item in items] == positions
    assert [item.get("contract_broken", False) for item in items] == [False, True, True, True, True]

    # Sent again by a process that has read them from the log, it is the same.
    gateway.kill()
    gateway.start()
    for form in ("binary", "batch"):
        sink, subscription = ways[form, "full"], made[form, "full"]
        count = len(sink.posts)
        answer = gateway.client.post(
            f"/v1/subscriptions/{subscription['id']}/replay", json={"from_position": positions[0]}
        )
        assert answer.status_code == 202, answer.text
        until(
            lambda sink=sink, count=count: (
                sum(
                    len(told) if isinstance(told := json.loads(post.body), list) else 1
                    for post in sink.posts[count:]
                    if "x-letta-replay" in post.headers
                )
                >= 5
            )
        )
        check(posted(sink, form, 1))
    gateway.stop()
    assert gateway.verify_log().returncode == 0


def test_what_came_by_the_stream_is_marked_too(gateway, sink, make_event, kind, registered, until):
    gateway.subscribe(sink, types=[kind])
    gateway.add(make_event(data={}), make_event(data={"n": 1}))
    assert {post.headers.get("ce-dataschema") for post in sink.wait(2)} == {None, registered}
    items = until(
        lambda: gateway.client.get("/v1/events", params={"type": kind, "order": "asc"}).json()["items"]
    )
    assert [item.get("contract_broken") for item in items] == [True, None]
    listed = subprocess.run(
        [sys.executable, "-m", "gateway", "events", "--type", kind],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ
        | {"GATEWAY_URL": gateway.said["url"], "GATEWAY_API_TOKEN": gateway.said["token"], "COLUMNS": "200"},
    ).stdout
    assert listed.count("(contract broken)") == 1
