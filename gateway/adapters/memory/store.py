"""The tables of the gateway as plain Python values, and the one way a row gets into the log.

Every method of the adapters over it runs without a suspension point, so each is one transaction: what can
fail is checked before anything is changed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from gateway.domain.api_tokens import ApiToken
from gateway.domain.breaker import StreamNote
from gateway.domain.chain import GENESIS, NONCE_BYTES, event_key, key_owner, payload_hash, row_hash
from gateway.domain.erasure import NO_TRACE, Target
from gateway.domain.ids import RANDOM_BYTES, quarantine_id
from gateway.domain.pending import PendingDelivery
from gateway.ports import (
    Appended,
    AttemptRecord,
    Entry,
    Kind,
    NewEntry,
    NewQuarantine,
    Now,
    QuarantineRecord,
    Random,
    ReplayRecord,
    StoredContract,
    SubscriptionHistory,
    SubscriptionRecord,
)


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the log with its searched columns and the parts of its hash."""

    entry: Entry
    columns: NewEntry
    nonce: bytes
    payload_hash: bytes


@dataclass(slots=True)
class Cursor:
    """How far a stream has been dispatched, and whether it follows the router."""

    position: int
    live: bool


@dataclass(slots=True)
class MemoryStore:
    """All tables. ``rows[i]`` is position ``i + 1``; a deleted subscription is None under its number."""

    now: Now
    random: Random
    rows: list[Row] = field(default_factory=list)
    keys: dict[bytes, int] = field(default_factory=dict)
    appended_at_us: int = 0
    duplicates: int = 0
    conflicts: int = 0
    quarantine: dict[tuple[str, str], QuarantineRecord] = field(default_factory=dict)
    subscriptions: dict[int, SubscriptionRecord | None] = field(default_factory=dict)
    rotations: dict[int, int] = field(default_factory=dict)
    ended: dict[int, SubscriptionHistory] = field(default_factory=dict)
    names: dict[int, tuple[str, str]] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)
    cursors: dict[int, Cursor] = field(default_factory=dict)
    pending: dict[tuple[int, int], PendingDelivery] = field(default_factory=dict)
    attempts: dict[tuple[int, int], list[AttemptRecord]] = field(default_factory=dict)
    routed: int = 0
    replays: dict[int, ReplayRecord] = field(default_factory=dict)
    notes: dict[int, StreamNote] = field(default_factory=dict)
    tokens: dict[bytes, ApiToken] = field(default_factory=dict)
    contracts: dict[tuple[str, int], StoredContract] = field(default_factory=dict)
    erasing: dict[str, Target] = field(default_factory=dict)
    """The erasures that are not done yet."""
    remembered: dict[bytes, tuple[int, str, bytes]] = field(default_factory=dict)
    """By which keys subscriptions were made: until when, which one, and what was answered."""
    settled: int = 0
    """How many attempts there are: what ``seq`` numbers in a database."""
    seqs: dict[str, int] = field(default_factory=dict)
    erased: dict[int, int] = field(default_factory=dict)
    """By which fact each position was erased."""

    @property
    def head(self) -> int:
        """The last position."""
        return len(self.rows)

    def is_deleted(self, number: int) -> bool:
        """Whether a subscription is; of one that never was, it is not."""
        return number in self.subscriptions and self.subscriptions[number] is None

    def append(
        self, entries: Sequence[NewEntry], *, kind: Kind = Kind.EVENT, addressee: int | None = None
    ) -> list[Appended]:
        """Number, deduplicate and chain (S7c, S7d, S8a)."""
        self.appended_at_us = max(self.now(), self.appended_at_us)
        results = []
        for columns in entries:
            key = event_key(columns.source, columns.id, key_owner(columns.type, columns.organization))
            original = self.keys.get(key)
            if original is not None:
                self.duplicates += 1
                stored = self.rows[original - 1].entry.envelope
                self.conflicts += stored is not None and stored != columns.envelope
                results.append(Appended(original, duplicate=True))
                continue
            row = self._row(columns, kind, addressee)
            self.rows.append(row)
            self.keys[key] = row.entry.position
            results.append(Appended(row.entry.position, duplicate=False, entry=row.entry))
        return results

    def put_aside(self, records: Sequence[NewQuarantine]) -> None:
        """Quarantine, once per origin and entry id."""
        for record in records:
            key = (record.origin, record.entry_id)
            if key not in self.quarantine:
                self.quarantine[key] = QuarantineRecord(
                    id=quarantine_id(self.random(RANDOM_BYTES)),
                    received_at_us=self.now(),
                    origin=record.origin,
                    entry_id=record.entry_id,
                    organization=record.organization,
                    reason=record.reason,
                    problems=[dict(problem) for problem in record.problems],
                    payload=record.payload,
                    size_bytes=len(record.payload),
                    state="open",
                    position=None,
                )

    def position_before(self, at_us: int) -> int:
        """The last position appended before a time."""
        return sum(row.entry.appended_at_us < at_us for row in self.rows)

    def appended_at(self, position: int) -> int | None:
        """When an entry was appended; None where there is none."""
        return self.rows[position - 1].entry.appended_at_us if 0 < position <= self.head else None

    def has_posted(self, number: int, position: int, trace_id: str) -> bool:
        """Whether a batch in this trace posted this delivery; what was erased is in none (S8b)."""
        attempts = self.attempts.get((number, position), ())
        return trace_id != NO_TRACE and any(item.batch_trace_id == trace_id for item in attempts)

    def record(self, number: int) -> SubscriptionRecord | None:
        """A subscription with its cursor and the number of its pending deliveries as they are now."""
        found = self.subscriptions.get(number)
        if found is None:
            return None
        cursor = self.cursors[number]
        waiting = sum(item.number == number and not item.asked for item in self.pending.values())
        return replace(found, cursor=cursor.position, live=cursor.live, pending=waiting)

    def _row(self, columns: NewEntry, kind: Kind, addressee: int | None) -> Row:
        nonce = self.random(NONCE_BYTES)
        hashed = payload_hash(nonce, columns.envelope)
        position = self.head + 1
        hash_ = row_hash(
            self.rows[-1].entry.row_hash if self.rows else GENESIS,
            position=position,
            kind=kind.value,
            type=columns.type,
            source=columns.source,
            id=columns.id,
            organization=columns.organization,
            appended_at_us=self.appended_at_us,
            payload_hash=hashed,
        )
        entry = Entry(
            position=position,
            kind=kind,
            type=columns.type,
            source=columns.source,
            id=columns.id,
            organization=columns.organization,
            appended_at_us=self.appended_at_us,
            row_hash=hash_,
            envelope=columns.envelope,
            addressee=addressee,
            redriven_from=columns.redriven_from,
            published_at_us=columns.published_at_us,
            contract_broken=columns.contract_broken,
        )
        return Row(entry, columns, nonce, hashed)
