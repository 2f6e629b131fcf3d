"""What the hooks tell of steps, runs, jobs and tools, and what they keep for it: on stand-ins for Letta's managers."""

# ruff: noqa: ARG002 - stand-ins take the arguments that Letta's methods take

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from letta_standins import Row, seen, settled

from letta_emitter.hooks import steps, tools, work
from letta_emitter.hooks.attachments import Attachments
from letta_emitter.hooks.memory import Recent, Statuses
from letta_emitter.mapping import Call

pytestmark = pytest.mark.usefixtures("unheard")


class TestSteps:
    STEP = Row(id="step-1", agent_id="agent-1", status="success")

    def test_a_step_waits_for_its_checkpoint(self, calls: list[Call]) -> None:
        """S9f: LettaAgentV3 stores a step's messages after its success; another checkpoint may come before."""
        agent = SimpleNamespace(_checkpoint_messages=None)

        async def checkpoint(step_id: str) -> None:
            token = await steps.checkpointing.before(seen(agent))
            steps.checkpointing.returned(seen(agent, step_id=step_id), token, None)

        async def main() -> None:
            await checkpoint("step-1")  # the context is compacted before the model answers
            token = await steps.finishing.before(seen(agent))
            steps.succeeded.returned(seen(None), self.STEP)
            steps.finishing.returned(seen(agent), token, None)
            assert not calls
            await checkpoint("step-2")
            assert not calls
            await checkpoint("step-1")
            assert [call.kind for call in calls] == ["step_succeeded"]
            await checkpoint("step-1")
            assert len(calls) == 1

        asyncio.run(main())

    def test_a_checkpoint_that_fails_still_tells_the_step(self, calls: list[Call]) -> None:
        agent = SimpleNamespace(_checkpoint_messages=None)

        async def main() -> None:
            token = await steps.finishing.before(seen(agent))
            steps.succeeded.returned(seen(None), self.STEP)
            steps.finishing.returned(seen(agent), token, None)
            token = await steps.checkpointing.before(seen(agent))
            steps.checkpointing.raised(seen(agent, step_id="step-1"), token, RuntimeError())

        asyncio.run(main())
        assert len(calls) == 1

    def test_a_checkpoint_that_never_comes(self, calls: list[Call], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(steps, "HELD_S", 0.01)
        agent = SimpleNamespace(_checkpoint_messages=None)

        async def main() -> None:
            token = await steps.finishing.before(seen(agent))
            steps.succeeded.returned(seen(None), self.STEP)
            steps.finishing.returned(seen(agent), token, None)
            async with asyncio.timeout(5):
                while not calls:
                    await asyncio.sleep(0.001)

        asyncio.run(main())
        assert not steps._held

    def test_other_agents_have_stored_their_messages_already(self, calls: list[Call]) -> None:
        async def main() -> None:
            agent = SimpleNamespace()
            token = await steps.finishing.before(seen(agent))
            steps.succeeded.returned(seen(None), self.STEP)
            assert len(calls) == 1
            steps.finishing.returned(seen(agent), token, None)

        asyncio.run(main())

    @pytest.mark.parametrize(
        ("reason", "row", "kinds"),
        [
            ("completed", "pending", []),
            ("failed", "pending", ["step_failed"]),
            ("failed", "failed", ["step_failed"]),
            ("failed", "success", ["step_succeeded"]),
            ("cancelled", "pending", ["step_failed"]),
        ],
    )
    def test_a_stop_reason_alone(self, calls: list[Call], reason: str, row: str, kinds: list[str]) -> None:
        """A failure after the model's reply sets nothing but the stop reason."""

        class Manager:
            async def get_step_async(self, step_id: str, actor: object) -> Row:
                return Row(id=step_id, agent_id="agent-1", status=row, organization_id="org-1")

        async def main() -> None:
            stop = SimpleNamespace(run_status=reason)
            steps.stopped.returned(seen(Manager(), step_id="step-1", stop_reason=stop), object())
            await settled()

        asyncio.run(main())
        assert [call.kind for call in calls] == kinds

    @pytest.mark.parametrize(
        ("row", "kinds"), [("success", ["step_succeeded"]), ("failed", ["step_failed"]), ("pending", [])]
    )
    def test_a_call_that_ended_badly_is_told_by_its_row(
        self, calls: list[Call], row: str, kinds: list[str]
    ) -> None:
        """S9f."""

        class Manager:
            async def get_step_async(self, step_id: str, actor: object) -> Row:
                return Row(id=step_id, agent_id="agent-1", status=row, organization_id="org-1")

        async def main() -> None:
            steps.succeeded.raised(seen(Manager(), step_id="step-1"), asyncio.CancelledError())
            await settled()

        asyncio.run(main())
        assert [call.kind for call in calls] == kinds


class TestWork:
    def test_a_run_is_told_when_it_ends(self, calls: list[Call]) -> None:
        for status in ("created", "running", None):
            update = SimpleNamespace(status=status)
            work.run_updated.returned(
                seen(None, update=update), Row(id="run-a", status="running", agent_id="a")
            )
        assert not calls
        for status in ("cancelled", "cancelled", "completed"):
            update = SimpleNamespace(status=status)
            work.run_updated.returned(seen(None, update=update), Row(id="run-a", status=status, agent_id="a"))
        assert [getattr(call, "earlier_status", "?") for call in calls] == [None, None, "cancelled"]

    @pytest.mark.parametrize(("row", "told"), [("completed", 1), ("running", 0)])
    def test_an_end_that_was_committed_although_the_call_failed(
        self, calls: list[Call], row: str, told: int
    ) -> None:
        """S9f."""

        class Manager:
            async def get_job_by_id_async(self, job_id: str, actor: object) -> Row:
                return Row(id=job_id, status=row, agent_id=None)

        async def main() -> None:
            update = SimpleNamespace(status="completed")
            call = seen(Manager(), job_id="job-b", job_update=update)
            work.job_updated.raised(call, RuntimeError())
            await settled()

        asyncio.run(main())
        assert len(calls) == told


class ToolBox:
    """An AgentManager: what its agents have, and what it is asked."""

    def __init__(self, *attached: str) -> None:
        self.attached = set(attached)
        self.tool_manager = self
        self.failing = False

    async def list_attached_tools_async(self, agent_id: str, actor: object) -> list[SimpleNamespace]:
        if self.failing:
            raise LookupError(agent_id)
        return [self.tool(tool_id) for tool_id in self.attached]

    async def get_tool_by_id_async(self, tool_id: str, actor: object) -> SimpleNamespace:
        return self.tool(tool_id)

    def tool(self, tool_id: str) -> SimpleNamespace:
        return SimpleNamespace(id=tool_id, name=f"name of {tool_id}", tool_type="custom")


class TestTools:
    async def make(
        self, box: ToolBox, observer: Any, *, error: Exception | None = None, **arguments: Any
    ) -> None:
        """One call, as the wrapper makes it; it does what it says, also where it then fails."""
        call = seen(box, agent_id="agent-1", **arguments)
        prepared = await observer.before(call)
        await asyncio.sleep(0)
        named = {arguments["tool_id"]} if "tool_id" in arguments else set(arguments.get("tool_ids", ()))
        if observer is tools.attaching:
            box.attached |= named
        elif observer is tools.detaching:
            box.attached -= named
        elif arguments["agent_update"].tool_ids is not None:
            box.attached = set(arguments["agent_update"].tool_ids)
        if error is None:
            observer.returned(call, prepared, None)
        else:
            observer.raised(call, prepared, error)
            await settled()

    def told(self, calls: list[Call]) -> list[tuple[str, bool, str | None]]:
        return [(call.tool_id, call.attached, call.tool_name) for call in calls]  # type: ignore[union-attr]

    def test_only_what_changes(self, calls: list[Call]) -> None:
        box = ToolBox("t1")

        async def main() -> None:
            await self.make(box, tools.attaching, tool_id="t1")
            await self.make(box, tools.detaching, tool_id="t2")
            await self.make(box, tools.attaching, tool_ids=["t1", "t2", "t3"])
            await self.make(box, tools.detaching, tool_ids=["t1", "t9"])
            await self.make(box, tools.updating, agent_update=SimpleNamespace(tool_ids=None))
            await self.make(box, tools.updating, agent_update=SimpleNamespace(tool_ids=["t2", "t4"]))
            await self.make(box, tools.updating, agent_update=SimpleNamespace(tool_ids=["t4", "t2"]))

        asyncio.run(main())
        assert self.told(calls) == [
            (tool, attached, f"name of {tool}")
            for tool, attached in (("t2", True), ("t3", True), ("t1", False), ("t3", False), ("t4", True))
        ]
        assert not tools._attachments._agents

    def test_two_at_once_are_one_change(self, calls: list[Call]) -> None:
        box = ToolBox()

        async def main() -> None:
            await asyncio.gather(*(self.make(box, tools.attaching, tool_id="t1") for _ in range(5)))

        asyncio.run(main())
        assert self.told(calls) == [("t1", True, "name of t1")]

    def test_a_change_that_was_committed_although_the_call_failed(self, calls: list[Call]) -> None:
        """S9f."""
        box = ToolBox()
        asyncio.run(self.make(box, tools.attaching, tool_id="t1", error=RuntimeError("after the commit")))
        assert self.told(calls) == [("t1", True, "name of t1")]

    def test_in_doubt_the_change_is_told(self, calls: list[Call]) -> None:
        box = ToolBox("t1")
        box.failing = True
        asyncio.run(self.make(box, tools.detaching, tool_id="t1"))
        assert self.told(calls) == [("t1", False, None)]

    def test_a_slow_look_holds_letta_up_only_so_long(
        self, calls: list[Call], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(tools, "READ_TIMEOUT_S", 0.01)
        box = ToolBox()
        monkeypatch.setattr(box, "list_attached_tools_async", lambda **_: asyncio.Event().wait())
        monkeypatch.setattr(box, "get_tool_by_id_async", lambda **_: asyncio.Event().wait())
        asyncio.run(asyncio.wait_for(self.make(box, tools.attaching, tool_id="t1"), 5))
        assert self.told(calls) == [("t1", True, None)]

    def test_a_new_agent_gains_its_tools(self, calls: list[Call]) -> None:
        box = ToolBox()
        agent = SimpleNamespace(id="agent-1", tools=[box.tool("t1"), box.tool("t2")])
        tools.created.returned(seen(box), agent)
        assert [tool for tool, _, _ in self.told(calls)] == ["t1", "t2"]


class TestMemory:
    def test_recent_forgets_the_oldest(self) -> None:
        recent: Recent[int] = Recent(2)
        for number in range(3):
            recent.put(str(number), number)
        assert recent.get("0") is None
        assert recent.first("2", 9) == 2
        assert recent.first("3", 9) == 9
        assert "1" not in recent

    def test_statuses_name_another_one_only(self) -> None:
        statuses = Statuses()
        assert statuses.change("run-1", "failed") is None
        assert statuses.change("run-1", "failed") is None
        assert statuses.change("run-2", "completed") is None
        assert statuses.change("run-1", "completed") == "failed"

    def test_attachments_are_forgotten_with_the_last_call(self) -> None:
        attachments = Attachments()
        first = attachments.enter("agent-1")
        assert attachments.enter("agent-1") is first
        attachments.leave("agent-1")
        assert attachments.enter("agent-1") is first
        attachments.leave("agent-1")
        attachments.leave("agent-1")
        assert attachments.enter("agent-1") is not first
