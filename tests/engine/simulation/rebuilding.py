"""A run whose projections are thrown away and derived again between two processes, by the real rebuild on SQLite.

What comes out must be equal to what was there, in the normal form of ``Remaining``, and the run goes on with it: so
that nothing is lost, and nothing sent again that had ended, is shown by the same oracle as ever.
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sqlalchemy import insert, select

from gateway.adapters.memory import MemoryStore
from gateway.adapters.memory.store import Cursor
from gateway.adapters.sql import models
from gateway.adapters.sql.delivery_rows import ATTEMPT_COLUMNS, attempt_row, pending_of
from gateway.adapters.sql.rebuild import rebuild_in
from gateway.adapters.sql.sealed import SubscriptionVault
from gateway.adapters.sql.sqlite import SqliteDatabase
from gateway.adapters.sql.subscription_rows import skips_of
from gateway.adapters.vault import Keyring
from gateway.domain.delivery import fold
from gateway.domain.filters import Selector
from gateway.domain.pending import PendingDelivery
from gateway.domain.subscription import selector_from
from gateway.ports import ReplayRange, ReplayRecord, ReplayState
from schemas import parse_structured
from simulation.clock import now_us
from simulation.plan import Plan
from simulation.run import Simulation

Key = tuple[int, int]
_VAULT = SubscriptionVault(Keyring((bytes(32),)))


@dataclass(frozen=True, slots=True)
class Projections:
    """All that is derived, as it stands in the tables."""

    subscriptions: Mapping[int, tuple[Any, ...]]
    revisions: Mapping[int, tuple[tuple[int, int, Any], ...]]
    cursors: Mapping[int, Cursor]
    routed: int
    pending: Mapping[Key, PendingDelivery]
    replays: Mapping[int, ReplayRecord]

    def passed(self, number: int) -> int:
        """How far a stream counts as dispatched."""
        cursor, active = self.cursors[number], self.subscriptions[number][3] == "active"
        return max(cursor.position, self.routed) if cursor.live and active else cursor.position


class RebuildingSimulation(Simulation):
    """Rebuilds before each start but the first."""

    def __init__(self, plan: Plan, template: Path, folder: Path) -> None:
        super().__init__(plan)
        self.rebuilds = 0
        self._template, self._folder = template, folder

    async def _start(self) -> None:
        if self.processes:
            self.rebuild()
        await super()._start()

    async def _resume(self, number: int, *, skip: bool) -> None:
        await super()._resume(number, skip=skip)
        # What stood behind a blocked key lies ahead of the cursor after a rebuild, so it is skipped with the rest: also
        # what a replay had left to the live stream.
        told = self.oracle.told[number]
        told.promised = {replay: found - told.excused for replay, found in told.promised.items()}

    def rebuild(self) -> None:
        """Derive everything again, compare, and go on with what came out."""
        self.rebuilds += 1
        before = of_memory(self.store)
        after = rebuilt(self.store, self._template, self._folder / f"{self.rebuilds}.db")
        assert after.subscriptions == before.subscriptions
        assert after.revisions == before.revisions
        assert set(after.cursors) == set(before.cursors)
        assert without_cursors(after.replays) == without_cursors(before.replays)
        assert after.routed == self.store.head
        for number in after.cursors:
            self._compare_first(number, before, after)
        self._compare_again(before, after)
        put_back(self.store, after)

    # First attempts: what is still to be sent at all.

    def _compare_first(self, number: int, before: Projections, after: Projections) -> None:
        start = before.subscriptions[number][5]
        owed = {
            position
            for position in self.oracle.owed(number, start + 1, self.store.head)
            if (number, position) not in self.store.attempts
        }
        assert self._to_come(number, after, owed) == owed, f"first attempts of {number} after the rebuild"
        assert self._to_come(number, before, owed) == owed, f"first attempts of {number} before it"
        extra = [
            item.position
            for item in after.pending.values()
            if item.number == number and not item.attempts and item.position not in owed
        ]
        assert not extra, f"{extra} of {number} would be sent and are not owed"

    def _to_come(self, number: int, found: Projections, owed: set[int]) -> set[int]:
        """Those that the projections will bring: their rows, what stands behind a head, what lies ahead."""
        rows = {at for owner, at in found.pending if owner == number}
        heads = {
            item.partition_key: item.position
            for item in found.pending.values()
            if item.number == number and item.blocked_from is not None
        }
        passed = found.passed(number)

        def covered(position: int) -> bool:
            key = parse_structured(self.store.rows[position - 1].entry.envelope or b"").attributes.get(
                "partitionkey"
            )
            head = heads.get(None if key is None else str(key))
            return head is not None and head < position

        return {at for at in owed if at in rows or at > passed or covered(at)}

    # Further attempts: what waits, and how.

    def _compare_again(self, before: Projections, after: Projections) -> None:
        for key, row in before.pending.items():
            attempts = self.store.attempts.get(key)
            if attempts is None:
                continue
            state, found = fold(attempts), after.pending.get(key)
            if row.round > state.round and row.replay is not None:
                # A replay had begun it and not tried it: it begins again, from what the delivery was before.
                assert found is None or found.round in {state.round, row.round}
                continue
            assert found is not None, f"{key} waits for another attempt, and is gone"
            assert (found.round, found.attempts, found.failures) == (row.round, row.attempts, row.failures)
            if found.last_span_id != row.last_span_id:
                # What a process was sending when it died is in the row alone.
                assert row.crashes or row.next_at_us is None
                assert row.last_span_id not in {attempt.span_id for attempt in attempts}
                assert found.last_span_id == attempts[-1].span_id
            # Frozen into another batch and not tried in it: it is in the one of its last attempt, as far as that is.
            assert found.batch == (attempts[-1].batch if row.round == state.round else None)
            if row.round == state.round:
                assert found.replay == row.replay
            self._compare_due(key, row, found)
            if self.oracle.told[row.number].ordered and row.blocked_from is not None:
                assert (found.partition_key, found.blocked_from) == (row.partition_key, row.blocked_from)
        for key, found in after.pending.items():
            attempts = self.store.attempts.get(key)
            assert attempts is None or key in before.pending, (
                f"{key} had ended, and would be tried again: {found}"
            )

    @staticmethod
    def _compare_due(key: Key, row: PendingDelivery, found: PendingDelivery) -> None:
        """In flight, and put off before it was sent, are notes: then it is due, or was."""
        assert found.next_at_us is not None
        if row.next_at_us is None or row.next_at_us > found.next_at_us:
            assert found.next_at_us <= now_us() or row.next_at_us is None, key
        else:
            assert row.next_at_us == found.next_at_us, key


def of_memory(store: MemoryStore) -> Projections:
    """What the engine has come to."""
    records = {
        number: (
            record.id,
            record.organization,
            record.privileged,
            record.state.value,
            record.revision,
            record.start_position,
            record.created_position,
            record.created_at_us,
            record.updated_at_us,
            record.skips,
        )
        for number, record in store.subscriptions.items()
        if record is not None
    }
    revisions = {
        number: tuple((item.revision, item.position, item.selector) for item in record.revisions)
        for number, record in store.subscriptions.items()
        if record is not None
    }
    cursors = {number: Cursor(item.position, item.live) for number, item in store.cursors.items()}
    return Projections(records, revisions, cursors, store.routed, dict(store.pending), dict(store.replays))


def rebuilt(store: MemoryStore, template: Path, path: Path) -> Projections:
    """What a rebuild makes of the log, the attempts and the vault alone."""
    shutil.copy(template, path)
    database = SqliteDatabase(path)
    try:
        database.write_now(lambda connection: _copy(connection, store))
        result = database.write_now(lambda connection: rebuild_in(connection, _VAULT, now_us()))
        assert result.positions == store.head
        return database.read_now(_read)
    finally:
        database.close_now()
        path.unlink()


def put_back(store: MemoryStore, found: Projections) -> None:
    """Go on from there."""
    store.cursors = dict(found.cursors)
    store.routed = found.routed
    store.pending = dict(found.pending)
    store.replays = dict(found.replays)


def without_cursors(replays: Mapping[int, ReplayRecord]) -> dict[int, ReplayRecord]:
    return {number: replace(item, cursor=0, open=0) for number, item in replays.items()}


def _copy(connection: Any, store: MemoryStore) -> None:
    log = [
        {
            "position": row.entry.position,
            "kind": row.entry.kind.value,
            "type": row.entry.type,
            "source": row.entry.source,
            "event_id": row.entry.id,
            "subject": row.columns.subject,
            "organization": row.entry.organization,
            "addressee": row.entry.addressee,
            "appended_at": row.entry.appended_at_us,
            "nonce": row.nonce,
            "envelope": row.entry.envelope,
            "payload_hash": row.payload_hash,
            "row_hash": row.entry.row_hash,
        }
        for row in store.rows
    ]
    if log:
        connection.execute(insert(models.LogEntry.__table__), log)
        connection.execute(models.LogHead.__table__.update().values(position=len(log)))
    attempts = [
        {"seq": store.seqs[item.id], **dict(zip(ATTEMPT_COLUMNS, attempt_row(item), strict=True))}
        for items in store.attempts.values()
        for item in items
    ]
    if attempts:
        connection.execute(insert(models.Attempt.__table__), attempts)
    present = [record for record in store.subscriptions.values() if record is not None]
    if present:
        sealed = [_VAULT.spec_row(record.id, record.revision, record.spec) for record in present]
        connection.execute(insert(models.VaultEntry.__table__), sealed)


def _read(connection: Any) -> Projections:
    def rows(model: Any) -> list[Any]:
        return list(connection.execute(select(model.__table__)))

    subscriptions = {
        row.number: tuple(row)[1:] for row in rows(models.Subscription) if row.state != "deleted"
    }
    columns = [column.name for column in models.Subscription.__table__.columns]
    order = [
        columns.index(name) - 1
        for name in (
            *("id", "organization", "privileged", "state", "revision", "start_position"),
            *("created_position", "created_at", "updated_at"),
        )
    ]
    histories: dict[int, list[tuple[int, int, Any]]] = {}
    organizations = {row.number: row.organization for row in rows(models.Subscription)}
    for row in sorted(rows(models.SubscriptionRevision), key=lambda row: (row.number, row.revision)):
        if row.number in subscriptions:
            histories.setdefault(row.number, []).append(
                (row.revision, row.position, _selector(row.selection, organizations[row.number]))
            )
    return Projections(
        subscriptions={
            number: (*(row[index] for index in order), skips_of(row[columns.index("skips") - 1]))
            for number, row in subscriptions.items()
        },
        revisions={number: tuple(history) for number, history in histories.items()},
        cursors={row.number: Cursor(row.cursor, row.live) for row in rows(models.DeliveryCursor)},
        routed=min(row.routed for row in rows(models.Shard)),
        pending={(row.number, row.position): pending_of(row) for row in rows(models.Pending)},
        replays={row.replay: _replay_of(row) for row in rows(models.Replay)},
    )


def _selector(selection: str, organization: str) -> Selector:
    return selector_from(json.loads(selection), organization)


def _replay_of(row: Any) -> ReplayRecord:
    return ReplayRecord(
        replay=row.replay,
        number=row.number,
        revision=row.revision,
        range=ReplayRange(row.from_position, row.until_position, row.only_failed),
        attempts_until=row.attempts_until,
        cursor=row.cursor,
        state=ReplayState(row.state),
        requested_at_us=row.requested_at,
        ended_at_us=row.ended_at,
    )
