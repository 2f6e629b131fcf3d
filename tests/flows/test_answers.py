"""What a sink's answer does, seen at the sink and in what the API says of it (INTERFACE, the table of answers; S3)."""

import http.server
import socket
import threading
import time

import pytest


@pytest.mark.parametrize("status", [401, 403, 404, 408, 409, 500, 503])
def test_tried_again_by_the_schedule(shared, sink, make_event, kind, status):
    shared.subscribe(sink, types=[kind], config={"retry": [0.2, 0.4]})
    sink.reply(status, status)
    (position,) = shared.publish(make_event())
    first, second, third = sink.wait(3)
    assert 0.15 <= second.at - first.at < 3
    assert 0.3 <= third.at - second.at < 3
    assert len({post.webhook_id for post in (first, second, third)}) == 1
    attempts = shared.settled(position, "delivered")["attempts"]
    assert [attempt["status"] for attempt in attempts] == [status, status, 200]
    assert [attempt["decision"] for attempt in attempts] == ["failed", "failed", "delivered"]
    assert [attempt["error_class"] for attempt in attempts] == [str(status), str(status), None]
    assert [attempt["cause"] for attempt in attempts] == ["first", "retry", "retry"]
    assert [attempt["number"] for attempt in attempts] == [1, 2, 3]


def test_an_empty_schedule_is_one_attempt(shared, sink, make_event, kind):
    shared.subscribe(sink, types=[kind], config={"retry": []})
    sink.reply(503)
    (position,) = shared.publish(make_event())
    delivery = shared.settled(position, "exhausted")
    assert [attempt["status"] for attempt in delivery["attempts"]] == [503]
    assert delivery["next_at"] is None


@pytest.mark.parametrize("status", [301, 302, 307, 400, 413, 422])
def test_exhausted_at_once(shared, receiver, sink, make_event, kind, status):
    """A redirection is never followed, and other faults of the request do not get better by repetition."""
    elsewhere = receiver.sink()
    shared.subscribe(sink, types=[kind])
    sink.reply_with(status, {"Location": elsewhere.url}, b"no")
    (position,) = shared.publish(make_event())
    (attempt,) = shared.settled(position, "exhausted")["attempts"]
    assert (attempt["status"], attempt["error_class"], attempt["response_body"]) == (
        status,
        str(status),
        "no",
    )
    # The next one goes on as if nothing had been.
    (later,) = shared.publish(make_event())
    shared.settled(later, "delivered")
    assert len(sink.posts) == 2
    assert elsewhere.posts == []


def test_gone_disables_and_a_resume_delivers_what_waited(shared, receiver, sink, make_event, kind, until):
    other = receiver.sink()
    shared.subscribe(other, types=[kind])
    made = shared.subscribe(sink, types=[kind], config={"max_concurrency": 1})
    sink.reply(410)
    first, second = make_event(), make_event()
    shared.publish(first)
    until(lambda: shared.subscription(made)["state"] == "disabled")
    (position,) = shared.publish(second)
    facts = shared.client.get("/v1/events", params={"type": "com.letta.gateway.subscription.disabled"}).json()
    assert made["id"] in str(facts)
    # By the time that another subscription has it, this one would have it too.
    other.wait(2)
    assert sink.ids == [first["id"]]
    assert shared.subscription(made, "resume")["state"] == "active"
    sink.wait(3)
    until(lambda: [item["state"] for item in shared.deliveries(position)] == ["delivered", "delivered"])
    assert sorted(sink.ids[1:]) == sorted([first["id"], second["id"]])
    assert sink.posts[0].webhook_id in {post.webhook_id for post in sink.posts[1:]}


