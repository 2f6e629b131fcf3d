"""What every command does to a subscription's row: find it unless it is deleted, and date the change."""

import json
from typing import Any

from sqlalchemy import Connection, Row, func, select, update

from gateway.adapters.sql.models import DeliveryCursor, Shard, Subscription
from gateway.domain.handshake import UNASKED, Consent
from gateway.errors import NotFound, PreconditionFailed
from gateway.ports import SubscriptionState

_SUBSCRIPTION = Subscription.__table__  # type: ignore[attr-defined]
_CURSOR = DeliveryCursor.__table__  # type: ignore[attr-defined]
_SHARD = Shard.__table__  # type: ignore[attr-defined]


def present_row(
    connection: Connection,
    number: int,
    *,
    revision: int | None = None,
    unchanged_since_us: int | None = None,
) -> Row[Any]:
    """The row of one that is not deleted. Raises ``NotFound``, and ``PreconditionFailed`` where it was changed."""
    row = connection.execute(select(_SUBSCRIPTION).where(_SUBSCRIPTION.c.number == number)).one_or_none()
    if row is None or row.state == SubscriptionState.DELETED.value:
        raise NotFound("This subscription does not exist.")
    if unchanged_since_us is not None and row.updated_at != unchanged_since_us:
        raise PreconditionFailed("The subscription was changed since you read it.")
    if revision is not None and row.revision != revision:
        raise PreconditionFailed(f"The subscription is at revision {row.revision} now.")
    return row


def passed(connection: Connection, row: Row[Any]) -> int:
    """How far the stream is dispatched: a live one as far as the router has come, at least (S2b)."""
    cursor = connection.execute(select(_CURSOR).where(_CURSOR.c.number == row.number)).one()
    if not (cursor.live and row.state == SubscriptionState.ACTIVE.value):
        return int(cursor.cursor)
    routed = connection.execute(select(func.min(_SHARD.c.routed))).scalar()
    return max(int(cursor.cursor), int(routed or 0))


def consent_columns(consent: Consent) -> dict[str, object]:
    """The handshake as it is stored; what is found by its callback has a column for that."""
    if consent == UNASKED:
        return {"consent": "{}", "callback": None}
    return {"consent": json.dumps(consent.to_json()), "callback": consent.callback}


def touch(connection: Connection, number: int, now_us: int, **values: object) -> None:
    """Write these columns, and when that was."""
    connection.execute(
        update(_SUBSCRIPTION).where(_SUBSCRIPTION.c.number == number).values(updated_at=now_us, **values)
    )
