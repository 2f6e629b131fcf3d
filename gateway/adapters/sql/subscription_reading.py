"""Looking subscriptions up: by id, number, webhook or page, and what a deleted one was."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, and_, select

from gateway.adapters.sql.database import Database
from gateway.adapters.sql.lists import parts
from gateway.adapters.sql.models import Subscription
from gateway.adapters.sql.sealed import SubscriptionVault
from gateway.adapters.sql.subscription_making import is_webhook
from gateway.adapters.sql.subscription_rows import history, present, read
from gateway.adapters.sql.texts import same
from gateway.ports import Named, SubscriptionHistory, SubscriptionRecord, SubscriptionState

_SUBSCRIPTION = Subscription.__table__  # type: ignore[attr-defined]


class SubscriptionReader:
    """The part of ``gateway.ports.Subscriptions`` that changes nothing."""

    def __init__(self, database: Database, vault: SubscriptionVault) -> None:
        self._database = database
        self._vault = vault

    async def get(
        self, subscription_id: str, *, organization: str | None = None
    ) -> SubscriptionRecord | None:
        """See ``Subscriptions.get``."""
        condition = same(_SUBSCRIPTION.c.id, subscription_id)
        if organization is not None:
            condition = and_(condition, same(_SUBSCRIPTION.c.organization, organization))
        return await self._find(condition)

    async def webhook(self, organization: str, key: str) -> SubscriptionRecord | None:
        """See ``Subscriptions.webhook``."""
        return await self._find(is_webhook(organization, key))

    async def by_number(self, number: int) -> SubscriptionRecord | None:
        """See ``Subscriptions.by_number``."""
        return await self._find(_SUBSCRIPTION.c.number == number)

    async def by_numbers(self, numbers: Sequence[int]) -> Sequence[SubscriptionRecord]:
        """See ``Subscriptions.by_numbers``."""

        def work(connection: Connection) -> list[SubscriptionRecord]:
            return [
                record
                for part in parts(sorted(set(numbers)))
                for record in self._read(connection, _SUBSCRIPTION.c.number.in_(part))
            ]

        return await self._database.read(work)

    async def page(self, *, organization: str | None, after: int, limit: int) -> Sequence[SubscriptionRecord]:
        """See ``Subscriptions.page``."""
        statement = present().where(_SUBSCRIPTION.c.number > after).limit(limit)
        if organization is not None:
            statement = statement.where(_SUBSCRIPTION.c.organization == organization)
        return await self._database.read(lambda connection: read(connection, statement, self._vault))

    async def history(self, subscription_id: str) -> SubscriptionHistory | None:
        """See ``Subscriptions.history``."""
        return await self._database.read(lambda connection: history(connection, subscription_id))

    async def ids(self, numbers: Sequence[int]) -> Mapping[int, Named]:
        """See ``Subscriptions.ids``."""
        columns = (
            _SUBSCRIPTION.c.number,
            _SUBSCRIPTION.c.id,
            _SUBSCRIPTION.c.organization,
            _SUBSCRIPTION.c.state,
        )

        def work(connection: Connection) -> dict[int, Named]:
            return {
                row.number: Named(
                    row.id, row.organization, deleted=row.state == SubscriptionState.DELETED.value
                )
                for part in parts(numbers)
                for row in connection.execute(select(*columns).where(_SUBSCRIPTION.c.number.in_(part)))
            }

        return await self._database.read(work)

    async def _find(self, condition: Any) -> SubscriptionRecord | None:  # noqa: ANN401 - a column expression
        found = await self._database.read(lambda connection: self._read(connection, condition))
        return found[0] if found else None

    def _one(self, connection: Connection, number: int) -> SubscriptionRecord:
        [record] = self._read(connection, _SUBSCRIPTION.c.number == number)
        return record

    def _read(self, connection: Connection, condition: Any) -> list[SubscriptionRecord]:  # noqa: ANN401 - likewise
        return read(connection, present().where(condition), self._vault)
