"""A server with the emitter whose Redis comes and goes."""

from collections import Counter
from dataclasses import dataclass

from harness.api import Letta
from harness.dialogue import Dialogue
from harness.ledger import ledger
from harness.pipe import Pipe
from harness.server import LettaServer
from harness.told import History


@dataclass(frozen=True)
class Watched:
    """The server, what it feeds, and the first talk with it, which was over before Redis was ever up."""

    server: LettaServer
    pipe: Pipe
    letta: Letta
    first_talk: Dialogue

    def all_arrives(self, *agents: str) -> None:
        """Wait until all that Letta lists of agents that gained and lost one tool arrived: once, in order."""
        expected = ledger(self.letta, list(agents), [], []).expected()

        def arrived(told: History) -> bool:
            found = told.by(*agents)
            return found.as_listed() >= expected and len(found.of("agent.tool.detached")) == len(agents)

        history = self.pipe.wait_for(arrived, "every event of the talk").by(*agents)
        assert history.as_listed() == expected
        changes = Counter(
            (event.agent, event.type) for event in history if event.type.startswith("agent.tool.")
        )
        assert changes == Counter(
            (agent, f"agent.tool.{how}ed") for agent in agents for how in ("attach", "detach")
        )
        assert len({event.delivery for event in history}) == len(history)
        # The log has them in the order in which they happened.
        order = {event_id: position for position, event_id in enumerate(self.pipe.log())}
        for agent in agents:
            positions = [order[event.id] for event in history.by(agent)]
            assert positions == sorted(positions)
