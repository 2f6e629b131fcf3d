"""Attach the observers when Letta's modules are imported, and say plainly where that is not possible."""

from __future__ import annotations

import importlib
import inspect
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import ModuleType

import wrapt

from letta_emitter.hooks.points import POINTS, HookPoint
from letta_emitter.hooks.wrapping import Shield, logger, surrounded, watched

# Letta sets this for the sub-process of a tool. The hooks load there as well (it inherits the environment),
# but whatever it prints is taken for the tool's own output.
_TOOL_PROCESS = "LETTA_TOOL_ID"
_MARK = "_letta_emitter_hook"


@dataclass(frozen=True, slots=True)
class HookCheck:
    """Whether one hook point can be watched: its name, the verdict and a sentence."""

    name: str
    ok: bool
    detail: str


class _State:
    installed = False


def install() -> None:
    """Arrange for every hook point to be watched once Letta imports its module; a second call does nothing.

    Letta itself is not imported by this, and neither is anything of ours that costs time: it runs at the
    start of every Python process of Letta's environment.
    """
    if _State.installed:
        return
    _State.installed = True
    for module in dict.fromkeys(point.module for point in POINTS):
        wrapt.register_post_import_hook(
            _patcher([point for point in POINTS if point.module == module]), module
        )


def check() -> list[HookCheck]:
    """Import Letta's modules and say for each hook point whether it is there as it is needed."""
    checks = []
    for point in POINTS:
        try:
            module = importlib.import_module(point.module)
        except ImportError as error:
            checks.append(HookCheck(point.name, ok=False, detail=f"cannot be imported: {error}"))
            continue
        fault = _fault(point, module)
        detail = fault or f"feeds {point.feeds}"
        checks.append(HookCheck(point.name, ok=fault is None, detail=detail))
    return checks


def _patcher(points: Iterable[HookPoint]) -> Callable[[ModuleType], None]:
    def patch_all(module: ModuleType) -> None:
        for point in points:
            # An error here would otherwise become an error of Letta's own import.
            with Shield(f"watching {point.name}", loses=False):
                _patch(point, module)

    return patch_all


def _patch(point: HookPoint, module: ModuleType) -> None:
    fault = _fault(point, module)
    if fault is not None:
        if _TOOL_PROCESS not in os.environ:
            logger.error("hook point %s %s; no %s events will be sent", point.name, fault, point.feeds)
        return
    function = getattr(getattr(module, point.owner), point.method)
    if getattr(function, _MARK, False):
        return
    observer_module, _, observer_name = point.observer.partition(":")
    observer = getattr(importlib.import_module(observer_module), observer_name)
    make = surrounded if hasattr(observer, "before") else watched
    wrapper = make(observer, _parameters(function), point.name)
    wrapt.wrap_function_wrapper(module, f"{point.owner}.{point.method}", wrapper)
    setattr(getattr(getattr(module, point.owner), point.method), _MARK, True)


def _fault(point: HookPoint, module: ModuleType) -> str | None:
    """What keeps the point from being watched, as the end of a sentence, or None."""
    owner = getattr(module, point.owner, None)
    function = None if owner is None else getattr(owner, point.method, None)
    if function is None:
        return "is missing"
    if not inspect.iscoroutinefunction(inspect.unwrap(function)):
        return "is not an async method"
    unknown = [name for name in point.parameters if name not in _parameters(function)]
    if unknown:
        return f"has another signature (no {', '.join(unknown)})"
    return None


def _parameters(function: object) -> tuple[str, ...]:
    """The names of a method's parameters after `self`."""
    return tuple(inspect.signature(function).parameters)[1:]  # type: ignore[arg-type]
