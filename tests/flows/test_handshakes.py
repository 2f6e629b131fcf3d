"""The CloudEvents webhook handshake over the wire (CONFORMANCE 29-31, S11e): no consent, no delivery."""

import json
import urllib.request

import httpx
import pytest

ORIGIN = "hooks.example.org"
REQUIRED = {"handshake": "required"}


@pytest.fixture
def agrees(reply):
    def make(**headers):
        named = {"WebHook-" + name.replace("_", "-"): value for name, value in headers.items()}
        return lambda _question: reply(200, named)

    return make


def state_of(gateway, made):
    return gateway.subscription(made)["handshake"]["state"]


def explained(gateway, position, made):
    answer = gateway.client.get(f"/v1/events/{position}/explain", params={"subscription": made["id"]})
    assert answer.status_code == 200, answer.text
    return answer.json()


def validate(gateway, made):
    answer = gateway.client.post(f"/v1/subscriptions/{made['id']}/validate")
    assert answer.status_code == 202, answer.text
    return answer.json()


def callback_of(sink, index=-1):
    return sink.questions[index].headers["webhook-request-callback"]


def test_conformance_29_and_30_asked_before_the_first_delivery_and_named_in_each(
    asking, sink, agrees, make_event, kind, until
):
    sink.consent = agrees(Allowed_Origin=ORIGIN, Allowed_Rate="*")
    made = asking.subscribe(sink, types=[kind], config=REQUIRED)
    assert (made["handshake"]["state"], sink.questions) == ("unasked", [])  # making it sends nothing
    events = [make_event(), make_event()]
    asking.publish(*events)
    posts = sink.wait(2)
    (question,) = sink.questions
    assert question.method == "OPTIONS"
    assert question.headers["webhook-request-origin"] == ORIGIN
    assert question.headers["webhook-request-rate"] == "600000"
    assert callback_of(sink).startswith(asking.said["url"] + "/handshake/")
    assert "authorization" not in question.headers
    assert question.at <= posts[0].at
    assert {post.headers["webhook-request-origin"] for post in posts} == {ORIGIN}
    assert sorted(sink.ids) == sorted(event["id"] for event in events)
    until(lambda: state_of(asking, made) == "granted")


def test_without_a_handshake_nothing_is_asked_and_no_origin_is_sent(asking, sink, make_event, kind):
    asking.subscribe(sink, types=[kind])
    asking.publish(make_event())
    (post,) = sink.wait(1)
    assert sink.questions == []
    assert "webhook-request-origin" not in post.headers


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({}, "200 without WebHook-Allowed-Origin"),
        ({"Allowed_Origin": "somebody.else.example"}, f"neither {ORIGIN} nor *"),
        ({"Allowed_Origin": "*", "Allowed_Rate": "many"}, "WebHook-Allowed-Rate is neither"),
    ],
)
def test_conformance_29_no_consent_holds_the_stream_and_explain_says_why(
    asking, sink, agrees, make_event, kind, until, headers, said
):
    sink.consent = agrees(**headers)
    made = asking.subscribe(sink, types=[kind], config=REQUIRED)
    (position,) = asking.publish(make_event())
    until(lambda: state_of(asking, made) == "refused")
    assert said in asking.subscription(made)["handshake"]["detail"]
    found = explained(asking, position, made)
    assert (found["verdict"], sink.posts) == ("handshake", [])
    assert said in found["sentence"]
    # What comes meanwhile waits as well, and nothing of it is lost.
    (later,) = asking.publish(make_event())
    assert explained(asking, later, made)["verdict"] == "handshake"
    sink.consent = agrees(Allowed_Origin="*")
    assert validate(asking, made)["handshake"]["state"] == "requested"
    sink.wait(2)
    # What waited was not tried: neither has a failed attempt.
    assert [len(asking.settled(one, "delivered")["attempts"]) for one in (position, later)] == [1, 1]


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_conformance_31_a_callback_grants_once(asking, sink, make_event, kind, until, method):
    made = asking.subscribe(sink, types=[kind], config=REQUIRED)
    asking.publish(make_event())
    until(lambda: state_of(asking, made) == "refused")  # 405: it knows no handshake
    url = callback_of(sink)
    assert len(url.rsplit("/", 1)[1]) == 43  # 256 bits
    token = url.rsplit("/", 1)[1]
    assert httpx.request(method, url[:-1] + ("A" if url[-1] != "A" else "B")).status_code == 404
    assert httpx.request(method, url, headers={"WebHook-Allowed-Rate": "soon"}).status_code == 422
    answer = httpx.request(method, url, headers={"WebHook-Allowed-Rate": "6000"})
    assert (answer.status_code, answer.json()) == (200, {"granted": True, "allowed_per_minute": 6000})
    (post,) = sink.wait(1)
    assert post.headers["webhook-request-origin"] == ORIGIN
    assert asking.subscription(made)["handshake"]["allowed_per_minute"] == 6000
    assert httpx.request(method, url).status_code == 404
    # Hashed at rest, and in the log.
    assert asking.rows("SELECT count(*) FROM log_entry WHERE instr(envelope, ?)", token.encode()) == [(0,)]
    assert asking.rows("SELECT count(*) FROM subscription WHERE instr(consent, ?)", token) == [(0,)]


def test_conformance_31_a_sink_may_call_back_before_it_answers(asking, sink, reply, make_event, kind):
    def calls_back(question):
        with urllib.request.urlopen(question.headers["webhook-request-callback"], timeout=5) as answer:
            assert answer.status == 200
        return reply(202)

    sink.consent = calls_back
    made = asking.subscribe(sink, types=[kind], config=REQUIRED)
    asking.publish(make_event())
    sink.wait(1)
    assert state_of(asking, made) == "granted"


