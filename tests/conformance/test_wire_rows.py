"""Rows about events as a running gateway takes, keeps and sends them, by row number."""

import json

import jsonschema_rs
import pytest

STRUCTURED = "application/cloudevents+json; charset=utf-8"
BATCH = "application/cloudevents-batch+json; charset=utf-8"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"
MODES = pytest.mark.parametrize("mode", ["binary", "structured", "batch"])


def send(gateway, content, content_type="application/cloudevents+json", **headers):
    content = content if isinstance(content, bytes) else json.dumps(content).encode()
    return gateway.client.post(
        "/v1/events", content=content, headers={"Content-Type": content_type} | headers
    )


def refused(answer, status):
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.json()


def in_binary(event, **more):
    headers = {
        f"ce-{name}": str(value) for name, value in event.items() if name not in {"data", "datacontenttype"}
    }
    return headers | more


def sent(post, mode):
    """The event in a POST, whatever its mode."""
    if mode == "binary":
        attributes = {name[3:]: value for name, value in post.headers.items() if name.startswith("ce-")}
        return attributes | {"datacontenttype": post.headers["content-type"], "data": json.loads(post.body)}
    found = json.loads(post.body)
    return found[0] if mode == "batch" else found


def configured(mode):
    return {"format": mode} | ({"batch_age_s": 0} if mode == "batch" else {})


@pytest.mark.parametrize("name", ["id", "source", "type", "specversion"])
def test_row_01_nothing_is_made_up_on_receipt(shared, make_event, name):
    event = make_event()
    del event[name]
    problem = refused(send(shared, event), 400)
    assert [error["pointer"] for error in problem["errors"]] == [f"/{name}"]
    headers = in_binary(event)
    assert refused(send(shared, {}, "application/json", **headers), 400)["errors"]


@MODES
def test_row_02_what_is_sent_has_specversion_1_0(shared, sink, make_event, kind, mode):
    shared.subscribe(sink, types=[kind], config=configured(mode))
    shared.publish(make_event())
    assert sent(sink.wait(1)[0], mode)["specversion"] == "1.0"


def test_row_03_a_duplicate_is_told_by_source_and_id_together(shared, sink, make_event, kind):
    shared.subscribe(sink, types=[kind])
    event = make_event()
    first = send(shared, event).json()
    again = send(shared, event | {"subject": "changed"}).json()
    assert (again["accepted"], again["duplicates"], again["positions"]) == (0, 1, first["positions"])
    other = send(shared, event | {"source": event["source"] + "/other"}).json()
    assert (other["accepted"], other["duplicates"]) == (1, 0)
    sink.wait(2)
    shared.settled(other["positions"][0], "delivered")
    assert sink.ids == [event["id"], event["id"]]


@MODES
def test_row_10_events_of_64_kib_go_through_and_larger_ones_are_413(shared, sink, make_event, kind, mode):
    shared.subscribe(sink, types=[kind], config=configured(mode))
    event = make_event(data="")
    event["data"] = "x" * (65536 - len(json.dumps(event)))
    assert len(json.dumps(event)) == 65536
    assert send(shared, event).status_code == 202
    assert sent(sink.wait(1)[0], mode)["data"] == event["data"]
    refused(send(shared, event | {"id": event["id"] + "-more"}), 413)  # this gateway's limit is 64 KiB


def test_row_10_what_is_too_large_for_headers_goes_structured(shared, sink, make_event, kind):
    shared.subscribe(sink, filters=[{"prefix": {"type": kind}}])
    event = make_event(type=f"{kind}." + "x" * 60_000)
    assert send(shared, event).status_code == 202
    assert sent(sink.wait(1)[0], "structured")["type"] == event["type"]
    assert send(shared, other := make_event(type=f"{kind}.y", comexample="x" * 60_000)).status_code == 202
    assert sent(sink.wait(2)[1], "structured")["comexample"] == other["comexample"]
    assert send(shared, make_event(type=f"{kind}.y", comexample="x" * 40_000)).status_code == 202
    assert sent(sink.wait(3)[2], "binary")["comexample"] == "x" * 40_000


@MODES
def test_row_11_unknown_extensions_are_forwarded_unchanged(shared, sink, make_event, kind, mode):
    shared.subscribe(sink, types=[kind], config=configured(mode))
    shared.publish(make_event(comexampletext="as it is", comexampleflag=True, comexamplecount=7))
    found = sent(sink.wait(1)[0], mode)
    expected = {"comexampletext": "as it is", "comexampleflag": True, "comexamplecount": 7}
    if mode == "binary":
        expected = {"comexampletext": "as%20it%20is", "comexampleflag": "true", "comexamplecount": "7"}
    assert expected.items() <= found.items()


def test_row_12_a_null_attribute_is_taken_as_absent(shared, sink, make_event, kind):
    shared.subscribe(sink, types=[kind])
    event = make_event() | {"subject": None, "comexample": None}
    assert send(shared, event).status_code == 202
    assert not {"ce-subject", "ce-comexample"} & sink.wait(1)[0].headers.keys()


