"""The quarantine in SQL."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, select, update

from gateway.adapters.sql.append import append, prepare
from gateway.adapters.sql.database import Database
from gateway.adapters.sql.models import Erasure, QuarantineEntry
from gateway.adapters.sql.texts import same
from gateway.domain.erasure import Scope, Target
from gateway.errors import Conflict, NotFound
from gateway.ports import Appended, ErasureState, NewEntry, Now, QuarantineRecord, QuarantineState, Random

_QUARANTINE = QuarantineEntry.__table__  # type: ignore[attr-defined]
_ERASURE = Erasure.__table__  # type: ignore[attr-defined]
_THERE = _QUARANTINE.c.state != QuarantineState.DISCARDED.value


class SqlQuarantine:
    """Implements ``gateway.ports.Quarantine`` on any ``Database``."""

    def __init__(self, database: Database, *, now: Now, random: Random) -> None:
        self._database = database
        self._now = now
        self._random = random

    async def page(
        self,
        *,
        organization: str | None,
        before: tuple[int, str] | None,
        limit: int,
        state: QuarantineState | None = None,
    ) -> Sequence[QuarantineRecord]:
        """See ``Quarantine.page``."""
        columns = _QUARANTINE.c
        statement = select(*(column for column in columns if column.name != "payload"))
        statement = statement.where(_THERE if state is None else columns.state == state.value)
        if organization is not None:
            statement = statement.where(columns.organization == organization)
        if before is not None:
            at_us, quarantine_id = before
            statement = statement.where(
                (columns.received_at < at_us)
                | ((columns.received_at == at_us) & (columns.id < quarantine_id))
            )
        statement = statement.order_by(columns.received_at.desc(), columns.id.desc()).limit(limit)
        return await self._database.read(
            lambda connection: [_record_of(row) for row in connection.execute(statement)]
        )

    async def get(self, quarantine_id: str) -> QuarantineRecord | None:
        """See ``Quarantine.get``."""
        statement = select(_QUARANTINE).where(same(_QUARANTINE.c.id, quarantine_id), _THERE)
        row = await self._database.read(lambda connection: connection.execute(statement).one_or_none())
        return None if row is None else _record_of(row)

    async def redrive(self, quarantine_id: str, entry: NewEntry) -> Appended:
        """See ``Quarantine.redrive``."""
        prepared, now_us = prepare([entry], self._random), self._now()

        def work(connection: Connection) -> Appended:
            row = _there(connection, quarantine_id)
            if row.state == QuarantineState.REDRIVEN.value:
                return Appended(row.position, duplicate=True)
            if row.state != QuarantineState.OPEN.value:
                raise Conflict(f"This entry of the quarantine is {row.state}.")
            if any(
                target.owns_quarantined(row.organization, entry.envelope) for target in _erasing(connection)
            ):
                # What is appended now lies behind the erasure's end, and would outlive it (S8b).
                raise Conflict("It is being erased.")
            [result] = append(connection, prepared, now_us=now_us)
            _change(connection, quarantine_id, state=QuarantineState.REDRIVEN.value, position=result.position)
            return result

        return await self._database.write(work)

    async def keep(self, quarantine_id: str, reason: str, problems: Sequence[Mapping[str, str]]) -> None:
        """See ``Quarantine.keep``."""

        def work(connection: Connection) -> None:
            if _there(connection, quarantine_id).state == QuarantineState.OPEN.value:
                told = json.dumps([dict(problem) for problem in problems])
                _change(connection, quarantine_id, reason=reason, problems=told)

        await self._database.write(work)

    async def discard(self, quarantine_id: str) -> None:
        """See ``Quarantine.discard``."""

        def work(connection: Connection) -> None:
            _there(connection, quarantine_id)
            _change(
                connection,
                quarantine_id,
                state=QuarantineState.DISCARDED.value,
                payload=b"",
                problems="[]",
            )

        await self._database.write(work)


def _there(connection: Connection, quarantine_id: str) -> Row[Any]:
    columns = _QUARANTINE.c
    statement = select(columns.state, columns.position, columns.organization).where(
        same(columns.id, quarantine_id), _THERE
    )
    row = connection.execute(statement).one_or_none()
    if row is None:
        raise NotFound("There is nothing in quarantine with this id.")
    return row


def _erasing(connection: Connection) -> list[Target]:
    """What is being erased at the moment: seldom more than one."""
    columns = _ERASURE.c
    statement = select(columns.scope, columns.target).where(columns.state == ErasureState.RUNNING.value)
    return [Target(Scope(row.scope), row.target) for row in connection.execute(statement)]


def _change(connection: Connection, quarantine_id: str, **values: object) -> None:
    connection.execute(update(_QUARANTINE).where(_QUARANTINE.c.id == quarantine_id).values(values))


def _record_of(row: Row[Any]) -> QuarantineRecord:
    return QuarantineRecord(
        id=row.id,
        received_at_us=row.received_at,
        origin=row.origin,
        entry_id=row.entry_id,
        organization=row.organization,
        reason=row.reason,
        problems=json.loads(row.problems),
        payload=None if "payload" not in row._fields else bytes(row.payload),
        size_bytes=row.size_bytes,
        state=row.state,
        position=row.position,
    )
