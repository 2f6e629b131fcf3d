"""Hooks change nothing of what they watch, and tell what really happened: on stand-ins for Letta's managers.

`tests/letta` does the same on the real ones; here are the interleavings that cannot be had there on demand.
"""

# ruff: noqa: ARG001, ARG005 - stand-ins take the arguments that Letta's methods take

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
from collections.abc import Awaitable, Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import wrapt

from letta_emitter.emitter import Emitter
from letta_emitter.hooks import detached, patching
from letta_emitter.hooks.points import POINTS, HookPoint
from letta_emitter.hooks.wrapping import Observer, Seen, Shield, surrounded, watched

pytestmark = pytest.mark.usefixtures("unheard")


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
