"""One trace from the agent's step to every POST, as a real OTLP receiver is told of it."""

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from otlp_receiver import OtlpReceiver, Tree

STREAM = "letta.events"
AGENT = Path(__file__).with_name("traced_agent.py")
STEP, TOOL = "agent.step.completed", "tool.execution.completed"


@pytest.fixture
def otlp() -> Iterator[OtlpReceiver]:
    with OtlpReceiver() as made:
        yield made


@pytest.fixture
def traced(make_gateway, otlp):
    return make_gateway(**otlp.env()).start()


def traceparent(flag: str = "01") -> tuple[str, str, str]:
    trace_id, span_id = uuid.uuid4().hex, uuid.uuid4().hex[:16]
    return f"00-{trace_id}-{span_id}-{flag}", trace_id, span_id


def agent_step(gateway, otlp, folder: Path, *, says: str = "3") -> str:
    """A step of a server that traces, with what its tool says; gives the trace's id."""
    environment = {
        **os.environ,
        "LETTA_EMITTER_ENABLED": "1",
        "LETTA_EMITTER_REDIS_URL": gateway.said["redis_url"],
        "LETTA_EMITTER_STREAM": STREAM,
        "LETTA_EMITTER_SPOOL_DIR": str(folder / "spool"),
    }
    done = subprocess.run(
        [sys.executable, AGENT, otlp.grpc_url, says],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()[0]


def attempts_of(gateway, trace_id: str) -> dict[str, dict]:
    """Every attempt of a trace's events by its span, as the API tells of it."""
    items = gateway.client.get("/v1/events", params={"trace_id": trace_id}).json()["items"]
    deliveries = [found for item in items for found in gateway.deliveries(item["position"])]
    return {attempt["span_id"]: attempt for found in deliveries for attempt in found["attempts"]}


def test_conformance_33_40_41_from_the_step_to_every_post(traced, otlp, receiver, tmp_path, until):
    """A step with a tool call, two subscribers, one of which fails once: one tree, asserted span by span."""
    steady, shaky = receiver.sink(), receiver.sink().reply(503)
    for sink in (steady, shaky):
        traced.subscribe(
            sink, types=[f"com.letta.{STEP}", f"com.letta.{TOOL}"], config={"max_concurrency": 1}
        )
    trace_id = agent_step(traced, otlp, tmp_path)
    steady.wait(2)
    shaky.wait(3)
    tree = otlp.wait(
        trace_id, lambda found: len(found.named("POST")) == 5 and found.named("agent step"), "five POSTs"
    )

    assert tree.is_connected(), tree.spans
    step, tool = tree.one("agent step"), tree.one("tool call")
    assert tree.roots() == [step]
    for above, type_ in ((step, STEP), (tool, TOOL)):
        named = {"cloudevents__event_type": f"com.letta.{type_}"}
        emit, publish, ingest = (tree.one(name, **named) for name in ("emit", "publish", "ingest"))
        match = tree.one("match", cloudevents__event_id=ingest.attributes["cloudevents.event_id"])
        posts = tree.named("POST", **named)
        kinds = [span.kind for span in (emit, publish, ingest, match, *posts)]
        assert kinds == ["PRODUCER", "PRODUCER", "CONSUMER", "INTERNAL", *["CLIENT"] * len(posts)]
        # Whoever made the event made its spans, and the gateway the rest.
        assert {span.service for span in (emit, publish)} == {"agent"}
        assert {span.service for span in (ingest, match, *posts)} == {"letta-gateway"}
        # Each stands directly below the span that the event names; none hides behind another hop's.
        assert {span.parent for span in (emit, publish, ingest, match, *posts)} == {above.span_id}
        for span in (emit, publish, ingest):
            assert span.attributes["messaging.system"] == "redis"
            assert span.attributes["messaging.destination.name"] == STREAM
            assert span.attributes["messaging.message.id"] == span.attributes["cloudevents.event_id"]
        assert [span.attributes["messaging.operation.type"] for span in (emit, publish, ingest)] == [
            "create",
            "send",
            "process",
        ]
        for span in (emit, publish, ingest, *posts):
            assert span.attributes["cloudevents.event_spec_version"] == "1.0"
            assert span.attributes["cloudevents.event_source"].endswith("/agents/agent-traced")
            assert span.attributes["cloudevents.event_id"].startswith("evt_")
            assert span.attributes["cloudevents.event_subject"]
        assert match.attributes["letta_gateway.subscriptions.matched"] == 2
        assert emit.start_ns <= emit.end_ns <= publish.end_ns <= ingest.end_ns
        assert ingest.end_ns <= min(post.start_ns for post in posts)
    # The spans may be exported before the attempts are journaled.
    attempts = until(lambda: len(found := attempts_of(traced, trace_id)) == 5 and found)
    check_posts(tree, attempts, receiver.port)

    # Every receiver sees the trace, and the origin as it was; the header is the span that was told.
    sent = {post.headers["traceparent"].split("-")[2]: post for post in (*steady.posts, *shaky.posts)}
    assert set(sent) == {post.span_id for post in tree.named("POST")}
    for span_id, post in sent.items():
        assert post.headers["traceparent"] == f"00-{trace_id}-{span_id}-01"
        assert post.headers["ce-traceparent"] == f"00-{trace_id}-{tree.by_id[span_id].parent}-01"

    # What was received together has a trace of its own, which links to the events' and is above none of them.
    received = [span for span in otlp.spans if span.name == f"receive {STREAM}"]
    assert {span.kind for span in received} == {"CONSUMER"}
    assert all(not span.parent and span.trace_id != trace_id for span in received)
    linked = {link[:2] for span in received for link in span.links}
    assert {(trace_id, step.span_id), (trace_id, tool.span_id)} <= linked


def check_posts(tree: Tree, attempts: dict[str, dict], port: int) -> None:
    """CONFORMANCE 40: each attempt is one CLIENT span, by the ids of its row."""
    posts = tree.named("POST")
    assert set(attempts) == {post.span_id for post in posts}
    for post in posts:
        attempt, has = attempts[post.span_id], post.attributes
        assert post.name == "POST"
        assert (has["http.request.method"], has["server.address"], has["server.port"]) == (
            "POST",
            "127.0.0.1",
            port,
        )
        assert has["url.full"] == f"http://127.0.0.1:{port}/REDACTED"
        assert has["http.response.status_code"] == attempt["status"]
        assert has.get("error.type") == attempt["error_class"]
        # The status says it: the span's has no words beside it.
        assert post.error == (None if attempt["error_class"] is None else "")
        assert has.get("http.request.resend_count", 0) == attempt["number"] - 1
        assert has["letta_gateway.attempt.decision"] == attempt["decision"]
    failed = [post for post in posts if post.error is not None]
    again = [post for post in posts if post.attributes.get("http.request.resend_count")]
    assert [post.attributes["error.type"] for post in failed] == ["503"]
    assert len(again) == 1
    assert [link[:2] for link in again[0].links] == [failed[0].place]
    assert all(not post.links for post in posts if post not in again)


def test_the_span_of_the_request_that_brought_an_event_is_linked(traced, otlp, sink, make_event, kind):
    """As an instrumented client sends it; the event's own trace is not the request's."""
    request = f"00-{'a' * 32}-{'b' * 16}-01"
    traced.subscribe(sink, types=[kind])
    answer = traced.client.post(
        "/v1/events",
        json=make_event(),
        headers={"Content-Type": "application/cloudevents+json", "traceparent": request},
    )
    assert answer.status_code == 202
    (post,) = sink.wait(1)
    trace_id = post.headers["traceparent"].split("-")[1]
    assert trace_id != "a" * 32
    tree = otlp.wait(trace_id, lambda found: len(found.spans) == 3, "three spans")
    assert [link[:2] for link in tree.one("ingest /v1/events").links] == [("a" * 32, "b" * 16)]


def test_an_event_without_a_trace_begins_one(traced, otlp, sink, make_event, kind):
    """Over HTTP: its ingest span is the root, and its attempts stand below it."""
    traced.subscribe(sink, types=[kind])
    (position,) = traced.publish(make_event())
    (post,) = sink.wait(1)
    trace_id = post.headers["traceparent"].split("-")[1]
    assert "ce-traceparent" not in post.headers
    tree = otlp.wait(trace_id, lambda found: len(found.spans) == 3, "three spans")
    assert tree.is_connected()
    ingest = tree.one("ingest /v1/events")
    assert (tree.roots(), ingest.kind) == ([ingest], "CONSUMER")
    assert tree.path(tree.one("POST")) == ["ingest /v1/events", "POST"]
    assert tree.path(tree.one("match")) == ["ingest /v1/events", "match"]
    # Whoever has the receiver's log line finds it.
    (item,) = traced.client.get("/v1/events", params={"trace_id": trace_id}).json()["items"]
    assert item["position"] == position
    (item,) = traced.client.get("/v1/events", params={"trace_id": trace_id.upper()}).json()["items"]
    assert item["position"] == position


def test_where_the_emitter_begins_the_trace_the_gateway_tells_its_part(traced, otlp, sink, tmp_path):
    """The process around the emitter makes no spans: emit and publish are told from what the event says."""
    traced.subscribe(sink, types=["com.letta.agent.run.completed"])
    script = """
import uuid, letta_emitter
from letta_emitter.hooks.context import here
from letta_emitter.hooks.sending import deliver
from letta_emitter.mapping.calls import RunEnded
row = {"id": f"run-{uuid.uuid4()}", "agent_id": "agent-1", "status": "completed"}
deliver(RunEnded(context=here("org-1"), run=row))
letta_emitter.get_emitter().close(10)
"""
    environment = {
        **os.environ,
        "LETTA_EMITTER_ENABLED": "1",
        "LETTA_EMITTER_REDIS_URL": traced.said["redis_url"],
        "LETTA_EMITTER_SPOOL_DIR": str(tmp_path / "spool"),
    }
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60, env=environment)
    (post,) = sink.wait(1)
    trace_id, span_id = post.headers["ce-traceparent"].split("-")[1:3]
    tree = otlp.wait(trace_id, lambda found: len(found.spans) == 5, "five spans")
    assert tree.is_connected()
    emit = tree.one("emit", letta_gateway__told_by="gateway")
    assert (emit.span_id, emit.kind, tree.roots()) == (span_id, "PRODUCER", [emit])
    assert {span.parent for span in tree.spans} == {"", span_id}
    publish, ingest = tree.one("publish"), tree.one("ingest")
    assert emit.start_ns <= emit.end_ns == publish.start_ns
    assert publish.end_ns <= ingest.end_ns


