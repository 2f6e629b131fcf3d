"""Rows about the POST to a sink and its answers (CloudEvents Web Hooks, Standard Webhooks), by row number."""

import base64
import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest
from standardwebhooks.webhooks import Webhook

ORIGIN = "hooks.example.org"
REQUIRED = {"handshake": "required"}
UNKNOWN = {"Content-Type": "application/cloudevents+xml"}


def standing(gateway, made):
    return gateway.subscription(made)["handshake"]["state"]


def test_row_23_delivery_is_a_post_with_body_and_content_type(shared, sink, make_event, kind):
    shared.subscribe(sink, types=[kind])
    event = make_event()
    shared.publish(event)
    (post,) = sink.wait(1)
    assert (post.method, json.loads(post.body)) == ("POST", event["data"])
    assert post.headers["content-type"] == "application/json"
    assert int(post.headers["content-length"]) == len(post.body)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_row_24_redirects_are_not_followed(shared, receiver, sink, make_event, kind, status):
    elsewhere = receiver.sink()
    shared.subscribe(sink, types=[kind])
    sink.reply_with(status, {"Location": elsewhere.url})
    (position,) = shared.publish(make_event())
    assert shared.settled(position, "exhausted")["attempts"][0]["status"] == status
    assert elsewhere.posts == []


@pytest.mark.parametrize("status", [200, 201, 202, 204, 206, 299])
def test_row_25_every_2xx_is_success(shared, sink, make_event, kind, status):
    shared.subscribe(sink, types=[kind])
    sink.reply(status)
    (position,) = shared.publish(make_event())
    assert [item["status"] for item in shared.settled(position, "delivered")["attempts"]] == [status]


def test_row_26_gone_stops_the_stream(shared, receiver, sink, make_event, kind, until):
    other = receiver.sink()
    made = shared.subscribe(sink, types=[kind])
    shared.subscribe(other, types=[kind])
    sink.reply(410)
    shared.publish(make_event())
    until(lambda: shared.subscription(made)["state"] == "disabled")
    shared.publish(make_event())
    other.wait(2)  # by then this one would have had it too
    assert len(sink.posts) == 1
    assert shared.facts("subscription.disabled", made)


def test_row_27_retry_after_in_seconds_is_observed(shared, sink, make_event, kind):
    shared.subscribe(sink, types=[kind], config={"retry": []})
    sink.reply_with(429, {"Retry-After": "1"})
    (position,) = shared.publish(make_event())
    first, second = sink.wait(2)
    assert second.at - first.at >= 0.95
    assert len(shared.settled(position, "delivered")["attempts"]) == 2  # not counted: none was left


def test_row_27_retry_after_as_a_date_is_observed(shared, sink, make_event, kind):
    shared.subscribe(sink, types=[kind], config={"retry": []})
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=3)
    sink.reply_with(429, {"Retry-After": format_datetime(until, usegmt=True)})
    shared.publish(make_event())
    assert sink.wait(2)[1].at >= until.timestamp() - 0.05


def test_row_27_more_than_a_day_pauses_the_stream(shared, sink, make_event, kind, until):
    made = shared.subscribe(sink, types=[kind])
    sink.reply_with(429, {"Retry-After": "86401"})
    shared.publish(make_event())
    until(lambda: shared.subscription(made)["state"] == "paused")
    assert shared.facts("subscription.paused", made)


def test_row_28_unknown_formats_are_415_both_ways(shared, sink, make_event, kind):
    answer = shared.client.post("/v1/events", content=b"<x/>", headers=UNKNOWN)
    assert (answer.status_code, answer.headers["content-type"]) == (415, "application/problem+json")
    shared.subscribe(sink, types=[kind])
    sink.reply(415)
    (position,) = shared.publish(make_event())
    assert len(shared.settled(position, "exhausted")["attempts"]) == 1


@pytest.mark.parametrize("allowed", [ORIGIN, "*"])
def test_row_29_the_sink_is_asked_first_and_grants_by_the_header(
    asking, sink, reply, make_event, kind, until, allowed
):
    sink.consent = lambda _question: reply(200, {"WebHook-Allowed-Origin": allowed})
    made = asking.subscribe(sink, types=[kind], config=REQUIRED)
    asking.publish(make_event())
    (post,) = sink.wait(1)
    (question,) = sink.questions
    assert (question.method, question.headers["webhook-request-origin"]) == ("OPTIONS", ORIGIN)
    assert question.at <= post.at
    until(lambda: standing(asking, made) == "granted")


