"""One of everything that an agent can do, driven over REST; keeps a diary of what Letta's lists do not show."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from harness.api import Answer, Letta
from harness.processes import wait_until
from harness.sources import ADD, BOOM

ANTHROPIC = {"model": "anthropic/claude-sonnet-4-20250514", "agent_type": "memgpt_v2_agent"}
# Letta's name for agents of its default kind, and the older kind.
DEFAULT, OLDER = None, "memgpt_v2_agent"


@dataclass
class Diary:
    """What was done that changes tools or calls them outside of a step, and which agents did anything."""

    agents: list[str] = field(default_factory=list)
    tool_changes: list[tuple[str, str, str]] = field(default_factory=list)
    direct_calls: Counter[tuple[str, str]] = field(default_factory=Counter)
    conversations: list[str] = field(default_factory=list)
    jobs: dict[str, str] = field(default_factory=dict)
    cancelled_run: str | None = None


class Tour:
    """Drives one server; each method is a stop of the tour."""

    def __init__(self, letta: Letta, *, callback: str | None = None) -> None:
        self.letta = letta
        self._callback = callback
        self.diary = Diary()
        self.add: str = letta.tool(ADD)["id"]
        self.boom: str = letta.tool(BOOM)["id"]

    def agent(self, name: str, **more: Any) -> str:
        """Make an agent; what it is made with counts as attached."""
        made = self.letta.agent(name, **more)
        agent: str = made["id"]
        self.diary.agents.append(agent)
        for tool in made["tools"]:
            self._changed(agent, tool["id"], "attached")
        return agent

    def attach(self, agent: str, tool: str) -> None:
        self.letta.attach(agent, tool).ok()
        self._changed(agent, tool, "attached")

    def detach(self, agent: str, tool: str) -> None:
        self.letta.detach(agent, tool).ok()
        self._changed(agent, tool, "detached")

    def _changed(self, agent: str, tool: str, how: str) -> None:
        self.diary.tool_changes.append((agent, tool, how))

    def ways(self) -> dict[str, Callable[[str, str], Answer]]:
        """The ways of sending a message."""
        letta = self.letta
        return {
            "blocking": letta.say,
            "streaming": letta.stream,
            "streaming tokens": lambda agent, text: letta.stream(agent, text, stream_tokens=True),
            "background stream": letta.background_stream,
            "background": letta.run,
        }

    def talk(self, kind: str | None) -> str:
        """An agent of one kind, in every way, well and badly."""
        agent = self.agent(f"talker-{kind or 'default'}", **({"agent_type": kind} if kind else {}))
        self.attach(agent, self.add)
        self.attach(agent, self.boom)
        for way in self.ways().values():
            way(agent, "[[say Hello.]]")
            way(agent, "[[refuse 400]]")
            way(
                agent, "[[mute]]"
            )  # text where a tool call is due: the older kind fails after the model's reply
        for way in (self.letta.say, self.letta.stream, self.letta.background_stream, self.letta.run):
            way(agent, 'What is 1 + 2? [[call add_numbers {"a": 1, "b": 2}]] [[say Three.]]')
        self.letta.say(agent, '[[call boom {"reason": "asked"}]] [[say It failed.]]')
        self.letta.run(agent, '[[call boom {"reason": "asked"}]]', max_steps=1)
        if kind is DEFAULT and self._callback:
            self.letta.run(agent, "[[say Call me back.]]", callback_url=self._callback)
        self.detach(agent, self.boom)
        return agent

    def tools(self) -> str:
        """Every way in which an agent's tools change, and some that change nothing."""
        letta = self.letta
        agent = self.agent("handy", tool_ids=[self.add], include_base_tools=False)
        letta.attach(agent, self.add).ok()  # has it already
        letta.detach(agent, self.boom).ok()  # never had it
        self.attach(agent, self.boom)
        assert letta.attach(agent, "tool-00000000-0000-4000-8000-000000000000").status == 404
        # Replacing the list: one goes, one stays, and naming them again changes nothing.
        letta.call("PATCH", f"/v1/agents/{agent}", {"tool_ids": [self.add]}).ok()
        self._changed(agent, self.boom, "detached")
        letta.call("PATCH", f"/v1/agents/{agent}", {"tool_ids": [self.add], "name": "handier"}).ok()
        letta.call("PATCH", f"/v1/agents/{agent}", {"name": "handiest"}).ok()
        self.folder(agent)
        answer = letta.call(
            "POST", f"/v1/agents/{agent}/tools/add_numbers/run", {"args": {"a": 5, "b": 6}}
        ).ok()
        assert answer["func_return"] == 11
        self.diary.direct_calls[agent, self.add] += 1
        return agent

    def folder(self, agent: str) -> None:
        """A folder brings its tools along, several at once, and takes them away again."""
        body = {"name": "papers", "embedding": "openai/text-embedding-3-small"}
        folder = self.letta.call("POST", "/v1/folders/", body).ok()["id"]
        for verb, how in (("attach", "attached"), ("detach", "detached")):
            before = self._tools_of(agent)
            self.letta.call("PATCH", f"/v1/agents/{agent}/folders/{verb}/{folder}").ok()
            for tool in sorted(before ^ self._tools_of(agent)):
                self._changed(agent, tool, how)

    def _tools_of(self, agent: str) -> set[str]:
        return {tool["id"] for tool in self.letta.get(f"/v1/agents/{agent}/tools")}

    def converse(self) -> str:
        """A conversation of its own beside the agent's default one."""
        agent = self.agent("talkative", include_base_tools=False)
        conversation = self.letta.call("POST", f"/v1/conversations/?agent_id={agent}", {}).ok()["id"]
        self.diary.conversations.append(conversation)
        body = {"messages": [{"role": "user", "content": "[[say In here.]]"}]}
        answer = self.letta.call("POST", f"/v1/conversations/{conversation}/messages", body)
        assert answer.status == 200
        return agent

    def approve(self) -> str:
        """A step that waits for an approval, and goes on in another request."""
        letta = self.letta
        agent = self.agent("careful", include_base_tools=False)
        self.attach(agent, self.add)
        rule = {"requires_approval": True}
        letta.call("PATCH", f"/v1/agents/{agent}/tools/approval/add_numbers", rule).ok()
        asked = letta.say(agent, '[[call add_numbers {"a": 2, "b": 2}]] [[say Four.]]').ok()
        request = next(m for m in asked["messages"] if m["message_type"] == "approval_request_message")
        approval = {"type": "approval", "approve": True, "tool_call_id": request["tool_call"]["tool_call_id"]}
        body = {"messages": [{"type": "approval", "approvals": [approval]}]}
        letta.call("POST", f"/v1/agents/{agent}/messages", body).ok()
        return agent

    def cancel(self) -> str:
        """A run that is cancelled while it works, and then ends once more."""
        letta = self.letta
        agent = self.agent("patient", include_base_tools=False)
        run = letta.start(agent, "[[wait 2]] [[say Late.]]").ok()["id"]
        wait_until(lambda: letta.get(f"/v1/runs/{run}/steps"), "the run's first step", timeout_s=20)
        letta.call("POST", f"/v1/agents/{agent}/messages/cancel", {"run_ids": [run]}).ok()
        assert letta.get(f"/v1/runs/{run}")["status"] == "cancelled"
        self.diary.cancelled_run = run
        return agent

    def batches(self) -> None:
        """Jobs: one fails at once, one is cancelled, one completes when Letta next polls."""
        letta = self.letta
        plain = self.agent("plain", include_base_tools=False)
        refused = letta.batch(plain, "Hello.")
        assert refused.status >= 400, refused.text
        model = self.agent("batched", include_base_tools=False, tools=["send_message"], **ANTHROPIC)
        cancelled = letta.batch(model, "Hello.").ok()["id"]
        letta.call("PATCH", f"/v1/jobs/{cancelled}/cancel")
        completed = letta.batch(model, "Hello.").ok()["id"]
        self.diary.jobs = {cancelled: "cancelled", completed: "completed"}

    def long_answer(self) -> str:
        """More text than an event carries."""
        agent = self.agent("verbose", include_base_tools=False)
        self.letta.say(agent, f"[[say {'long ' * 10_000}]]").ok()
        return agent

    def finish(self) -> None:
        """Wait for what Letta does in its own time."""
        for job in self.diary.jobs:
            wait_until(lambda: self.letta.ended(f"/v1/jobs/{job}"), "the batch", timeout_s=60)  # noqa: B023
        run = self.diary.cancelled_run
        if run is not None:
            # Its model call is under way for two seconds more; Letta then changes its mind.
            wait_until(lambda: self.letta.get(f"/v1/runs/{run}")["status"] != "cancelled", "it", timeout_s=30)
