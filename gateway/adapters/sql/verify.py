"""Verification of the hash chain from the first row to the last (S8a), and of what is said to be erased (S8b)."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, select

from gateway.adapters.sql.database import Database
from gateway.adapters.sql.erased_rows import is_empty
from gateway.adapters.sql.lists import parts
from gateway.adapters.sql.models import LogEntry, LogHead
from gateway.domain.chain import GENESIS, payload_hash, remains_hash, row_hash
from gateway.domain.erasure import positions_of
from gateway.domain.facts import ERASED
from gateway.ports import Kind
from schemas import GATEWAY_TYPE_PREFIX, EnvelopeError, parse_structured

_LOG = LogEntry.__table__  # type: ignore[attr-defined]
_HEAD = LogHead.__table__  # type: ignore[attr-defined]
_PAGE = 1_000
_FACTS_KEPT = 64
_ERASED_TYPE = GATEWAY_TYPE_PREFIX + ERASED


@dataclass(frozen=True, slots=True)
class VerifyResult:
    """What a verification found. ``first_bad`` is the first position that does not hold; ``erased``: how many are."""

    ok: bool
    checked: int
    first_bad: int | None = None
    reason: str = ""
    erased: int = 0


async def verify_log(
    database: Database, progress: Callable[[int], None] = lambda _checked: None
) -> VerifyResult:
    """Recompute every hash, page by page; nobody else writes meanwhile, since the database is this process's."""
    return await _Verification(database, progress).run()


class _Verification:
    """One pass over the log."""

    def __init__(self, database: Database, progress: Callable[[int], None]) -> None:
        self._database = database
        self._progress = progress
        self._position = 0
        self._previous = GENESIS
        self._erased = 0
        self._facts: OrderedDict[int, frozenset[int]] = OrderedDict()

    async def run(self) -> VerifyResult:
        head = await self._database.read(lambda connection: connection.execute(select(_HEAD)).one_or_none())
        if head is None:
            return VerifyResult(ok=False, checked=0, first_bad=1, reason="the log has no head")
        while True:
            rows = await self._page()
            for row in rows:
                reason = await self._judged(row)
                if reason:
                    return self._bad(self._position + 1, reason)
                self._position, self._previous = row.position, bytes(row.row_hash)
            self._progress(self._position)
            if len(rows) < _PAGE:
                break
        if self._position != head.position:
            reason = f"the log's head says {head.position}, the last row is {self._position}"
            return self._bad(self._position + 1, reason)
        if self._previous != bytes(head.row_hash):
            return self._bad(
                self._position, "the hash of the last row is not the one that the log's head names"
            )
        return VerifyResult(ok=True, checked=self._position, erased=self._erased)

    def _bad(self, position: int, reason: str) -> VerifyResult:
        return VerifyResult(
            ok=False, checked=self._position, first_bad=position, reason=reason, erased=self._erased
        )

    async def _page(self) -> Sequence[Row[Any]]:
        statement = (
            select(_LOG).where(_LOG.c.position > self._position).order_by(_LOG.c.position).limit(_PAGE)
        )
        return await self._database.read(lambda connection: connection.execute(statement).all())

    async def _judged(self, row: Row[Any]) -> str:
        try:
            if row.position != self._position + 1:
                return f"the row is missing; the next one is {row.position}"
            if row.erased_by is not None:
                return await self._fault_of_erased(row)
            return _fault(row, self._previous) or await self._fault_of_fact(row)
        except (TypeError, ValueError, OverflowError, AttributeError):
            # SQLite keeps whatever somebody writes into a column, of whatever type.
            return "its fields are not of the types that were appended"

    async def _fault_of_erased(self, row: Row[Any]) -> str:
        """Its hash cannot follow from fields that are gone: what is left is held by the fact that it names."""
        if not is_empty(row):
            return "it is said to be erased, and is not empty"
        if row.kind != Kind.EVENT.value or row.position not in await self._erased_by(row.erased_by):
            return "it is empty, and no fact says that it was erased"
        self._erased += 1
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
        if not _says_erased(row):
            return ""
        positions, remains = _said(row)
        rows: list[Row[Any]] = []
        for part in parts(positions):
            statement = select(_LOG).where(_LOG.c.position.in_(part)).order_by(_LOG.c.position)
            rows += await self._database.read(
                lambda connection, statement=statement: connection.execute(statement).all()  # type: ignore[misc]
            )
        whole = [item.position for item in rows] == positions
        if not whole or any(item.erased_by != row.position for item in rows):
            return "what it says was erased is not"
        return "" if remains_hash(rows).hex() == remains else "what is left of what it erased was changed"


def _fault(row: Row[Any], previous: bytes) -> str:
    """What is wrong with a row that is not erased."""
    if row.envelope is None or row.nonce is None:
        return "its payload, or a half of it, is missing, and no fact says that it was erased"
    if payload_hash(bytes(row.nonce), bytes(row.envelope)) != bytes(row.payload_hash):
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
