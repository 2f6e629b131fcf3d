"""Hooks change nothing of what they watch, and tell what really happened: on stand-ins for Letta's managers.

`tests/letta` does the same on the real ones; here are the interleavings that cannot be had there on demand.
"""

# ruff: noqa: ARG001, ARG002, ARG005 - stand-ins take the arguments that Letta's methods take

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import wrapt

from letta_emitter.emitter import Emitter
from letta_emitter.hooks import detached, patching, sending, steps, tools, work
from letta_emitter.hooks.attachments import Attachments
from letta_emitter.hooks.memory import Recent, Statuses
from letta_emitter.hooks.points import POINTS, HookPoint
from letta_emitter.hooks.wrapping import Observer, Seen, Shield, surrounded, watched
from letta_emitter.mapping import Call

ACTOR = SimpleNamespace(organization_id="org-1")


@pytest.fixture
def calls() -> Iterator[list[Call]]:
    """What the hooks saw."""
    seen: list[Call] = []
    sending.observers.append(seen.append)
    yield seen
    sending.observers.remove(seen.append)


@pytest.fixture(autouse=True)
def unheard(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test hears every complaint anew."""
    monkeypatch.setattr(Shield, "_told", set())


class Row(SimpleNamespace):
    """A model of Letta's, as far as the hooks ask."""

    def model_dump(self, **_: object) -> dict[str, Any]:
        return dict(vars(self))


class Log:
    """An observer that writes down what it is told."""

    def __init__(self) -> None:
        self.returned_: list[object] = []
        self.raised_: list[BaseException] = []

    def returned(self, seen: Seen, result: object) -> None:
        assert seen.arguments == {"a": 1, "b": 2}
        self.returned_.append(result)

    def raised(self, seen: Seen, error: BaseException) -> None:
        assert seen.arguments == {"a": 1, "b": 2}
        self.raised_.append(error)


class Angry:
    """An observer with whom everything goes wrong."""

    async def before(self, seen: Seen) -> object:
        raise ValueError(seen)

    def returned(self, *_: object) -> None:
        raise ValueError

    def raised(self, *_: object) -> None:
        raise KeyError


def method(observer: Any, function: Callable[..., object]) -> Callable[..., Any]:
    """A method of a new class, watched."""
    owner = type("Owner", (), {"method": function})
    make = surrounded if hasattr(observer, "before") else watched
    wrapt.wrap_function_wrapper(owner, "method", make(observer, ("a", "b"), "Owner.method"))
    bound: Callable[..., Any] = owner().method
    return bound


@pytest.fixture
def emitter(monkeypatch: pytest.MonkeyPatch) -> Emitter:
    """The process's emitter; it is off, but counts."""
    mine = Emitter(None)
    monkeypatch.setattr("letta_emitter.emitter._singleton", mine)
    return mine


class TestWrapping:
    def test_what_a_hook_loses_is_counted_every_time(self, emitter: Emitter) -> None:
        async def good(self: object, a: int, b: int) -> int:
            return a + b

        observer: Any = SimpleNamespace(returned=Angry().returned, raised=Angry().raised)
        for _ in range(3):
            asyncio.run(method(observer, good)(1, 2))
        assert emitter.stats.get("failed") == 3
        with Shield("a look-up that loses nothing", loses=False):
            raise ValueError
        assert emitter.stats.get("failed") == 3

    def test_arguments_and_result_pass_through(self) -> None:
        log, result = Log(), object()

        async def function(self: object, a: int, b: int) -> object:
            assert (a, b) == (1, 2)
            return result

        call = method(log, function)
        assert asyncio.run(call(1, 2)) is result
        assert asyncio.run(call(1, b=2)) is result
        assert asyncio.run(call(b=2, a=1)) is result
        assert log.returned_ == [result] * 3

    def test_the_exception_passes_through(self) -> None:
        log, error = Log(), RuntimeError("x")

        async def function(self: object, a: int, b: int) -> object:
            raise error

        with pytest.raises(RuntimeError) as raised:
            asyncio.run(method(log, function)(1, 2))
        assert raised.value is error
        assert log.raised_ == [error]

    def test_what_is_raised_before_awaiting_is_raised_then(self) -> None:
        """Letta checks the types of arguments when a method is called, not when it is awaited."""

        def function(self: object, a: int, b: int) -> Awaitable[object]:
            raise ValueError("a is not a str")

        with pytest.raises(ValueError, match="not a str"):
            method(Log(), function)(1, 2)

    def test_what_is_not_awaitable_is_left_alone(self) -> None:
        assert method(Log(), lambda self, a, b: a + b)(1, 2) == 3

    @pytest.mark.parametrize(
        "observer", [Angry(), SimpleNamespace(returned=Angry().returned, raised=Angry().raised)]
    )
    def test_our_errors_stay_ours(self, observer: Observer, caplog: pytest.LogCaptureFixture) -> None:
        async def good(self: object, a: int, b: int) -> int:
            return a + b

        async def bad(self: object, a: int, b: int) -> int:
            raise RuntimeError("theirs")

        for _ in range(3):
            assert asyncio.run(method(observer, good)(1, 2)) == 3
            with pytest.raises(RuntimeError, match="theirs"):
                asyncio.run(method(observer, bad)(1, 2))
        told = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
        assert told
        assert len(told) == len(set(told)), "each is told once"

    def test_cancellation_is_told_and_goes_on(self) -> None:
        log = Log()

        async def function(self: object, a: int, b: int) -> None:
            await asyncio.Event().wait()

        async def main() -> None:
            task = asyncio.ensure_future(method(log, function)(1, 2))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        asyncio.run(main())
        assert [type(error) for error in log.raised_] == [asyncio.CancelledError]


class TestPatching:
    def point(self, method: str, *parameters: str) -> HookPoint:
        return HookPoint("stand_in", "Manager", method, parameters, "agent.step.completed", f"{__name__}:LOG")

    @pytest.fixture
    def module(self) -> ModuleType:
        class Manager:
            async def good(self, step_id: str) -> str:
                return step_id

            async def renamed(self, identifier: str) -> str:
                return identifier

            def blocking(self, step_id: str) -> str:
                return step_id

        module = ModuleType("stand_in")
        module.Manager = Manager  # type: ignore[attr-defined]
        return module

    def test_what_is_missing_is_named_once_and_the_rest_goes_on(
        self, module: ModuleType, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "stand_in_observers", SimpleNamespace(log=LOG))
        points = [
            self.point("gone", "step_id"),
            self.point("renamed", "step_id"),
            self.point("blocking", "step_id"),
            HookPoint("stand_in", "Manager", "good", ("step_id",), "x", "stand_in_observers:log"),
        ]
        patching._patcher(points)(module)
        told = [record.getMessage() for record in caplog.records]
        assert len(told) == 3
        assert "stand_in.Manager.gone is missing" in told[0]
        assert "stand_in.Manager.renamed has another signature (no step_id)" in told[1]
        assert "stand_in.Manager.blocking is not an async method" in told[2]
        assert all("no agent.step.completed events" in line for line in told)
        good = module.Manager
        assert asyncio.run(good().good("step-1")) == "step-1"
        patching._patcher(points[-1:])(module)
        assert not isinstance(good.good.__wrapped__, wrapt.FunctionWrapper), "watched twice"

    def test_a_module_without_the_class(self, caplog: pytest.LogCaptureFixture) -> None:
        patching._patcher([self.point("good")])(ModuleType("stand_in"))
        assert "stand_in.Manager.good is missing" in caplog.text

    def test_nothing_is_printed_in_a_tools_process(
        self, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("LETTA_TOOL_ID", "tool-1")
        patching._patcher([self.point("good")])(ModuleType("stand_in"))
        assert not caplog.records

    def test_a_letta_that_is_not_there_fails_every_check(self) -> None:
        checks = patching.check()
        assert [check.name for check in checks] == [point.name for point in POINTS]
        assert not any(check.ok for check in checks)
        assert all("cannot be imported" in check.detail for check in checks)

    def test_installing_imports_neither_letta_nor_anything_heavy(self) -> None:
        script = (
            "import sys; before = set(sys.modules); from letta_emitter.hooks import install; install(); install();"
            "new = {name.partition('.')[0] for name in set(sys.modules) - before};"
            "print(sorted(new & {'letta', 'pydantic', 'opentelemetry', 'redis', 'faststream', 'schemas'}))"
        )
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
        assert done.stdout == "[]\n"
        assert not done.stderr


LOG = SimpleNamespace(returned=lambda seen, result: None, raised=lambda seen, error: None)


class TestDetached:
    def test_bounded_in_number(self, emitter: Emitter, caplog: pytest.LogCaptureFixture) -> None:
        async def main() -> int:
            done: list[int] = []
            gate = asyncio.Event()

            async def wait() -> None:
                await gate.wait()
                done.append(1)

            for _ in range(detached.TASKS_MAX + 3):
                detached.start("a look-up", wait)
            gate.set()
            while detached._tasks:
                await asyncio.sleep(0)
            return len(done)

        assert asyncio.run(main()) == detached.TASKS_MAX
        assert caplog.text.count("a look-up was left out") == 3
        assert emitter.stats.get("failed") == 3

    def test_bounded_in_time(self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
        monkeypatch.setattr(detached, "TASK_TIMEOUT_S", 0.01)

        async def main() -> None:
            detached.start("a slow look-up", asyncio.Event().wait)  # type: ignore[arg-type]
            while detached._tasks:
                await asyncio.sleep(0.001)

        asyncio.run(main())
        assert "a slow look-up failed" in caplog.text


def seen(instance: object, **arguments: object) -> Seen:
    return Seen(instance, {"actor": ACTOR, **arguments}, 0)


async def settled() -> None:
    """Wait until no look-up is under way."""
    while detached._tasks:
        await asyncio.sleep(0)


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
