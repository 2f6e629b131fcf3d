"""Subscriptions while events flow: what they select, where they begin, and what a change means for what comes."""

import pytest

TYPES = ("a.one", "a.two", "b.one", "b.two")


@pytest.mark.parametrize(
    ("filters", "selected"),
    [
        ([{"exact": {"type": "{kind}.a.one"}}], [0]),
        ([{"prefix": {"type": "{kind}.a."}}], [0, 1]),
        ([{"suffix": {"type": ".one"}}, {"prefix": {"type": "{kind}."}}], [0, 2]),
        ([{"exact": {"type": "{kind}.a.two", "subject": "s1"}}], [1]),
        ([{"exact": {"type": "{kind}.a.two", "subject": "other"}}], []),
        ([{"prefix": {"type": "{kind}."}}, {"not": {"exact": {"type": "{kind}.a.one"}}}], [1, 2, 3]),
        ([{"any": [{"exact": {"type": "{kind}.a.one"}}, {"exact": {"type": "{kind}.b.two"}}]}], [0, 3]),
        ([{"all": [{"prefix": {"type": "{kind}.b"}}, {"suffix": {"subject": "2"}}]}], [2]),
        ([{"exact": {"comcolour": "red"}}, {"prefix": {"type": "{kind}."}}], [3]),
        ([{"not": {"exact": {"comcolour": "red"}}}, {"prefix": {"type": "{kind}."}}], [0, 1, 2]),
        ([{"not": {"prefix": {"comcolour": "r"}}}, {"suffix": {"type": ".two"}}], [1]),
    ],
)
def test_each_dialect_selects_its_subset(shared, sink, make_event, kind, filters, selected):
    # The end comes last at a sink that gets one at a time: by then it has all that it gets.
    end = {"exact": {"type": f"{kind}.end"}}
    chosen = {"any": [{"all": fill(filters, kind)}, end]}
    shared.subscribe(sink, filters=[chosen], config={"max_concurrency": 1})
    events = [make_event(type=f"{kind}.{name}", subject=f"s{index}") for index, name in enumerate(TYPES)]
    events[3]["comcolour"] = "red"
    last = make_event(type=f"{kind}.end")
    shared.publish(*events, last)
    sink.wait(len(selected) + 1)
    assert sink.ids == [event["id"] for event in [*(events[index] for index in selected), last]]


def fill(item, kind):
    """The filter with this test's types in it."""
    if isinstance(item, dict):
        return {name: fill(value, kind) for name, value in item.items()}
    if isinstance(item, list):
        return [fill(value, kind) for value in item]
    return item.replace("{kind}", kind)


def test_short_names_and_sources(shared, receiver, sink, make_letta_event):
    other = receiver.sink()
    source = "https://letta/organizations/org-names/agents/agent-names"
    shared.subscribe(sink, types=["agent.step.completed"], source=source)
    shared.subscribe(other, types=["agent.step.failed"], source=source)
    everything = receiver.sink()
    shared.subscribe(everything, organization="org-names")
    event = make_letta_event("agent-names", "org-names")
    shared.publish(make_letta_event("agent-elsewhere", "org-names"), event)
    everything.wait(2)
    sink.wait(1)
    assert sink.ids == [event["id"]]
    assert other.ids == []


def test_an_organization_gets_its_own_alone(shared, receiver, sink, make_letta_event, make_event):
    """Outside its filters, and never what belongs to no organization (S11a)."""
    agent = "agent-tenancy"
    shared.subscribe(sink, organization="org-a")
    everyone = receiver.sink()
    shared.subscribe(everyone, filters=[{"any": [{"exact": {"partitionkey": agent}}]}])
    mine = make_letta_event(agent, "org-a")
    shared.publish(make_letta_event(agent, "org-b"), make_event(partitionkey=agent), mine)
    everyone.wait(3)
    sink.wait(1)
    assert sink.ids == [mine["id"]]


def test_where_it_begins(shared, receiver, make_event, kind):
    first, second, third, fourth = (make_event() for _ in range(4))
    shared.publish(first)
    (position,) = shared.publish(second)
    # A position is what the stream begins behind; a time is by the log's own clock, the same moment included.
    at = shared.client.get(f"/v1/events/{shared.publish(third)[0]}").json()["appended_at"]
    starts = {"beginning": [first, second, third], position: [third], at: [third], "now": []}
    sinks = {}
    for start in starts:
        sinks[start] = receiver.sink()
        shared.subscribe(sinks[start], types=[kind], config={"start": start, "max_concurrency": 1})
    shared.publish(fourth)
    for start, events in starts.items():
        sinks[start].wait(len(events) + 1)
        assert sinks[start].ids == [event["id"] for event in [*events, fourth]], start


