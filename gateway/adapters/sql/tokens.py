"""The tokens of the API in SQL: rows by their hashes, and the facts that say who made and revoked them."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, func, insert, or_, select, update

from gateway.adapters.sql.database import Database
from gateway.adapters.sql.lists import parts
from gateway.adapters.sql.models import ApiTokenEntry
from gateway.adapters.sql.saying import FactWriter
from gateway.adapters.sql.texts import same
from gateway.domain import facts
from gateway.domain.api_tokens import REMEMBERED_US, TOKENS_MAX, ApiToken
from gateway.domain.ids import RANDOM_BYTES, token_id
from gateway.errors import Conflict, NotFound
from gateway.ports import NewApiToken, Now, Random

_TOKEN = ApiTokenEntry.__table__  # type: ignore[attr-defined]
_PRESENT = _TOKEN.c.revoked_at.is_(None)
_USED = (
    update(_TOKEN)
    .where(
        _TOKEN.c.id == bindparam("token"),
        or_(_TOKEN.c.last_used_at.is_(None), _TOKEN.c.last_used_at < bindparam("at_us")),
    )
    .values(last_used_at=bindparam("at_us"))
)


class SqlApiTokens:
    """Implements ``gateway.ports.ApiTokens`` on any ``Database``."""

    def __init__(self, database: Database, *, fact_source: str, now: Now, random: Random) -> None:
        self._database = database
        self._now = now
        self._random = random
        self._facts = FactWriter(fact_source, random)

    async def create(self, wanted: NewApiToken) -> ApiToken:
        """See ``ApiTokens.create``."""
        new_id = token_id(self._random(RANDOM_BYTES))

        def work(connection: Connection) -> ApiToken:
            now_us = self._now()
            long_ago = now_us - REMEMBERED_US
            connection.execute(
                delete(_TOKEN).where(or_(_TOKEN.c.revoked_at < long_ago, _TOKEN.c.expires_at < long_ago))
            )
            if (connection.execute(select(func.count()).select_from(_TOKEN)).scalar() or 0) >= TOKENS_MAX:
                raise Conflict(
                    f"There are {TOKENS_MAX} tokens already.", hint="Revoke those that nobody uses."
                )
            made = ApiToken(
                id=new_id,
                name=wanted.name,
                organization=wanted.organization,
                read_only=wanted.read_only,
                created_at_us=now_us,
                expires_at_us=wanted.expires_at_us,
            )
            connection.execute(
                insert(_TOKEN).values(
                    id=made.id,
                    hash=wanted.hash,
                    name=made.name,
                    organization=made.organization,
                    read_only=made.read_only,
                    created_at=made.created_at_us,
                    expires_at=made.expires_at_us,
                )
            )
            # Of no organization: who may get in is the administrators' matter.
            self._facts.say(connection, facts.token_created(made, wanted.by), now_us)
            return made

        return await self._database.write(work)

    async def revoke(self, token_id: str, *, by: str | None) -> None:
        """See ``ApiTokens.revoke``."""

        def work(connection: Connection) -> None:
            here = (same(_TOKEN.c.id, token_id), _PRESENT)
            row = connection.execute(select(_TOKEN).where(*here)).one_or_none()
            if row is None:
                raise NotFound("There is no token with this id.")
            now_us = self._now()
            connection.execute(update(_TOKEN).where(*here).values(revoked_at=now_us))
            self._facts.say(connection, facts.token_revoked(_token_of(row), by), now_us)

        await self._database.write(work)

    async def by_hash(self, token_hash: bytes) -> ApiToken | None:
        """See ``ApiTokens.by_hash``."""
        statement = select(_TOKEN).where(_TOKEN.c.hash == token_hash)
        row = await self._database.read(lambda connection: connection.execute(statement).one_or_none())
        return None if row is None else _token_of(row)

    async def get(self, token_id: str) -> ApiToken | None:
        """See ``ApiTokens.get``."""
        statement = select(_TOKEN).where(same(_TOKEN.c.id, token_id), _PRESENT)
        row = await self._database.read(lambda connection: connection.execute(statement).one_or_none())
        return None if row is None else _token_of(row)

    async def get_many(self, token_ids: Sequence[str]) -> Mapping[str, ApiToken]:
        """See ``ApiTokens.get_many``."""

        def work(connection: Connection) -> dict[str, ApiToken]:
            found: dict[str, ApiToken] = {}
            for part in parts(token_ids):
                statement = select(_TOKEN).where(_TOKEN.c.id.in_(part), _PRESENT)
                found |= {row.id: _token_of(row) for row in connection.execute(statement)}
            return found

        return await self._database.read(work)

    async def page(self, *, after: tuple[int, str] | None, limit: int) -> Sequence[ApiToken]:
        """See ``ApiTokens.page``."""
        columns = _TOKEN.c
        statement = select(_TOKEN).where(_PRESENT)
        if after is not None:
            at_us, last_id = after
            statement = statement.where(
                (columns.created_at > at_us) | ((columns.created_at == at_us) & (columns.id > last_id))
            )
        statement = statement.order_by(columns.created_at, columns.id).limit(limit)
        return await self._database.read(
            lambda connection: [_token_of(row) for row in connection.execute(statement)]
        )

    async def used(self, times: Mapping[str, int]) -> None:
        """See ``ApiTokens.used``."""
        rows = [{"token": token, "at_us": at_us} for token, at_us in times.items()]
        if rows:
            await self._database.write(lambda connection: connection.execute(_USED, rows))


def _token_of(row: Row[Any]) -> ApiToken:
    return ApiToken(
        id=row.id,
        name=row.name,
        organization=row.organization,
        read_only=row.read_only,
        created_at_us=row.created_at,
        expires_at_us=row.expires_at,
        revoked_at_us=row.revoked_at,
        last_used_at_us=row.last_used_at,
    )
