"""The contracts in SQL: a row for each type, one for each version, and the facts that say who registered them."""

import hashlib
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select

from gateway.adapters.sql.database import Database
from gateway.adapters.sql.models import Contract, ContractType, LogHead
from gateway.adapters.sql.saying import FactWriter
from gateway.domain import facts
from gateway.errors import Conflict
from gateway.ports import (
    CONTRACTS_MAX,
    VERSIONS_MAX,
    NewContract,
    Now,
    Random,
    StoredContract,
)

_TYPE = ContractType.__table__  # type: ignore[attr-defined]
_CONTRACT = Contract.__table__  # type: ignore[attr-defined]
_HEAD = LogHead.__table__  # type: ignore[attr-defined]
_ALL = (
    select(_CONTRACT, _TYPE.c.group_id, _TYPE.c.name, _TYPE.c.compatibility)
    .join(_TYPE, _TYPE.c.type == _CONTRACT.c.type)
    .order_by(_CONTRACT.c.type, _CONTRACT.c.version)
)


class SqlContracts:
    """Implements ``gateway.ports.ContractStore`` on any ``Database``."""

    def __init__(self, database: Database, *, fact_source: str, now: Now, random: Random) -> None:
        self._database = database
        self._now = now
        self._facts = FactWriter(fact_source, random)

    async def all(self) -> Sequence[StoredContract]:
        """See ``ContractStore.all``."""
        return await self._database.read(_every_one)

    async def adopt(self, shipped: Sequence[NewContract]) -> Sequence[StoredContract]:
        """See ``ContractStore.adopt``. It only writes where a release brings something new."""
        known = {(item.type, item.document) for item in await self.all()}
        if all((wanted.type, wanted.document) in known for wanted in shipped):
            return []

        def work(connection: Connection) -> list[StoredContract]:
            taken = []
            for wanted in shipped:
                versions = _versions(connection, wanted.type)
                if all(item.document != wanted.document for item in versions):
                    since = connection.execute(select(_HEAD.c.position)).scalar_one() if versions else 0
                    taken.append(_put(connection, wanted, versions, self._now(), since=since, shipped=True))
            return taken

        return await self._database.write(work)

    async def add(self, wanted: NewContract, version: int) -> StoredContract:
        """See ``ContractStore.add``."""

        def work(connection: Connection) -> StoredContract:
            versions = _versions(connection, wanted.type)
            _check(connection, wanted, version, versions)
            now_us = self._now()
            fact = facts.contract_registered(
                wanted.type,
                version,
                _digest(wanted),
                by=wanted.by,
                group=wanted.group,
                schema=wanted.name,
                compatibility=versions[0].compatibility if versions else wanted.compatibility,
            )
            position = self._facts.say(connection, fact, now_us)
            return _put(connection, wanted, versions, now_us, since=position, shipped=False)

        return await self._database.write(work)


def _every_one(connection: Connection) -> list[StoredContract]:
    return [_contract_of(row) for row in connection.execute(_ALL)]


def _versions(connection: Connection, type_: str) -> list[StoredContract]:
    return [_contract_of(row) for row in connection.execute(_ALL.where(_CONTRACT.c.type == type_))]


def _check(
    connection: Connection, wanted: NewContract, version: int, versions: Sequence[StoredContract]
) -> None:
    """Raise ``Conflict`` unless it may be added as this version."""
    if versions and (versions[0].group, versions[0].name) != (wanted.group, wanted.name):
        raise Conflict(f"{wanted.type} has its contract in {versions[0].group}/{versions[0].name}.")
    here = select(_TYPE.c.type).where(_TYPE.c.group_id == wanted.group, _TYPE.c.name == wanted.name)
    if connection.execute(here).scalar() not in {None, wanted.type} or len(versions) + 1 != version:
        raise Conflict(f"Version {version} of {wanted.type} is not the next one any more.")
    count = connection.execute(select(func.count()).select_from(_CONTRACT)).scalar_one()
    if len(versions) >= VERSIONS_MAX or count >= CONTRACTS_MAX:
        raise Conflict(f"{wanted.type} can have no further version: there are as many as are kept.")


def _put(
    connection: Connection,
    wanted: NewContract,
    versions: Sequence[StoredContract],
    now_us: int,
    *,
    since: int,
    shipped: bool,
) -> StoredContract:
    """Write the next version; where and how the type is kept, its first one has decided."""
    if not versions:
        connection.execute(
            insert(_TYPE).values(
                type=wanted.type,
                group_id=wanted.group,
                name=wanted.name,
                compatibility=wanted.compatibility,
            )
        )
    made = StoredContract.following(versions, wanted, created_at_us=now_us, since=since, shipped=shipped)
    connection.execute(
        insert(_CONTRACT).values(
            type=made.type,
            version=made.version,
            document=made.document,
            digest=_digest(wanted),
            created_at=made.created_at_us,
            since=made.since,
            shipped=made.shipped,
            by=wanted.by,
        )
    )
    return made


def _digest(wanted: NewContract) -> bytes:
    return hashlib.sha256(wanted.document).digest()


def _contract_of(row: Row[Any]) -> StoredContract:
    return StoredContract(
        type=row.type,
        group=row.group_id,
        name=row.name,
        version=row.version,
        document=bytes(row.document),
        compatibility=row.compatibility,
        created_at_us=row.created_at,
        since=row.since,
        shipped=row.shipped,
    )