@pytest.mark.parametrize("headers", [{}, {"WebHook-Allowed-Origin": "elsewhere.example"}])
def test_row_29_a_status_alone_grants_nothing(asking, sink, reply, make_event, kind, until, headers):
    sink.consent = lambda _question: reply(200, headers)
    made = asking.subscribe(sink, types=[kind], config=REQUIRED)
    asking.publish(make_event())
    until(lambda: standing(asking, made) == "refused")
    assert sink.posts == []


def test_row_30_the_origin_goes_along_and_the_rate_is_kept(asking, sink, reply, make_event, kind):
    granted = {"WebHook-Allowed-Origin": "*", "WebHook-Allowed-Rate": "600"}  # ten a second
    sink.consent = lambda _question: reply(200, granted)
    asking.subscribe(sink, types=[kind], config=REQUIRED)
    asking.publish(*(make_event() for _ in range(6)))
    posts = sink.wait(6)
    assert {post.headers["webhook-request-origin"] for post in posts} == {ORIGIN}
    times = sorted(post.at for post in posts)
    assert times[-1] - times[0] >= 0.4  # one at once, then one every 100 ms: never faster


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_row_31_the_callback_grants_once_and_cannot_be_guessed(asking, sink, make_event, kind, until, method):
    made = asking.subscribe(sink, types=[kind], config=REQUIRED)
    asking.publish(make_event())
    until(lambda: standing(asking, made) == "refused")
    url = sink.questions[0].headers["webhook-request-callback"]
    token = url.rsplit("/", 1)[1]
    assert len(base64.urlsafe_b64decode(token + "=")) * 8 == 256
    guess = url[:-1] + ("A" if url[-1] != "A" else "B")
    assert httpx.request(method, guess).status_code == 404
    assert httpx.request(method, url).status_code == 200
    sink.wait(1)
    assert httpx.request(method, url).status_code == 404


def test_row_32_the_bearer_token_goes_in_the_header_and_nowhere_else(shared, sink, make_event, kind):
    credential = {"credentialtype": "ACCESSTOKEN", "accesstoken": "a-token-for-row-32"}
    shared.subscribe(sink, types=[kind], sinkcredential=credential)
    shared.publish(make_event())
    (post,) = sink.wait(1)  # of the sink's very path: with a query it would not have come here
    assert post.headers["authorization"] == "Bearer a-token-for-row-32"
    assert b"a-token-for-row-32" not in post.body
    assert not [name for name, value in post.pairs if "a-token" in value and name != "authorization"]


def test_row_32_without_a_credential_there_is_no_token(shared, sink, make_event, kind):
    shared.subscribe(sink, types=[kind])
    shared.publish(make_event())
    assert "authorization" not in sink.wait(1)[0].headers


def test_row_38_standard_webhooks_and_both_secrets_while_one_is_replaced(shared, sink, make_event, kind):
    made = shared.subscribe(sink, types=[kind])
    shared.publish(make_event())
    (first,) = sink.wait(1)
    Webhook(made["secret"]).verify(first.body, first.headers)
    assert 24 <= len(base64.b64decode(made["secret"].removeprefix("whsec_"))) <= 64
    rotated = shared.subscription(made, "rotate-secret")
    shared.publish(make_event())
    second = sink.wait(2)[1]
    assert len(second.headers["webhook-signature"].split(" ")) == 2
    for secret in (made["secret"], rotated["secret"]):
        Webhook(secret).verify(second.body, second.headers)


@pytest.mark.parametrize("octets", [23, 65])
def test_row_38_secrets_have_24_to_64_bytes(shared, sink, octets):
    secret = "whsec_" + base64.b64encode(bytes(octets)).decode()
    answer = shared.client.post("/v1/subscriptions", json={"sink": sink.url, "secret": secret})
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/secret"]


def test_row_39_webhook_id_is_ours_the_same_on_every_attempt_and_has_no_dot(shared, sink, make_event, kind):
    shared.subscribe(sink, types=[kind])
    event = make_event(id="an.id.with.dots")
    sink.reply(500)
    (position,) = shared.publish(event)
    first, second = sink.wait(2)
    delivery = shared.settled(position, "delivered")
    assert first.webhook_id == second.webhook_id == delivery["id"]
    assert event["id"] not in first.webhook_id
    assert "." not in first.webhook_id