def test_paused_events_come_in_log_order_on_resume(shared, receiver, sink, make_event, kind):
    made = shared.subscribe(sink, types=[kind], config={"max_concurrency": 1})
    other = receiver.sink()
    shared.subscribe(other, types=[kind])
    before = make_event()
    shared.publish(before)
    sink.wait(1)
    assert shared.subscription(made, "pause")["state"] == "paused"
    waiting = [make_event() for _ in range(30)]
    for start in range(0, 30, 10):
        shared.publish(*waiting[start : start + 10])
    other.wait(31)
    assert sink.ids == [before["id"]]
    assert shared.subscription(made, "resume")["state"] == "active"
    after = make_event()
    shared.publish(after)
    sink.wait(32)
    assert sink.ids == [event["id"] for event in [before, *waiting, after]]


def test_resume_from_now_leaves_out_what_was_missed(shared, receiver, sink, make_event, kind):
    made = shared.subscribe(sink, types=[kind], config={"max_concurrency": 1})
    other = receiver.sink()
    shared.subscribe(other, types=[kind])
    shared.subscription(made, "pause")
    shared.publish(*[make_event() for _ in range(5)])
    other.wait(5)
    shared.subscription(made, "resume", {"from": "now"})
    after = [make_event() for _ in range(3)]
    shared.publish(*after)
    sink.wait(3)
    assert sink.ids == [event["id"] for event in after]


def test_new_filters_are_for_later_events(shared, sink, make_event, kind):
    """What was appended before the change is judged by what was in force there (S3d), though paused meanwhile."""
    made = shared.subscribe(sink, types=[f"{kind}.old"], config={"max_concurrency": 1})
    shared.subscription(made, "pause")
    old = [make_event(type=f"{kind}.{name}") for name in ("old", "new")]
    shared.publish(*old)
    patched = shared.client.patch(f"/v1/subscriptions/{made['id']}", json={"types": [f"{kind}.new"]})
    assert (patched.status_code, patched.json()["revision"]) == (200, 2)
    new = [make_event(type=f"{kind}.{name}") for name in ("old", "new")]
    shared.publish(*new)
    shared.subscription(made, "resume")
    sink.wait(2)
    assert sink.ids == [old[0]["id"], new[1]["id"]]


def test_a_change_of_the_sink_holds_at_once(shared, receiver, sink, make_event, kind):
    """The sink is read before each POST (S3d): a retry goes to the new one, with the same id."""
    made = shared.subscribe(sink, types=[kind], config={"retry": [1.0]})
    sink.reply_always(500)
    (position,) = shared.publish(make_event())
    shared.settled(position, "pending")
    sink.wait(1)
    moved = receiver.sink()
    assert shared.client.patch(f"/v1/subscriptions/{made['id']}", json={"sink": moved.url}).status_code == 200
    (post,) = moved.wait(1)
    assert post.webhook_id == sink.posts[0].webhook_id
    shared.settled(position, "delivered")
    assert len(sink.posts) == 1


def test_deleted_is_over(shared, receiver, sink, make_event, kind):
    """Nothing new is started, and what waited for a retry is dropped (S3h)."""
    sink.reply_always(500)
    made = shared.subscribe(sink, types=[kind], config={"retry": [0.5] * 20})
    other = receiver.sink()
    shared.subscribe(other, types=[kind], config={"retry": [2.0]})
    shared.publish(make_event())
    sink.wait(1)
    path = f"/v1/subscriptions/{made['id']}"
    assert shared.client.delete(path).status_code == 204
    assert shared.client.get(path).status_code == 404
    count = len(sink.posts)
    # The other one's retry is due long after the deleted one's would have been.
    other.reply(500)
    shared.publish(make_event())
    other.wait(3)
    assert len(sink.posts) - count <= 1  # at most the one that was in flight


def test_facts_go_to_who_names_their_type_in_full(shared, receiver, sink, make_event, kind):
    full = "com.letta.gateway.subscription.paused"
    everything, short, prefix = receiver.sink(), receiver.sink(), receiver.sink()
    shared.subscribe(everything)
    shared.subscribe(short, types=["gateway.subscription.paused", kind])
    shared.subscribe(
        prefix, filters=[{"any": [{"prefix": {"type": "com.letta."}}, {"exact": {"type": kind}}]}]
    )
    shared.subscribe(sink, types=[full])
    made = shared.subscribe(receiver.sink(), types=[f"{kind}.none"])
    shared.subscription(made, "pause")
    event = make_event()
    shared.publish(event)
    (post,) = sink.wait(1)
    assert post.headers["ce-type"] == full
    assert post.headers["ce-subject"] == made["id"]
    assert post.headers["x-letta-event"] == full
    for quiet in (everything, short, prefix):
        quiet.wait(1)
        assert all(post.headers["ce-type"] != full for post in quiet.posts)
        assert event["id"] in quiet.ids
