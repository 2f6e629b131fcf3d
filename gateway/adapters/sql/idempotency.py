"""Idempotency keys in SQL: the key in a table of its own, the answer sealed in the vault.

An answer is a row of the vault like any other: a rotation of the vault's keys seals it anew, and a backup without the
keys tells nothing of it. It goes after a day, or with the subscription that it tells of.
"""

from typing import Any, Final

from sqlalchemy import Connection, delete, insert, select

from gateway.adapters.sql.database import Database
from gateway.adapters.sql.lists import parts
from gateway.adapters.sql.models import IdempotencyKey, VaultEntry
from gateway.adapters.vault import Keyring
from gateway.errors import Conflict
from gateway.ports import Now, Remembered, Remembering, SubscriptionRecord

_KEY = IdempotencyKey.__table__  # type: ignore[attr-defined]
_VAULT = VaultEntry.__table__  # type: ignore[attr-defined]
_KIND: Final = "idempotent-answer"
_REVISION: Final = 1
_FORGOTTEN_MAX: Final = 500


class SqlIdempotencyKeys:
    """Implements ``gateway.ports.IdempotencyKeys`` on any ``Database``."""

    def __init__(self, database: Database, keyring: Keyring, *, now: Now) -> None:
        self._database = database
        self._keyring = keyring
        self._now = now

    async def find(self, key: bytes) -> Remembered | None:
        """See ``IdempotencyKeys.find``."""
        statement = (
            select(_KEY.c.key, _VAULT.c.sealed)
            .outerjoin(_VAULT, (_VAULT.c.kind == _KIND) & (_VAULT.c.owner == _owner(key)))
            .where(_KEY.c.key == key, _KEY.c.until > self._now())
        )
        row = await self._database.read(lambda connection: connection.execute(statement).one_or_none())
        if row is None:
            return None
        if row.sealed is None:
            return Remembered(None)
        plain = self._keyring.open(bytes(row.sealed), kind=_KIND, owner=_owner(key), revision=_REVISION)
        return Remembered(plain)

    async def forget(self) -> int:
        """See ``IdempotencyKeys.forget``."""
        due = select(_KEY.c.key).where(_KEY.c.until <= self._now()).order_by(_KEY.c.until)
        found = await self._database.read(
            lambda connection: [*connection.execute(due.limit(_FORGOTTEN_MAX)).scalars()]
        )
        if found:
            # What is dropped is overwritten: an answer shows a secret.
            await self._database.erase(lambda connection: _drop(connection, found))
        return len(found)


def remember(
    connection: Connection, keyring: Keyring, record: SubscriptionRecord, wanted: Remembering, now_us: int
) -> None:
    """Keep what is answered, in the transaction that makes the subscription. Raises ``Conflict``.

    The caller looks first; that the key is there now means that another process was faster.
    """
    until = connection.execute(select(_KEY.c.until).where(_KEY.c.key == wanted.key)).scalar()
    if until is not None and until > now_us:
        raise Conflict("A request with this Idempotency-Key was served meanwhile.", hint="Send it again.")
    if until is not None:
        _drop(connection, [wanted.key])
    owner = _owner(wanted.key)
    sealed = keyring.seal(wanted.answer(record), kind=_KIND, owner=owner, revision=_REVISION)
    values = {"key": wanted.key, "subscription": record.id, "until": wanted.until_us}
    connection.execute(insert(_KEY), [values])
    row: dict[str, Any] = {"kind": _KIND, "owner": owner, "revision": _REVISION, "sealed": sealed}
    connection.execute(insert(_VAULT), [row])


def drop_answers(connection: Connection, subscription: str) -> None:
    """Drop what was answered about a subscription that is being deleted; that its key was used is still known."""
    keys = connection.execute(select(_KEY.c.key).where(_KEY.c.subscription == subscription)).scalars()
    owners = [_owner(bytes(key)) for key in keys]
    if owners:
        connection.execute(delete(_VAULT).where(_VAULT.c.kind == _KIND, _VAULT.c.owner.in_(owners)))


def _drop(connection: Connection, keys: list[bytes]) -> None:
    for part in parts(keys):
        owners = [_owner(bytes(key)) for key in part]
        connection.execute(delete(_VAULT).where(_VAULT.c.kind == _KIND, _VAULT.c.owner.in_(owners)))
        connection.execute(delete(_KEY).where(_KEY.c.key.in_(part)))


def _owner(key: bytes) -> str:
    return key.hex()
