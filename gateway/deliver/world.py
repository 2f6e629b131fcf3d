"""What delivering needs from outside, in one place."""

from collections.abc import Callable
from dataclasses import dataclass

from gateway.ports import Deliveries, EventLog, Now, Random, Sender, Subscriptions


@dataclass(frozen=True, slots=True)
class AttemptPolicy:
    """What is the same for every attempt. ``dataschema_of`` gives the contract's URL of a type that has one."""

    timeout_s: float
    dataschema_of: Callable[[str], str | None]


@dataclass(frozen=True, slots=True)
class World:
    """Stores, sender, clock and randomness. ``jitter`` draws from [0, 1)."""

    log: EventLog
    deliveries: Deliveries
    subscriptions: Subscriptions
    sender: Sender
    policy: AttemptPolicy
    now: Now
    random: Random
    jitter: Callable[[], float]
