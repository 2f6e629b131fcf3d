"""The row of an erasure: what it says, how it moves on, and that a step is done once."""

import json
from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, Row, select, update

from gateway.adapters.sql.database import Database
from gateway.adapters.sql.models import Erasure
from gateway.domain.erasure import Scope
from gateway.errors import NotFound
from gateway.ports import ErasureRecord, ErasureState, ErasureStep, Unreached, UnreachedArchive

_ERASURE = Erasure.__table__  # type: ignore[attr-defined]

Work = Callable[[Connection, Row[Any]], ErasureStep]
"""A step of an erasure, of which it is given the row as it is."""


def read(connection: Connection, erasure_id: str) -> Row[Any]:
    """The row as it is. Raises ``NotFound``."""
    row = connection.execute(select(_ERASURE).where(_ERASURE.c.id == erasure_id)).one_or_none()
    if row is None:
        raise NotFound("There is no erasure with this id.")
    return row


def note(connection: Connection, row: Row[Any], **values: object) -> None:
    """Move it on."""
    connection.execute(update(_ERASURE).where(_ERASURE.c.position == row.position).values(**values))


async def at(database: Database, seen: Row[Any], work: Work) -> ErasureStep:
    """Do it if the erasure still stands where it was read; a step whose answer was lost is not done twice."""

    def guarded(connection: Connection) -> ErasureStep:
        now = read(connection, seen.id)
        return work(connection, now) if tuple(now) == tuple(seen) else ErasureStep()

    return await database.erase(guarded)


def record_of(row: Row[Any]) -> ErasureRecord:
    """As the port has it."""
    return ErasureRecord(
        id=row.id,
        scope=Scope(row.scope),
        state=ErasureState(row.state),
        until_position=row.until_position,
        requested_at_us=row.requested_at,
        finished_at_us=row.finished_at,
        events=row.events,
        attempts=row.attempts,
        quarantined=row.quarantined,
        rewritten=row.rewritten,
        archives=row.archives,
        unreachable=tuple(map(_unreached, json.loads(row.unreachable))),
    )


def with_unreached(stored: str, found: UnreachedArchive | None) -> str:
    """The column of archives that could not be looked through, with one more if there is one."""
    if found is None:
        return stored
    return json.dumps([*json.loads(stored), [found.file, found.why.value, found.detail]])


def _unreached(stored: str | list[str]) -> UnreachedArchive:
    if isinstance(stored, str):  # by the first version that noted them: it knew no other reason
        return UnreachedArchive(stored, Unreached.MISSING)
    file, why, detail = stored
    return UnreachedArchive(file, Unreached(why), detail)
