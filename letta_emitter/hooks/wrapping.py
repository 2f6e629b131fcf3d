"""How a method of Letta is watched without changing what it does.

The wrapped call gets exactly its arguments and gives exactly its result or its exception. Whatever goes wrong
on our side is logged and forgotten: nothing of it reaches Letta.
"""

from __future__ import annotations

import contextlib
import inspect
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

logger = logging.getLogger("letta_emitter.hooks")

Wrapped = Callable[..., object]
Wrapper = Callable[[Wrapped, object, tuple[object, ...], dict[str, object]], object]


@dataclass(frozen=True, slots=True)
class Seen:
    """One call as it was made: the object it was made on and its arguments by name."""

    instance: object
    arguments: Mapping[str, object]
    started_ns: int

    @property
    def organization_id(self) -> str:
        """The organization of the acting user; empty where Letta was not told who acts."""
        return str(getattr(self.arguments.get("actor"), "organization_id", None) or "")

    def text(self, name: str) -> str | None:
        """An argument that is an id, or None."""
        value = self.arguments.get(name)
        return value if isinstance(value, str) else None


class Observer(Protocol):
    """Watches calls: told of each result, and of each exception that a call ended with."""

    def returned(self, seen: Seen, result: object) -> None:
        """The call has returned `result`."""

    def raised(self, seen: Seen, error: BaseException) -> None:
        """The call has ended with `error` (cancellation included)."""


class Surrounding(Protocol):
    """Watches calls of which something must be known or set beforehand: `before` makes what the others get.

    `before` is the only thing of ours that Letta ever waits for; where it fails, the others get None.
    """

    async def before(self, seen: Seen) -> object:
        """The call is about to be made."""

    def returned(self, seen: Seen, prepared: object, result: object) -> None:
        """The call has returned `result`."""

    def raised(self, seen: Seen, prepared: object, error: BaseException) -> None:
        """The call has ended with `error` (cancellation included)."""


class Shield:
    """`with Shield("what"):` keeps an error of ours from Letta; each `what` is reported once, if `loud`.

    Where it `loses` an event, that is counted every time: `doctor` must not say that nothing was lost.
    """

    _told: set[str] = set()  # noqa: RUF012 - shared by all on purpose: once per process, not once per use

    def __init__(self, what: str, *, loud: bool = True, loses: bool = True) -> None:
        self._what = what
        self._loses = loses
        self._loud = loud

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if not isinstance(error, Exception):
            return False
        if self._loses:
            count_lost()
        if not self._loud or self._what in self._told:
            logger.debug("%s failed: %r", self._what, error)
        else:
            self._told.add(self._what)
            logger.error(
                "%s failed; Letta is not affected, but events may be missing", self._what, exc_info=error
            )
        return True


def count_lost() -> None:
    """Count an event that was lost before it reached the emitter."""
    with contextlib.suppress(Exception):
        from letta_emitter.emitter import get_emitter  # noqa: PLC0415 (the start-up of Letta does without)

        get_emitter().count_failed()


def watched(observer: Observer, positional: tuple[str, ...], name: str) -> Wrapper:
    """Make the wrapt wrapper for one method whose parameters after `self` are `positional`."""

    def wrapper(
        wrapped: Wrapped, instance: object, args: tuple[object, ...], kwargs: dict[str, object]
    ) -> object:
        seen = _seen(positional, instance, args, kwargs)
        made = wrapped(*args, **kwargs)
        return _observed(made, observer, seen, name) if inspect.isawaitable(made) else made

    return wrapper


def surrounded(observer: Surrounding, positional: tuple[str, ...], name: str) -> Wrapper:
    """Make the wrapt wrapper for a method that is also watched before it is called."""

    def wrapper(
        wrapped: Wrapped, instance: object, args: tuple[object, ...], kwargs: dict[str, object]
    ) -> object:
        seen = _seen(positional, instance, args, kwargs)
        return _surrounded(lambda: wrapped(*args, **kwargs), observer, seen, name)

    return wrapper


def _seen(
    positional: tuple[str, ...], instance: object, args: tuple[object, ...], kwargs: dict[str, object]
) -> Seen:
    arguments = dict(zip(positional, args, strict=False))
    arguments.update(kwargs)
    return Seen(instance, arguments, time.monotonic_ns())


async def _observed(made: Awaitable[object], observer: Observer, seen: Seen, name: str) -> object:
    try:
        result = await made
    except BaseException as error:
        with Shield(name):
            observer.raised(seen, error)
        raise
    with Shield(name):
        observer.returned(seen, result)
    return result


async def _surrounded(call: Callable[[], object], observer: Surrounding, seen: Seen, name: str) -> object:
    prepared: object = None
    with Shield(f"{name}, before"):
        prepared = await observer.before(seen)
    try:
        made = call()
        result = await made if inspect.isawaitable(made) else made
    except BaseException as error:
        with Shield(name):
            observer.raised(seen, prepared, error)
        raise
    with Shield(name):
        observer.returned(seen, prepared, result)
    return result