@MODES
def test_row_14_string_data_stays_a_string_and_null_is_data(shared, sink, make_event, kind, mode):
    shared.subscribe(sink, types=[kind], config=configured(mode) | {"max_concurrency": 1})
    text, null = make_event(data='{"a": 1}'), make_event() | {"data": None}
    assert send(shared, text).status_code == send(shared, null).status_code == 202
    found = {}
    for post in sink.wait(2):
        one = sent(post, mode)
        found[one["id"]] = one["data"]
    assert found == {text["id"]: '{"a": 1}', null["id"]: None}


@pytest.mark.parametrize("data", [b'{"a": 1, "a": 2}', b"NaN", b"-Infinity"])
def test_row_15_duplicate_keys_and_nan_are_refused_at_the_door(shared, make_event, data):
    event = make_event(data="here")
    refused(send(shared, json.dumps(event).encode().replace(b'"here"', data)), 400)
    refused(send(shared, data, "application/json", **in_binary(event)), 400)


def test_row_16_the_mode_follows_the_content_type(shared, make_event):
    event = make_event()
    assert send(shared, event, "Application/CloudEvents+JSON; charset=UTF-8").json()["accepted"] == 1
    refused(send(shared, [event], "application/cloudevents+json"), 400)
    refused(send(shared, event, "application/cloudevents-batch+json"), 400)
    assert send(shared, [event], "application/cloudevents-batch+json").json()["duplicates"] == 1


def test_row_17_in_structured_mode_headers_are_not_the_event(shared, make_event):
    event = make_event()
    (position,) = send(shared, event, **{"ce-id": "another", "ce-source": "/another"}).json()["positions"]
    assert shared.client.get(f"/v1/events/{position}").json()["event"] == event


def test_row_18_content_type_is_datacontenttype_both_ways(shared, sink, make_event, kind):
    shared.subscribe(sink, types=[kind])
    event = make_event(data=None)
    media = "text/plain; charset=utf-8"
    answer = send(shared, "grüß".encode(), media, **in_binary(event))
    assert answer.status_code == 202, answer.text
    stored = shared.client.get(f"/v1/events/{answer.json()['positions'][0]}").json()["event"]
    assert (stored["datacontenttype"], stored["data"]) == (media, "grüß")
    (post,) = sink.wait(1)
    assert post.headers["content-type"] == media
    assert "ce-datacontenttype" not in post.headers
    again = make_event(data=None)
    refused(send(shared, b"x", media, **in_binary(again, **{"ce-datacontenttype": media})), 400)


def test_row_19_header_values_are_decoded_once_and_encoded_again(shared, sink, make_event, kind):
    shared.subscribe(sink, types=[kind])
    event = make_event(data=None)
    headers = in_binary(event, **{"ce-subject": "Euro%20%E2%82%AC%20%2541%22"})
    answer = send(shared, {}, "application/json", **headers)
    stored = shared.client.get(f"/v1/events/{answer.json()['positions'][0]}").json()["event"]
    assert stored["subject"] == 'Euro € %41"'
    assert sink.wait(1)[0].headers["ce-subject"] == "Euro%20%E2%82%AC%20%2541%22"
    broken = in_binary(make_event(data=None), **{"ce-subject": "%FF"})
    refused(send(shared, {}, "application/json", **broken), 400)


def test_row_20_batches_go_to_who_asked_for_them_and_an_empty_one_is_taken(
    shared, receiver, sink, make_event, kind
):
    single = receiver.sink()
    shared.subscribe(sink, types=[kind], config={"format": "batch", "batch_age_s": 5, "batch_events_max": 3})
    shared.subscribe(single, types=[kind])
    answer = send(shared, [], "application/cloudevents-batch+json")
    assert (answer.status_code, answer.json()) == (202, {"accepted": 0, "duplicates": 0, "positions": []})
    events = [make_event() for _ in range(3)]
    shared.publish(*events)
    assert json.loads(sink.wait(1)[0].body) == events
    assert {post.headers["content-type"] for post in single.wait(3)} == {"application/json"}


def test_row_21_outbound_content_types_are_spelled_exactly(shared, receiver, make_event, kind):
    sinks = {mode: receiver.sink() for mode in ("binary", "structured", "batch")}
    for mode, one in sinks.items():
        shared.subscribe(one, types=[kind], config=configured(mode))
    shared.publish(make_event())
    found = {mode: one.wait(1)[0].headers["content-type"] for mode, one in sinks.items()}
    assert found == {"binary": "application/json", "structured": STRUCTURED, "batch": BATCH}


def test_row_33_the_trace_of_the_event_is_not_rewritten(shared, sink, make_event, kind):
    shared.subscribe(sink, types=[kind])
    sink.reply(500)
    shared.publish(make_event(traceparent=PARENT, tracestate="vendor=1"))
    for post in sink.wait(2):
        assert (post.headers["ce-traceparent"], post.headers["ce-tracestate"]) == (PARENT, "vendor=1")
        # This attempt's own span is another, in the same trace.
        assert post.headers["traceparent"].startswith(f"00-{TRACE}-")
        assert post.headers["traceparent"] != PARENT
        assert post.headers["tracestate"] == "vendor=1"


