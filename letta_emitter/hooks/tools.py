"""Tools gained and lost: only what really changes.

Letta does not say whether attaching or detaching changed anything, so what the agent has is read before the
call, by Letta's own manager and for at most `READ_TIMEOUT_S`. These are calls of an administrator, not of a
running agent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from letta_emitter.hooks import detached
from letta_emitter.hooks.attachments import Attachments, Known, Tool
from letta_emitter.hooks.context import here
from letta_emitter.hooks.rows import plain
from letta_emitter.hooks.sending import deliver
from letta_emitter.hooks.wrapping import Seen, Shield
from letta_emitter.mapping.calls import ToolChanged

READ_TIMEOUT_S: Final = 0.5
NAMES_MAX: Final = 32

_attachments: Final = Attachments()


@dataclass(frozen=True, slots=True)
class _Change:
    """A call under way: what the agent had (None: unknown), what it shall have, which tools can change."""

    agent_id: str
    known: Known
    before: dict[str, Tool] | None
    names: dict[str, Tool]
    after: set[str]
    touched: set[str]


class _Changes:
    """What is the same for every method that changes an agent's tools."""

    def __init__(self, wanted: Callable[[Seen], tuple[set[str], set[str] | None] | None]) -> None:
        """Watch a method.

        `wanted` reads from a call the tools that the agent has to have afterwards, and the tools that can
        change (None: all it has); or None where the call leaves tools alone.
        """
        self._wanted = wanted

    async def before(self, seen: Seen) -> object:
        wanted, agent_id = self._wanted(seen), seen.text("agent_id")
        if wanted is None or agent_id is None:
            return None
        after, touched = wanted
        known = _attachments.enter(agent_id)
        try:
            before = await _read(seen, agent_id)
            had = before or {}
            names = await _named(seen, after - had.keys()) | had
        except BaseException:
            _attachments.leave(agent_id)
            raise
        known.learn(had)
        return _Change(
            agent_id, known, before, names, after, had.keys() | after if touched is None else touched
        )

    def returned(self, seen: Seen, prepared: object, result: object) -> None:
        del result
        if not isinstance(prepared, _Change):
            return
        _attachments.leave(prepared.agent_id)
        for tool_id in sorted(prepared.touched):
            attached = tool_id in prepared.after
            changed = prepared.known.change(tool_id, attached=attached)
            # Where what the agent had could not be read, an event too many is better than one too few.
            if changed or prepared.before is None:
                tool = prepared.names.get(tool_id, Tool(tool_id))
                _tell(seen, prepared.agent_id, tool, attached=attached)

    def raised(self, seen: Seen, prepared: object, error: BaseException) -> None:
        """Read what the agent has now: the change may have been committed before the call ended (S9f)."""
        del error
        if not isinstance(prepared, _Change):
            return
        _attachments.leave(prepared.agent_id)
        agent_id, before, names, touched = (
            prepared.agent_id,
            prepared.before,
            prepared.names,
            prepared.touched,
        )
        if before is None:
            return

        async def read() -> None:
            now = await _read(seen, agent_id)
            if now is None:
                return
            for tool_id in sorted(touched & (now.keys() ^ before.keys())):
                _tell(seen, agent_id, (names | now).get(tool_id, Tool(tool_id)), attached=tool_id in now)

        detached.start("reading an agent's tools again", read)


def _attached(seen: Seen) -> tuple[set[str], set[str] | None] | None:
    named = _ids(seen.arguments.get("tool_id")) | _ids(seen.arguments.get("tool_ids"))
    return named, named


def _detached(seen: Seen) -> tuple[set[str], set[str] | None] | None:
    return set(), _ids(seen.arguments.get("tool_id")) | _ids(seen.arguments.get("tool_ids"))


def _replaced(seen: Seen) -> tuple[set[str], set[str] | None] | None:
    """The update of an agent may replace all its tools; most updates, as at the end of a run, do not."""
    tool_ids = getattr(seen.arguments.get("agent_update"), "tool_ids", None)
    return None if tool_ids is None else (_ids(tool_ids), None)


class _Created:
    """A new agent gains the tools it is made with."""

    def returned(self, seen: Seen, result: object) -> None:
        agent: Any = result
        for tool in _tools(agent.tools or ()).values():
            _tell(seen, agent.id, tool, attached=True)

    def raised(self, seen: Seen, error: BaseException) -> None:
        """There is no agent to ask about: its id was in the result that never came."""


async def _read(seen: Seen, agent_id: str) -> dict[str, Tool] | None:
    """The tools that the agent has; None where that cannot be read in time, or there is no such agent."""
    manager: Any = seen.instance
    with Shield("reading an agent's tools", loud=False, loses=False):
        async with asyncio.timeout(READ_TIMEOUT_S):
            found = await manager.list_attached_tools_async(
                agent_id=agent_id, actor=seen.arguments.get("actor")
            )
            return _tools(found)
    return None


async def _named(seen: Seen, tool_ids: Iterable[str]) -> dict[str, Tool]:
    """Look up tools that the agent does not have yet; what is not found in time goes without a name."""
    manager: Any = seen.instance
    found: dict[str, Tool] = {}
    with Shield("looking up the names of tools", loud=False, loses=False):
        async with asyncio.timeout(READ_TIMEOUT_S):
            for tool_id in sorted(tool_ids)[:NAMES_MAX]:
                tool = await manager.tool_manager.get_tool_by_id_async(
                    tool_id=tool_id, actor=seen.arguments.get("actor")
                )
                found |= _tools([tool])
    return found


def _tell(seen: Seen, agent_id: str, tool: Tool, *, attached: bool) -> None:
    deliver(ToolChanged(here(seen.organization_id), agent_id, tool.id, attached, tool.name, tool.type))


def _ids(value: object) -> set[str]:
    if isinstance(value, str):
        return {value}
    return {str(item) for item in value} if isinstance(value, list | tuple | set) else set()


def _tools(found: Iterable[Any]) -> dict[str, Tool]:
    return {tool.id: Tool(tool.id, tool.name, plain(tool.tool_type)) for tool in found}


attaching: Final = _Changes(_attached)
detaching: Final = _Changes(_detached)
updating: Final = _Changes(_replaced)
created: Final = _Created()
