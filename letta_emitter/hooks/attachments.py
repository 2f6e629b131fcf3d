"""What is known to be attached while changes of an agent's tools are under way.

Two calls at the same time may both have read the agent's tools before either changed them. The first that
ends changes what is known, so the second finds nothing left to tell.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Tool:
    """What an event says of a tool."""

    id: str
    name: str | None = None
    type: str | None = None


@dataclass(slots=True)
class Known:
    """The tools of one agent, as far as the calls under way have told."""

    attached: dict[str, bool] = field(default_factory=dict)
    users: int = 0

    def learn(self, tool_ids: Iterable[str]) -> None:
        """Note tools that were read to be attached, unless a change has been seen since."""
        for tool_id in tool_ids:
            self.attached.setdefault(tool_id, True)

    def change(self, tool_id: str, *, attached: bool) -> bool:
        """Note that a tool is attached or not; return whether that is a change."""
        if self.attached.get(tool_id, False) is attached:
            return False
        self.attached[tool_id] = attached
        return True


class Attachments:
    """What is known, by agent, as long as a call that changes its tools is under way."""

    def __init__(self) -> None:
        self._agents: dict[str, Known] = {}

    def enter(self, agent_id: str) -> Known:
        """Share what is known of an agent with the other calls under way."""
        known = self._agents.setdefault(agent_id, Known())
        known.users += 1
        return known

    def leave(self, agent_id: str) -> None:
        """Forget it with the last call."""
        known = self._agents[agent_id]
        known.users -= 1
        if not known.users:
            del self._agents[agent_id]
