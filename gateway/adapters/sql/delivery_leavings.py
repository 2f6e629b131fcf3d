"""What subscriptions left behind when they were deleted: deliveries whose last attempt was to be followed by another.

Nothing is written of them then: they were cancelled by the end of their subscription, and are found among all that it
had. So a page that looks for them may well be a short one (``SCAN_MAX``).
"""

from collections.abc import Collection, Sequence
from typing import Final

from sqlalchemy import Connection, select

from gateway.adapters.sql.lists import parts
from gateway.adapters.sql.models import Subscription
from gateway.adapters.sql.texts import same
from gateway.domain.delivery import State
from gateway.ports import DeliveryQuery, SubscriptionState

_SUBSCRIPTION = Subscription.__table__  # type: ignore[attr-defined]
_DELETED: Final = _SUBSCRIPTION.c.state == SubscriptionState.DELETED.value


def deleted_among(connection: Connection, numbers: Collection[int]) -> set[int]:
    """Those of these subscriptions that are deleted."""
    return {
        number
        for part in parts(sorted(numbers))
        for number in connection.execute(
            select(_SUBSCRIPTION.c.number).where(_SUBSCRIPTION.c.number.in_(part), _DELETED)
        ).scalars()
    }


def deleted_in_scope(
    connection: Connection, query: DeliveryQuery, numbers: Sequence[int] | None, limit: int
) -> Sequence[int]:
    """Up to ``limit`` deleted subscriptions whose leavings a list asks for; none where it asks for other states.

    Whoever asks for what was delivered as well, or for every state, reads all attempts, and so these among them.
    """
    if State.CANCELLED not in query.states or State.DELIVERED in query.states:
        return ()
    if numbers is not None:
        return sorted(deleted_among(connection, numbers))[:limit]
    meant = [_DELETED]
    if query.organization is not None:
        meant.append(same(_SUBSCRIPTION.c.organization, query.organization))
    return list(connection.execute(select(_SUBSCRIPTION.c.number).where(*meant).limit(limit)).scalars())
