"""A consumer without a public URL, against a real process: batches, long poll, event streams, and the gateway's end."""

import json
import threading

import httpx
import pytest

from gateway.cli.sse import parse_events

EVENTS = {"accept": "text/event-stream"}


@pytest.fixture
def gateway(restartable):
    return restartable


class Reader:
    """An event stream that is read in a thread of its own: the events so far, and how it ended."""

    def __init__(self, gateway, path, last_id=""):
        self.ids = []
        self.last_id = last_id
        self.opened = threading.Event()
        self.ended = None
        headers = {**gateway.client.headers, **EVENTS} | ({"last-event-id": last_id} if last_id else {})
        self._request = (f"{gateway.said['url']}{path}", headers)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        assert self.opened.wait(20)

    def _read(self):
        url, headers = self._request
        try:
            with httpx.stream("GET", url, headers=headers, timeout=60, trust_env=False) as answer:
                assert answer.status_code == 200, answer.read()
                for one in parse_events(answer.iter_bytes(), 1 << 20):
                    if one.data is not None:
                        item = json.loads(one.data)
                        self.ids.append(item.get("event", item)["id"])
                    self.last_id = one.id
                    self.opened.set()
            self.ended = "in good order"
        except httpx.TransportError:
            self.ended = "cut off"

    def join(self):
        self._thread.join(30)
        return self.ended


def stream_of(made):
    return f"/v1/subscriptions/{made['id']}/stream"


def test_everything_is_fetched_once_and_in_order_and_nothing_is_sent(gateway, make_event, kind):
    made = gateway.subscribe("pull:", types=[kind], config={"retry": None})
    events = [make_event() for _ in range(25)]
    positions = gateway.publish(*events)
    got, path = [], f"{stream_of(made)}?limit=7"
    while True:
        answer = gateway.client.get(path)
        if not answer.json():
            break
        got += [item["id"] for item in answer.json()]
        path = answer.links["next"]["url"]
    assert got == [event["id"] for event in events]
    assert [gateway.deliveries(position) for position in positions] == [[]] * 25


def test_a_long_poll_and_a_stream_end_with_the_gateway_and_go_on_after_it(gateway, make_event, kind, until):
    made = gateway.subscribe("pull:", types=[kind], config={"retry": None})
    first, second, third = (make_event() for _ in range(3))
    gateway.publish(first)
    reader, log = Reader(gateway, stream_of(made)), Reader(gateway, "/v1/events/stream?type=" + kind)
    until(lambda: reader.ids == [first["id"]])
    polled = []

    def poll():
        after = int(reader.last_id)
        query = {"wait": 60, "after": after}
        headers = dict(gateway.client.headers)
        polled.append(
            httpx.get(gateway.said["url"] + stream_of(made), params=query, headers=headers, timeout=70)
        )

    polling = threading.Thread(target=poll)
    polling.start()
    # A client of its own takes its time to begin; one that comes when the gateway is gone would be refused.
    until(lambda: "\nletta_gateway_streams_open 3" in gateway.client.get("/metrics").text)
    # All three wait by now; none of them keeps the process from ending.
    gateway.publish(second)
    until(lambda: reader.ids == [first["id"], second["id"]])
    until(lambda: log.ids == [second["id"]])
    assert gateway.stop() == 0
    assert (reader.join(), log.join()) == ("in good order", "in good order")
    polling.join(30)
    assert polled[0].status_code == 200
    gateway.start()
    gateway.publish(third)
    again = Reader(gateway, stream_of(made), reader.last_id)
    until(lambda: again.ids == [third["id"]])


def test_after_a_kill_a_client_goes_on_where_it_was(gateway, make_event, kind, until):
    made = gateway.subscribe("pull:", types=[kind], config={"retry": None})
    events = [make_event() for _ in range(6)]
    gateway.publish(*events[:3])
    reader = Reader(gateway, stream_of(made))
    until(lambda: len(reader.ids) == 3)
    gateway.kill()
    assert reader.join() == "cut off"
    gateway.start()
    gateway.publish(*events[3:])
    again = Reader(gateway, stream_of(made), reader.last_id)
    until(lambda: len(again.ids) == 3)
    assert reader.ids + again.ids == [event["id"] for event in events]


def test_what_comes_by_redis_wakes_a_client_too(gateway, make_event, kind, until):
    made = gateway.subscribe("pull:", types=[kind], config={"retry": None})
    reader = Reader(gateway, stream_of(made))
    event = make_event()
    gateway.add(event)
    until(lambda: reader.ids == [event["id"]])


def test_from_push_to_pull_and_back(gateway, sink, make_event, kind, until):
    """While it is pulled nothing is sent; afterwards the gateway goes on where it stood: what was pulled comes too."""
    made = gateway.subscribe(sink, types=[kind], config={"max_concurrency": 1})
    pushed, pulled, late = (make_event() for _ in range(3))
    gateway.publish(pushed)
    sink.wait(1)
    path = f"/v1/subscriptions/{made['id']}"
    pushing = {"retry": None, "max_concurrency": None}
    changed = gateway.client.patch(path, json={"sink": "pull:", "config": pushing})
    assert changed.status_code == 200, changed.text
    (position,) = gateway.publish(pulled)
    everything = gateway.client.get(stream_of(made)).json()
    assert [item["id"] for item in everything] == [pushed["id"], pulled["id"]]
    until(lambda: gateway.client.get("/readyz").json()["lag_events"] == 0)
    assert gateway.deliveries(position) == []
    one_by_one = {"sink": sink.url, "config": {"max_concurrency": 1}}
    assert gateway.client.patch(path, json=one_by_one).status_code == 200
    gateway.publish(late)
    sink.wait(3)
    assert sink.ids == [pushed["id"], pulled["id"], late["id"]]