@MODES
def test_row_34_sequence_is_a_string_and_kept_as_one(shared, sink, make_event, kind, mode):
    shared.subscribe(sink, types=[kind], config=configured(mode))
    shared.publish(make_event(sequence="00000000000000000042"))
    assert sent(sink.wait(1)[0], mode)["sequence"] == "00000000000000000042"


def test_row_35_times_of_others_are_kept_and_what_has_expired_is_not_sent(shared, sink, make_event, kind):
    shared.subscribe(sink, types=[kind])
    late = make_event(expirytime="2026-01-01T00:00:00Z")
    alive = make_event(recordedtime="2025-12-31T23:59:59.123456789Z", expirytime="2999-01-01T00:00:00Z")
    expired, _ = shared.publish(late, alive)
    (post,) = sink.wait(1)
    assert post.headers["ce-recordedtime"] == alive["recordedtime"]
    assert post.headers["ce-expirytime"] == alive["expirytime"]
    delivery = shared.settled(expired, "expired")
    assert [attempt["status"] for attempt in delivery["attempts"]] == [None]
    assert shared.client.get(f"/v1/events/{expired}").json()["event"] == late
    assert sink.ids == [alive["id"]]


def test_row_45_json_without_a_content_type_goes_out_as_application_json(shared, receiver, make_event, kind):
    binary, structured = receiver.sink(), receiver.sink()
    shared.subscribe(binary, types=[kind])
    shared.subscribe(structured, types=[kind], config={"format": "structured"})
    event = make_event(datacontenttype=None)
    (position,) = shared.publish(event)
    assert binary.wait(1)[0].headers["content-type"] == "application/json"
    assert json.loads(structured.wait(1)[0].body)["datacontenttype"] == "application/json"
    assert shared.client.get(f"/v1/events/{position}").json()["event"] == event


def test_row_46_dataref_is_exactly_the_data_and_only_by_wish(shared, receiver, make_letta_event):
    agent = "agent-row-46"
    thin, full = receiver.sink(), receiver.sink()
    for one, payload in ((thin, "thin"), (full, "full")):
        shared.subscribe(
            one,
            filters=[{"exact": {"partitionkey": agent}}],
            config={"payload": payload, "format": "structured"},
        )
    event = make_letta_event(agent)
    shared.publish(event)
    whole = json.loads(full.wait(1)[0].body)
    assert (whole["data"], "dataref" in whole) == (event["data"], False)
    short = json.loads(thin.wait(1)[0].body)
    assert not {"data", "data_base64"} & short.keys()
    found = shared.client.get(short["dataref"], headers={"Authorization": ""})
    assert found.headers["content-type"] == event["datacontenttype"]
    assert found.content == json.dumps(event["data"]).encode()  # byte for byte, as it was published


@pytest.mark.parametrize(
    "traceparent", [None, "00-not-a-trace-01", "00-" + "0" * 32 + "-00f067aa0ba902b7-01"]
)
def test_row_47_an_invalid_traceparent_is_not_passed_on_and_ours_is_sound(
    *, shared, sink, receiver, make_event, kind, traceparent
):
    body, members = receiver.sink(), receiver.sink()
    shared.subscribe(sink, types=[kind])
    shared.subscribe(body, types=[kind], config={"format": "structured"})
    shared.subscribe(members, types=[kind], config={"format": "batch", "batch_age_s": 0})
    shared.publish(make_event(traceparent=traceparent))
    (post,) = sink.wait(1)
    assert "ce-traceparent" not in post.headers
    assert json.loads(body.wait(1)[0].body).get("traceparent") is None
    assert json.loads(members.wait(1)[0].body)[0].get("traceparent") is None
    version, trace, span, flags = post.headers["traceparent"].split("-")
    assert (version, len(trace), len(span), len(flags)) == ("00", 32, 16, 2)
    assert int(trace, 16) > 0 < int(span, 16)


# The contract of what is sent.


def test_row_43_the_dataschema_is_there_and_validates_the_data(shared, sink, make_letta_event):
    agent = "agent-row-43"
    shared.subscribe(sink, filters=[{"exact": {"partitionkey": agent}}])
    shared.publish(make_letta_event(agent))
    (post,) = sink.wait(1)
    url = post.headers["ce-dataschema"]
    assert url.startswith(shared.said["url"])
    found = shared.client.get(url, headers={"Authorization": ""})
    assert (found.status_code, found.json()["$id"]) == (200, url)
    jsonschema_rs.validator_for(found.json(), validate_formats=True).validate(json.loads(post.body))
    etag = found.headers["etag"]
    assert not etag.startswith("W/")
    assert "immutable" in found.headers["cache-control"]
    again = shared.client.get(url, headers={"Authorization": "", "If-None-Match": etag})
    assert (again.status_code, again.content) == (304, b"")
