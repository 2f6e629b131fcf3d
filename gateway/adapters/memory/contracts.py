"""The contracts in memory."""

import hashlib
from collections.abc import Sequence

from gateway.adapters.memory.store import MemoryStore
from gateway.domain import facts
from gateway.errors import Conflict
from gateway.ports import CONTRACTS_MAX, VERSIONS_MAX, Kind, NewContract, NewEntry, StoredContract


class MemoryContracts:
    """Implements ``gateway.ports.ContractStore``."""

    def __init__(self, store: MemoryStore, *, fact_source: str) -> None:
        self._store = store
        self._fact_source = fact_source

    async def all(self) -> Sequence[StoredContract]:
        """See ``ContractStore.all``."""
        return [known for _, known in sorted(self._store.contracts.items())]

    async def adopt(self, shipped: Sequence[NewContract]) -> Sequence[StoredContract]:
        """See ``ContractStore.adopt``."""
        taken = []
        for wanted in shipped:
            versions = self._versions(wanted.type)
            if all(known.document != wanted.document for known in versions):
                since = self._store.head if versions else 0
                taken.append(self._put(wanted, self._store.now(), since=since, shipped=True))
        return taken

    async def add(self, wanted: NewContract, version: int) -> StoredContract:
        """See ``ContractStore.add``."""
        contracts, versions = self._store.contracts, self._versions(wanted.type)
        places = {(known.group, known.name): known.type for known in contracts.values()}
        for known in versions[:1]:
            if (known.group, known.name) != (wanted.group, wanted.name):
                raise Conflict(f"{wanted.type} has its contract in {known.group}/{known.name}.")
        if (
            places.get((wanted.group, wanted.name), wanted.type) != wanted.type
            or len(versions) + 1 != version
        ):
            raise Conflict(f"Version {version} of {wanted.type} is not the next one any more.")
        if len(versions) >= VERSIONS_MAX or len(contracts) >= CONTRACTS_MAX:
            raise Conflict(f"{wanted.type} can have no further version: there are as many as are kept.")
        now_us = self._store.now()
        compatibility = versions[0].compatibility if versions else wanted.compatibility
        fact = facts.contract_registered(
            wanted.type,
            version,
            hashlib.sha256(wanted.document).digest(),
            by=wanted.by,
            group=wanted.group,
            schema=wanted.name,
            compatibility=compatibility,
        )
        envelope = fact.envelope(self._fact_source, now_us).raw
        entry = NewEntry(fact.type, self._fact_source, fact.id, envelope, subject=fact.subject)
        [appended] = self._store.append([entry], kind=Kind.FACT)
        return self._put(wanted, now_us, since=appended.position, shipped=False)

    def _versions(self, type_: str) -> list[StoredContract]:
        return [known for (of, _), known in sorted(self._store.contracts.items()) if of == type_]

    def _put(self, wanted: NewContract, now_us: int, *, since: int, shipped: bool) -> StoredContract:
        versions = self._versions(wanted.type)
        made = StoredContract.following(versions, wanted, created_at_us=now_us, since=since, shipped=shipped)
        self._store.contracts[made.type, made.version] = made
        return made
