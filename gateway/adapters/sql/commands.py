"""What is asked of a stream, or told about it, in SQL: a fact and its projections in one transaction (S1d, S6b)."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

from gateway.adapters.sql.absent import check_present
from gateway.adapters.sql.database import Database
from gateway.adapters.sql.delivery_rows import pending_row
from gateway.adapters.sql.models import Attempt, LogHead, Pending, Replay, Subscription
from gateway.adapters.sql.saying import FactWriter
from gateway.adapters.sql.streams import BATCH_TRACE, running_replays
from gateway.domain import facts
from gateway.domain.pending import PendingDelivery
from gateway.errors import Conflict, Gone, NotFound
from gateway.ports import (
    Now,
    Random,
    ReplayRange,
    ReplayRecord,
    ReplayState,
    SubscriptionState,
)

_ATTEMPT = Attempt.__table__  # type: ignore[attr-defined]
_HEAD = LogHead.__table__  # type: ignore[attr-defined]
_PENDING = Pending.__table__  # type: ignore[attr-defined]
_REPLAY = Replay.__table__  # type: ignore[attr-defined]
_SUBSCRIPTION = Subscription.__table__  # type: ignore[attr-defined]
_ENDED = {
    ReplayState.FINISHED: facts.REPLAY_FINISHED,
    ReplayState.CANCELLED: facts.REPLAY_CANCELLED,
}

_DELETED = "The subscription of this delivery is deleted."
_AGAIN = "Another subscription whose `start` lies before the event gets it too."


class SqlStreamCommands:
    """Implements ``gateway.ports.StreamCommands`` on any ``Database``."""

    def __init__(self, database: Database, *, fact_source: str, now: Now, random: Random) -> None:
        self._database = database
        self._now = now
        self._facts = FactWriter(fact_source, random)

    async def test(self, number: int) -> int:
        """See ``StreamCommands.test``."""

        def work(connection: Connection) -> int:
            row, head = _present(connection, number), _head(connection)
            data = {"subscription_id": row.id, "number": number, "test": True}
            return self._fact(connection, row, facts.SUBSCRIPTION_TEST, str(head), data, addressee=number)

        return await self._database.write(work)

    async def retry(self, number: int, position: int) -> None:
        """See ``StreamCommands.retry``."""

        def work(connection: Connection) -> None:
            row = _subscription(connection, number)
            if row is None:
                raise Gone(_DELETED, hint=_AGAIN)
            if row.state == SubscriptionState.DISABLED.value:
                raise Conflict(
                    "The subscription is disabled.",
                    hint="Resume it first; what is pending goes on by itself.",
                )
            check_present(connection, position, position)
            here = (_PENDING.c.number == number, _PENDING.c.position == position)
            pending = connection.execute(select(_PENDING).where(*here)).one_or_none()
            now_us = self._now()
            if pending is not None and pending.next_at is None:
                raise Conflict("An attempt of this delivery is in flight.", hint="Look at how it ends.")
            last = pending or _last_attempt(connection, number, position)
            data = {
                "subscription_id": row.id,
                "number": number,
                "position": position,
                "attempts": last.attempts,
            }
            cause = f"{position}:{_head(connection)}"
            request = self._fact(connection, row, facts.RETRY_REQUESTED, cause, data, now_us=now_us)
            if pending is None:
                again = _new_round(number, position, last, request, now_us)
                connection.execute(insert(_PENDING).values(again))
            else:
                due_us = min(now_us, pending.next_at)
                connection.execute(update(_PENDING).where(*here).values(next_at=due_us, request=request))

        await self._database.write(work)

    async def request_replay(self, number: int, wanted: ReplayRange) -> ReplayRecord:
        """See ``StreamCommands.request_replay``."""

        def work(connection: Connection) -> ReplayRecord:
            row, head, now_us = _present(connection, number), _head(connection), self._now()
            attempts_until = connection.execute(select(func.max(_ATTEMPT.c.seq))).scalar() or 0
            until = min(wanted.until_position, head)
            check_present(connection, wanted.from_position, until)
            data = {
                "subscription_id": row.id,
                "number": number,
                "revision": row.revision,
                "from_position": wanted.from_position,
                "until_position": until,
                "only_failed": wanted.only_failed,
                "attempts_until": attempts_until,
            }
            replay = self._fact(connection, row, facts.REPLAY_REQUESTED, str(head), data, now_us=now_us)
            connection.execute(
                insert(_REPLAY).values(
                    replay=replay,
                    number=number,
                    revision=row.revision,
                    from_position=wanted.from_position,
                    until_position=until,
                    only_failed=wanted.only_failed,
                    attempts_until=attempts_until,
                    cursor=wanted.from_position - 1,
                    state=ReplayState.RUNNING.value,
                    requested_at=now_us,
                )
            )
            return next(item for item in running_replays(connection, [number]) if item.replay == replay)

        return await self._database.write(work)

    async def end_replay(self, replay: int, state: ReplayState) -> None:
        """See ``StreamCommands.end_replay``."""

        def work(connection: Connection) -> None:
            here = (_REPLAY.c.replay == replay, _REPLAY.c.state == ReplayState.RUNNING.value)
            found = connection.execute(select(_REPLAY).where(*here)).one_or_none()
            if found is None:
                return
            row, now_us = _subscription(connection, found.number), self._now()
            connection.execute(update(_REPLAY).where(*here).values(state=state.value, ended_at=now_us))
            if row is not None:
                data = {"subscription_id": row.id, "number": found.number, "replay": replay}
                self._fact(connection, row, _ENDED[state], str(replay), data, now_us=now_us)

        await self._database.write(work)

    async def notice(self, number: int, kind: str, data: Mapping[str, object]) -> None:
        """See ``StreamCommands.notice``."""

        def work(connection: Connection) -> None:
            row = _subscription(connection, number)
            if row is not None:
                told = {"subscription_id": row.id, "number": number, **data}
                self._fact(connection, row, kind, str(_head(connection)), told)

        await self._database.write(work)

    def _fact(
        self,
        connection: Connection,
        row: Row[Any],
        kind: str,
        cause: str,
        data: Mapping[str, object],
        *,
        addressee: int | None = None,
        now_us: int | None = None,
    ) -> int:
        now_us = self._now() if now_us is None else now_us
        fact = facts.Fact(kind, row.id, cause, data)
        return self._facts.say(connection, fact, now_us, organization=row.organization, addressee=addressee)


def _head(connection: Connection) -> int:
    return int(connection.execute(select(_HEAD.c.position)).scalar_one())


def _subscription(connection: Connection, number: int) -> Row[Any] | None:
    row = connection.execute(select(_SUBSCRIPTION).where(_SUBSCRIPTION.c.number == number)).one_or_none()
    return None if row is None or row.state == SubscriptionState.DELETED.value else row


def _present(connection: Connection, number: int) -> Row[Any]:
    row = _subscription(connection, number)
    if row is None:
        raise NotFound("This subscription does not exist.")
    return row


def _last_attempt(connection: Connection, number: int, position: int) -> Row[Any]:
    statement = (
        select(_ATTEMPT.c.attempt.label("attempts"), _ATTEMPT.c.round, _ATTEMPT.c.span_id, BATCH_TRACE)
        .where(_ATTEMPT.c.number == number, _ATTEMPT.c.position == position)
        .order_by(_ATTEMPT.c.attempt.desc())
        .limit(1)
    )
    last = connection.execute(statement).one_or_none()
    if last is None:
        raise NotFound("This delivery was never tried.")
    return last


def _new_round(number: int, position: int, last: Row[Any], request: int, now_us: int) -> dict[str, Any]:
    """What has ended begins again, with a schedule of its own; attempt numbers go on (S5b)."""
    return pending_row(
        PendingDelivery(
            number,
            position,
            round=last.round + 1,
            attempts=last.attempts,
            first_at_us=now_us,
            next_at_us=now_us,
            last_span_id=last.span_id,
            last_trace_id=last.batch_trace_id,
            asked=True,
            request=request,
        )
    )
