"""Attempts as an engine would have journaled them, for tests of what the API tells of them."""

from dataclasses import replace
from typing import Any

from gateway.domain.delivery import Decision
from gateway.ports import AttemptRecord

STARTED_US = 1_767_225_600_000_000


def attempt(number: int, position: int, **members: Any) -> AttemptRecord:
    """The first attempt of a subscription at an event, delivered at once; `members` say what is different."""
    found = AttemptRecord(
        id=f"att_{number}_{position}_{members.get('attempt', 1)}",
        number=number,
        position=position,
        hash6=b"abcdef",
        attempt=1,
        round=0,
        cause="first",
        decision=Decision.DELIVERED,
        counts=False,
        started_at_us=STARTED_US,
        duration_us=0,
        revision=1,
        trace_id="t" * 32,
        span_id="s" * 16,
        status=204,
    )
    return replace(found, **members)
