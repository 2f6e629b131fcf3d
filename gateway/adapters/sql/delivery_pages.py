"""Which deliveries a list shows, found by index, the latest events first.

``delivery_candidates`` says where to look; each candidate is judged by its last attempt, and by its event where the
list asks for something of that. So the cost of a page is that of the candidates it looks at, whatever the length of
the log; and these are at most about ``SCAN_MAX``, behind which a page ends, be it empty, with where to go on.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, and_, func, select

from gateway.adapters.sql.delivery_candidates import candidates
from gateway.adapters.sql.delivery_leavings import deleted_among
from gateway.adapters.sql.delivery_rows import attempt_of, pending_of
from gateway.adapters.sql.lists import parts
from gateway.adapters.sql.models import Attempt, LogEntry, Pending
from gateway.adapters.sql.texts import sought, sought_among
from gateway.domain.delivery import Decision, State
from gateway.domain.pending import PendingDelivery
from gateway.ports import AttemptRecord, DeliveryItem, DeliveryPage, DeliveryPlace, DeliveryQuery

_ATTEMPT = Attempt.__table__  # type: ignore[attr-defined]
_PENDING = Pending.__table__  # type: ignore[attr-defined]
_LOG = LogEntry.__table__  # type: ignore[attr-defined]
SCAN_MAX = 5_000
_ACROSS: Final = 32
"""Places of several subscriptions in one statement: it seeks for each of these with each of their events."""


def read_page(connection: Connection, query: DeliveryQuery) -> DeliveryPage:
    """See ``Deliveries.page``."""
    places, before = _matching(connection, query)
    pending: dict[DeliveryPlace, PendingDelivery] = {}
    attempts: dict[DeliveryPlace, list[AttemptRecord]] = {place: [] for place in places}
    for part in _parted(places):
        asked_for = set(part)
        rows = select(_PENDING).where(_among(_PENDING.c, part))
        pending |= {
            DeliveryPlace(row.position, row.number): pending_of(row) for row in connection.execute(rows)
        }
        tried = select(_ATTEMPT).where(_among(_ATTEMPT.c, part)).order_by(_ATTEMPT.c.attempt)
        for row in connection.execute(tried):
            place = DeliveryPlace(row.position, row.number)
            if place in asked_for:  # what is another part's is read there, and is not to stand here twice
                attempts[place].append(attempt_of(row))
    items = [
        DeliveryItem(place.number, place.position, attempts[place], pending.get(place)) for place in places
    ]
    return DeliveryPage(items, before)


def _matching(
    connection: Connection, query: DeliveryQuery
) -> tuple[list[DeliveryPlace], DeliveryPlace | None]:
    """Up to ``limit`` places, in the list's order, and where the next page begins; None: there is none."""
    found: list[DeliveryPlace] = []
    looked_at = 0
    for block in candidates(connection, query):
        kept = _judged(connection, query, block.places)
        found += [place for place in block.places if place in kept]
        if len(found) > query.limit:
            return found[: query.limit], found[query.limit - 1]
        looked_at += block.looked_at
        if looked_at >= SCAN_MAX:
            return found, block.reached
    return found, None


def _judged(
    connection: Connection, query: DeliveryQuery, places: Sequence[DeliveryPlace]
) -> set[DeliveryPlace]:
    """Those that are as asked for, by their events, their rows and their last attempts."""
    if query.of_some_events:
        positions = _of_events(connection, query, sorted({place.position for place in places}))
        places = [place for place in places if place.position in positions]
    pending: set[DeliveryPlace] = set()
    last: dict[DeliveryPlace, tuple[str, int | None]] = {}
    newer = _ATTEMPT.alias()
    newest = (
        select(func.max(newer.c.attempt))
        .where(newer.c.number == _ATTEMPT.c.number, newer.c.position == _ATTEMPT.c.position)
        .scalar_subquery()
    )
    for part in _parted(places):
        rows = select(_PENDING.c.position, _PENDING.c.number).where(_among(_PENDING.c, part))
        pending |= {DeliveryPlace(*row) for row in connection.execute(rows)}
        attempts = select(
            _ATTEMPT.c.position, _ATTEMPT.c.number, _ATTEMPT.c.decision, _ATTEMPT.c.status
        ).where(_among(_ATTEMPT.c, part), _ATTEMPT.c.attempt == newest)
        for row in connection.execute(attempts):
            last[DeliveryPlace(row.position, row.number)] = (row.decision, row.status)
    states = {place: _state(place in pending, last.get(place)) for place in places}
    # What waits ends with its subscription.
    waiting = {place.number for place, state in states.items() if state is State.PENDING}
    gone = deleted_among(connection, waiting)
    for place, state in states.items():
        if state is State.PENDING and place.number in gone:
            states[place] = State.CANCELLED
    return {place for place, state in states.items() if query.wants(state, _status(last.get(place)))}


def _of_events(connection: Connection, query: DeliveryQuery, positions: Sequence[int]) -> set[int]:
    """Those of the positions whose events have what is asked for."""
    # In the trace they are anyhow: it is what their candidates are found by, and a batch's is not in the log.
    equal = ((_LOG.c.agent_id, query.agent_id), (_LOG.c.run_id, query.run_id))
    conditions = [sought(column, value) for column, value in equal if value is not None]
    if query.types:
        conditions.append(sought_among(_LOG.c.type, query.types))
    found: set[int] = set()
    for part in parts(positions):
        rows = select(_LOG.c.position).where(_LOG.c.position.in_(part), *conditions)
        found |= set(connection.execute(rows).scalars())
    return found


def _parted(places: Sequence[DeliveryPlace]) -> Iterator[Sequence[DeliveryPlace]]:
    """In parts that ``_among`` can ask for at once: of one subscription at will, of several few."""
    if len({place.number for place in places}) > 1:
        yield from (places[start : start + _ACROSS] for start in range(0, len(places), _ACROSS))
    else:
        yield from parts(places)


def _among(columns: Any, places: Sequence[DeliveryPlace]) -> ColumnElement[bool]:  # noqa: ANN401 - a table's
    """The row is of one of these places, or of one of their subscriptions and another of their events.

    Pairs would say it exactly, and SQLite reads a whole index for a list of pairs; for two lists it seeks.
    """
    [numbers] = parts(sorted({place.number for place in places}))
    [positions] = parts(sorted({place.position for place in places}))
    return and_(columns.number.in_(numbers), columns.position.in_(positions))


def _state(pending: bool, last: tuple[str, int | None] | None) -> State:  # noqa: FBT001 - whether it has a row
    if pending or last is None or last[0] == Decision.FAILED.value:
        return State.PENDING
    return State(last[0])


def _status(last: tuple[str, int | None] | None) -> int | None:
    return None if last is None else last[1]
