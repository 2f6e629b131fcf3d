"""What a batch has posted, found by the trace of its POST, which is the batch's own (S10a).

A batch has at most a thousand events, and only attempts of batches are in the index: so all of it is read at once, and
nothing else is. What was erased is in no trace any more (S8b).
"""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, select

from gateway.adapters.sql.models import IS_POSTED, Attempt, Subscription
from gateway.adapters.sql.texts import fits, same
from gateway.domain.erasure import NO_TRACE
from gateway.ports import DeliveryPlace

_ATTEMPT = Attempt.__table__  # type: ignore[attr-defined]
_SUBSCRIPTION = Subscription.__table__  # type: ignore[attr-defined]
_INDEX: Final = "INDEXED BY ix_attempt_posted"
"""It knows nothing of how many rows a trace has, and may read all those of a subscription."""


def posted_positions(
    connection: Connection, trace_id: str, within: tuple[int, int], *, organization: str | None
) -> list[int]:
    """The positions of the events that a batch in this trace posted, ascending, both ends of the range included.

    ``organization``: only by its own subscriptions, since another's batches are not there (S11a).
    """
    if not _names_a_trace(trace_id):
        return []
    conditions = [_ATTEMPT.c.position.between(*within)]
    if organization is not None:
        own = select(_SUBSCRIPTION.c.number).where(same(_SUBSCRIPTION.c.organization, organization))
        conditions.append(_ATTEMPT.c.number.in_(own))
    statement = _statement((_ATTEMPT.c.position,), trace_id, conditions).order_by(_ATTEMPT.c.position)
    return list(connection.execute(statement).scalars())


def posted_places(
    connection: Connection, trace_id: str, conditions: Sequence[ColumnElement[bool]]
) -> list[DeliveryPlace]:
    """The deliveries that a batch in this trace posted and that meet these conditions, in the order of lists."""
    if not _names_a_trace(trace_id):
        return []
    position, number = _ATTEMPT.c.position, _ATTEMPT.c.number
    statement = _statement((position, number), trace_id, conditions).order_by(position.desc(), number.desc())
    return [DeliveryPlace(row.position, row.number) for row in connection.execute(statement)]


def _names_a_trace(trace_id: str) -> bool:
    return trace_id != NO_TRACE and fits(trace_id)


def _statement(
    columns: Sequence[Any], trace_id: str, conditions: Sequence[ColumnElement[bool]]
) -> Select[Any]:
    # The words of the index as well: they are what says that it may be used.
    wanted = (_ATTEMPT.c.trace_id == trace_id, IS_POSTED, *conditions)
    return select(*columns).where(*wanted).distinct().with_hint(_ATTEMPT, _INDEX, "sqlite")
