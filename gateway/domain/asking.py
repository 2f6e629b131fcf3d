"""A retry by hand that meets an attempt under way (S3h), pure.

The command knows what the database says; what the owner of the log has started since, or has settled and not
journaled, it cannot know. So it says 202, and the journal keeps the request: an attempt that began before it does not
answer it.
"""

from dataclasses import replace
from typing import NamedTuple, Protocol

from gateway.domain.pending import PendingDelivery


class Asked(NamedTuple):
    """A pending row that a command has touched: by which request, and when it is due; None: in flight."""

    request: int
    next_at_us: int | None


class Ended(Protocol):
    """What is read of the attempt that has just been journaled."""

    @property
    def number(self) -> int: ...  # noqa: D102 - as in the journal

    @property
    def position(self) -> int: ...  # noqa: D102 - likewise

    @property
    def attempt(self) -> int: ...  # noqa: D102 - likewise

    @property
    def round(self) -> int: ...  # noqa: D102 - likewise

    @property
    def ended_at_us(self) -> int: ...  # noqa: D102 - likewise

    @property
    def span_id(self) -> str: ...  # noqa: D102 - likewise

    @property
    def batch_trace_id(self) -> str | None: ...  # noqa: D102 - likewise


def once_more(asked: Asked, last: Ended) -> PendingDelivery:
    """A delivery that has ended in an attempt begun before it was asked for: the round that was asked for."""
    due_us = last.ended_at_us
    return PendingDelivery(
        last.number,
        last.position,
        round=last.round + 1,
        attempts=last.attempt,
        first_at_us=due_us,
        next_at_us=due_us,
        last_span_id=last.span_id,
        last_trace_id=last.batch_trace_id,
        asked=True,
        request=asked.request,
    )


def still_asked(asked: Asked, item: PendingDelivery, last: Ended | None) -> PendingDelivery:
    """A delivery that was started before it was asked for: where it waits again, due now; in flight, it keeps that."""
    if item.next_at_us is None:
        return replace(item, request=asked.request)
    due_us = asked.next_at_us
    if due_us is None:
        due_us = item.next_at_us if last is None else last.ended_at_us
    return replace(item, request=asked.request, next_at_us=min(item.next_at_us, due_us))
