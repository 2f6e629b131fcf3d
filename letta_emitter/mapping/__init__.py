"""From a call seen in Letta to events: pure, without clock, randomness or Letta itself."""

from letta_emitter.mapping.calls import Call, Context
from letta_emitter.mapping.events import Outcome, outcomes

__all__ = ["Call", "Context", "Outcome", "outcomes"]
