"""What arrives at a receiver is what Letta's own API lists: each thing once, and nothing else."""

import json
import re
import urllib.request
from collections import Counter, defaultdict

import jsonschema_rs
from harness.visit import Visit

import schemas


def once(subjects: Counter[str]) -> set[str]:
    repeated = [subject for subject, times in subjects.items() if times > 1]
    assert not repeated, repeated
    return set(subjects)


def test_all_eight_types_arrive(visit: Visit) -> None:
    assert set(visit.history.counts()) == set(schemas.SHORT_NAMES)


def test_every_completed_step_once(visit: Visit) -> None:
    assert once(visit.history.subjects("agent.step.completed")) == visit.ledger.steps_by_status("success")


def test_every_failed_step_once(visit: Visit) -> None:
    failed = visit.ledger.steps_by_status("failed", "cancelled")
    assert once(visit.history.subjects("agent.step.failed")) == failed
    assert failed


def test_no_step_is_left_untold(visit: Visit) -> None:
    # A step that Letta leaves pending has no event; the tour makes none.
    assert visit.ledger.steps_by_status("pending") == set()


def test_every_reply_once(visit: Visit) -> None:
    assert once(visit.history.subjects("agent.message.sent")) == set(visit.ledger.replies)


def test_every_status_of_every_run_once(visit: Visit) -> None:
    told: dict[str, list[str]] = defaultdict(list)
    for event in visit.history.of("agent.run.completed"):
        told[event.subject].append(event.data["status"])
    # Letta ends the cancelled run a second time, and lists the second end alone.
    expected = {run_id: [run["status"]] for run_id, run in visit.ledger.runs.items()}
    assert visit.diary.cancelled_run is not None
    expected[visit.diary.cancelled_run] = ["cancelled", "completed"]
    assert dict(told) == expected


def test_a_later_status_names_the_earlier_one(visit: Visit) -> None:
    first, second = (
        event
        for event in visit.history.of("agent.run.completed")
        if event.subject == visit.diary.cancelled_run
    )
    assert second.attributes["causationid"] == first.id
    assert second.data["previous_status"] == "cancelled"
    assert "causationid" not in first.attributes


def test_every_status_of_every_job_once(visit: Visit) -> None:
    told = [(event.subject, event.data["status"]) for event in visit.history.of("agent.job.completed")]
    assert len(told) == len(set(told))
    assert {job_id for job_id, _ in told} == set(visit.ledger.jobs)
    # The last status told is the one listed; a batch that was cancelled may still complete.
    assert dict(told) == {job_id: job["status"] for job_id, job in visit.ledger.jobs.items()}
    assert {status for _, status in told} >= {"completed", "failed", "cancelled"}


def test_every_real_change_of_tools_once_and_no_other(visit: Visit) -> None:
    told = Counter(
        (event.agent, event.subject, event.data["status"])
        for event in visit.history.of("agent.tool.attached", "agent.tool.detached")
    )
    assert told == Counter(visit.diary.tool_changes)


def test_tools_told_add_up_to_tools_listed(visit: Visit) -> None:
    has: dict[str | None, set[str]] = {agent: set() for agent in visit.diary.agents}
    for event in visit.history.of("agent.tool.attached", "agent.tool.detached"):
        (has[event.agent].add if event.type == "agent.tool.attached" else has[event.agent].remove)(
            event.subject
        )
    assert has == visit.ledger.tools


def test_every_call_of_a_tool_once(visit: Visit) -> None:
    told = visit.history.of("tool.execution.completed")
    in_steps = Counter(
        (event.data["step_id"], event.data["tool_name"], event.data["run_id"])
        for event in told
        if "step_id" in event.data
    )
    assert in_steps == visit.ledger.tool_calls
    direct = Counter((event.agent, event.subject) for event in told if "step_id" not in event.data)
    assert direct == visit.diary.direct_calls
    assert {event.data["status"] for event in told} == {"success", "error"}


def test_nothing_else(visit: Visit) -> None:
    assert {event.agent for event in visit.history} <= {*visit.diary.agents, None}


def test_no_delivery_and_no_event_twice(visit: Visit) -> None:
    deliveries = [event.delivery for event in visit.history]
    assert None not in deliveries
    assert len(deliveries) == len(set(deliveries))
    assert len({event.id for event in visit.history}) == len(visit.history)


def test_every_event_keeps_the_contract_that_its_dataschema_serves(visit: Visit) -> None:
    """Fetched over HTTP, by the URL that came with it (CONFORMANCE 43)."""
    served: dict[str, jsonschema_rs.Draft202012Validator] = {}
    for event in visit.history:
        url = event.attributes["dataschema"]
        if url not in served:
            with urllib.request.urlopen(url, timeout=10) as answer:
                schema = json.loads(answer.read())
            assert schema["$id"] == url
            served[url] = jsonschema_rs.Draft202012Validator(schema)
        assert [error.message for error in served[url].iter_errors(dict(event.payload))] == []
    assert len(served) == len(schemas.SHORT_NAMES)


