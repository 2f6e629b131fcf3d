"""Verification of the hash chain from the first row to the last (S8a)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, select

from gateway.adapters.sql.database import Database
from gateway.adapters.sql.models import LogEntry, LogHead
from gateway.domain.chain import GENESIS, payload_hash, row_hash

_LOG = LogEntry.__table__  # type: ignore[attr-defined]
_HEAD = LogHead.__table__  # type: ignore[attr-defined]
_PAGE = 1_000


@dataclass(frozen=True, slots=True)
class VerifyResult:
    """What a verification found. ``first_bad`` is the first position that does not hold."""

    ok: bool
    checked: int
    first_bad: int | None = None
    reason: str = ""


async def verify_log(
    database: Database, progress: Callable[[int], None] = lambda _checked: None
) -> VerifyResult:
    """Recompute every hash, page by page; nobody else writes meanwhile, since the database is this process's."""
    head = await database.read(lambda connection: connection.execute(select(_HEAD)).one_or_none())
    if head is None:
        return VerifyResult(ok=False, checked=0, first_bad=1, reason="the log has no head")
    previous, position = GENESIS, 0
    while True:
        rows = await _page(database, position)
        for row in rows:
            try:
                reason = _fault(row, position + 1, previous)
            except (TypeError, ValueError, OverflowError, AttributeError):
                # SQLite keeps whatever somebody writes into a column, of whatever type.
                reason = "its fields are not of the types that were appended"
            if reason:
                return VerifyResult(ok=False, checked=position, first_bad=position + 1, reason=reason)
            position, previous = row.position, bytes(row.row_hash)
        progress(position)
        if len(rows) < _PAGE:
            break
    if position != head.position:
        reason = f"the log's head says {head.position}, the last row is {position}"
        return VerifyResult(ok=False, checked=position, first_bad=position + 1, reason=reason)
    if previous != bytes(head.row_hash):
        reason = "the hash of the last row is not the one that the log's head names"
        return VerifyResult(ok=False, checked=position, first_bad=position, reason=reason)
    return VerifyResult(ok=True, checked=position)


async def _page(database: Database, after: int) -> Sequence[Row[Any]]:
    statement = select(_LOG).where(_LOG.c.position > after).order_by(_LOG.c.position).limit(_PAGE)
    return await database.read(lambda connection: connection.execute(statement).all())


def _fault(row: Row[Any], position: int, previous: bytes) -> str:
    if row.position != position:
        return f"the row is missing; the next one is {row.position}"
    erased = row.envelope is None and row.nonce is None
    if not erased and (row.envelope is None or row.nonce is None):
        return "half of its payload is missing"
    if not erased and payload_hash(bytes(row.nonce), bytes(row.envelope)) != bytes(row.payload_hash):
        return "its envelope is not the one that was appended"
    expected = row_hash(
        previous,
        position=row.position,
        kind=row.kind,
        type=row.type,
        source=row.source,
        id=row.event_id,
        organization=row.organization,
        appended_at_us=row.appended_at,
        payload_hash=bytes(row.payload_hash),
    )
    return (
        ""
        if expected == bytes(row.row_hash)
        else "its hash does not follow from its fields and the row before it"
    )
