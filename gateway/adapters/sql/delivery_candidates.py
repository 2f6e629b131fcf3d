"""Where the deliveries of a list are looked for: in the index that leads to the fewest that are not meant.

- What happened in a trace or a run is little: the log has it by index, and the deliveries of those events are asked.
  What a batch posted is in the batch's trace as well: the attempts have that by an index of their own.
- What is pending, or ended without success, is little as well, unless much is wrong: the table of what is pending and
  the indexes of trouble have it, by subscription (``ix_attempt_trouble``) and for all (``ix_attempt_undelivered``).
- What is left are lists that ask for an agent, or a type, or nothing: the log's index, or the deliveries in order.

An organization's deliveries are those of its few subscriptions, read side by side; where it has many, those of its
own events, since its subscriptions see no others (S11a). In neither case is another's looked at.

Every source is read in the order of its index, part by part, so that no statement reads it to its end.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from heapq import merge
from itertools import groupby, islice
from typing import Any, Final, TypeAlias

from sqlalchemy import Column, ColumnElement, Connection, Select, select, tuple_, union, union_all

from gateway.adapters.sql.delivery_leavings import deleted_in_scope
from gateway.adapters.sql.lists import parts
from gateway.adapters.sql.models import IS_TROUBLE, Attempt, LogEntry, Pending, Subscription
from gateway.adapters.sql.posted import posted_places
from gateway.adapters.sql.search import latest_positions
from gateway.adapters.sql.texts import same, sought
from gateway.domain.delivery import State
from gateway.domain.ids import NUMBER_MAX
from gateway.ports import DeliveryPlace, DeliveryQuery

_ATTEMPT = Attempt.__table__  # type: ignore[attr-defined]
_PENDING = Pending.__table__  # type: ignore[attr-defined]
_LOG = LogEntry.__table__  # type: ignore[attr-defined]
_SUBSCRIPTION = Subscription.__table__  # type: ignore[attr-defined]
_PART = 512
_FEW: Final = 64
"""Subscriptions that are read side by side: for each, a statement or two before the first row."""
_FIRST_OF_ONE: Final = 8
_GROWTH: Final = 4
_TROUBLE: Final = frozenset(State) - {State.PENDING, State.DELIVERED}

Restriction: TypeAlias = Callable[[Any], Sequence[ColumnElement[bool]]]
"""Conditions on the columns of ``pending`` or of ``attempt``."""


@dataclass(frozen=True, slots=True)
class Block:
    """Some candidates, in the list's order.

    Attributes:
        reached: Where to go on behind them.
        looked_at: How many rows were read for them.
    """

    places: Sequence[DeliveryPlace]
    reached: DeliveryPlace
    looked_at: int


def candidates(connection: Connection, query: DeliveryQuery) -> Iterator[Block]:
    """What may match, in the list's order; what can be none of it is not left out of it with certainty."""
    numbers = _numbers(connection, query)
    leading = _leading(query, numbers)
    gone = deleted_in_scope(connection, query, numbers, _FEW + 1)
    first = min(_PART, query.limit + 1)
    if leading is not None:
        if gone:
            query = replace(query, states=query.states | {State.DELIVERED})  # all attempts: of few events
        restriction = _restriction(query, numbers)
        found = _by_events(connection, query, leading, restriction)
        if query.trace_id is not None:
            meant = [*restriction(_ATTEMPT.c), *_within(_ATTEMPT.c, query)]
            found = _with(posted_places(connection, query.trace_id, meant), found, first)
        yield from found
        return
    left = _left(connection, query, gone, first, few=numbers is not None or len(gone) <= _FEW)
    if numbers is None:
        streams = [_read(connection, query, _anyones, first)]
    else:
        size = min(_PART, max(_FIRST_OF_ONE, first // max(1, len(numbers))))
        streams = [_read(connection, query, _of(number), size) for number in numbers]
    found_once = (place for place, _ in groupby(merge(*streams, *left, reverse=True)))
    yield from _in_blocks(found_once, first)


def _left(
    connection: Connection, query: DeliveryQuery, gone: Sequence[int], first: int, *, few: bool
) -> list[Iterator[DeliveryPlace]]:
    """All that these deleted subscriptions had, side by side where they are few, and else what anybody had."""
    query = replace(query, states=frozenset({State.DELIVERED}))  # the source of these is all attempts
    if not few:
        return [_read(connection, query, _anyones, first)]
    size = min(_PART, max(_FIRST_OF_ONE, first // max(1, len(gone))))
    return [_read(connection, query, _of(number), size) for number in gone]


def _numbers(connection: Connection, query: DeliveryQuery) -> Sequence[int] | None:
    """The subscriptions to read, deleted ones too; None: all of them, or too many to be read one by one."""
    if query.number is not None:
        return [query.number]
    if query.organization is None:
        return None
    own = select(_SUBSCRIPTION.c.number).where(same(_SUBSCRIPTION.c.organization, query.organization))
    found = list(connection.execute(own.limit(_FEW + 1)).scalars())
    return found if len(found) <= _FEW else None


def _leading(query: DeliveryQuery, numbers: Sequence[int] | None) -> tuple[Column[Any], Sequence[str]] | None:
    """The column of the log by which to look, and its values; None: by the deliveries themselves."""
    for column, value in ((_LOG.c.trace_id, query.trace_id), (_LOG.c.run_id, query.run_id)):
        if value is not None:
            return column, [value]
    of_many = numbers is None and query.organization is not None
    if query.states and State.DELIVERED not in query.states and not of_many:
        return None
    if query.agent_id is not None:
        return _LOG.c.agent_id, [query.agent_id]
    if of_many:
        return _LOG.c.organization, [query.organization or ""]
    return (_LOG.c.type, query.types) if query.types and numbers is None else None


def _restriction(query: DeliveryQuery, numbers: Sequence[int] | None) -> Restriction:
    """To the subscriptions that are meant."""
    if numbers is not None:
        listed = next(parts(numbers), [])
        return lambda columns: [columns.number.in_(listed)]
    if query.organization is None:
        return _anyones
    own = select(_SUBSCRIPTION.c.number).where(same(_SUBSCRIPTION.c.organization, query.organization))
    return lambda columns: [columns.number.in_(own)]


def _anyones(_columns: Any) -> Sequence[ColumnElement[bool]]:  # noqa: ANN401 - a table's
    return ()


def _of(number: int) -> Restriction:
    return lambda columns: [columns.number == number]


def _in_blocks(places: Iterator[DeliveryPlace], size: int) -> Iterator[Block]:
    while block := list(islice(places, size)):
        yield Block(block, block[-1], len(block))
        size = _PART


def _read(
    connection: Connection, query: DeliveryQuery, restriction: Restriction, size: int
) -> Iterator[DeliveryPlace]:
    """Deliveries in the list's order, page by page, as somebody takes them."""
    while True:
        places = _execute(connection, _statement(query, restriction).limit(size))
        yield from places
        if len(places) < size:
            return
        query, size = replace(query, before=places[-1]), _PART


def _with(posted: Sequence[DeliveryPlace], blocks: Iterator[Block], size: int) -> Iterator[Block]:
    """The blocks with these places in them, where the list's order has them, and the rest of them behind."""
    if not posted:
        yield from blocks
        return
    left = list(posted)
    for block in blocks:
        among = [place for place in left if place >= block.reached]
        left = left[len(among) :]
        places = sorted({*block.places, *among}, reverse=True)
        yield Block(places, block.reached, block.looked_at + len(among))
    yield from _in_blocks(iter(left), size)


def _by_events(
    connection: Connection,
    query: DeliveryQuery,
    leading: tuple[Column[Any], Sequence[str]],
    restriction: Restriction,
) -> Iterator[Block]:
    """The deliveries of the events that the log's index leads to: of one event, then of four, sixteen, and so on.

    So where thousands of subscriptions had the same events, few are read that are not wanted.
    """
    first, last, size = query.after + 1, NUMBER_MAX, 1
    if query.until is not None:
        last = query.until
    if query.before is not None:
        last = min(last, query.before.position)
    while first <= last:
        positions = _latest(connection, leading, (first, last), size)
        if positions:
            yield from _at(connection, query, positions, restriction)
        if len(positions) < size:
            return
        last, size = positions[-1] - 1, min(size * _GROWTH, _PART)


def _latest(
    connection: Connection, leading: tuple[Column[Any], Sequence[str]], within: tuple[int, int], limit: int
) -> list[int]:
    column, values = leading
    if column.name != _LOG.c.type.name:
        return latest_positions(connection, column, values[0], within, limit)
    # Each type by itself, so that each is read in the order of its index.
    of_each = [
        select(_LOG.c.position)
        .where(sought(column, value), _LOG.c.position.between(*within))
        .order_by(_LOG.c.position.desc())
        .limit(limit)
        .subquery()
        .select()
        for value in values
    ]
    every = union_all(*of_each).subquery()
    statement = select(every.c.position).order_by(every.c.position.desc()).limit(limit)
    return list(connection.execute(statement).scalars())


def _at(
    connection: Connection, query: DeliveryQuery, positions: Sequence[int], restriction: Restriction
) -> Iterator[Block]:
    """The deliveries of the events at these positions, which are descending."""
    [listed] = parts(positions)
    looked_at = len(positions)
    while True:
        statement = _statement(query, lambda columns: [columns.position.in_(listed), *restriction(columns)])
        places = _execute(connection, statement.limit(_PART))
        if len(places) < _PART:
            yield Block(places, DeliveryPlace(positions[-1], 0), looked_at + len(places))
            return
        yield Block(places, places[-1], looked_at + len(places))
        query, looked_at = replace(query, before=places[-1]), 0


def _execute(connection: Connection, statement: Select[Any]) -> list[DeliveryPlace]:
    return [DeliveryPlace(row.position, row.number) for row in connection.execute(statement)]


def _statement(query: DeliveryQuery, restriction: Restriction) -> Select[Any]:
    """Places in the list's order, from one source or from several."""
    found = [
        _in_order(columns, [*restriction(columns), *of_state, *_within(columns, query)])
        for columns, of_state in _sources(query.states)
    ]
    if len(found) == 1:
        return found[0]
    # Each part is limited by itself, so that none is read to its end.
    both = union(*(part.limit(_PART).subquery().select() for part in found)).subquery()
    return select(both.c.position, both.c.number).order_by(both.c.position.desc(), both.c.number.desc())


def _sources(states: frozenset[State]) -> list[tuple[Any, Sequence[Any]]]:
    """The columns of the tables to read for these states, each with what narrows it down to one of them."""
    sources: list[tuple[Any, Sequence[Any]]] = []
    if not states or State.PENDING in states:
        sources.append((_PENDING.c, ()))
    if not states or State.DELIVERED in states:
        return [*sources, (_ATTEMPT.c, ())]
    # The words of the indexes as well: they are what says that these may be used.
    return sources + [
        (_ATTEMPT.c, (_ATTEMPT.c.decision == state.value, IS_TROUBLE))
        for state in State
        if state in states & _TROUBLE
    ]


def _in_order(columns: Any, conditions: Sequence[ColumnElement[bool]]) -> Select[Any]:  # noqa: ANN401
    return (
        select(columns.position, columns.number)
        .where(*conditions)
        .distinct()
        .order_by(columns.position.desc(), columns.number.desc())
    )


def _within(columns: Any, query: DeliveryQuery) -> list[ColumnElement[bool]]:  # noqa: ANN401 - a table's
    conditions = []
    if query.after:
        conditions.append(columns.position > query.after)
    if query.until is not None:
        conditions.append(columns.position <= query.until)
    if query.before is not None:
        # The first column alone as well: that is the part that every index can seek to.
        conditions.append(columns.position <= query.before.position)
        conditions.append(tuple_(columns.position, columns.number) < tuple_(*query.before))
    return conditions
