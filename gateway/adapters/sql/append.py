"""The one way a row gets into the log: numbered, deduplicated, chained, in the caller's transaction.

Appends are serialised by the database's write transaction, so positions are gapless and in commit order: a
reader that has seen position n has seen everything before it.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, update

from gateway.adapters.sql import event_keys
from gateway.adapters.sql.bulk import BulkInsert
from gateway.adapters.sql.models import LogEntry, LogHead, QuarantineEntry
from gateway.domain.chain import GENESIS, NONCE_BYTES, RowHashes, event_key, key_owner, payload_hash
from gateway.errors import DatabaseUnusable
from gateway.ports import Appended, Entry, Kind, NewEntry, NewQuarantine, Random

_LOG = LogEntry.__table__  # type: ignore[attr-defined]
_INSERT_ENTRIES = BulkInsert(
    _LOG,
    (
        *("position", "kind", "type", "source", "event_id", "subject", "organization", "agent_id", "run_id"),
        *("trace_id", "partition_key", "addressee", "redriven_from", "appended_at", "nonce", "envelope"),
        *("payload_hash", "row_hash", "published_at", "contract_broken"),
    ),
    seldom=("partition_key", "addressee", "redriven_from", "contract_broken"),
)
_HEAD = LogHead.__table__  # type: ignore[attr-defined]
_QUARANTINE = QuarantineEntry.__table__  # type: ignore[attr-defined]
# Made once: to make a statement takes longer than SQLite takes to execute it.
_READ_HEAD = select(_HEAD)
_MOVE_HEAD = update(_HEAD).values(
    position=bindparam("to"),
    row_hash=bindparam("hash"),
    appended_at=bindparam("at"),
    duplicates=_HEAD.c.duplicates + bindparam("repeated"),
    conflicts=_HEAD.c.conflicts + bindparam("conflicting"),
)


@dataclass(slots=True)
class Prepared:
    """An entry with everything that can be computed before the write transaction begins (S7d)."""

    entry: NewEntry
    key: bytes
    nonce: bytes
    payload_hash: bytes


def prepare(entries: Sequence[NewEntry], random: Random) -> list[Prepared]:
    """Hash envelopes and keys ahead of the transaction, so that the lock is held for the writing alone."""
    nonces = random(NONCE_BYTES * len(entries)) if entries else b""
    prepared = []
    for start, entry in zip(range(0, len(nonces), NONCE_BYTES), entries, strict=True):
        nonce = nonces[start : start + NONCE_BYTES]
        key = event_key(entry.source, entry.id, key_owner(entry.type, entry.organization))
        prepared.append(Prepared(entry, key, nonce, payload_hash(nonce, entry.envelope)))
    return prepared


@dataclass(slots=True)
class _Chain:
    """The end of the log as one transaction moves it on."""

    position: int
    last_hash: bytes
    kind: Kind
    appended_at_us: int
    addressee: int | None
    hashes: RowHashes

    def follow(self, item: Prepared) -> Entry:
        """Number and chain the next entry (S8a)."""
        new = item.entry
        type_, source, id_, organization = new.type, new.source, new.id, new.organization
        self.position += 1
        self.last_hash = self.hashes.of(
            self.last_hash, self.position, type_, source, id_, organization, item.payload_hash
        )
        # In the order of its fields: by their names it would cost three times as much, for every row.
        return Entry(
            self.position,
            self.kind,
            type_,
            source,
            id_,
            organization,
            self.appended_at_us,
            self.last_hash,
            new.envelope,
            self.addressee,
            new.redriven_from,
            new.published_at_us,
            new.contract_broken,
        )


def append(
    connection: Connection,
    prepared: Sequence[Prepared],
    *,
    now_us: int,
    kind: Kind = Kind.EVENT,
    addressee: int | None = None,
) -> list[Appended]:
    """Append in order; an entry whose ``(source, id)`` is known answers with the original's position (S7c)."""
    if not prepared:
        return []
    head = connection.execute(_READ_HEAD).one_or_none()
    if head is None:
        raise DatabaseUnusable("The log has no head: the database was not migrated or is damaged.")
    end = (head.position, head.row_hash)
    known = event_keys.known(connection, [item.key for item in prepared], end)
    appended_at = max(now_us, head.appended_at)  # never goes back (S7d)
    kind_name = kind.value  # asked of the enumeration once, and not for each row
    hashes = RowHashes(kind_name, appended_at)
    chain = _Chain(head.position, head.row_hash, kind, appended_at, addressee, hashes)
    results: list[Appended] = []
    rows: list[tuple[Any, ...]] = []
    keys: list[tuple[bytes, int]] = []
    repeated: list[tuple[Prepared, int]] = []
    for item in prepared:
        original = known.get(item.key)
        if original is not None:
            results.append(Appended(original, duplicate=True))
            repeated.append((item, original))
            continue
        entry = chain.follow(item)
        known[item.key] = entry.position
        keys.append((item.key, entry.position))
        rows.append(_row(item, entry, kind_name))
        results.append(Appended(entry.position, duplicate=False, entry=entry))
    _INSERT_ENTRIES(connection, rows)
    event_keys.note(connection, keys, end, (chain.position, chain.last_hash))
    conflicts = _conflicts(connection, repeated)
    connection.execute(
        _MOVE_HEAD,
        {
            "to": chain.position,
            "hash": chain.last_hash,
            "at": appended_at,
            "repeated": len(repeated),
            "conflicting": conflicts,
        },
    )
    return results


