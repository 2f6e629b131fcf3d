"""Which deliveries of a subscription a list shows, found by index, the latest events first.

Candidates come from the index that knows most about the state asked for: `pending` from the table of what is
pending; what ended without success from ``ix_attempt_trouble``, by subscription and state; all others from
``ix_attempt_delivery``, by subscription. Each candidate is judged by its last attempt. So the cost of a page is that
of the candidates it looks at, whatever the length of the log and the number of other subscriptions; and these are at
most ``SCAN_MAX``, behind which a page ends, be it empty, with where to go on.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, select, union

from gateway.adapters.sql.lists import parts
from gateway.adapters.sql.models import IS_TROUBLE, Attempt, Pending
from gateway.domain.delivery import Decision, State
from gateway.ports import DeliveryQuery

_ATTEMPT = Attempt.__table__  # type: ignore[attr-defined]
_PENDING = Pending.__table__  # type: ignore[attr-defined]
SCAN_MAX = 5_000
_PART = 512
_TROUBLE = frozenset(State) - {State.PENDING, State.DELIVERED}


def matching(connection: Connection, query: DeliveryQuery) -> tuple[list[int], int | None]:
    """Up to ``limit`` positions, descending, and where the next page begins; None: there is none."""
    found: list[int] = []
    looked_at = 0
    for candidates in _candidates(connection, query):
        kept = _judged(connection, query, candidates)
        found += [position for position in candidates if position in kept]
        if len(found) > query.limit:
            return found[: query.limit], found[query.limit - 1]
        looked_at += len(candidates)
        if looked_at >= SCAN_MAX:
            return found, candidates[-1]
    return found, None


def _candidates(connection: Connection, query: DeliveryQuery) -> Iterator[list[int]]:
    """Positions that may match, descending, page by page."""
    size = min(_PART, query.limit + 1)
    before = query.before
    while True:
        statement = _statement(query, before).limit(size)
        positions = [int(position) for position in connection.execute(statement).scalars()]
        if positions:
            yield positions
        if len(positions) < size:
            return
        before, size = positions[-1], _PART


def _statement(query: DeliveryQuery, before: int | None) -> Select[Any]:
    pending = select(_PENDING.c.position).where(*_within(_PENDING.c, query, before))
    tried = select(_ATTEMPT.c.position).where(*_within(_ATTEMPT.c, query, before))
    if query.state is State.PENDING:
        return pending.order_by(_PENDING.c.position.desc())
    if query.state is not None:
        if query.state in _TROUBLE:
            # The words of the index as well: they are what says that it may be used.
            tried = tried.where(_ATTEMPT.c.decision == query.state.value, IS_TROUBLE)
        return tried.distinct().order_by(_ATTEMPT.c.position.desc())
    # Each part is limited by itself, so that neither is read to its end.
    either = [
        part.distinct().order_by(part.selected_columns.position.desc()).limit(_PART).subquery().select()
        for part in (pending, tried)
    ]
    both = union(*either).subquery()
    return select(both.c.position).order_by(both.c.position.desc())


def _within(columns: Any, query: DeliveryQuery, before: int | None) -> list[ColumnElement[bool]]:  # noqa: ANN401
    conditions = [columns.number == query.number]
    if query.after:
        conditions.append(columns.position > query.after)
    if query.until is not None:
        conditions.append(columns.position <= query.until)
    if before is not None:
        conditions.append(columns.position < before)
    return conditions


def _judged(connection: Connection, query: DeliveryQuery, positions: Sequence[int]) -> set[int]:
    """Those of the positions that are as asked for, by their rows and last attempts."""
    pending: set[int] = set()
    last: dict[int, tuple[str, int | None]] = {}
    newer = _ATTEMPT.alias()
    newest = (
        select(func.max(newer.c.attempt))
        .where(newer.c.number == _ATTEMPT.c.number, newer.c.position == _ATTEMPT.c.position)
        .scalar_subquery()
    )
    for part in parts(positions):
        rows = select(_PENDING.c.position).where(
            _PENDING.c.number == query.number, _PENDING.c.position.in_(part)
        )
        pending |= set(connection.execute(rows).scalars())
        attempts = select(_ATTEMPT.c.position, _ATTEMPT.c.decision, _ATTEMPT.c.status).where(
            _ATTEMPT.c.number == query.number,
            _ATTEMPT.c.position.in_(part),
            _ATTEMPT.c.attempt == newest,
        )
        last |= {row.position: (row.decision, row.status) for row in connection.execute(attempts)}
    return {
        position
        for position in positions
        if query.wants(_state(position in pending, last.get(position)), _status(last.get(position)))
    }


def _state(pending: bool, last: tuple[str, int | None] | None) -> State:  # noqa: FBT001 - whether it has a row
    if pending or last is None or last[0] == Decision.FAILED.value:
        return State.PENDING
    return State(last[0])


def _status(last: tuple[str, int | None] | None) -> int | None:
    return None if last is None else last[1]
