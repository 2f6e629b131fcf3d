"""What is asked of a stream by hand: a test event, and one more attempt (S3h)."""

import json

from standardwebhooks.webhooks import Webhook

TEST = "com.letta.gateway.subscription.test"


def test_a_test_reaches_that_subscription_alone_whatever_it_selects(shared, receiver, sink, make_event, kind):
    made = shared.subscribe(sink, types=[f"{kind}.none"])
    everything, named = receiver.sink(), receiver.sink()
    shared.subscribe(everything)
    shared.subscribe(named, types=[TEST, kind])
    answer = shared.client.post(f"/v1/subscriptions/{made['id']}/test")
    assert answer.status_code == 202
    (post,) = sink.wait(1)
    assert post.headers["x-letta-test"] == "1"
    assert "x-letta-replay" not in post.headers
    assert post.headers["ce-type"] == post.headers["x-letta-event"] == TEST
    assert json.loads(post.body)["subscription_id"] == made["id"]
    Webhook(made["secret"]).verify(post.body, post.headers)
    delivery = shared.settled(answer.json()["position"], "delivered")
    assert delivery["id"] == post.webhook_id
    event = make_event()
    shared.publish(event)
    assert named.wait(1)[0].event_id == event["id"]
    everything.wait(1)
    assert TEST not in {post.headers["ce-type"] for post in everything.posts}
    assert all("x-letta-test" not in post.headers for post in everything.posts)


def test_a_test_is_retried_like_any_other_and_waits_for_a_resume(shared, sink, kind):
    made = shared.subscribe(sink, types=[f"{kind}.none"])
    sink.reply(500)
    shared.subscription(made, "pause")
    position = shared.client.post(f"/v1/subscriptions/{made['id']}/test").json()["position"]
    assert sink.posts == []
    shared.subscription(made, "resume")
    first, second = sink.wait(2)
    assert first.webhook_id == second.webhook_id
    assert second.headers["x-letta-test"] == "1"
    assert len(shared.settled(position, "delivered")["attempts"]) == 2


def retry(gateway, delivery_id):
    return gateway.client.post(f"/v1/deliveries/{delivery_id}/retry")


def test_what_is_exhausted_or_delivered_is_tried_once_more(shared, sink, make_event, kind, until):
    shared.subscribe(sink, types=[kind], config={"retry": []})
    sink.reply(400)
    (position,) = shared.publish(make_event())
    delivery = shared.settled(position, "exhausted")
    for rounds in (1, 2):
        answer = retry(shared, delivery["id"])
        assert (answer.status_code, answer.json()) == (202, {"id": delivery["id"], "position": position})
        sink.wait(1 + rounds)
        until(lambda rounds=rounds: len(shared.settled(position, "delivered")["attempts"]) == 1 + rounds)
    attempts = shared.settled(position, "delivered")["attempts"]
    assert [attempt["cause"] for attempt in attempts] == ["first", "manual", "manual"]
    assert [attempt["round"] for attempt in attempts] == [0, 1, 2]
    assert [attempt["number"] for attempt in attempts] == [1, 2, 3]
    assert {post.webhook_id for post in sink.posts} == {delivery["id"]}
    assert {post.body for post in sink.posts} == {sink.posts[0].body}


def test_another_round_has_a_schedule_of_its_own(shared, sink, make_event, kind):
    shared.subscribe(sink, types=[kind], config={"retry": [0.1]})
    sink.reply(500, 500, 500)
    (position,) = shared.publish(make_event())
    assert retry(shared, shared.settled(position, "exhausted")["id"]).status_code == 202
    sink.wait(4)
    attempts = shared.settled(position, "delivered")["attempts"]
    assert [attempt["round"] for attempt in attempts] == [0, 0, 1, 1]
    assert [attempt["cause"] for attempt in attempts] == ["first", "retry", "manual", "retry"]
    assert len(shared.facts("subscription.retry_requested")) >= 1


def test_what_waits_for_tomorrow_is_tried_now(shared, sink, make_event, kind):
    shared.subscribe(sink, types=[kind], config={"retry": [86_400]})
    sink.reply(500)
    (position,) = shared.publish(make_event())
    sink.wait(1)
    delivery = shared.settled(position, "pending")
    assert retry(shared, delivery["id"]).status_code == 202
    sink.wait(2)
    assert shared.settled(position, "delivered")["round"] == 0


def test_not_while_an_attempt_is_in_flight(shared, sink, make_event, kind, until):
    shared.subscribe(sink, types=[kind], config={"timeout_s": 15})
    hold = sink.reply_later()
    (position,) = shared.publish(make_event())
    sink.wait(1)
    (delivery,) = until(lambda: shared.deliveries(position))
    refused = retry(shared, delivery["id"])
    hold.set()
    assert refused.status_code == 409
    assert "in flight" in refused.json()["detail"]
    assert len(shared.settled(position, "delivered")["attempts"]) == 1


def test_not_of_a_stream_that_is_disabled_or_deleted(shared, sink, make_event, kind, until):
    made = shared.subscribe(sink, types=[kind], config={"retry": []})
    sink.reply(400, 410)
    (first,) = shared.publish(make_event())
    delivery = shared.settled(first, "exhausted")
    shared.publish(make_event())
    until(lambda: shared.subscription(made)["state"] == "disabled")
    assert retry(shared, delivery["id"]).status_code == 409
    assert shared.client.post(f"/v1/subscriptions/{made['id']}/test").status_code == 409
    replay = shared.client.post(f"/v1/subscriptions/{made['id']}/replay", json={"from_position": first})
    assert replay.status_code == 409
    assert shared.client.delete(f"/v1/subscriptions/{made['id']}").status_code == 204
    gone = retry(shared, delivery["id"])
    assert gone.status_code == 410
    assert gone.json()["type"] == "urn:letta-gateway:problem:gone"
    assert shared.client.get(f"/v1/deliveries/{delivery['id']}").json()["state"] == "exhausted"
    assert len(sink.posts) == 2
