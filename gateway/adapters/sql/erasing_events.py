"""Erasure in the log (S8b): rows and what was answered to them are emptied, by a fact that names them.

What is to go is looked up beside the writes, by index: what is up to the erasure's end changes by its own steps alone.
A transaction then empties so many rows.
"""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Column, Connection, Row, select, update

from gateway.adapters.sql.database import Database
from gateway.adapters.sql.erased_rows import NOTHING, REMAINS, TELLS, UNTOLD
from gateway.adapters.sql.erasure_rows import note
from gateway.adapters.sql.lists import parts
from gateway.adapters.sql.models import Attempt, LogEntry, LogHead, Pending
from gateway.adapters.sql.saying import FactWriter
from gateway.adapters.sql.search import read_positions
from gateway.domain import erasure as rules
from gateway.domain.chain import remains_hash
from gateway.domain.erasure import Scope, Target
from gateway.ports import ErasureStep, Now

_ATTEMPT = Attempt.__table__  # type: ignore[attr-defined]
_HEAD = LogHead.__table__  # type: ignore[attr-defined]
_LOG = LogEntry.__table__  # type: ignore[attr-defined]
_PENDING = Pending.__table__  # type: ignore[attr-defined]

ATTEMPTS_MAX: Final = 2_000
"""Attempts that one transaction empties, at most: an event may have gone to any number of subscriptions."""
_COUNTED: Final = 5_000
_COLUMNS: Final[dict[Scope, tuple[Column[Any], ...]]] = {
    # An event that is no agent's by its source or data may be ordered by one all the same.
    Scope.AGENT: (_LOG.c.agent_id, _LOG.c.partition_key),
    Scope.ORGANIZATION: (_LOG.c.organization,),
}


class EventEraser:
    """Finds the events of an agent or an organization in the log, and empties them."""

    def __init__(self, database: Database, facts: FactWriter, now: Now) -> None:
        self._database = database
        self._facts = facts
        self._now = now

    async def count(self, target: Target, head: int) -> int:
        """How many there are up to a position."""
        events, after = 0, 0
        while after < head:
            found = await self.find(target, after, head, _COUNTED)
            events += len(found)
            after = found[-1] if len(found) == _COUNTED else head
        return events

    async def find(self, target: Target, after: int, until: int, limit: int) -> list[int]:
        """The lowest positions of what is to go, ascending: as many as asked for, or all that there are."""
        found: set[int] = set()
        for column in _COLUMNS[target.scope]:
            found |= set(await self._positions(column, target.id, (after + 1, until), limit))
        return sorted(found)[:limit]

    async def _positions(
        self, column: Column[Any], value: str, within: tuple[int, int], limit: int
    ) -> list[int]:
        return await self._database.read(
            lambda connection: read_positions(connection, column, value, within, limit)
        )

    def erase(self, connection: Connection, row: Row[Any], found: Sequence[int]) -> ErasureStep:
        """Empty these events and what was answered to them, as many as one transaction may."""
        # As the log dates it, so that a rebuild finds the same.
        now_us = max(self._now(), connection.execute(select(_HEAD.c.appended_at)).scalar_one())
        emptied, whole = empty_attempts(connection, found)
        all_found = len(whole) == len(found)
        done = all_found and len(found) < rules.ROWS_MAX
        cursor = row.until_position if done else (whole[-1] if whole else row.cursor)
        if whole:
            rows = _remains(connection, whole)
            fact = rules.erased(row.id, whole, remains_hash(rows))
            position = self._facts.say(connection, fact, now_us)
            for part in parts(whole):
                connection.execute(
                    update(_LOG).where(_LOG.c.position.in_(part)).values(**NOTHING, erased_by=position)
                )
        numbers = _bring_forward(connection, whole, now_us)
        note(connection, row, cursor=cursor, events=row.events + len(whole), attempts=row.attempts + emptied)
        return ErasureStep(appended=bool(whole), numbers=numbers)


def empty_attempts(connection: Connection, found: Sequence[int]) -> tuple[int, list[int]]:
    """Empty the attempts of these events, within the bound; how many, and of which events all are empty now."""
    rows: list[Row[Any]] = []
    for part in parts(found):
        statement = select(_ATTEMPT.c.seq, _ATTEMPT.c.position).where(_ATTEMPT.c.position.in_(part), TELLS)
        rows += connection.execute(statement.order_by(_ATTEMPT.c.position).limit(ATTEMPTS_MAX + 1))
    whole = list(found)
    if len(rows) > ATTEMPTS_MAX:
        first_left = rows[ATTEMPTS_MAX].position
        rows = rows[:ATTEMPTS_MAX]
        whole = [position for position in found if position < first_left]
    for seqs in parts([row.seq for row in rows]):
        connection.execute(update(_ATTEMPT).where(_ATTEMPT.c.seq.in_(seqs)).values(**UNTOLD))
    return len(rows), whole


def _remains(connection: Connection, positions: Sequence[int]) -> list[Row[Any]]:
    rows: list[Row[Any]] = []
    for part in parts(positions):
        rows += connection.execute(
            select(*REMAINS).where(_LOG.c.position.in_(part)).order_by(_LOG.c.position)
        )
    return rows


def _bring_forward(connection: Connection, positions: Sequence[int], now_us: int) -> frozenset[int]:
    """What waits for another attempt is due now: it will be settled as erased. Whose it is."""
    numbers: set[int] = set()
    for part in parts(positions):
        waiting = (_PENDING.c.position.in_(part), _PENDING.c.next_at > now_us)
        numbers.update(connection.execute(select(_PENDING.c.number).where(*waiting).distinct()).scalars())
        connection.execute(update(_PENDING).where(*waiting).values(next_at=now_us))
    return frozenset(numbers)
