"""Replays, notes and the standing of deliveries in SQL: what a journal writes of them, and what lanes begin with."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, bindparam, case, delete, func, insert, select, update

from gateway.adapters.sql.lists import parts
from gateway.adapters.sql.models import Attempt, DeliveryCursor, Pending, Replay, StreamNote
from gateway.domain.breaker import StreamNote as Note
from gateway.domain.delivery import Decision
from gateway.ports import Moment, ReplayRange, ReplayRecord, ReplayState, ReplayUpdate, Standing

_ATTEMPT = Attempt.__table__  # type: ignore[attr-defined]
_PENDING = Pending.__table__  # type: ignore[attr-defined]
_CURSOR = DeliveryCursor.__table__  # type: ignore[attr-defined]
_REPLAY = Replay.__table__  # type: ignore[attr-defined]
_NOTE = StreamNote.__table__  # type: ignore[attr-defined]
BATCH_TRACE = case((_ATTEMPT.c.batch.is_not(None), _ATTEMPT.c.trace_id)).label("batch_trace_id")
"""The trace of an attempt, where that is a batch's and not the event's own."""
_OPEN = (
    select(func.count()).select_from(_PENDING).where(_PENDING.c.replay == _REPLAY.c.replay).scalar_subquery()
)
_REPLAYS = select(_REPLAY, _OPEN.label("open"))
_FAILED = frozenset({Decision.EXHAUSTED.value, Decision.REFUSED.value})


def write_replays(connection: Connection, moved: Sequence[ReplayUpdate]) -> None:
    """Part of a journal transaction: how far replays have come. None of them goes back."""
    if moved:
        connection.execute(
            update(_REPLAY)
            .where(_REPLAY.c.replay == bindparam("r"))
            .values(cursor=case((_REPLAY.c.cursor > bindparam("c"), _REPLAY.c.cursor), else_=bindparam("c"))),
            [{"r": item.replay, "c": item.cursor} for item in moved],
        )


def write_notes(connection: Connection, notes: Sequence[Note]) -> None:
    """Part of a journal transaction: what is to be remembered of failing streams; nothing of those that went well."""
    if not notes:
        return
    for part in parts([note.number for note in notes]):
        connection.execute(delete(_NOTE).where(_NOTE.c.number.in_(part)))
    failing = [note for note in notes if (note.failing_since_us, note.waits_until_us) != (None, None)]
    kept: set[int] = set()
    for part in parts([note.number for note in failing]):
        kept.update(connection.execute(select(_CURSOR.c.number).where(_CURSOR.c.number.in_(part))).scalars())
    rows = [
        {
            "number": note.number,
            "failing_since": note.failing_since_us,
            "opened_at": note.opened_at_us,
            "probe_at": note.probe_at_us,
            "probes": note.probes,
            "waits_until": note.waits_until_us,
        }
        for note in failing
        if note.number in kept
    ]
    if rows:
        connection.execute(insert(_NOTE), rows)


def notes(connection: Connection, number: int | None = None) -> list[Note]:
    """What is remembered of failing streams: of one, or of all."""
    statement = select(_NOTE).order_by(_NOTE.c.number)
    if number is not None:
        statement = statement.where(_NOTE.c.number == number)
    return [
        Note(row.number, row.failing_since, row.opened_at, row.probe_at, row.probes, row.waits_until)
        for row in connection.execute(statement)
    ]


def running_replays(connection: Connection, numbers: Sequence[int] | None) -> list[ReplayRecord]:
    """The replays that run, of these subscriptions or of all, in the order in which they were asked for."""
    statement = _REPLAYS.where(_REPLAY.c.state == ReplayState.RUNNING.value)
    narrowed = (
        [statement]
        if numbers is None
        else [statement.where(_REPLAY.c.number.in_(part)) for part in parts(numbers)]
    )
    found = [replay_of(row) for one in narrowed for row in connection.execute(one)]
    return sorted(found, key=lambda record: record.replay)


def one_replay(connection: Connection, replay: int) -> ReplayRecord | None:
    """One by its id, ended ones too."""
    row = connection.execute(_REPLAYS.where(_REPLAY.c.replay == replay)).one_or_none()
    return None if row is None else replay_of(row)


def replay_of(row: Row[Any]) -> ReplayRecord:
    """A row of ``replay`` with its open deliveries."""
    return ReplayRecord(
        replay=row.replay,
        number=row.number,
        revision=row.revision,
        range=ReplayRange(row.from_position, row.until_position, row.only_failed),
        attempts_until=row.attempts_until,
        cursor=row.cursor,
        state=ReplayState(row.state),
        requested_at_us=row.requested_at,
        ended_at_us=row.ended_at,
        open=row.open,
    )


def last_attempts(
    connection: Connection, number: int, first: int, last: int, asked: Moment
) -> dict[int, Standing]:
    """Where the deliveries of a range stand by their attempts alone, without their pending rows."""
    found: dict[int, Standing] = {}
    statement = (
        select(
            _ATTEMPT.c.position,
            _ATTEMPT.c.attempt,
            _ATTEMPT.c.round,
            _ATTEMPT.c.decision,
            _ATTEMPT.c.replay,
            _ATTEMPT.c.span_id,
            BATCH_TRACE,
            _ATTEMPT.c.seq,
            _ATTEMPT.c.started_at,
            _ATTEMPT.c.duration_us,
        )
        .where(_ATTEMPT.c.number == number, _ATTEMPT.c.position.between(first, last))
        .order_by(_ATTEMPT.c.position, _ATTEMPT.c.attempt)
    )
    for row in connection.execute(statement):
        before = found.get(row.position)
        ended = asked.follows(row.seq, row.started_at + row.duration_us)
        failed = row.decision in _FAILED if ended else before is not None and before.failed
        late = not asked.follows(row.seq, row.started_at) if before is None else before.late
        replayed = frozenset() if before is None else before.replays
        if row.replay is not None:
            replayed |= {row.replay}
        found[row.position] = Standing(
            row.round, row.attempt, failed, None, late, replayed, row.span_id, row.batch_trace_id
        )
    return found


def cancel_replays(connection: Connection, number: int, now_us: int) -> None:
    """Their subscription is deleted."""
    connection.execute(
        update(_REPLAY)
        .where(_REPLAY.c.number == number, _REPLAY.c.state == ReplayState.RUNNING.value)
        .values(state=ReplayState.CANCELLED.value, ended_at=now_us)
    )
    connection.execute(delete(_NOTE).where(_NOTE.c.number == number))
