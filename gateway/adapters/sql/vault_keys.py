"""Moving the vault from one key to the next while the gateway serves, and telling which keys are still needed.

Every row of the vault is gone through, whatever it is for: what is sealed there later is rotated as well. A batch
is one write transaction, and whoever else writes to the vault seals under the first key already: nothing is lost
to a writer beside it, nor to a crash between two batches.
"""

import logging
from collections.abc import Sequence

from sqlalchemy import Connection, LargeBinary, bindparam, func, insert, select, tuple_, type_coerce, update

from gateway.adapters.sql.database import Database
from gateway.adapters.sql.models import SealingKey, VaultEntry
from gateway.adapters.vault import KEY_ID_AT, KEY_ID_BYTES, KeyMissing, Keyring, VaultError
from gateway.ports import KeyUse, Now, Resealed, RowKey

_LOGGER = logging.getLogger(__name__)
_VAULT = VaultEntry.__table__  # type: ignore[attr-defined]
_KEY = SealingKey.__table__  # type: ignore[attr-defined]

_ROW = (_VAULT.c.kind, _VAULT.c.owner, _VAULT.c.revision)
# Positions of substr count from 1, in both databases.
_KEY_ID = type_coerce(func.substr(_VAULT.c.sealed, KEY_ID_AT + 1, KEY_ID_BYTES), LargeBinary)
_CHANGE = (
    update(_VAULT)
    .where(
        _VAULT.c.kind == bindparam("row_kind"),
        _VAULT.c.owner == bindparam("row_owner"),
        _VAULT.c.revision == bindparam("row_revision"),
    )
    .values(sealed=bindparam("row_sealed"))
)


class SqlVaultKeys:
    """Implements ``gateway.ports.VaultKeys`` on any ``Database``."""

    def __init__(self, database: Database, keyring: Keyring, *, now: Now) -> None:
        self._database = database
        self._keyring = keyring
        self._now = now

    async def begin(self) -> None:
        """See ``VaultKeys.begin``."""
        await self._database.write(self._begin)

    async def reseal(self, after: RowKey | None, limit: int) -> Resealed:
        """See ``VaultKeys.reseal``."""
        return await self._database.write(lambda connection: self._reseal(connection, after, limit))

    async def uses(self) -> Sequence[KeyUse]:
        """See ``VaultKeys.uses``."""

        def work(connection: Connection) -> list[KeyUse]:
            sealed, notes = _sealed_by_key(connection), _notes(connection)
            return [KeyUse(key, sealed.get(key, 0), notes.get(key)) for key in self._keyring.key_ids]

        return await self._database.read(work)

    def _begin(self, connection: Connection) -> None:
        keys = self._keyring.key_ids
        missing = {key: count for key, count in _sealed_by_key(connection).items() if key not in keys}
        if missing:
            said = ", ".join(f"{count} under key {key}" for key, count in sorted(missing.items()))
            raise KeyMissing(f"Stored secrets are sealed under keys that this process does not have: {said}.")
        notes, now_us = _notes(connection), self._now()
        # A key that nobody made a note of has been in use until now, as far as can be known.
        new = [
            {"id": key, "replaced_at": now_us if place else None}
            for place, key in enumerate(keys)
            if key not in notes
        ]
        if new:
            connection.execute(insert(_KEY), new)
        if notes.get(keys[0]) is not None:
            connection.execute(update(_KEY).where(_KEY.c.id == keys[0]).values(replaced_at=None))
        connection.execute(
            update(_KEY).where(_KEY.c.id != keys[0], _KEY.c.replaced_at.is_(None)).values(replaced_at=now_us)
        )

    def _reseal(self, connection: Connection, after: RowKey | None, limit: int) -> Resealed:
        statement = select(*_ROW, _VAULT.c.sealed).order_by(*_ROW).limit(limit)
        if after is not None:
            statement = statement.where(tuple_(*_ROW) > after)
        rows = connection.execute(statement).all()
        changes, unreadable = [], []
        for kind, owner, revision, blob in rows:
            sealed = bytes(blob)
            if self._keyring.current(sealed):
                continue
            try:
                fresh = self._keyring.reseal(sealed, kind=kind, owner=owner, revision=revision)
            except VaultError as error:
                # Nobody can read it any more; it must not keep the others from their new key.
                _LOGGER.error("left under its key: %s", error)  # noqa: TRY400 - the sentence says it all
                unreadable.append((kind, owner, revision))
            else:
                values = {"row_kind": kind, "row_owner": owner, "row_revision": revision, "row_sealed": fresh}
                changes.append(values)
        if changes:
            connection.execute(_CHANGE, changes)
        last = rows[-1] if len(rows) == limit else None
        follows = None if last is None else (last.kind, last.owner, last.revision)
        return Resealed(len(rows), len(changes), tuple(unreadable), follows)


def _sealed_by_key(connection: Connection) -> dict[str, int]:
    found = connection.execute(select(_KEY_ID, func.count()).select_from(_VAULT).group_by(_KEY_ID))
    return {bytes(key_id).hex(): count for key_id, count in found}


def _notes(connection: Connection) -> dict[str, int | None]:
    return {row.id: row.replaced_at for row in connection.execute(select(_KEY))}