def quarantine(
    connection: Connection, records: Sequence[NewQuarantine], *, now_us: int, ids: Sequence[str]
) -> None:
    """Put aside what cannot be appended; a record that is there already (a repeated batch) is left as it is."""
    for record, quarantine_id in zip(records, ids, strict=True):
        seen = select(_QUARANTINE.c.id).where(
            _QUARANTINE.c.origin == record.origin, _QUARANTINE.c.entry_id == record.entry_id
        )
        if connection.execute(seen).first() is not None:
            continue
        connection.execute(
            insert(_QUARANTINE).values(
                id=quarantine_id,
                received_at=now_us,
                origin=record.origin,
                entry_id=record.entry_id,
                organization=record.organization,
                reason=record.reason,
                problems=json.dumps(list(record.problems)),
                payload=record.payload,
                size_bytes=len(record.payload),
                state="open",
            )
        )


def ensure_head(connection: Connection) -> None:
    """Give a new, empty log its head: position 0 and the chain's genesis."""
    if connection.execute(select(_HEAD)).first() is None:
        connection.execute(
            insert(_HEAD).values(id=1, position=0, row_hash=GENESIS, appended_at=0, duplicates=0, conflicts=0)
        )


def _row(item: Prepared, entry: Entry, kind: str) -> tuple[Any, ...]:
    """In the order of ``_INSERT_ENTRIES``."""
    new = item.entry
    return (
        entry.position,
        kind,
        new.type,
        new.source,
        new.id,
        new.subject,
        new.organization,
        new.agent_id,
        new.run_id,
        new.trace_id,
        new.partition_key,
        entry.addressee,
        new.redriven_from,
        entry.appended_at_us,
        item.nonce,
        new.envelope,
        item.payload_hash,
        entry.row_hash,
        new.published_at_us,
        new.contract_broken or None,
    )


def _conflicts(connection: Connection, repeated: Sequence[tuple[Prepared, int]]) -> int:
    """How many repetitions carry another envelope than the original: first wins, and it is counted (S7c)."""
    count = 0
    for item, original in repeated:
        stored = connection.execute(select(_LOG.c.envelope).where(_LOG.c.position == original)).scalar()
        count += stored is not None and bytes(stored) != item.entry.envelope
    return count