@pytest.mark.parametrize("status", [429, 503])
def test_a_wait_that_is_asked_for_is_kept_and_not_counted(shared, sink, make_event, kind, status):
    """With an empty schedule any counted failure would end it."""
    shared.subscribe(sink, types=[kind], config={"retry": []})
    sink.reply_with(status, {"Retry-After": "1"})
    first, second = make_event(), make_event()
    (position,) = shared.publish(first)
    sink.wait(1)
    shared.publish(second)
    posts = sink.wait(3)
    # The whole stream waits, not only the delivery that was answered so.
    assert all(post.at - posts[0].at >= 0.95 for post in posts[1:])
    attempts = shared.settled(position, "delivered")["attempts"]
    assert [attempt["status"] for attempt in attempts] == [status, 200]
    assert attempts[0]["decision"] == "failed"


def test_nobody_there_and_then_somebody(shared, make_event, kind, until):
    """A refused connection is retried; once the sink listens, it gets the event."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    came = threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(204)
            self.end_headers()
            came.set()

        def log_message(self, *_arguments):
            pass

    shared.subscribe(f"http://127.0.0.1:{port}/", types=[kind], config={"retry": [0.2] * 50})
    (position,) = shared.publish(make_event())
    until(lambda: any(item["attempts"] for item in shared.deliveries(position)))
    (attempt, *_) = shared.deliveries(position)[0]["attempts"]
    assert (attempt["status"], attempt["error_class"], attempt["decision"]) == (None, "connect", "failed")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        assert came.wait(20)
        shared.settled(position, "delivered")
    finally:
        server.shutdown()
        server.server_close()


def test_a_sink_that_hangs_ends_by_its_timeout_and_holds_up_nobody(shared, receiver, sink, make_event, kind):
    other = receiver.sink()
    hold = sink.reply_later()
    shared.subscribe(sink, types=[kind], config={"timeout_s": 1, "retry": []})
    shared.subscribe(other, types=[kind])
    started = time.time()
    (position,) = shared.publish(make_event())
    sink.wait(1)
    assert other.wait(1)[0].at - started < 1
    deadline = time.time() + 10
    while True:
        found = {item["state"]: item for item in shared.deliveries(position)}
        if {"exhausted", "delivered"} <= found.keys():
            break
        assert time.time() < deadline, found
        time.sleep(0.02)
    hold.set()
    (attempt,) = found["exhausted"]["attempts"]
    assert (attempt["status"], attempt["error_class"]) == (None, "timeout")
    assert 900 <= attempt["duration_ms"] < 2_000


def test_an_answer_is_kept_without_the_secrets_in_it(shared, sink, make_event, kind):
    header, bearer = "header-secret-1234", "bearer-secret-1234"
    made = shared.subscribe(
        sink,
        types=[kind],
        config={"retry": []},
        protocolsettings={"headers": {"X-Key": header}},
        sinkcredential={"credentialType": "ACCESSTOKEN", "accessToken": bearer},
    )
    secrets = [header, bearer, made["secret"], made["secret"].removeprefix("whsec_")]
    sink.reply_with(400, {"X-Echo": " ".join(secrets)}, "and ".join(secrets).encode())
    (position,) = shared.publish(make_event())
    delivery = shared.settled(position, "exhausted")
    assert sink.posts[0].headers["authorization"] == f"Bearer {bearer}"
    assert "and ***" in delivery["attempts"][0]["response_body"]
    everything = shared.client.get(f"/v1/events/{position}/deliveries").text
    assert not [secret for secret in secrets if secret in everything]


def test_a_long_answer_is_cut_and_bytes_are_shown_as_such(shared, sink, make_event, kind):
    shared.subscribe(sink, types=[kind])
    sink.reply_with(200, {}, b"x" * 5_000)
    (long,) = shared.publish(make_event())
    assert shared.settled(long, "delivered")["attempts"][0]["response_body"] == "x" * 1_024
    sink.reply_with(200, {}, b"\xff\x00")
    (octets,) = shared.publish(make_event())
    attempt = shared.settled(octets, "delivered")["attempts"][0]
    assert (attempt["response_body"], attempt["response_body_base64"]) == (None, "/wA=")
