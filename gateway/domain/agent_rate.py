"""How many events a second one agent may bring in: arithmetic on the clock that the caller brings.

The generic cell rate algorithm again (``rate.py``), for many agents at once: of each, one number is kept.
"""

from collections import OrderedDict
from typing import Final

BURST_S: Final = 10
"""An agent that was quiet may bring in so many seconds' worth at once: a run comes in bursts."""

AGENTS_MAX: Final = 20_000
"""Agents that are remembered; who was quiet for longest is forgotten first, and begins anew."""

_US_NS: Final = 1_000

Agent = tuple[str | None, str]
"""Organization and agent: an agent's id is its organization's affair."""


class AgentRates:
    """A limit of ``per_second`` events for each agent."""

    __slots__ = ("_agents_max", "_burst_ns", "_due_ns", "_step_ns")

    def __init__(self, per_second: float, *, agents_max: int = AGENTS_MAX) -> None:
        # Rounded up: in the long run rather one event too few than one too many.
        self._step_ns = -int(-1_000_000_000 / per_second // 1)
        self._burst_ns = max(BURST_S * 1_000_000_000, self._step_ns)
        self._agents_max = agents_max
        self._due_ns: OrderedDict[Agent, int] = OrderedDict()

    def wait_us(self, agent: Agent, now_us: int) -> int:
        """How long the agent has to wait before it may bring in anything; 0: it may now.

        With anything left it may bring in as much as it likes at once, and waits the longer for it: a batch larger
        than the burst would otherwise never be taken.
        """
        over_ns = self._due_ns.get(agent, 0) - now_us * _US_NS - self._burst_ns + self._step_ns
        return max(0, -(-over_ns // _US_NS))

    def take(self, agent: Agent, now_us: int, count: int = 1) -> int:
        """Note that it has brought in so many. Returns from when on the last of them is within its rate."""
        now_ns = now_us * _US_NS
        due_ns = max(self._due_ns.pop(agent, 0), now_ns) + count * self._step_ns
        self._due_ns[agent] = due_ns
        if len(self._due_ns) > self._agents_max:
            self._due_ns.popitem(last=False)
        return max(now_us, -((self._burst_ns - due_ns) // _US_NS))