def test_ids_are_those_of_the_api(visit: Visit) -> None:
    for event in visit.history.of("agent.step.completed", "agent.step.failed"):
        step = visit.ledger.steps[event.subject]
        assert (event.agent, event.data["run_id"]) == (step["agent_id"], step["run_id"])
        assert event.attributes["correlationid"] == step["run_id"]
        assert event.data["model"] == step["model"]
        assert event.data["usage"]["total_tokens"] == step["total_tokens"]
    for event in visit.history.of("agent.message.sent"):
        listed = visit.ledger.replies[event.subject]
        assert (event.data["step_id"], event.data["run_id"]) == (listed["step_id"], listed["run_id"])
        if "truncated" not in event.data:
            assert event.data["text"] == listed["content"]
    for event in visit.history.of("agent.run.completed"):
        run = visit.ledger.runs[event.subject]
        assert event.agent == run["agent_id"]
        assert event.data.get("conversation_id") == run["conversation_id"]


def test_attributes_agree_with_the_payload(visit: Visit) -> None:
    for event in visit.history:
        organization = event.payload["organization_id"]
        owner = f"/agents/{event.agent}" if event.agent else ""
        assert event.attributes["source"] == f"https://letta/organizations/{organization}{owner}"
        assert event.attributes["partitionkey"] == (event.agent or event.subject)
        assert event.id == event.payload["event_id"]


def test_one_trace_per_step(visit: Visit) -> None:
    traces: dict[str, set[str]] = defaultdict(set)
    for event in visit.history:
        step = event.data.get("step_id")
        if step:
            traces[step].add(event.trace_id)
    assert traces
    assert all(len(found) == 1 for found in traces.values())
    assert len({next(iter(found)) for found in traces.values()}) == len(traces)


def test_order_within_a_step(visit: Visit) -> None:
    """What a step did comes before its end, and its end before the end of its run."""
    ends = {event.subject: event for event in visit.history.of("agent.step.completed")}
    for event in visit.history.of("agent.message.sent", "tool.execution.completed"):
        end = ends.get(event.data.get("step_id", ""))
        # The step that waited for an approval had ended before its tool was called.
        if end is not None and end.data.get("stop_reason") != "requires_approval":
            assert event.sequence < end.sequence
    runs = {event.subject: event for event in visit.history.of("agent.run.completed")}
    for end in ends.values():
        if end.data["run_id"] != visit.diary.cancelled_run:
            assert end.sequence < runs[end.data["run_id"]].sequence


def test_errors_have_one_shape(visit: Visit) -> None:
    ended_badly = [
        event
        for event in visit.history
        if event.data.get("status") in {"failed", "error"} or event.type == "agent.step.failed"
    ]
    assert {event.type for event in ended_badly} == {
        "agent.step.failed",
        "agent.run.completed",
        "agent.job.completed",
        "tool.execution.completed",
    }
    for event in ended_badly:
        error = event.data["error"]
        assert set(error) == {"type", "message"}, event.payload
        assert all(isinstance(value, str) and value for value in error.values())


def test_the_emitter_adds_nothing_to_what_a_tool_prints(visit: Visit) -> None:
    """A tool runs in a process of its own that inherits the emitter's settings."""
    sums = [
        event for event in visit.history.of("tool.execution.completed") if event.data["status"] == "success"
    ]
    assert sums
    assert not [event.data for event in sums if "stdout" in event.data or "stderr" in event.data]


def test_long_text_is_cut_and_marked(visit: Visit) -> None:
    cut = [event for event in visit.history.of("agent.message.sent") if event.data.get("truncated")]
    assert [event.data["truncated"] for event in cut] == [["text"]]
    listed = visit.ledger.replies[cut[0].subject]["content"]
    assert len(listed) > len(cut[0].data["text"]) == 32 * 1024
    assert listed.startswith(cut[0].data["text"])


def test_letta_goes_on_with_its_own_webhooks(visit: Visit) -> None:
    """`STEP_COMPLETE_WEBHOOK` and a run's `callback_url` work as they do without the emitter."""
    called = Counter(json.loads(post.body)["step_id"] for post in visit.callbacks.posts("/step"))
    assert {step_id: called[step_id] for step_id in visit.ledger.steps} == dict.fromkeys(
        visit.ledger.steps, 1
    )
    assert len(visit.callbacks.posts("/run")) == 1


def test_the_emitter_has_nothing_to_complain_of(visit: Visit) -> None:
    """Neither a hook point nor the way to Redis: whatever goes wrong on our side is in Letta's log."""
    lines = visit.server.log.read_text().splitlines()
    assert not [line for line in lines if re.match(r"letta[-_]emitter\S*( - (ERROR|WARNING)|:)", line)]
