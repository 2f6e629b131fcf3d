"""`/v1/subscriptions/{id}/stats` of streams that are at work."""


def stats(gateway, made):
    answer = gateway.client.get(f"/v1/subscriptions/{made['id']}/stats")
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_of_a_stream_that_delivers_and_catches_up(shared, sink, make_event, kind, until):
    made = shared.subscribe(sink, types=[kind])
    shared.publish(*(make_event() for _ in range(20)), make_event(type=f"{kind}.other"))
    sink.wait(20)
    found = until(lambda: (now := stats(shared, made))["attempts"]["delivered"] == 20 and now)
    assert found["rates"]["delivered_ratio"] == 1
    assert found["rates"]["delivered_per_s"] > 0
    latency = found["latency_ms"]
    assert latency["count"] == 20
    assert 0 < latency["p50"] <= latency["p99"] <= latency["max"]
    # What is for others does not make it lag.
    until(lambda: stats(shared, made)["lag"]["events"] == 0)
    assert stats(shared, made)["oldest_undelivered"] is None


def test_of_a_stream_that_stands_and_of_one_that_fails(shared, receiver, make_event, kind, until):
    paused, failing = receiver.sink(), receiver.sink().reply_always(500)
    stands = shared.subscribe(paused, types=[kind])
    shared.subscription(stands, "pause")
    fails = shared.subscribe(failing, types=[kind], config={"retry": [86_400]})
    first, *_ = shared.publish(make_event(), make_event())
    failing.wait(2)
    found = stats(shared, stands)
    assert found["state"] == "paused"
    assert found["lag"]["events"] >= 2
    assert found["oldest_undelivered"]["position"] == first
    # The figures are read one after the other: what is journaled in between is in the later ones only.
    until(lambda: stats(shared, fails)["attempts"]["failed"] == 2)
    found = stats(shared, fails)
    assert (found["pending"], found["oldest_undelivered"]["position"]) == (2, first)
    assert found["breaker"]["failing_since"] is not None