def test_after_a_kill_between_append_and_post(traced, otlp, sink, make_event, kind, until):
    """What was in the log and not sent is sent by the next process, in the same trace, whole again."""
    traced.subscribe(sink, types=[kind], config={"max_concurrency": 1})
    given, trace_id, span_id = traceparent()
    hold = sink.reply_later()
    in_the_way, named, unnamed = make_event(), make_event(traceparent=given), make_event()
    positions = traced.publish(in_the_way, named, unnamed)
    sink.wait(1)
    traced.kill()
    hold.set()
    traced.start()
    until(lambda: {named["id"], unnamed["id"]} <= set(sink.ids))
    for position in positions:
        traced.settled(position, "delivered")
    tree = otlp.wait(trace_id, lambda found: found.named("POST"), "POST")
    # Its root is the producer's, which is not told here.
    assert {span.parent for span in tree.spans} == {span_id}
    post = next(post for post in sink.posts if post.event_id == named["id"])
    assert tree.one("POST").span_id == post.headers["traceparent"].split("-")[2]
    assert post.headers["ce-traceparent"] == given
    post = next(post for post in sink.posts if post.event_id == unnamed["id"])
    begun = otlp.wait(
        post.headers["traceparent"].split("-")[1],
        lambda found: found.named("POST") and found.named("ingest"),
        "POST below its root",
    )
    # Its beginning may have been told by either process, or by both: by the same ids.
    assert {span.span_id for span in begun.roots()} == {begun.named("ingest")[0].span_id}
    assert all(span.parent in begun.by_id for span in begun.spans if span.parent)


