"""The rate of each agent, where one is set: over HTTP what is too much is refused, by Redis it is only delivered later.

The emitter cannot be told to wait, and what it has published is not to be lost. So it is stored like everything, and
each event that is over the rate gets the moment at which it would have been within it.
"""

from collections import Counter
from collections.abc import Callable, Sequence

from gateway.domain.agent_rate import Agent, AgentRates
from gateway.errors import FieldError, RateExceeded
from gateway.ports import Appended, NewEntry, Now

_SECOND_US = 1_000_000

Hold = Callable[[int, int], None]
"""Told a position, and before which time nothing of it is to be sent."""


class Pace:
    """Counts what each agent brings in, whichever way it comes. What names no agent is not counted."""

    def __init__(self, rates: AgentRates, hold: Hold, now: Now) -> None:
        self._rates = rates
        self._hold = hold
        self._now = now

    def admit(self, entries: Sequence[NewEntry]) -> None:
        """Count a request, all of it or nothing. Raises ``RateExceeded``, with how long to wait."""
        now_us = self._now()
        counts = Counter(agent for entry in entries if (agent := _agent(entry)) is not None)
        waits = {agent: wait for agent in counts if (wait := self._rates.wait_us(agent, now_us))}
        if waits:
            raise RateExceeded(
                f"{len(waits)} of this request's agents sent more than GATEWAY_AGENT_EVENTS_PER_SECOND allows.",
                fields=[
                    FieldError(f"/{index}" if len(entries) > 1 else "", "its agent is over its rate")
                    for index, entry in enumerate(entries)
                    if _agent(entry) in waits
                ],
                retry_after_s=max(waits.values()) / _SECOND_US,
            )
        for agent, count in counts.items():
            self._rates.take(agent, now_us, count)

    def stored(self, entries: Sequence[NewEntry], appended: Sequence[Appended]) -> None:
        """Count what a stream has brought in, and hold back the deliveries of what is over the rate."""
        now_us = self._now()
        for entry, result in zip(entries, appended, strict=True):
            agent = _agent(entry)
            if agent is None or result.duplicate:
                continue
            within_us = self._rates.take(agent, now_us)
            if within_us > now_us:
                self._hold(result.position, within_us)


def _agent(entry: NewEntry) -> Agent | None:
    # Of an event that is not Letta's, whoever it is ordered by: nobody gets around the rate by another type.
    name = entry.agent_id or entry.partition_key
    return None if name is None else (entry.organization, name)
