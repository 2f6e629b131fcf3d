"""The one way a row gets into the log: numbered, deduplicated, chained, in the caller's transaction.

Appends are serialised by the database's write transaction, so positions are gapless and in commit order: a
reader that has seen position n has seen everything before it.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert, select, update

from gateway.adapters.sql.lists import parts
from gateway.adapters.sql.models import EventKey, LogEntry, LogHead, QuarantineEntry
from gateway.domain.chain import GENESIS, NONCE_BYTES, event_key, payload_hash, row_hash
from gateway.errors import DatabaseUnusable
from gateway.ports import Appended, Kind, NewEntry, NewQuarantine, Random

_LOG = LogEntry.__table__  # type: ignore[attr-defined]
_KEYS = EventKey.__table__  # type: ignore[attr-defined]
_HEAD = LogHead.__table__  # type: ignore[attr-defined]
_QUARANTINE = QuarantineEntry.__table__  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
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
    for index, entry in enumerate(entries):
        nonce = nonces[index * NONCE_BYTES : (index + 1) * NONCE_BYTES]
        key = event_key(entry.source, entry.id)
        prepared.append(Prepared(entry, key, nonce, payload_hash(nonce, entry.envelope)))
    return prepared


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
    head = connection.execute(select(_HEAD)).one_or_none()
    if head is None:
        raise DatabaseUnusable("The log has no head: the database was not migrated or is damaged.")
    known = _known(connection, [item.key for item in prepared])
    position, previous = head.position, head.row_hash
    appended_at = max(now_us, head.appended_at)  # never goes back (S7d)
    results: list[Appended] = []
    rows: list[dict[str, Any]] = []
    repeated: list[tuple[Prepared, int]] = []
    for item in prepared:
        original = known.get(item.key)
        if original is not None:
            results.append(Appended(original, duplicate=True))
            repeated.append((item, original))
            continue
        position += 1
        row = _row(item, position, previous, kind=kind, appended_at=appended_at, addressee=addressee)
        previous = row["row_hash"]
        known[item.key] = position
        rows.append(row)
        results.append(Appended(position, duplicate=False))
    if rows:
        connection.execute(insert(_LOG), rows)
        connection.execute(
            insert(_KEYS),
            [{"key": item.key, "position": known[item.key]} for item in _first(prepared, results)],
        )
    conflicts = _conflicts(connection, repeated)
    connection.execute(
        update(_HEAD).values(
            position=position,
            row_hash=previous,
            appended_at=appended_at,
            duplicates=_HEAD.c.duplicates + len(repeated),
            conflicts=_HEAD.c.conflicts + conflicts,
        )
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


def _known(connection: Connection, keys: Sequence[bytes]) -> dict[bytes, int]:
    known: dict[bytes, int] = {}
    for part in parts(keys):
        found = connection.execute(select(_KEYS.c.key, _KEYS.c.position).where(_KEYS.c.key.in_(part)))
        known.update((row.key, row.position) for row in found)
    return known


def _row(
    item: Prepared,
    position: int,
    previous: bytes,
    *,
    kind: Kind,
    appended_at: int,
    addressee: int | None,
) -> dict[str, Any]:
    entry = item.entry
    return {
        "position": position,
        "kind": kind.value,
        "type": entry.type,
        "source": entry.source,
        "event_id": entry.id,
        "subject": entry.subject,
        "organization": entry.organization,
        "agent_id": entry.agent_id,
        "run_id": entry.run_id,
        "trace_id": entry.trace_id,
        "partition_key": entry.partition_key,
        "addressee": addressee,
        "redriven_from": entry.redriven_from,
        "appended_at": appended_at,
        "nonce": item.nonce,
        "envelope": entry.envelope,
        "payload_hash": item.payload_hash,
        "row_hash": row_hash(
            previous,
            position=position,
            kind=kind.value,
            type=entry.type,
            source=entry.source,
            id=entry.id,
            organization=entry.organization,
            appended_at_us=appended_at,
            payload_hash=item.payload_hash,
        ),
    }


def _first(prepared: Sequence[Prepared], results: Sequence[Appended]) -> list[Prepared]:
    return [item for item, result in zip(prepared, results, strict=True) if not result.duplicate]


def _conflicts(connection: Connection, repeated: Sequence[tuple[Prepared, int]]) -> int:
    """How many repetitions carry another envelope than the original: first wins, and it is counted (S7c)."""
    count = 0
    for item, original in repeated:
        stored = connection.execute(select(_LOG.c.envelope).where(_LOG.c.position == original)).scalar()
        count += stored is not None and bytes(stored) != item.entry.envelope
    return count
