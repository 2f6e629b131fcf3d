"""Contracts as they are kept: truth (S1a), since what was promised once stays readable for as long as the log."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, Self

CONTRACTS_MAX = 2_000
"""Versions of all types together, so that all of them fit into memory."""

VERSIONS_MAX = 200
"""Versions of one type: a new one is compared with each of them."""


@dataclass(frozen=True, slots=True)
class NewContract:
    """The next version of a type's contract.

    Attributes:
        type: The event type, in full.
        group: The registry's group.
        name: The schema's id within the group.
        document: The JSON Schema without `$id`, as UTF-8 JSON.
        compatibility: What the type's versions promise each other; read where this is the first one.
        by: Who asks, by token id; None: the first administrator, or the release that the contract came with.
    """

    type: str
    group: str
    name: str
    document: bytes
    compatibility: str
    by: str | None = None


@dataclass(frozen=True, slots=True)
class StoredContract:
    """One version of a contract. It never changes and never goes.

    Attributes:
        since: It is the newest for what stands in the log behind this position.
        shipped: Whether it came with a release, not by a command.
    """

    type: str
    group: str
    name: str
    version: int
    document: bytes
    compatibility: str
    created_at_us: int
    since: int
    shipped: bool

    @classmethod
    def following(
        cls, versions: Sequence[Self], wanted: NewContract, *, created_at_us: int, since: int, shipped: bool
    ) -> Self:
        """The version behind these, ascending; where and how the type is kept, its first one has decided."""
        first = versions[0] if versions else None
        return cls(
            type=wanted.type,
            group=wanted.group if first is None else first.group,
            name=wanted.name if first is None else first.name,
            version=len(versions) + 1,
            document=wanted.document,
            compatibility=wanted.compatibility if first is None else first.compatibility,
            created_at_us=created_at_us,
            since=since,
            shipped=shipped,
        )


class ContractStore(Protocol):
    """The contracts of a registry. Registering one is a fact (S1d); what a release brings is none."""

    async def all(self) -> Sequence[StoredContract]:
        """Every version of every type, by type and version."""
        ...

    async def adopt(self, shipped: Sequence[NewContract]) -> Sequence[StoredContract]:
        """Take over what a release brings: each document that its type has not had becomes the next version.

        Returns those that were taken over now.
        """
        ...

    async def add(self, wanted: NewContract, version: int) -> StoredContract:
        """Add the next version of a type, with the fact that says so, and forbid any other with this number.

        Raises ``Conflict`` where it is not the next one any more, where the type belongs to another schema, or where
        there are as many as are kept.
        """
        ...
