"""Verification of the hash chain from the first row to the last (S8a), and of what is said to be erased (S8b)."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Row, select

from gateway.adapters.sql.absent import absent
from gateway.adapters.sql.database import Database
from gateway.adapters.sql.erased_rows import is_empty
from gateway.adapters.sql.lists import parts
from gateway.adapters.sql.models import LogEntry, LogHead
from gateway.adapters.sql.verify_archives import ArchiveVerification, Passage
from gateway.domain.archive import fault_of
from gateway.domain.chain import GENESIS, remains_hash
from gateway.domain.erasure import positions_of
from gateway.domain.facts import ARCHIVED, ERASED
from gateway.ports import Kind
from schemas import GATEWAY_TYPE_PREFIX, EnvelopeError, parse_structured

_LOG = LogEntry.__table__  # type: ignore[attr-defined]
_HEAD = LogHead.__table__  # type: ignore[attr-defined]
_PAGE = 1_000
_FACTS_KEPT = 64
_ARCHIVED_TYPE = GATEWAY_TYPE_PREFIX + ARCHIVED
_ERASED_TYPE = GATEWAY_TYPE_PREFIX + ERASED


@dataclass(frozen=True, slots=True)
class VerifyResult:
    """What a verification found.

    ``first_bad`` is the first position that does not hold; ``erased`` and ``archived`` say how many are.
    """

    ok: bool
    checked: int
    first_bad: int | None = None
    reason: str = ""
    erased: int = 0
    archived: int = 0


async def verify_log(
    database: Database, progress: Callable[[int], None] = lambda _checked: None, archive: Path | None = None
) -> VerifyResult:
    """Recompute every hash, page by page; nobody else writes meanwhile, since the database is this process's.

    ``archive`` is a folder with the archives' files, which are then verified in their place in the chain. Without it
    what was archived is vouched for by the facts that say so.
    """
    return await _Verification(database, progress, archive).run()


class _Verification:
    """One pass over the log."""

    def __init__(self, database: Database, progress: Callable[[int], None], archive: Path | None) -> None:
        self._database = database
        self._progress = progress
        self._position = 0
        self._previous = GENESIS
        self._seen = 0
        self._erased = 0
        self._facts: OrderedDict[int, frozenset[int]] = OrderedDict()
        self._archives = ArchiveVerification(database, archive, self._erased_by)
        self._passage: Passage | None = None

    async def run(self) -> VerifyResult:
        head = await self._database.read(lambda connection: connection.execute(select(_HEAD)).one_or_none())
        if head is None:
            return VerifyResult(ok=False, checked=0, first_bad=1, reason="the log has no head")
        await self._archives.load()
        while True:
            rows = await self._page()
            for row in rows:
                reason = await self._pass_archives(row.position)
                if reason:
                    return self._bad(self._position + 1, reason)
                reason = await self._judged(row)
                if reason:
                    return self._bad(self._position + 1 if self._passage is None else row.position, reason)
                self._seen = row.position
                if self._passage is None:
                    self._position, self._previous = row.position, bytes(row.row_hash)
            self._progress(self._seen)
            if len(rows) < _PAGE:
                break
        reason = await self._pass_archives(head.position + 1)
        return self._bad(self._position + 1, reason) if reason else self._ended(head)

    def _ended(self, head: Row[Any]) -> VerifyResult:
        if self._position != head.position:
            reason = f"the log's head says {head.position}, the last row is {self._position}"
            return self._bad(self._position + 1, reason)
        if self._previous != bytes(head.row_hash):
            return self._bad(
                self._position, "the hash of the last row is not the one that the log's head names"
            )
        unsaid = self._archives.unsaid()
        if unsaid is not None:
            return self._bad(unsaid, "it is missing, and no fact says that it was archived")
        return VerifyResult(
            ok=True,
            checked=self._position,
            erased=self._erased + self._archives.erased,
            archived=self._archives.positions,
        )

    def _bad(self, position: int, reason: str) -> VerifyResult:
        return VerifyResult(
            ok=False, checked=self._position, first_bad=position, reason=reason, erased=self._erased
        )

    async def _page(self) -> Sequence[Row[Any]]:
        statement = select(_LOG).where(_LOG.c.position > self._seen).order_by(_LOG.c.position).limit(_PAGE)
        return await self._database.read(lambda connection: connection.execute(statement).all())

    async def _pass_archives(self, position: int) -> str:
        """Pass the archived ranges that end before a position, and come into the one that holds it."""
        while True:
            if self._passage is None:
                self._passage, reason = await self._archives.beginning_at(self._position + 1, self._previous)
                if reason:
                    return reason
            passage = self._passage
            if passage is None or position <= passage.span.last:
                return ""
            if reason := passage.fault():
                return reason
            self._position, self._previous = passage.span.last, passage.span.last_hash
            self._archives.passed(passage)
            self._passage = None

    async def _judged(self, row: Row[Any]) -> str:
        try:
            if self._passage is None and row.position != self._position + 1:
                return f"the row is missing; the next one is {row.position}"
            if row.erased_by is not None:
                return await self._fault_of_erased(row)
            fault = fault_of(row, self._previous) if self._passage is None else self._passage.fault_of(row)
            return fault or await self._fault_of_fact(row)
        except (TypeError, ValueError, OverflowError, AttributeError):
            # SQLite keeps whatever somebody writes into a column, of whatever type.
            return "its fields are not of the types that were appended"

    async def _fault_of_erased(self, row: Row[Any]) -> str:
        """Its hash cannot follow from fields that are gone: what is left is held by the fact that it names."""
        if not is_empty(row):
            return "it is said to be erased, and is not empty"
        if row.kind != Kind.EVENT.value or row.position not in await self._erased_by(row.erased_by):
            return "it is empty, and no fact says that it was erased"
        if self._passage is None:
            self._erased += 1
        else:
            self._passage.erased += 1
        return ""

    async def _erased_by(self, fact: int) -> frozenset[int]:
        """The positions that the fact at a position says are erased; none, where it is no such fact."""
        if fact not in self._facts:
            statement = select(_LOG.c.kind, _LOG.c.type, _LOG.c.envelope).where(_LOG.c.position == fact)
            row = await self._database.read(lambda connection: connection.execute(statement).one_or_none())
            found, _ = _said(row)
            self._facts[fact] = frozenset(found)
            if len(self._facts) > _FACTS_KEPT:
                self._facts.popitem(last=False)
        return self._facts[fact]

    async def _fault_of_fact(self, row: Row[Any]) -> str:
        """Where a sound row says what was erased, it holds what is left of that (``chain.remains_hash``)."""
        if row.kind == Kind.FACT.value and row.type == _ARCHIVED_TYPE:
            return await self._archives.fault_of_fact(parse_structured(bytes(row.envelope)).data())
        if not _says_erased(row):
            return ""
        positions, remains = _said(row)
        rows: list[Row[Any]] = []
        for part in parts(positions):
            statement = select(_LOG).where(_LOG.c.position.in_(part)).order_by(_LOG.c.position)
            rows += await self._database.read(
                lambda connection, statement=statement: connection.execute(statement).all()  # type: ignore[misc]
            )
        if not rows and await self._archived(positions):
            found = self._archives.remains_of(row.position)
            return (
                "" if found in {None, remains} else "what is left of what it erased in an archive was changed"
            )
        whole = [item.position for item in rows] == positions
        if not whole or any(item.erased_by != row.position for item in rows):
            return "what it says was erased is not"
        return "" if remains_hash(rows).hex() == remains else "what is left of what it erased was changed"

    async def _archived(self, positions: Sequence[int]) -> bool:
        """Whether all of this was archived, and is not in the log."""
        found = await self._database.read(lambda connection: absent(connection, positions[0], positions[0]))
        return found is not None and positions[-1] <= found[1]


def _says_erased(row: Row[Any] | None) -> bool:
    return row is not None and row.kind == Kind.FACT.value and row.type == _ERASED_TYPE


def _said(row: Row[Any] | None) -> tuple[list[int], str]:
    """The positions that a fact says are erased, and the hash of what is left of them."""
    if row is None or not _says_erased(row) or row.envelope is None:
        return [], ""
    try:
        data = parse_structured(bytes(row.envelope)).data()
    except EnvelopeError:
        return [], ""
    found = positions_of(data.get("positions")) if isinstance(data, dict) else None
    return (found or [], str(data["remains"])) if found else ([], "")
