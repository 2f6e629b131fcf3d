"""Out of quarantine: what was refused by a setting is delivered after the setting has changed (S7b)."""

import json


def test_s7b_what_was_refused_is_delivered_once_it_can_be(make_gateway, sink, make_event, kind, until):
    gateway = make_gateway(GATEWAY_UNKNOWN_TYPES="refuse").start()
    gateway.subscribe(sink, types=[kind])
    event = make_event()
    (entry_id,) = gateway.add(event)
    record = until(lambda: gateway.quarantine().get(entry_id))
    path = f"/v1/quarantine/{record['id']}/redrive"
    refused = gateway.client.post(path)
    assert (refused.status_code, record["reason"]) == (422, "unknown-type")
    assert sink.posts == []
    assert gateway.stop() == 0
    gateway.env["GATEWAY_UNKNOWN_TYPES"] = "allow"
    gateway.start()
    later = make_event()
    gateway.publish(later)
    sink.wait(1)
    taken = gateway.client.post(path).json()
    assert [post.event_id for post in sink.wait(2)] == [later["id"], event["id"]]
    assert gateway.client.post(path).json() | {"duplicate": False} == taken
    item = gateway.client.get(f"/v1/events/{taken['position']}").json()
    assert (item["event"], item["redriven_from"]) == (event, record["id"])
    assert gateway.settled(taken["position"], "delivered")["attempts"]
    assert len(sink.posts) == 2
    assert gateway.stop() == 0
    verified = gateway.verify_log()
    assert verified.returncode == 0, verified.stderr


def test_a_discarded_entry_does_not_come_back(shared, make_event, until):
    (entry_id,) = shared.add(json.dumps(make_event(source=None)).encode())
    record = until(lambda: shared.quarantine().get(entry_id))
    assert shared.client.delete(f"/v1/quarantine/{record['id']}").status_code == 204
    assert entry_id not in shared.quarantine()
