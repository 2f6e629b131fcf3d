"""What a rebuild reads, page by page, in log order: the facts, the events, and what was tried of each."""

from collections.abc import Iterator
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, Row, func, select, tuple_

from gateway.adapters.sql.lists import parts
from gateway.adapters.sql.models import Attempt, LogEntry, VaultEntry
from gateway.adapters.sql.sealed import SPEC, SealedRow, SubscriptionVault
from gateway.domain.delivery import Decision
from gateway.domain.outstanding import Told
from gateway.domain.stories import BrokenStory, Stories
from gateway.domain.subscription import SubscriptionSpec
from gateway.errors import DatabaseUnusable
from gateway.ports import Kind
from schemas import parse_structured

_LOG = LogEntry.__table__  # type: ignore[attr-defined]
_ATTEMPT = Attempt.__table__  # type: ignore[attr-defined]
_VAULT = VaultEntry.__table__  # type: ignore[attr-defined]
_PAGE = 500
_TRIED = (
    _ATTEMPT.c.number,
    _ATTEMPT.c.position,
    _ATTEMPT.c.attempt,
    _ATTEMPT.c.round,
    _ATTEMPT.c.decision,
    _ATTEMPT.c.counts,
    _ATTEMPT.c.started_at,
    _ATTEMPT.c.duration_us,
    _ATTEMPT.c.next_at,
    _ATTEMPT.c.span_id,
    _ATTEMPT.c.trace_id,
    _ATTEMPT.c.batch,
    _ATTEMPT.c.replay,
)


def stories(connection: Connection) -> Stories:
    """Every subscription as the facts tell of it. Raises ``DatabaseUnusable`` where a fact cannot be followed."""
    told, after = Stories(), 0
    while True:
        statement = (
            select(_LOG.c.position, _LOG.c.type, _LOG.c.envelope)
            .where(_LOG.c.kind == Kind.FACT.value, _LOG.c.position > after)
            .order_by(_LOG.c.position)
            .limit(_PAGE)
        )
        rows = connection.execute(statement).all()
        for row in rows:
            _tell(told, row)
        if len(rows) < _PAGE:
            return told
        after = rows[-1].position


def specs(
    connection: Connection, vault: SubscriptionVault, told: Stories
) -> Iterator[tuple[int, SubscriptionSpec]]:
    """What every present subscription asks for, one after the other: the vault has what the facts do not carry."""
    present = [story for story in told.subscriptions.values() if story.present]
    numbers = {story.id: story for story in present}
    for part in parts([story.id for story in present]):
        statement = select(_VAULT.c.owner, _VAULT.c.revision, _VAULT.c.sealed).where(
            _VAULT.c.kind == SPEC, _VAULT.c.owner.in_(part)
        )
        for row in connection.execute(statement):
            story = numbers[row.owner]
            if row.revision == story.revision:
                del numbers[row.owner]
                yield story.number, vault.spec(row.owner, SealedRow(row.revision, bytes(row.sealed)))
    if numbers:
        raise DatabaseUnusable(f"The vault holds nothing of subscription {min(numbers)}.")


def reached(connection: Connection) -> dict[int, int]:
    """The highest position of each subscription that was ever tried."""
    statement = select(_ATTEMPT.c.number, func.max(_ATTEMPT.c.position)).group_by(_ATTEMPT.c.number)
    return {row[0]: row[1] for row in connection.execute(statement)}


def entries(connection: Connection) -> Iterator[list[Row[Any]]]:
    """Pages of the log, from its first entry to its last; ``erased_at`` is when an entry was erased, if it was."""
    after = 0
    fact = _LOG.alias()
    erased_at = select(fact.c.appended_at).where(fact.c.position == _LOG.c.erased_by).scalar_subquery()
    columns = (_LOG.c.position, _LOG.c.kind, _LOG.c.organization, _LOG.c.addressee, _LOG.c.envelope)
    while True:
        statement = (
            select(*columns, erased_at.label("erased_at"))
            .where(_LOG.c.position > after)
            .order_by(_LOG.c.position)
            .limit(_PAGE)
        )
        rows: list[Row[Any]] = [*connection.execute(statement)]
        if not rows:
            return
        yield rows
        after = rows[-1].position


def tried(connection: Connection, first: int, last: int) -> Iterator[tuple[int, dict[int, list[Told]]]]:
    """For each position of a range at which something was tried: the attempts of each subscription, in order."""
    for position, rows in groupby(_attempts(connection, first, last), key=lambda row: row.position):
        yield (
            position,
            {
                number: [_told(row) for row in deliveries]
                for number, deliveries in groupby(rows, key=lambda row: row.number)
            },
        )


def _tell(told: Stories, row: Row[Any]) -> None:
    if row.envelope is None:
        return
    envelope = parse_structured(bytes(row.envelope))
    try:
        told.tell(row.position, row.type, envelope.subject or "", envelope.time or "", envelope.data())
    except BrokenStory as error:
        raise DatabaseUnusable(f"The log cannot be followed: {error}.") from error


def _attempts(connection: Connection, first: int, last: int) -> Iterator[Row[Any]]:
    key = (_ATTEMPT.c.position, _ATTEMPT.c.number, _ATTEMPT.c.attempt)
    after: tuple[int, int, int] = (first, 0, 0)
    while True:
        statement = (
            select(*_TRIED)
            # The first column alone as well: that is the part that the index can seek to.
            .where(_ATTEMPT.c.position.between(after[0], last), tuple_(*key) > tuple_(*after))
            .order_by(*key)
            .limit(10 * _PAGE)
        )
        rows: list[Row[Any]] = [*connection.execute(statement)]
        yield from rows
        if len(rows) < 10 * _PAGE:
            return
        after = (rows[-1].position, rows[-1].number, rows[-1].attempt)


def _told(row: Row[Any]) -> Told:
    return Told(
        attempt=row.attempt,
        round=row.round,
        decision=Decision(row.decision),
        counts=row.counts,
        started_at_us=row.started_at,
        duration_us=row.duration_us,
        next_at_us=row.next_at,
        span_id=row.span_id,
        trace_id=row.trace_id,
        batch=row.batch,
        replay=row.replay,
    )
