"""What a simulated run is made of: how large, how hostile, and with which seed."""

from dataclasses import dataclass, field

from gateway.deliver.world import Limits

SMALL = Limits(
    queue_max=8, pending_max=12, in_flight_max=20, batch=7, lag_max=12, unwritten_max=30, due_rows_max=5
)
"""Bounds so tight that every run meets all of them."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Chances are per action (of which there are ``actions``), times in virtual seconds."""

    seed: int
    actions: int = 120
    action_gap_s: float = 0.6
    subscriptions: int = 4
    limits: Limits = field(default=SMALL)
    crash: float = 0.06
    stop: float = 0.02
    outage: float = 0.04
    outage_s: float = 4.0
    lost_answer: float = 0.02
    deaf: float = 0.2
    settle_s: float = 900.0
    features: frozenset[str] = frozenset({"order", "batch", "rate", "replay", "retry", "test"})
    """What subscriptions and commands may ask for, beside what every run has."""
