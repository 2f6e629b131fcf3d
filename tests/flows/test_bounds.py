"""What bounds a whole stream: its rate, its breaker, and days of nothing but failures (S3g, S1e)."""

OPENED, CLOSED = "com.letta.gateway.breaker.opened", "com.letta.gateway.breaker.closed"
CONSECUTIVE = 20


def most_in_a_second(posts):
    """The greatest number of arrivals within one second."""
    times = sorted(post.at for post in posts)
    return max(sum(1 for other in times if 0 <= other - at < 1) for at in times)


def test_a_rate_is_kept(shared, receiver, sink, make_event, kind):
    limited = {"max_per_second": 20}
    shared.subscribe(sink, types=[kind], config=limited)
    batched, free = receiver.sink(), receiver.sink()
    shared.subscribe(batched, types=[kind], config=limited | {"format": "batch", "batch_events_max": 5})
    shared.subscribe(free, types=[kind])
    events = [make_event() for _ in range(40)]
    shared.publish(*events)
    free.wait(40)
    posts = sink.wait(40)
    # The first tenth of a second may go at once, the rest is spread.
    assert max(post.at for post in posts) - min(post.at for post in posts) >= 37 / 20 * 0.9
    assert most_in_a_second(posts) <= 30
    assert sorted(sink.ids) == sorted(event["id"] for event in events)
    # What is limited is POSTs, so that batches make the most of it.
    assert len(batched.wait(8)) == 8


def test_a_rate_holds_for_retries_and_goes_with_a_change(shared, sink, make_event, kind):
    made = shared.subscribe(sink, types=[kind], config={"max_per_second": 0.5})
    events = [make_event() for _ in range(20)]
    shared.publish(*events)
    sink.wait(1)
    # At this rate the last one would come after 38 seconds; these do not wait for it.
    patched = shared.client.patch(
        f"/v1/subscriptions/{made['id']}", json={"config": {"max_per_second": 1_000}}
    )
    assert patched.status_code == 200, patched.text
    sink.wait(20)
    assert sorted(sink.ids) == sorted(event["id"] for event in events)


def test_a_breaker_opens_probes_and_closes_and_tells_who_asked(
    shared, receiver, sink, make_event, kind, until
):
    watching, failing = receiver.sink(), receiver.sink().reply_always(500)
    watcher = shared.subscribe(watching, types=[OPENED, CLOSED])
    # One that is told, and fails at it: what is said of it reaches nobody, or it would feed itself (S1e).
    deaf = shared.subscribe(failing, types=[OPENED], config={"retry": [0.05] * 100})
    everything = receiver.sink()
    shared.subscribe(everything)
    made = shared.subscribe(sink, types=[kind], config={"retry": [0.1] * 100, "max_concurrency": 4})
    sink.reply_always(500)
    first = [make_event() for _ in range(30)]
    shared.publish(*first)
    opened = watching.wait(1)[0]
    assert opened.headers["ce-type"] == OPENED
    assert opened.headers["ce-subject"] == made["id"]
    (fact,) = shared.facts("breaker.opened", made)
    assert fact["data"]["count"] >= 1
    assert fact["data"]["first_position"] <= fact["data"]["last_position"]
    assert len(sink.posts) >= CONSECUTIVE
    until(lambda: shared.facts("breaker.opened", deaf))
    # While it is open the stream stands: what comes now is not tried, whatever else goes on.
    later = [make_event() for _ in range(5)]
    positions = shared.publish(*later)
    until(lambda: {event["id"] for event in later} <= set(everything.ids))
    assert not {event["id"] for event in later} & set(sink.ids)
    sink.reply_always(200)
    # A probe finds it well, after 5 seconds or so; then all of it comes, and that is told as well.
    until(lambda: set(sink.ids) == {event["id"] for event in [*first, *later]}, within_s=40)
    closed = watching.wait(2)[1]
    assert (closed.headers["ce-type"], closed.headers["ce-subject"]) == (CLOSED, made["id"])
    for position in positions:
        assert {item["state"] for item in shared.deliveries(position)} <= {"delivered", "pending"}
    # Both notices of it, and no other: none of the one that fails at being told, and none of itself.
    assert {post.headers["ce-subject"] for post in watching.posts} == {made["id"]}
    assert not {OPENED, CLOSED} & {post.headers["ce-type"] for post in everything.posts}
    assert shared.facts("breaker.opened", watcher) == []
    assert {post.headers["ce-subject"] for post in failing.posts} == {made["id"]}


def test_exhausted_deliveries_are_told_once_and_counted(shared, receiver, sink, make_event, kind):
    watching = receiver.sink()
    shared.subscribe(watching, types=["com.letta.gateway.delivery.exhausted"])
    made = shared.subscribe(sink, types=[kind], config={"retry": []})
    sink.reply_always(500)
    positions = shared.publish(*[make_event() for _ in range(10)])
    for position in positions:
        shared.settled(position, "exhausted")
    post = watching.wait(1)[0]
    assert post.headers["ce-subject"] == made["id"]
    # One in a minute; the others are gathered for the next.
    assert len(shared.facts("delivery.exhausted", made)) == 1


def test_nothing_but_failures_for_long_disables(make_gateway, receiver, sink, reply, make_event, kind, until):
    gateway = make_gateway(GATEWAY_DISABLE_AFTER_DAYS="0.00003").start()
    wavering = receiver.sink()
    # Now and then a success: that one is not given up.
    wavering.reply_by(lambda _post: reply(500) if len(wavering.posts) % 3 else None)
    kept = gateway.subscribe(wavering, types=[kind], config={"retry": [0.2] * 100})
    made = gateway.subscribe(sink, types=[kind], config={"retry": [0.2] * 100})
    sink.reply_always(500)
    event = make_event()
    gateway.publish(event)

    def disabled():
        # A steady flow, so that the wavering one goes on failing and succeeding.
        gateway.publish(make_event())
        return gateway.subscription(made)["state"] == "disabled"

    until(disabled)
    assert gateway.subscription(kept)["state"] == "active"
    (fact,) = gateway.facts("subscription.disabled", made)
    assert "nothing was delivered for" in str(fact["data"])
    # A resume trusts it anew, and what waited is delivered.
    sink.reply_always(200)
    assert gateway.subscription(made, "resume")["state"] == "active"
    until(lambda: event["id"] in [post.event_id for post in list(sink.posts)[-1000:]])
    until(lambda: gateway.rows("SELECT count(*) FROM pending") == [(0,)], within_s=40)
    assert gateway.subscription(made)["state"] == "active"
