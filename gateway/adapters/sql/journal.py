"""What the journal writes, in one transaction (S2c)."""

from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, case, insert, select, update

from gateway.adapters.sql.bulk import BulkDelete, BulkInsert
from gateway.adapters.sql.delivery_rows import ATTEMPT_COLUMNS, SELDOM_OF_ATTEMPT, attempt_row, pending_row
from gateway.adapters.sql.erased_rows import forgetting
from gateway.adapters.sql.lists import parts
from gateway.adapters.sql.models import Attempt, DeliveryCursor, Pending, Shard
from gateway.adapters.sql.requested import Requested
from gateway.adapters.sql.streams import write_notes, write_replays
from gateway.ports import AttemptRecord, CursorUpdate, JournalBatch

_ATTEMPT = Attempt.__table__  # type: ignore[attr-defined]
_PENDING = Pending.__table__  # type: ignore[attr-defined]
_CURSOR = DeliveryCursor.__table__  # type: ignore[attr-defined]
_SHARD = Shard.__table__  # type: ignore[attr-defined]
_INSERT_ATTEMPTS = BulkInsert(_ATTEMPT, ATTEMPT_COLUMNS, seldom=SELDOM_OF_ATTEMPT)
_REQUESTED = Requested(_PENDING)
# Made once: to make a statement takes longer than SQLite takes to execute it.
_IS_THERE = select(_ATTEMPT.c.id).where(
    _ATTEMPT.c.number == bindparam("of"),
    _ATTEMPT.c.position == bindparam("at"),
    _ATTEMPT.c.attempt == bindparam("nth"),
)
_MOVE_CURSOR = (
    update(_CURSOR)
    .where(_CURSOR.c.number == bindparam("n"))
    # A resume from now may have moved it on since this batch was made; it never goes back.
    .values(
        cursor=case((_CURSOR.c.cursor > bindparam("c"), _CURSOR.c.cursor), else_=bindparam("c")),
        live=bindparam("l"),
    )
)
_MOVE_ROUTER = update(_SHARD).values(routed=bindparam("r")).where(_SHARD.c.routed != bindparam("r"))
_DELETE_PENDING = BulkDelete(_PENDING, _PENDING.c.number, _PENDING.c.position)


def write_journal(connection: Connection, batch: JournalBatch) -> list[int]:
    """One journal transaction (S2c). A stream that was deleted meanwhile keeps its attempts and nothing else.

    Returns the subscriptions of which something was asked for meanwhile (S3h).
    """
    # Nobody can have asked for what was never tried.
    keys = [*batch.settled, *(item.key for item in batch.pending if item.attempts)]
    asked = batch.newer(_REQUESTED(connection, keys))
    numbers = sorted({number for number, _ in asked})
    if batch.attempts:
        if _is_there(connection, batch.attempts[0]):
            return numbers
        kept = forgetting(connection, batch.attempts)
        _INSERT_ATTEMPTS(connection, [attempt_row(attempt) for attempt in kept])
    # A pending row is replaced whole: delete and insert spell the same on every database.
    _DELETE_PENDING(connection, [*batch.settled, *((item.number, item.position) for item in batch.pending)])
    pending = batch.kept(asked)
    there = _still_there(connection, {item.number for item in pending})
    rows = [pending_row(item) for item in pending if item.number in there]
    if rows:
        connection.execute(insert(_PENDING), rows)
    if batch.cursors:
        _write_cursors(connection, batch.cursors)
    write_replays(connection, batch.replays)
    write_notes(connection, batch.notes)
    connection.execute(_MOVE_ROUTER, {"r": batch.routed})
    return numbers


def _write_cursors(connection: Connection, cursors: Sequence[CursorUpdate]) -> None:
    connection.execute(
        _MOVE_CURSOR, [{"n": item.number, "c": item.cursor, "l": item.live} for item in cursors]
    )


def _is_there(connection: Connection, attempt: AttemptRecord) -> bool:
    """Whether this batch was committed before, and only the answer to that was lost."""
    key = {"of": attempt.number, "at": attempt.position, "nth": attempt.attempt}
    return connection.execute(_IS_THERE, key).scalar() == attempt.id


def _still_there(connection: Connection, numbers: set[int]) -> set[int]:
    there: set[int] = set()
    for part in parts(sorted(numbers)):
        there.update(connection.execute(select(_CURSOR.c.number).where(_CURSOR.c.number.in_(part))).scalars())
    return there