def test_after_a_kill_of_what_was_matched_and_not_exported(
    make_gateway, otlp, receiver, make_event, kind, until
):
    """Its beginning died in the exporter, so whoever tries it next tells that again: the tree holds together."""
    delay = "OTEL_BSP_SCHEDULE_DELAY"
    traced = make_gateway(**{**otlp.env(), delay: "600000"}).start()
    paused, served = receiver.sink(), receiver.sink()
    made = traced.subscribe(paused, types=[kind])
    traced.subscribe(served, types=[kind])
    traced.subscription(made, "pause")
    (position,) = traced.publish(make_event())
    served.wait(1)
    # Once that is in the journal, the next process matches the event no more.
    until(lambda: len(traced.deliveries(position)) == 1)
    traced.kill()
    traced.env[delay] = otlp.env()[delay]
    traced.start()
    traced.subscription(made, "resume")
    (post,) = paused.wait(1)
    trace_id = post.headers["traceparent"].split("-")[1]
    tree = otlp.wait(trace_id, lambda found: found.named("POST"), "POST")
    tree = otlp.wait(trace_id, lambda found: found.named("ingest"), "the root of it")
    assert {span.span_id for span in tree.roots()} == {tree.named("ingest")[0].span_id}
    assert all(span.parent in tree.by_id for span in tree.spans if span.parent)


