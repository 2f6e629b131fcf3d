"""The quarantine in SQL."""

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, select

from gateway.adapters.sql.database import Database
from gateway.adapters.sql.models import QuarantineEntry
from gateway.adapters.sql.texts import same
from gateway.ports import QuarantineRecord

_QUARANTINE = QuarantineEntry.__table__  # type: ignore[attr-defined]


class SqlQuarantine:
    """Implements ``gateway.ports.Quarantine`` on any ``Database``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(
        self, *, organization: str | None, before: tuple[int, str] | None, limit: int
    ) -> Sequence[QuarantineRecord]:
        """See ``Quarantine.page``."""
        columns = _QUARANTINE.c
        statement = select(*(column for column in columns if column.name != "payload"))
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
        statement = select(_QUARANTINE).where(same(_QUARANTINE.c.id, quarantine_id))
        row = await self._database.read(lambda connection: connection.execute(statement).one_or_none())
        return None if row is None else _record_of(row)


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
