"""SIGTERM and kill -9 while a POST is out, seen at the sink (S2d, S6b)."""

import signal

import httpx
import pytest


@pytest.fixture
def gateway(restartable):
    return restartable


def test_an_orderly_end_finishes_what_is_out(gateway, sink, make_event, kind, until):
    """Answered after the SIGTERM, journaled, and not repeated by the next process; what was behind it is."""
    gateway.subscribe(sink, types=[kind], config={"max_concurrency": 1})
    hold = sink.reply_later()
    events = [make_event() for _ in range(3)]
    positions = gateway.publish(*events)
    sink.wait(1)
    gateway.signal(signal.SIGTERM)
    # It takes nothing new any more, and still waits for the answer.
    until(lambda: refused(gateway))
    assert gateway.process.poll() is None
    hold.set()
    assert gateway.ended() == 0
    assert sink.ids == [events[0]["id"]]
    gateway.start()
    sink.wait(3)
    assert sink.ids == [event["id"] for event in events]
    attempts = [gateway.settled(position, "delivered")["attempts"] for position in positions]
    assert [len(made) for made in attempts] == [1, 1, 1]


def refused(gateway):
    try:
        return gateway.client.get("/healthz", timeout=1).status_code != 200
    except httpx.TransportError:
        return True


def test_a_sink_that_never_answers_does_not_hold_up_the_end(gateway, sink, make_event, kind):
    """It ends within the attempt's own time, which is journaled as it was: a timeout."""
    gateway.subscribe(sink, types=[kind], config={"timeout_s": 1, "retry": [0.1]})
    hold = sink.reply_later()
    (position,) = gateway.publish(make_event())
    sink.wait(1)
    assert gateway.stop() == 0
    hold.set()
    gateway.start()
    sink.wait(2)
    attempts = gateway.settled(position, "delivered")["attempts"]
    assert [attempt["error_class"] for attempt in attempts] == ["timeout", None]


def test_after_a_kill_what_was_out_is_repeated_under_its_id(gateway, sink, make_event, kind):
    gateway.subscribe(sink, types=[kind], config={"max_concurrency": 1})
    done, out, behind = (make_event() for _ in range(3))
    (position,) = gateway.publish(done)
    gateway.settled(position, "delivered")  # journaled: never again
    hold = sink.reply_later()
    (position,) = gateway.publish(out)
    gateway.publish(behind)
    sink.wait(2)
    gateway.kill()
    hold.set()
    gateway.start()
    posts = sink.wait(4)
    assert sink.ids[:2] == [done["id"], out["id"]]
    assert sorted(sink.ids[2:]) == sorted([out["id"], behind["id"]])
    again = next(post for post in posts[2:] if post.event_id == out["id"])
    assert again.webhook_id == posts[1].webhook_id
    assert again.body == posts[1].body
    gateway.settled(position, "delivered")


def test_what_waits_for_a_retry_survives_a_kill(gateway, sink, make_event, kind, until):
    """A retry that is due after the restart is made then, and counts on."""
    gateway.subscribe(sink, types=[kind], config={"retry": [2, 0.1]})
    sink.reply(500, 500)
    (position,) = gateway.publish(make_event())
    until(lambda: gateway.settled(position, "pending")["attempts"])
    gateway.kill()
    gateway.start()
    sink.wait(3)
    attempts = gateway.settled(position, "delivered")["attempts"]
    assert [(attempt["number"], attempt["status"]) for attempt in attempts] == [(1, 500), (2, 500), (3, 200)]


def test_a_paused_and_a_disabled_subscription_stay_so(gateway, receiver, sink, make_event, kind, until):
    gone = receiver.sink().reply(410)
    paused = gateway.subscribe(sink, types=[kind])
    disabled = gateway.subscribe(gone, types=[kind])
    gateway.subscription(paused, "pause")
    event = make_event()
    gateway.publish(event)
    until(lambda: gateway.subscription(disabled)["state"] == "disabled")
    gateway.kill()
    gateway.start()
    witness = receiver.sink()
    gateway.subscribe(witness, types=[kind])
    later = make_event()
    gateway.publish(later)
    witness.wait(1)
    assert gateway.subscription(paused)["state"] == "paused"
    assert (sink.ids, gone.ids) == ([], [event["id"]])
    gateway.subscription(paused, "resume")
    gateway.subscription(disabled, "resume")
    sink.wait(2)
    gone.wait(3)
    assert sorted(sink.ids) == sorted(gone.ids[1:]) == sorted([event["id"], later["id"]])