def test_replays_and_redeliveries_are_linked_to_the_attempt_before(
    traced, otlp, sink, make_event, kind, until
):
    made = traced.subscribe(sink, types=[kind])
    given, trace_id, _ = traceparent()
    (position,) = traced.publish(make_event(traceparent=given))
    delivery = traced.settled(position, "delivered")
    asked = traced.client.post(f"/v1/subscriptions/{made['id']}/replay", json={"from_position": position})
    assert asked.status_code == 202
    sink.wait(2)
    until(lambda: len(traced.deliveries(position)[0]["attempts"]) == 2)
    asked = traced.client.post(f"/v1/deliveries/{delivery['id']}/retry")
    assert asked.status_code == 202, asked.text
    sink.wait(3)
    tree = otlp.wait(trace_id, lambda found: len(found.named("POST")) == 3, "a redelivered POST")
    first, replayed, manual = tree.named("POST")
    causes = [post.attributes["letta_gateway.attempt.cause"] for post in (first, replayed, manual)]
    assert causes == ["first", "replay", "manual"]
    assert [post.attributes.get("http.request.resend_count") for post in (first, replayed, manual)] == [
        None,
        1,
        2,
    ]
    assert [[link[:2] for link in post.links] for post in (first, replayed, manual)] == [
        [],
        [first.place],
        [replayed.place],
    ]
    assert len({post.parent for post in (first, replayed, manual)}) == 1


def test_a_batch_is_linked_with_its_events_and_below_none(traced, otlp, sink, make_event, kind):
    sink.reply(500)
    config = {"format": "batch", "batch_events_max": 2, "batch_age_s": 5}
    traced.subscribe(sink, types=[kind], config=config)
    origins = [traceparent() for _ in range(2)]
    traced.publish(*[make_event(traceparent=given) for given, _, _ in origins])
    first, second = sink.wait(2)
    trace_id = first.headers["traceparent"].split("-")[1]
    tree = otlp.wait(trace_id, lambda found: len(found.named("POST")) == 2, "two POSTs of a batch")
    failed, again = tree.named("POST")
    members = [(origin, span) for _, origin, span in origins]
    assert [link[:2] for link in failed.links] == members
    assert [link[:2] for link in again.links] == [*members, failed.place]
    assert {post.parent for post in (failed, again)} == {""}
    assert [post.attributes["messaging.batch.message_count"] for post in (failed, again)] == [2, 2]
    assert second.headers["traceparent"].split("-")[2] == again.span_id


