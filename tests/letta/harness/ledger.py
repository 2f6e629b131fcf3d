"""What Letta's own API lists, in the shape in which events are compared with it."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from harness.api import Letta

Rows = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Ledger:
    """Steps, replies, runs, jobs and tool calls by id."""

    steps: Rows
    replies: Rows
    runs: Rows
    jobs: Rows
    tool_calls: Counter[tuple[str, str, str]]
    """Step, name and run of each call: a step that waited for an approval calls in the run of the approval."""
    tools: dict[str, set[str]]

    def expected(self) -> Counter[tuple[str, str]]:
        """The events of steps, replies, runs and tool calls that this makes, by type and subject."""
        kinds = {
            "agent.step.completed": self.steps_by_status("success"),
            "agent.step.failed": self.steps_by_status("failed", "cancelled"),
            "agent.message.sent": self.replies,
            "agent.run.completed": self.runs,
        }
        found = Counter((kind, subject) for kind, subjects in kinds.items() for subject in subjects)
        found.update(("tool.execution.completed", step_id) for step_id, _, _ in self.tool_calls.elements())
        return found

    def steps_by_status(self, *statuses: str) -> set[str]:
        return {step_id for step_id, step in self.steps.items() if step["status"] in statuses}


def ledger(letta: Letta, agents: list[str], conversations: list[str], jobs: list[str]) -> Ledger:
    """Ask for everything about these agents, and for these jobs (no list of Letta's shows a batch that is over)."""
    runs = [run for agent in agents for run in letta.everything("/v1/runs/", agent_id=agent)]
    # By run, since /v1/steps answers 400 to everybody in this version. Every step of an agent belongs to a run.
    steps = [step for run in runs for step in letta.everything(f"/v1/runs/{run['id']}/steps")]
    seen = [
        *(("agents", agent) for agent in agents),
        *(("conversations", conversation) for conversation in conversations),
    ]
    replies: list[dict[str, Any]] = []
    calls: Counter[tuple[str, str, str]] = Counter()
    for kind, owner in seen:
        messages = letta.everything(f"/v1/{kind}/{owner}/messages")
        replies += [m for m in messages if m["message_type"] == "assistant_message" and m.get("step_id")]
        raw = letta.everything(f"/v1/{kind}/{owner}/messages", use_assistant_message=False)
        calls.update(
            (message["step_id"], message["name"], message["run_id"])
            for message in raw
            if message["message_type"] == "tool_return_message" and message["step_id"]
        )
    ended = {job: letta.get(f"/v1/jobs/{job}") for job in jobs}
    tools = {agent: {tool["id"] for tool in letta.get(f"/v1/agents/{agent}/tools")} for agent in agents}
    return Ledger(_by_id(steps), _by_id(replies), _by_id(runs), ended, calls, tools)


def _by_id(items: list[dict[str, Any]]) -> Rows:
    return {item["id"]: item for item in items}
