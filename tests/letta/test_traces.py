"""Where Letta makes spans of its own, events are in the trace that it recorded with the step."""

from harness.watched import Watched


def test_events_are_in_the_trace_of_their_step(watched: Watched) -> None:
    agent = watched.first_talk.agent
    watched.all_arrives(agent)
    runs = watched.letta.everything("/v1/runs/", agent_id=agent)
    steps = {
        step["id"]: step for run in runs for step in watched.letta.everything(f"/v1/runs/{run['id']}/steps")
    }
    assert all(step["trace_id"] for step in steps.values())
    history = watched.pipe.history().by(agent)
    in_steps = [event for event in history if event.data.get("step_id")]
    assert {event.data["step_id"] for event in in_steps} == set(steps)
    for event in in_steps:
        assert event.trace_id == steps[event.data["step_id"]]["trace_id"]
    # The end of a run is told in the request that made its steps.
    traces = {step["run_id"]: step["trace_id"] for step in steps.values()}
    for event in history.of("agent.run.completed"):
        assert event.trace_id == traces[event.subject]
