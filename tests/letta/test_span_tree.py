"""A Letta that traces, and a gateway that does: one tree from the request to every POST, as a backend is told of it."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from harness.api import Letta
from harness.pipe import STREAM, Pipe
from harness.site import Site
from harness.sources import ADD
from harness.told import PREFIX, History
from otlp_receiver import OtlpReceiver, Seen, Tree

SUM_ASKED = 'What is 1 + 2? [[call add_numbers {"a": 1, "b": 2}]] [[say Three.]]'
REQUEST = "POST /v1/agents/{agent_id}/messages"
SOON = {"OTEL_BSP_SCHEDULE_DELAY": "100"}
ONE_AT_A_TIME = {"retry": [0.1], "max_concurrency": 1}


@dataclass(frozen=True)
class Traced:
    """One request, with two steps and a tool call, all of whose events went to two subscribers."""

    pipe: Pipe
    history: History
    trace_id: str
    tree: Tree
    attempts: dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def traced(site: Site, make_pipe: Callable[..., Pipe]) -> Iterator[Traced]:
    with OtlpReceiver() as otlp:
        pipe = make_pipe("traced", **otlp.env())
        pipe.subscribe("/other", **ONE_AT_A_TIME)
        environment = {
            "LETTA_DISABLE_TRACING": "false",
            # Letta exports over gRPC and in no other way.
            "LETTA_OTEL_EXPORTER_OTLP_ENDPOINT": otlp.grpc_url,
            **SOON,
        }
        server = site.server(
            "traced", emitter=pipe.emitter(site.folder / "traced-spool"), environment=environment
        )
        server.start()
        letta = Letta(server.url)
        agent = letta.call("POST", "/v1/agents/", letta.agent_body("traced", include_base_tools=False)).ok()[
            "id"
        ]
        letta.attach(agent, letta.tool(ADD)["id"]).ok()
        pipe.wait_for(lambda told: told.by(agent).of("agent.tool.attached"), "the tool")
        pipe.receiver.refuse("/other", 1)
        letta.say(agent, SUM_ASKED).ok()
        history = pipe.wait_for(lambda told: told.by(agent).of("agent.run.completed"), "the end of the run")
        told = history.by(agent)
        (tool,) = told.of("tool.execution.completed")
        events = [event for event in told if event.trace_id == tool.trace_id]
        # Both subscribers got each, and one of these needed two attempts.
        tree = otlp.wait(
            tool.trace_id,
            lambda found: (
                len(posts(found)) == 2 * len(events) + 1
                and found.roots()
                # By another process, which tells them when it comes to that.
                and len(found.named("publish")) >= len(events)
            ),
            "the POSTs of all events, and who published them",
        )
        yield Traced(pipe, History(events), tool.trace_id, tree, pipe.attempts(tool.trace_id))
        server.stop()


def posts(tree: Tree) -> list[Seen]:
    return [span for span in tree.spans if span.name == "POST" and span.service == "letta-gateway"]


def of_event(tree: Tree, event_id: str, name: str) -> list[Seen]:
    return tree.named(name, cloudevents__event_id=event_id)


def test_a_request_with_a_tool_call_told_all_that_it_should(traced: Traced) -> None:
    types = {event.type for event in traced.history}
    assert {"agent.step.completed", "tool.execution.completed", "agent.message.sent"} <= types
    assert len(traced.history.of("agent.step.completed")) == 2


def test_from_lettas_request_to_every_post_the_spans_are_one_tree(traced: Traced) -> None:
    (request,) = traced.tree.roots()
    assert (request.name, request.kind) == (REQUEST, "SERVER")
    assert traced.tree.is_connected(), [
        span.name for span in traced.tree.spans if span.parent and span.parent not in traced.tree.by_id
    ]
    for post in posts(traced.tree):
        path = traced.tree.path(post)
        assert path[0] == request.name
        # Between them stands what Letta was doing when it happened.
        assert traced.tree.by_id[post.parent].service.startswith("letta-server")


def test_each_event_has_every_hop_below_the_span_it_names(traced: Traced) -> None:
    for event in traced.history:
        named = event.attributes["traceparent"].split("-")[2]
        assert named in traced.tree.by_id
        hops = {
            name: of_event(traced.tree, event.id, name) for name in ("emit", "publish", "ingest", "match")
        }
        assert {name: len(found) for name, found in hops.items()} == dict.fromkeys(hops, 1)
        (emit,), (publish,), (ingest,), (match,) = hops.values()
        kinds = [span.kind for span in (emit, publish, ingest, match)]
        assert kinds == ["PRODUCER", "PRODUCER", "CONSUMER", "INTERNAL"]
        assert {span.parent for span in (emit, publish, ingest, match)} == {named}
        assert {span.service for span in (emit, publish)} == {traced.tree.by_id[named].service}
        assert {span.service for span in (ingest, match)} == {"letta-gateway"}
        assert emit.end_ns <= publish.end_ns
        # The entry may be read and appended before its publisher hears that Redis has it.
        assert publish.start_ns <= ingest.end_ns
        assert match.attributes["letta_gateway.subscriptions.matched"] == 2
        for span in (emit, publish, ingest):
            assert span.attributes["messaging.destination.name"] == STREAM
            assert span.attributes["messaging.message.id"] == event.id
        sent = of_event(traced.tree, event.id, "POST")
        assert {span.kind for span in sent} == {"CLIENT"}
        assert {span.parent for span in sent} == {named}
        for span in (emit, publish, ingest, *sent):
            assert span.attributes["cloudevents.event_type"] == PREFIX + event.type
            assert span.attributes["cloudevents.event_subject"] == event.subject
            assert span.attributes["cloudevents.event_source"] == event.attributes["source"]


def test_one_client_span_per_attempt_and_the_retry_is_linked(traced: Traced) -> None:
    found = posts(traced.tree)
    assert {post.span_id for post in found} == set(traced.attempts)
    (failed,) = [post for post in found if post.error is not None]
    (again,) = [post for post in found if "http.request.resend_count" in post.attributes]
    assert (
        failed.error,
        failed.attributes["error.type"],
        failed.attributes["http.response.status_code"],
    ) == (
        "",
        "503",
        503,
    )
    assert [link[:2] for link in again.links] == [failed.place]
    assert again.attributes["http.request.resend_count"] == 1
    for post in found:
        assert post.attributes["http.request.method"] == "POST"
        assert post.attributes["server.address"] == "127.0.0.1"
        assert post.attributes["url.full"] in {
            f"{traced.pipe.receiver.url}/",
            f"{traced.pipe.receiver.url}/REDACTED",
        }
        assert post.attributes["http.response.status_code"] == traced.attempts[post.span_id]["status"]


def test_receivers_see_the_trace_and_the_untouched_origin(traced: Traced) -> None:
    origins = {event.id: event.attributes["traceparent"] for event in traced.history}
    seen = set()
    for post in (*traced.pipe.receiver.posts("/"), *traced.pipe.receiver.posts("/other")):
        headers = {name.lower(): value for name, value in post.headers.items()}
        if headers["ce-id"] not in origins:
            continue
        _, trace_id, span_id, flags = headers["traceparent"].split("-")
        assert (trace_id, flags) == (traced.trace_id, "01")
        assert headers["ce-traceparent"] == origins[headers["ce-id"]]
        seen.add(span_id)
    assert seen == {post.span_id for post in posts(traced.tree)}


def test_the_waterfall_adds_up_without_any_backend(traced: Traced) -> None:
    text = traced.pipe.command("trace", traced.trace_id)
    assert f"{len(traced.history)} events of the trace {traced.trace_id}" in text
    assert "attempt 2 (retry): 200" in text
    told = [json.loads(line) for line in traced.pipe.command("trace", traced.trace_id, "--json").splitlines()]
    assert {one["event"]["id"] for one in told} == {event.id for event in traced.history}
    for one in told:
        assert [step["step"] for step in one["steps"] if step["at"]] == [
            "emitted",
            "spooled",
            "published",
            "appended",
        ]
        assert (one["trace_begins"], one["came_by"]) == ("producer", "stream")
        for delivery in one["deliveries"]:
            parts = [gap["duration_ms"] for gap in (*one["gaps"], *delivery["gaps"])]
            parts += [attempt["duration_ms"] for attempt in delivery["attempts"]]
            assert round(sum(parts), 3) == round(delivery["duration_ms"], 3)