def test_s11e_another_sink_wants_a_handshake_of_its_own(
    asking, receiver, sink, agrees, make_event, kind, until
):
    sink.consent = agrees(Allowed_Origin="*")
    other = receiver.sink()
    made = asking.subscribe(sink, types=[kind], config=REQUIRED)
    asking.publish(make_event())
    sink.wait(1)
    path = f"/v1/subscriptions/{made['id']}"
    assert asking.client.patch(path, json={"name": "the same sink"}).json()["handshake"]["state"] == "granted"
    moved = asking.client.patch(path, json={"sink": other.url}).json()
    assert moved["handshake"]["state"] == "unasked"
    asking.publish(make_event())
    until(lambda: state_of(asking, made) == "refused")
    assert (len(sink.posts), other.posts) == (1, [])
    old = callback_of(other)
    # Any change ends the callback that was made for the revision before it, and asks again.
    asking.client.patch(path, json={"name": "changed"})
    until(lambda: len(other.questions) == 2 and state_of(asking, made) == "refused")
    assert httpx.get(old).status_code == 404
    assert httpx.get(callback_of(other)).status_code == 200
    other.wait(1)


def test_conformance_30_the_lower_rate_is_kept(asking, sink, agrees, make_event, kind):
    sink.consent = agrees(Allowed_Origin="*", Allowed_Rate="600")  # ten a second
    asking.subscribe(sink, types=[kind], config=REQUIRED | {"max_per_second": 1000})
    asking.publish(*(make_event() for _ in range(8)))
    posts = sink.wait(8)
    assert sink.questions[0].headers["webhook-request-rate"] == "60000"
    # One may go at once, and then one every 100 ms: never faster than that, however slow this machine is.
    sent = sorted(int(post.at * 1000) for post in posts)
    assert sent[-1] - sent[0] >= 600


def test_a_sink_that_cannot_be_asked_is_asked_again(asking, sink, reply, agrees, make_event, kind, until):
    sink.consent = lambda _question: reply(503)
    made = asking.subscribe(sink, types=[kind], config=REQUIRED)
    (position,) = asking.publish(make_event())
    until(lambda: state_of(asking, made) == "unanswered")
    shown = asking.subscription(made)["handshake"]
    assert (shown["detail"], sink.posts) == ("the sink answered 503", [])
    # The answer may be noted before the event that waited for it is put off.
    until(lambda: explained(asking, position, made)["verdict"] == "handshake")
    assert explained(asking, position, made)["until"] >= shown["next_at"]
    sink.consent = agrees(Allowed_Origin="*")
    sink.wait(1)
    assert len(sink.questions) == 2


def test_a_handshake_by_command_where_none_is_needed_holds_nothing_back(
    asking, sink, agrees, make_event, kind, until
):
    made = asking.subscribe(sink, types=[kind])
    validate(asking, made)
    until(lambda: state_of(asking, made) == "refused")
    asking.publish(make_event())
    (post,) = sink.wait(1)
    assert "webhook-request-origin" not in post.headers
    sink.consent = agrees(Allowed_Origin=ORIGIN)
    validate(asking, made)
    until(lambda: state_of(asking, made) == "granted")
    until(lambda: asking.publish(make_event()) and "webhook-request-origin" in sink.posts[-1].headers)


def test_a_paused_stream_is_asked_when_it_goes_on(asking, sink, agrees, make_event, kind):
    sink.consent = agrees(Allowed_Origin="*")
    made = asking.subscribe(sink, types=[kind], config=REQUIRED)
    asking.subscription(made, "pause")
    validate(asking, made)
    asking.publish(make_event())
    asking.subscription(made, "resume")
    sink.wait(1)
    assert len(sink.questions) == 1
    pulled = asking.subscribe("pull:", config={"retry": None})
    assert asking.client.post(f"/v1/subscriptions/{pulled['id']}/validate").status_code == 409


def test_batches_wait_for_it_too(asking, sink, make_event, kind, until):
    made = asking.subscribe(
        sink,
        types=[kind],
        config=REQUIRED | {"format": "batch", "batch_age_s": 0.05, "ordering": "partitionkey"},
    )
    events = [make_event(partitionkey="a") for _ in range(3)]
    positions = asking.publish(*events)
    until(lambda: state_of(asking, made) == "refused")
    assert sink.posts == []
    httpx.get(callback_of(sink))
    for position in positions:
        asking.settled(position, "delivered")
    assert {post.headers["webhook-request-origin"] for post in sink.posts} == {ORIGIN}
    arrived = [event["id"] for post in sink.posts for event in json.loads(post.body)]
    assert arrived == [event["id"] for event in events]


def test_required_for_all_by_the_setting_and_kept_over_a_kill(
    make_gateway, receiver, sink, agrees, make_event, kind, until
):
    gateway = make_gateway(GATEWAY_HANDSHAKE="required").start()
    good = receiver.sink()
    good.consent = agrees(Allowed_Origin="localhost")  # the public URL has no name
    made = gateway.subscribe(sink, types=[kind])
    gateway.subscribe(good, types=[kind])
    gateway.publish(make_event())
    (post,) = good.wait(1)
    assert post.headers["webhook-request-origin"] == "localhost"
    until(lambda: state_of(gateway, made) == "refused")
    url = callback_of(sink)
    gateway.kill()
    gateway.start()
    gateway.publish(make_event())
    good.wait(2)
    assert (len(good.questions), sink.posts, len(sink.questions)) == (1, [], 1)
    assert httpx.get(url).status_code == 200
    sink.wait(2)