def test_the_producers_sampling_is_respected(make_gateway, otlp, sink, make_event, kind):
    """What is not sampled is not told, whatever the sampler is; what is, is, though new traces are not begun."""
    more = {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0"}
    gateway = make_gateway(**otlp.env(), **more).start()
    gateway.subscribe(sink, types=[kind], config={"max_concurrency": 1})
    unsampled, sampled = traceparent("00"), traceparent("01")
    gateway.publish(make_event(traceparent=unsampled[0]))
    gateway.publish(make_event())
    gateway.publish(make_event(traceparent=sampled[0]))
    posts = sink.wait(3)
    otlp.wait(sampled[1], lambda found: found.named("POST"), "POST of the sampled one")
    assert gateway.stop() == 0
    assert {span.trace_id for span in otlp.spans} == {sampled[1]}
    assert [post.headers["traceparent"].split("-")[3] for post in posts] == ["00", "01", "01"]


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_both_protocols_of_otlp(make_gateway, otlp, sink, make_event, kind, protocol):
    gateway = make_gateway(**otlp.env(protocol=protocol), OTEL_SERVICE_NAME="hooks").start()
    gateway.subscribe(sink, types=[kind])
    given, trace_id, _ = traceparent()
    gateway.publish(make_event(traceparent=given))
    sink.wait(1)
    # Its end sends what is left.
    assert gateway.stop() == 0
    tree = otlp.wait(trace_id, lambda found: found.named("POST"), "POST")
    assert {span.service for span in tree.spans} == {"hooks"}


def test_an_exporter_that_hangs_disturbs_nothing_and_not_the_end(make_gateway, otlp, sink, make_event, kind):
    gateway = make_gateway(
        **otlp.env(), OTEL_BSP_MAX_QUEUE_SIZE="20", OTEL_BSP_MAX_EXPORT_BATCH_SIZE="5"
    ).start()
    gateway.subscribe(sink, types=[kind])
    otlp.answers.clear()
    gateway.publish(*[make_event(traceparent=traceparent()[0]) for _ in range(100)])
    sink.wait(100)
    assert gateway.stop() == 0
    assert "Traceback" not in gateway.said_on_stderr()


def test_where_nobody_listens_for_spans_deliveries_go_on(make_gateway, sink, make_event, kind):
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_BSP_SCHEDULE_DELAY": "50"}
    gateway = make_gateway(**env).start()
    gateway.subscribe(sink, types=[kind])
    gateway.publish(*[make_event(traceparent=traceparent()[0]) for _ in range(20)])
    sink.wait(20)
    assert gateway.stop() == 0


def test_what_cannot_be_set_up_is_said_and_left_out(make_gateway, sink, make_event, kind):
    gateway = make_gateway(OTEL_TRACES_EXPORTER="carrier-pigeon").start()
    gateway.subscribe(sink, types=[kind])
    gateway.publish(make_event())
    sink.wait(1)
    assert "nothing is traced: There is no exporter 'carrier-pigeon'" in gateway.said_on_stderr()


BEARER = "bearer-credential-that-nobody-may-see"
HEADER = "own-header-value-that-nobody-may-see"
QUERY = "query-key-that-nobody-may-see"
PATH = "T0path-key-that-nobody-may-see"
WORD = "letmein"
DATA = "data-that-nobody-may-see"
CHARS_MAX = 256


def test_attributes_are_bounded_and_hold_no_secret(traced, otlp, receiver, make_event, kind, tmp_path):
    """All attributes of all spans, links and resources that were sent: everything in them is looked at."""
    sink = receiver.sink().reply(500)
    path = f"/services/{PATH}"
    receiver.sinks[f"{path}?key={QUERY}"] = sink
    # A word alone in a path may be the key as well.
    plain = receiver.sink()
    receiver.sinks[f"/{WORD}"] = plain
    traced.subscribe(f"http://127.0.0.1:{receiver.port}/{WORD}", types=[kind])
    made = traced.subscribe(
        f"http://127.0.0.1:{receiver.port}{path}?key={QUERY}",
        types=[kind],
        sinkcredential={"credentialtype": "ACCESSTOKEN", "accesstoken": BEARER},
        protocolsettings={"headers": {"X-Own": HEADER}},
    )
    given, trace_id, _ = traceparent()
    long = "x" * 5_000
    traced.publish(make_event(id=long, subject=long, traceparent=given, data={"text": DATA}))
    sink.wait(2)
    plain.wait(1)
    # Of an agent server that traces, the emitter's part as well.
    step = agent_step(traced, otlp, tmp_path, says=DATA)
    otlp.wait(step, lambda found: len(found.named("publish")) == 2, "the emitter's spans")
    tree = otlp.wait(trace_id, lambda found: len(found.named("POST")) == 3, "three POSTs")
    assert traced.stop() == 0
    known = (BEARER, HEADER, QUERY, PATH, WORD, DATA, made["secret"], made["secret"].removeprefix("whsec_"))
    for raw in otlp.raw:
        assert not [secret for secret in known if secret.encode() in raw]
    for span in otlp.spans:
        values = [*span.attributes.items(), *(pair for link in span.links for pair in link[2].items())]
        assert all(len(str(value)) <= CHARS_MAX for _, value in values), span
        assert len(span.attributes) <= 32
        assert len(span.name) <= CHARS_MAX
    urls = {post.attributes["url.full"] for post in tree.named("POST")}
    origin = f"http://127.0.0.1:{receiver.port}"
    assert urls == {f"{origin}/services/REDACTED?REDACTED", f"{origin}/REDACTED"}


def test_off_nothing_of_the_sdk_is_imported():
    script = """
import sys
import gateway.app, letta_emitter.pump, letta_emitter.emitter
from otel.setup import start_tracing
for environ in ({}, {"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://h"},
                {"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://h"}):
    assert start_tracing(environ, version="1") is None
# (redis-py looks for the SDK's metrics by itself, wherever the SDK is installed.)
unwanted = ("opentelemetry.sdk.trace", "opentelemetry.exporter", "grpc", "otel.sdk")
print(sorted(name for name in sys.modules if name.startswith(unwanted)))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"
