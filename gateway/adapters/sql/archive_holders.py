"""Who still needs a part of the log: no event leaves it before every stream has it behind itself (S2, S5, S8)."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, and_, case, func, or_, select

from gateway.adapters.sql.database import Database
from gateway.adapters.sql.models import DeliveryCursor, Pending, Replay, Shard, Subscription
from gateway.ports import Holder, ReplayState, Subscriptions, SubscriptionState

_SUBSCRIPTION = Subscription.__table__  # type: ignore[attr-defined]
_CURSOR = DeliveryCursor.__table__  # type: ignore[attr-defined]
_PENDING = Pending.__table__  # type: ignore[attr-defined]
_REPLAY = Replay.__table__  # type: ignore[attr-defined]
_SHARD = Shard.__table__  # type: ignore[attr-defined]

SHOWN_MAX: Final = 100

Revisions = Mapping[int, int]
"""Subscriptions by their numbers, each at a revision."""


class Holders:
    """Looks for who needs something of the log's beginning; remembers which streams are only fetched."""

    def __init__(self, database: Database, subscriptions: Subscriptions) -> None:
        self._database = database
        self._subscriptions = subscriptions
        self._pulled: Revisions = {}
        """Streams that are only fetched, as they were looked at last."""

    async def look(self, until: int) -> list[Holder]:
        """Who needs something of what is up to there; streams that are only fetched hold nothing (S10b)."""
        self._pulled = {}
        while True:
            rows = await self._database.read(lambda connection: behind(connection, until, self._pulled))
            records = await self._subscriptions.by_numbers([row.number for row in rows])
            found = {record.number: record.revision for record in records if record.pull_only}
            self._pulled = {**self._pulled, **found}
            if not found:
                break
        held = [Holder(row.id, row.position, "it has not come further") for row in rows]
        return held + await self._database.read(lambda connection: others(connection, until))

    def are_there(self, connection: Connection, until: int) -> bool:
        """Whether there are any by now, by what was looked at, where nothing can come in between."""
        return bool(behind(connection, until, self._pulled, 1) or others(connection, until, 1))


def sentence(held: Sequence[Holder]) -> str:
    """Who holds the log first, and what to do about it."""
    first = min(held, key=lambda item: item.position)
    return (
        f"Subscription {first.subscription} still needs what is behind position {first.position}: {first.why}. "
        "Let it go on, resume it from now, or delete it."
    )


def behind(connection: Connection, until: int, pulled: Revisions, limit: int = SHOWN_MAX) -> list[Any]:
    """Streams whose cursor stands before a position, the furthest back first: ``number, revision, id, position``.

    A stream that follows the router has behind it what that has. ``pulled`` are those whose client owns the cursor
    (S10b), as they were looked at.
    """
    routed = select(func.min(_SHARD.c.routed)).where(_SHARD.c.shard == _CURSOR.c.shard).scalar_subquery()
    follows = and_(
        _CURSOR.c.live, _SUBSCRIPTION.c.state == SubscriptionState.ACTIVE.value, routed > _CURSOR.c.cursor
    )
    position = case((follows, routed), else_=_CURSOR.c.cursor)
    statement = (
        select(_CURSOR.c.number, _SUBSCRIPTION.c.revision, _SUBSCRIPTION.c.id, position.label("position"))
        .join(_SUBSCRIPTION, _SUBSCRIPTION.c.number == _CURSOR.c.number)
        .where(_CURSOR.c.cursor < until, position < until)
        .order_by(position, _CURSOR.c.number)
        .limit(limit + len(pulled))
    )
    rows = connection.execute(statement).all()
    return [row for row in rows if pulled.get(row.number) != row.revision][:limit]


def others(connection: Connection, until: int, limit: int = SHOWN_MAX) -> list[Holder]:
    """Deliveries that are not terminal, and replays that run, of events up to a position."""
    pending = (
        select(_SUBSCRIPTION.c.id, func.min(_PENDING.c.position).label("position"))
        .join(_SUBSCRIPTION, _SUBSCRIPTION.c.number == _PENDING.c.number)
        .where(or_(_PENDING.c.position <= until, _PENDING.c.blocked_from <= until))
        .group_by(_SUBSCRIPTION.c.id)
        .order_by(func.min(_PENDING.c.position))
        .limit(limit)
    )
    replays = (
        select(_SUBSCRIPTION.c.id, _REPLAY.c.cursor)
        .join(_SUBSCRIPTION, _SUBSCRIPTION.c.number == _REPLAY.c.number)
        .where(_REPLAY.c.state == ReplayState.RUNNING.value, _REPLAY.c.cursor < until)
        .order_by(_REPLAY.c.cursor)
        .limit(limit)
    )
    found = [
        Holder(row.id, row.position - 1, "a delivery that is not finished")
        for row in connection.execute(pending)
    ]
    found += [Holder(row.id, row.cursor, "a replay that runs") for row in connection.execute(replays)]
    return found
