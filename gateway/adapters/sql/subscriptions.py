"""The commands on subscriptions: a fact, the vault and the projections, in one transaction (S1d)."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, Select, delete, func, insert, select, update

from gateway.adapters.sql.append import append, prepare
from gateway.adapters.sql.deliveries import shard_of
from gateway.adapters.sql.engine import Database
from gateway.adapters.sql.log import position_before
from gateway.adapters.sql.models import (
    DeliveryCursor,
    LogHead,
    Pending,
    Subscription,
    SubscriptionRevision,
    VaultEntry,
)
from gateway.adapters.vault import Keyring
from gateway.domain import facts
from gateway.domain.ids import RANDOM_BYTES, subscription_id
from gateway.domain.subscription import (
    EVERY_ORGANIZATION,
    StartAt,
    SubscriptionSpec,
    selector_from,
    sink_origin,
)
from gateway.errors import FieldError, InvalidRequest, NotFound, PreconditionFailed
from gateway.ports import Kind, NewEntry, Now, Random, Revision, SubscriptionRecord, SubscriptionState

_SUBSCRIPTION = Subscription.__table__  # type: ignore[attr-defined]
_REVISION = SubscriptionRevision.__table__  # type: ignore[attr-defined]
_CURSOR = DeliveryCursor.__table__  # type: ignore[attr-defined]
_PENDING = Pending.__table__  # type: ignore[attr-defined]
_VAULT = VaultEntry.__table__  # type: ignore[attr-defined]
_HEAD = LogHead.__table__  # type: ignore[attr-defined]

_SECOND_US = 1_000_000
_SPEC = "subscription"
_SECRETS = "subscription-secrets"
_STATE_FACTS = {
    SubscriptionState.ACTIVE: facts.SUBSCRIPTION_RESUMED,
    SubscriptionState.PAUSED: facts.SUBSCRIPTION_PAUSED,
    SubscriptionState.DISABLED: facts.SUBSCRIPTION_DISABLED,
}


class SqlSubscriptions:
    """Implements ``gateway.ports.Subscriptions`` on any ``Database``."""

    def __init__(
        self, database: Database, keyring: Keyring, *, fact_source: str, now: Now, random: Random
    ) -> None:
        self._database = database
        self._keyring = keyring
        self._fact_source = fact_source
        self._now = now
        self._random = random

    async def create(
        self, spec: SubscriptionSpec, *, organization: str, privileged: bool, secret: str
    ) -> SubscriptionRecord:
        """See ``Subscriptions.create``."""
        new_id = subscription_id(self._random(RANDOM_BYTES))

        def work(connection: Connection) -> SubscriptionRecord:
            number = 1 + (connection.execute(select(func.max(_SUBSCRIPTION.c.number))).scalar() or 0)
            now_us = self._now()
            head = connection.execute(select(_HEAD.c.position)).scalar_one()
            created = head + 1
            start = _start(connection, spec, head)
            start = created if start is None else start
            fact_data = _selection_data(spec, organization, number, revision=1)
            fact_data |= {"start_position": start, "privileged": privileged}
            position = self._fact(
                connection,
                facts.Fact(facts.SUBSCRIPTION_CREATED, new_id, "1", fact_data),
                organization,
                now_us,
            )
            connection.execute(
                insert(_SUBSCRIPTION).values(
                    number=number,
                    id=new_id,
                    organization=organization,
                    privileged=privileged,
                    state=SubscriptionState.ACTIVE.value,
                    revision=1,
                    start_position=start,
                    created_position=position,
                    created_at=now_us,
                    updated_at=now_us,
                )
            )
            _keep_revision(connection, number, 1, position, spec)
            self._seal(connection, _SPEC, new_id, 1, spec.to_json())
            self._seal(connection, _SECRETS, new_id, 1, {"secrets": [secret]})
            connection.execute(
                insert(_CURSOR).values(
                    number=number,
                    shard=shard_of(number),
                    cursor=start,
                    live=start == position and not spec.pull_only,
                )
            )
            return self._one(connection, _SUBSCRIPTION.c.number == number)

        return await self._database.write(work)

    async def update(
        self, number: int, spec: SubscriptionSpec, *, unchanged_since_us: int | None = None
    ) -> SubscriptionRecord:
        """See ``Subscriptions.update``."""

        def work(connection: Connection) -> SubscriptionRecord:
            row = _present(connection, number, unchanged_since_us)
            if self._open(connection, _SPEC, row.id, row.revision) == json.loads(json.dumps(spec.to_json())):
                return self._one(connection, _SUBSCRIPTION.c.number == number)  # nothing is said twice
            revision, now_us = row.revision + 1, max(self._now(), row.updated_at + 1)
            data = _selection_data(spec, row.organization, number, revision)
            position = self._fact(
                connection,
                facts.Fact(facts.SUBSCRIPTION_UPDATED, row.id, str(revision), data),
                row.organization,
                now_us,
            )
            _touch(connection, number, now_us, revision=revision)
            _keep_revision(connection, number, revision, position, spec)
            self._seal(connection, _SPEC, row.id, revision, spec.to_json())
            if spec.pull_only:
                # Nothing is sent any more: the cursor stands, as that of a paused stream does (S10b).
                connection.execute(update(_CURSOR).where(_CURSOR.c.number == number).values(live=False))
            return self._one(connection, _SUBSCRIPTION.c.number == number)

        return await self._database.write(work)

    async def set_state(
        self,
        number: int,
        state: SubscriptionState,
        *,
        cause: str,
        revision: int | None = None,
        skip: bool = False,
    ) -> SubscriptionRecord:
        """See ``Subscriptions.set_state``."""

        def work(connection: Connection) -> SubscriptionRecord:
            row = _present(connection, number, None)
            if revision is not None and row.revision != revision:
                raise PreconditionFailed(f"The subscription is at revision {row.revision} now.")
            now_us = max(self._now(), row.updated_at + 1)
            # A resume from now skips what lies behind, of an active stream too (S3h).
            if row.state != state.value or skip:
                data = {"subscription_id": row.id, "number": number, "revision": row.revision, "cause": cause}
                fact = facts.Fact(_STATE_FACTS[state], row.id, f"{row.state}:{now_us}", data)
                position = self._fact(connection, fact, row.organization, now_us)
                _touch(connection, number, now_us, state=state.value)
                values: dict[str, object] = {"live": False}
                if skip:
                    values["cursor"] = position
                connection.execute(update(_CURSOR).where(_CURSOR.c.number == number).values(values))
            return self._one(connection, _SUBSCRIPTION.c.number == number)

        return await self._database.write(work)

    async def delete(self, number: int, *, unchanged_since_us: int | None = None) -> None:
        """See ``Subscriptions.delete``."""

        def work(connection: Connection) -> None:
            row = _present(connection, number, unchanged_since_us)
            now_us = max(self._now(), row.updated_at + 1)
            data = {"subscription_id": row.id, "number": number, "revision": row.revision}
            self._fact(
                connection,
                facts.Fact(facts.SUBSCRIPTION_DELETED, row.id, "deleted", data),
                row.organization,
                now_us,
            )
            _touch(connection, number, now_us, state=SubscriptionState.DELETED.value)
            connection.execute(delete(_CURSOR).where(_CURSOR.c.number == number))
            connection.execute(delete(_PENDING).where(_PENDING.c.number == number))
            connection.execute(delete(_VAULT).where(_VAULT.c.owner == row.id))

        await self._database.write(work)

    async def get(self, subscription_id: str) -> SubscriptionRecord | None:
        """See ``Subscriptions.get``."""
        return await self._find(_SUBSCRIPTION.c.id == subscription_id)

    async def by_number(self, number: int) -> SubscriptionRecord | None:
        """See ``Subscriptions.by_number``."""
        return await self._find(_SUBSCRIPTION.c.number == number)

    async def page(self, *, organization: str | None, after: int, limit: int) -> Sequence[SubscriptionRecord]:
        """See ``Subscriptions.page``."""

        def work(connection: Connection) -> list[SubscriptionRecord]:
            statement = _joined().where(_SUBSCRIPTION.c.number > after)
            if organization is not None:
                statement = statement.where(_SUBSCRIPTION.c.organization == organization)
            rows = connection.execute(statement.order_by(_SUBSCRIPTION.c.number).limit(limit)).all()
            return [self._record(connection, row) for row in rows]

        return await self._database.read(work)

    async def ids(self, numbers: Sequence[int]) -> Mapping[int, tuple[str, str]]:
        """See ``Subscriptions.ids``."""
        statement = select(_SUBSCRIPTION.c.number, _SUBSCRIPTION.c.id, _SUBSCRIPTION.c.organization).where(
            _SUBSCRIPTION.c.number.in_(list(numbers))
        )
        return await self._database.read(
            lambda connection: {
                row.number: (row.id, row.organization) for row in connection.execute(statement)
            }
        )

    async def _find(self, condition: Any) -> SubscriptionRecord | None:  # noqa: ANN401 - a column expression
        def work(connection: Connection) -> SubscriptionRecord | None:
            row = connection.execute(_joined().where(condition)).one_or_none()
            return None if row is None else self._record(connection, row)

        return await self._database.read(work)

    def _one(self, connection: Connection, condition: Any) -> SubscriptionRecord:  # noqa: ANN401 - likewise
        return self._record(connection, connection.execute(_joined().where(condition)).one())

    def _record(self, connection: Connection, row: Row[Any]) -> SubscriptionRecord:
        spec = SubscriptionSpec.from_json(self._open(connection, _SPEC, row.id, row.revision))
        secrets = self._open(connection, _SECRETS, row.id, None)["secrets"]
        history = connection.execute(
            select(_REVISION).where(_REVISION.c.number == row.number).order_by(_REVISION.c.revision)
        )
        revisions = tuple(
            Revision(
                item.revision, item.position, selector_from(json.loads(item.selection), row.organization)
            )
            for item in history
        )
        waiting = connection.execute(
            select(func.count()).select_from(_PENDING).where(_PENDING.c.number == row.number)
        ).scalar_one()
        return SubscriptionRecord(
            number=row.number,
            id=row.id,
            organization=row.organization,
            privileged=row.privileged,
            state=SubscriptionState(row.state),
            revision=row.revision,
            created_at_us=row.created_at,
            updated_at_us=row.updated_at,
            created_position=row.created_position,
            start_position=row.start_position,
            cursor=row.cursor,
            live=row.live,
            pending=waiting,
            spec=spec,
            secrets=tuple(secrets),
            revisions=revisions,
        )

    def _fact(self, connection: Connection, fact: facts.Fact, organization: str, now_us: int) -> int:
        entry = NewEntry(
            type=fact.type,
            source=self._fact_source,
            id=fact.id,
            envelope=fact.envelope(self._fact_source, now_us).raw,
            subject=fact.subject,
            organization=None if organization == EVERY_ORGANIZATION else organization,
        )
        prepared = prepare([entry], self._random)
        return append(connection, prepared, now_us=now_us, kind=Kind.FACT)[0].position

    def _seal(
        self, connection: Connection, kind: str, owner: str, revision: int, document: Mapping[str, object]
    ) -> None:
        sealed = self._keyring.seal(json.dumps(document).encode(), kind=kind, owner=owner, revision=revision)
        connection.execute(insert(_VAULT).values(kind=kind, owner=owner, revision=revision, sealed=sealed))

    def _open(self, connection: Connection, kind: str, owner: str, revision: int | None) -> Any:  # noqa: ANN401 - JSON
        statement = select(_VAULT).where(_VAULT.c.kind == kind, _VAULT.c.owner == owner)
        if revision is not None:
            statement = statement.where(_VAULT.c.revision == revision)
        row = connection.execute(statement.order_by(_VAULT.c.revision.desc()).limit(1)).one()
        plain = self._keyring.open(bytes(row.sealed), kind=kind, owner=owner, revision=row.revision)
        return json.loads(plain)


def _joined() -> Select[Any]:
    return select(_SUBSCRIPTION, _CURSOR.c.cursor, _CURSOR.c.live).join(
        _CURSOR, _CURSOR.c.number == _SUBSCRIPTION.c.number
    )


def _present(connection: Connection, number: int, unchanged_since_us: int | None) -> Row[Any]:
    row = connection.execute(select(_SUBSCRIPTION).where(_SUBSCRIPTION.c.number == number)).one_or_none()
    if row is None or row.state == SubscriptionState.DELETED.value:
        raise NotFound("This subscription does not exist.")
    if unchanged_since_us is not None and row.updated_at != unchanged_since_us:
        raise PreconditionFailed("The subscription was changed since you read it.")
    return row


def _touch(connection: Connection, number: int, now_us: int, **values: object) -> None:
    connection.execute(
        update(_SUBSCRIPTION).where(_SUBSCRIPTION.c.number == number).values(updated_at=now_us, **values)
    )


def _keep_revision(
    connection: Connection, number: int, revision: int, position: int, spec: SubscriptionSpec
) -> None:
    connection.execute(
        insert(_REVISION).values(
            number=number,
            revision=revision,
            position=position,
            selection=json.dumps(spec.selection_json()),
        )
    )


def _selection_data(
    spec: SubscriptionSpec, organization: str, number: int, revision: int
) -> dict[str, object]:
    return {
        "number": number,
        "organization": organization,
        "revision": revision,
        "sink_origin": sink_origin(spec.sink),
        **spec.selection_json(),
    }


def _start(connection: Connection, spec: SubscriptionSpec, head: int) -> int | None:
    """Resolve ``start`` to the position behind which the stream begins; None: behind the fact that makes it."""
    match spec.config.start:
        case StartAt.NOW:
            return None
        case StartAt.BEGINNING:
            return 0
        case int(position):
            if position > head:
                fields = [FieldError("/config/start", f"the log ends at position {head}")]
                raise InvalidRequest("This start lies ahead of the log.", fields=fields)
            return position
        case moment:
            return position_before(connection, int(moment.timestamp() * _SECOND_US))
