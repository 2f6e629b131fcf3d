"""Erasure in the quarantine (S8b): whose a record is says its payload, so each is read."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, Row, select, tuple_, update

from gateway.adapters.sql.database import Database
from gateway.adapters.sql.fetching import rows_of
from gateway.adapters.sql.lists import parts
from gateway.adapters.sql.models import QuarantineEntry
from gateway.domain.erasure import Target
from gateway.ports import QuarantineState

_QUARANTINE = QuarantineEntry.__table__  # type: ignore[attr-defined]
_LOOKED_THROUGH: Final = 20
"""Records that are read at a time: each is as large as what came in."""
_EMPTIED: Final = (QuarantineState.ERASED.value, QuarantineState.DISCARDED.value)
"""The states of a record whose payload is gone."""


async def count(database: Database, target: Target, until_us: int) -> int:
    """How many records are to go, of those that came up to a time."""
    found, seen = 0, (0, "")
    while rows := await following(database, seen, until_us):
        found += len(await owned(target, rows))
        seen = (rows[-1].received_at, rows[-1].id)
    return found


async def following(database: Database, seen: tuple[int, str], until_us: int) -> Sequence[Row[Any]]:
    """The next records behind one, as far as they are not empty, up to a time."""
    columns = _QUARANTINE.c
    statement = (
        select(columns.id, columns.received_at, columns.organization, columns.payload)
        .where(
            tuple_(columns.received_at, columns.id) > tuple_(*seen),
            columns.received_at <= until_us,
            columns.state.not_in(_EMPTIED),
        )
        .order_by(columns.received_at, columns.id)
        .limit(_LOOKED_THROUGH)
    )
    return await rows_of(database, statement)


async def owned(target: Target, records: Sequence[Row[Any]]) -> list[str]:
    """The ids of those that are to go. In a thread: each may be as large as a request, and is read in full."""

    def look() -> list[str]:
        return [
            record.id
            for record in records
            if target.owns_quarantined(record.organization, bytes(record.payload))
        ]

    return await asyncio.to_thread(look)


def empty(connection: Connection, ids: Sequence[str]) -> None:
    """Take away what these records have."""
    for part in parts(ids):
        connection.execute(
            update(_QUARANTINE)
            .where(_QUARANTINE.c.id.in_(part))
            .values(payload=b"", problems="[]", state=QuarantineState.ERASED.value)
        )
