"""Reading subscriptions: any number of them in a constant number of queries."""

import json
from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, TypeVar

from sqlalchemy import Connection, Row, Select, and_, func, select

from gateway.adapters.sql.models import (
    DeliveryCursor,
    Pending,
    Subscription,
    SubscriptionRevision,
    VaultEntry,
)
from gateway.adapters.sql.sealed import SECRETS, SPEC, SealedRow, SubscriptionVault
from gateway.adapters.sql.texts import same
from gateway.domain.filters import Selector
from gateway.domain.handshake import UNASKED, Consent
from gateway.domain.skips import Skip
from gateway.domain.subscription import selector_from
from gateway.errors import DatabaseUnusable
from gateway.ports import Revision, SubscriptionHistory, SubscriptionRecord, SubscriptionState

T = TypeVar("T")

_SUBSCRIPTION = Subscription.__table__  # type: ignore[attr-defined]
_REVISION = SubscriptionRevision.__table__  # type: ignore[attr-defined]
_CURSOR = DeliveryCursor.__table__  # type: ignore[attr-defined]
_PENDING = Pending.__table__  # type: ignore[attr-defined]
_VAULT = VaultEntry.__table__  # type: ignore[attr-defined]

_SELECTORS_MAX = 4_096
_STATES = {state.value: state for state in SubscriptionState}


def present() -> Select[Any]:
    """Subscriptions that are not deleted, with cursor and sealed document; to be narrowed by the caller."""
    return (
        select(_SUBSCRIPTION, _CURSOR.c.cursor, _CURSOR.c.live, _VAULT.c.sealed)
        .join(_CURSOR, _CURSOR.c.number == _SUBSCRIPTION.c.number)
        # Outer, so that a planner that knows no statistics cannot begin at the vault and go through all of it.
        .outerjoin(
            _VAULT,
            and_(
                _VAULT.c.kind == SPEC,
                _VAULT.c.owner == _SUBSCRIPTION.c.id,
                _VAULT.c.revision == _SUBSCRIPTION.c.revision,
            ),
        )
        .order_by(_SUBSCRIPTION.c.number)
    )


def read(
    connection: Connection, statement: Select[Any], vault: SubscriptionVault
) -> list[SubscriptionRecord]:
    """The subscriptions that a narrowed ``present()`` finds: four queries, however many there are."""
    rows = connection.execute(statement).all()
    if not rows:
        return []
    numbers = [row.number for row in rows]
    signing = _signing(connection, [row.id for row in rows])
    revisions = _revisions(connection, {row.number: row.organization for row in rows})
    waiting = _waiting(connection, numbers)
    return [
        SubscriptionRecord(
            number=row.number,
            id=row.id,
            organization=row.organization,
            privileged=row.privileged,
            state=_STATES[row.state],
            revision=row.revision,
            created_at_us=row.created_at,
            updated_at_us=row.updated_at,
            created_position=row.created_position,
            start_position=row.start_position,
            cursor=row.cursor,
            live=row.live,
            pending=waiting.get(row.number, 0),
            private=vault.sealed(row.id, _document(row), _there(signing.get(row.id), row)),
            revisions=tuple(revisions[row.number]),
            skips=skips_of(row.skips),
            consent=consent_of(row.consent),
        )
        for row in rows
    ]


def skips_of(text: str) -> tuple[Skip, ...]:
    """What was left out, from its column."""
    return () if text == "[]" else tuple((after, until) for after, until in json.loads(text))


def consent_of(text: str) -> Consent:
    """Where the handshake stands, from its column."""
    return UNASKED if text == "{}" else Consent.from_json(json.loads(text))


def history(connection: Connection, subscription_id: str) -> SubscriptionHistory | None:
    """One by its id, deleted ones too, with nothing of the vault."""
    statement = select(_SUBSCRIPTION, _CURSOR.c.cursor, _CURSOR.c.live).join(
        _CURSOR, _CURSOR.c.number == _SUBSCRIPTION.c.number, isouter=True
    )
    row = connection.execute(statement.where(same(_SUBSCRIPTION.c.id, subscription_id))).one_or_none()
    if row is None:
        return None
    return SubscriptionHistory(
        number=row.number,
        id=row.id,
        organization=row.organization,
        state=_STATES[row.state],
        start_position=row.start_position,
        revisions=tuple(_revisions(connection, {row.number: row.organization})[row.number]),
        cursor=row.cursor,
        live=bool(row.live),
        pending=_waiting(connection, [row.number]).get(row.number, 0),
    )


def _document(row: Row[Any]) -> SealedRow:
    return SealedRow(row.revision, bytes(_there(row.sealed, row)))


def _there(found: T | None, row: Row[Any]) -> T:
    if found is None:
        raise DatabaseUnusable(f"The vault holds nothing of subscription {row.id}: the database is damaged.")
    return found


def _signing(connection: Connection, ids: Sequence[str]) -> dict[str, SealedRow]:
    statement = (
        select(_VAULT.c.owner, _VAULT.c.revision, _VAULT.c.sealed)
        .where(_VAULT.c.kind == SECRETS, _VAULT.c.owner.in_(ids))
        .order_by(_VAULT.c.revision)
    )
    return {row.owner: SealedRow(row.revision, bytes(row.sealed)) for row in connection.execute(statement)}


def _revisions(connection: Connection, organizations: dict[int, str]) -> dict[int, list[Revision]]:
    statement = (
        select(_REVISION)
        .where(_REVISION.c.number.in_(list(organizations)))
        .order_by(_REVISION.c.number, _REVISION.c.revision)
    )
    found: dict[int, list[Revision]] = defaultdict(list)
    for row in connection.execute(statement):
        found[row.number].append(_revision_of(row, organizations[row.number]))
    return found


def _waiting(connection: Connection, numbers: Sequence[int]) -> dict[int, int]:
    statement = (
        select(_PENDING.c.number, func.count().label("waiting"))
        .where(_PENDING.c.number.in_(numbers), _PENDING.c.asked.is_(False))
        .group_by(_PENDING.c.number)
    )
    return {row.number: row.waiting for row in connection.execute(statement)}


def _revision_of(row: Row[Any], organization: str) -> Revision:
    return Revision(row.revision, row.position, _selector(row.selection, organization))


@lru_cache(maxsize=_SELECTORS_MAX)
def _selector(selection: str, organization: str) -> Selector:
    """A stored selection. Subscriptions that ask for the same share one, which is the larger part of their memory."""
    return selector_from(json.loads(selection), organization)
