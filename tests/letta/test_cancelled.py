"""Calls and streams that are cancelled: what Letta's database says afterwards is what is told (S9f)."""

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from harness.api import SDK
from harness.processes import wait_until
from harness.site import Site
from harness.visit import Visit

SCRIPT = Path(__file__).parent / "harness" / "cancelled_calls.py"


def test_calls_cancelled_after_their_commit(site: Site, visit: Visit) -> None:
    """Letta's own managers, in a process of their own, hang in their callbacks and are cancelled there."""
    step = next(iter(visit.ledger.steps_by_status("success")))
    with visit.callbacks.holding():
        done = subprocess.run(
            [site.python, SCRIPT, step, f"{visit.callbacks.url}/hanging"],
            env={**visit.server.environment, "STEP_COMPLETE_WEBHOOK": f"{visit.callbacks.url}/hanging"},
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
    assert done.returncode == 0, done.stderr[-4000:]
    assert done.stderr.splitlines().count("cancelled") == 2
    printed = json.loads(done.stdout.splitlines()[-1])
    told_step, told_run = printed["told"]
    assert (told_step["kind"], told_step["id"], told_step["total_tokens"]) == ("step_succeeded", step, 4242)
    assert (told_run["kind"], told_run["id"], told_run["status"]) == (
        "run_ended",
        printed["run"],
        "completed",
    )


def test_a_stream_cancelled_before_the_model_answers(visit: Visit) -> None:
    """Letta leaves such a step pending for ever: the end of the run is the only word of it."""
    letta = visit.letta
    agent = letta.agent("cut off", include_base_tools=False)["id"]
    with ThreadPoolExecutor(1) as reader:
        stream = reader.submit(
            letta.call,
            "POST",
            f"/v1/agents/{agent}/messages",
            {
                "messages": [{"role": "user", "content": "[[wait 2]] [[say Too late.]]"}],
                "streaming": True,
                "stream_tokens": True,
            },
            headers=SDK,
        )
        wait_until(lambda: letta.everything("/v1/runs/", agent_id=agent), "the run", timeout_s=30)
        (run,) = (run["id"] for run in letta.everything("/v1/runs/", agent_id=agent))
        wait_until(lambda: letta.everything(f"/v1/runs/{run}/steps"), "its step", timeout_s=30)
        letta.call("POST", f"/v1/agents/{agent}/messages/cancel", {"run_ids": [run]}).ok()
        assert stream.result().status == 200
    (step,) = letta.everything(f"/v1/runs/{run}/steps")
    last = letta.get(f"/v1/runs/{run}")["status"]
    told = visit.pipe.wait_for(
        lambda told: (
            [event.data["status"] for event in told.by(agent).of("agent.run.completed")][-1:] == [last]
        ),
        "the end of the run",
    ).by(agent)
    assert step["status"] == "pending"
    assert set(told.counts()) == {"agent.run.completed"}
    assert told.of("agent.run.completed")[0].data["status"] == "cancelled"
